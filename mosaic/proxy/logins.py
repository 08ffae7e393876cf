"""User and password for proxies, from a file that only its owner can read.

One proxy a line: `host[:port] user password`; the password goes to the end of
the line. `*` in place of a host means any proxy, also one that a PAC script
names: use it only where the script is trusted. `#` begins a comment line. In place
of the password, `keytab:/path` names the Kerberos keys of the user, a principal
(`*`: the first in the file).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import Login

MAX_FILE_BYTES = 65536
KEYTAB = "keytab:"


class LoginFileError(Exception):
    """The file cannot be used; the text is one line without a password."""


class Logins:
    """Looks up the login for a proxy. Empty: nothing but what the proxy's own
    source said."""

    def __init__(self, rows: dict[str, Login] | None = None) -> None:
        self._rows = rows or {}

    def for_proxy(self, proxy: Proxy) -> Login | None:
        """The most exact line wins: host and port, host, then `*`."""
        host = proxy.host.lower()
        for key in (f"{host}:{proxy.port}", host, "*"):
            if key in self._rows:
                return self._rows[key]
        return proxy.login


def read_logins(path: Path) -> Logins:
    """Read the file. Raises LoginFileError for one that others can read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise LoginFileError(f"{path} is no plain file")
            if status.st_mode & 0o077:
                raise LoginFileError(
                    f"{path} can be read by others (mode "
                    f"{stat.S_IMODE(status.st_mode):04o}); run chmod 600 {path}"
                )
            if status.st_uid not in (os.getuid(), 0):
                raise LoginFileError(f"{path} belongs to somebody else")
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LoginFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LoginFileError(f"{path} is no UTF-8 text") from error
    if len(text) > MAX_FILE_BYTES:
        raise LoginFileError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    rows: dict[str, Login] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.strip().split(None, 2)
        if len(parts) != 3:
            raise LoginFileError(
                f"{path} line {number}: write `host[:port] user password`"
            )
        keytab = ""
        if parts[2].startswith(KEYTAB):
            keytab = parts[2].removeprefix(KEYTAB)
            if not keytab.startswith("/"):
                raise LoginFileError(
                    f"{path} line {number}: write keytab:/ and the rest of the path"
                )
        rows[parts[0].lower()] = Login(parts[1], "" if keytab else parts[2], keytab)
    return Logins(rows)

"""Logins for proxies that a person may type at the hub's own page."""

from __future__ import annotations

from pathlib import Path

from mosaic.hub.memory import write_durably
from mosaic.proxy.logins import Logins, read_logins
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import Login

FILE = "proxy-login"


class LoginTextError(ValueError):
    """What was typed cannot stand in the file."""


class ProxyLogins(Logins):
    """The file that --proxy-login names, and what was typed (which comes first).

    Raises LoginFileError if a file cannot be used.
    """

    def __init__(self, state: Path, given: Path | None) -> None:
        super().__init__()
        self._file = state / FILE
        self._given = Logins() if given is None else read_logins(given)
        self._typed = Logins()
        if self._file.exists():
            self._typed = read_logins(self._file)

    def for_proxy(self, proxy: Proxy) -> Login | None:
        """What was typed comes first: it is newer."""
        return self._typed.for_proxy(proxy) or self._given.for_proxy(proxy)

    def set(self, host: str, username: str, password: str) -> None:
        """Keep one login in a file of mode 0600, and use it from now on.

        host: `host` or `host:port` of the proxy, or `*`. Raises LoginTextError
        and OSError.
        """
        for name, text in (("proxy", host), ("user", username)):
            if not text or any(c.isspace() or not c.isprintable() for c in text):
                raise LoginTextError(f"the {name} must be one word")
        if not password or not password.isprintable() or password != password.strip():
            raise LoginTextError("the password is empty, or has spaces at its ends")
        if host.startswith("#"):
            raise LoginTextError("the proxy must be a host")
        lines = []
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                if line.split(None, 1)[:1] != [host.lower()]:
                    lines.append(line)
        lines.append(f"{host.lower()} {username} {password}")
        write_durably(self._file, ("\n".join(lines) + "\n").encode())
        self._typed = read_logins(self._file)

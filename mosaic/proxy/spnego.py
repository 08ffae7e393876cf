"""NTLM and Negotiate, by pyspnego (the extra `hub`).

pyspnego is maintained, and pure Python for NTLM. Kerberos is kerberos.py's.
"""

from __future__ import annotations

import base64
import binascii
from importlib.util import find_spec
from typing import Any

from mosaic.wire.hops import HopError, Login, LoginRefused
from mosaic.wire.httpauth import Challenge

MISSING = "NTLM and Negotiate need more: pip install 'mosaic-meetings[hub]'"

KERBEROS_ALONE = (
    "if it takes Kerberos alone: write user@REALM, or name a keytab, and "
    "pip install 'mosaic-meetings[hub-kerberos]'"
)


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("spnego") is not None


class SpnegoScheme:
    """Several legs on one connection. name: "NTLM" or "Negotiate".

    host: the proxy's name, for Kerberos.
    """

    bound = True
    ready = True

    def __init__(self, name: str, login: Login, *, host: str) -> None:
        self.name = name
        self._login = login
        self._host = host
        self._context: Any = None

    def respond(self, challenge: Challenge) -> str | None:
        """The next leg; None when the proxy begins anew, which is its no."""
        import spnego
        from spnego.exceptions import SpnegoError

        try:
            if self._context is None:
                self._context = spnego.client(
                    self._login.username,
                    self._login.password,
                    hostname=self._host,
                    service="HTTP",
                    protocol=self.name.lower(),
                )
                made = self._context.step()
            elif challenge.token and not self._context.complete:
                made = self._context.step(base64.b64decode(challenge.token))
            else:
                return None
        except (SpnegoError, ValueError, binascii.Error):
            return None
        if not made:
            return None
        return f"{self.name} {base64.b64encode(made).decode()}"

    def refused(self, hop: str) -> HopError:
        """User or password are wrong, or NTLM is."""
        more = "" if self.name == "NTLM" else KERBEROS_ALONE
        return LoginRefused(hop, self.name, more)

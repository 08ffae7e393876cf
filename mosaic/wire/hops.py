"""What a client says of the way to a server: logins, and where it ended.

A connection passes hops: the name service, the proxy, the server. Every error
here names the hop that refused, the stage at which it did, and what to set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Stage = Literal["dns", "tcp", "proxy", "tls", "application"]
"""Where a connection ended."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password for a proxy; never shown in a repr or an error."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"


class HopError(Exception):
    """One hop did not let us pass.

    hop: such as "proxy http://proxy.example.org:3128". stage: where. message:
    what happened, without the hop. advice: what a person can set or ask for.
    """

    def __init__(
        self, hop: str, message: str, *, stage: Stage, advice: str = ""
    ) -> None:
        super().__init__(f"{hop}: {message}")
        self.hop = hop
        self.message = message
        self.stage: Stage = stage
        self.advice = advice


class NameUnknown(HopError):
    """The name service has no address for the hop."""

    def __init__(self, hop: str, name: str) -> None:
        super().__init__(
            hop,
            f"the name {name} has no address here",
            stage="dns",
            advice=f"check the name {name}, and that this network's DNS knows it",
        )


class Unreachable(HopError):
    """No TCP connection. outcome: refused, timeout, reset or unreachable."""

    def __init__(self, hop: str, outcome: str, *, port: int, host: str) -> None:
        super().__init__(
            hop,
            f"no TCP connection to {host} port {port} ({outcome})",
            stage="tcp",
            advice=f"ask for TCP port {port} to {host} to be opened",
        )
        self.outcome = outcome


class ProxyError(HopError):
    """The proxy is there and did not open the tunnel."""

    def __init__(self, hop: str, message: str, advice: str) -> None:
        super().__init__(hop, message, stage="proxy", advice=advice)


class LoginWanted(ProxyError):
    """It wants a login and none was given. offered: its schemes."""

    def __init__(self, hop: str, offered: Sequence[str] = ()) -> None:
        ways = f" ({', '.join(offered)})" if offered else ""
        super().__init__(
            hop,
            f"wants a login{ways} and none is set",
            "put user and password for this proxy into a file of mode 0600 and "
            "name it with --proxy-login",
        )
        self.offered = tuple(offered)


class LoginRefused(ProxyError):
    """It does not accept the user and password."""

    def __init__(self, hop: str, scheme: str) -> None:
        super().__init__(
            hop,
            f"refused the user and password ({scheme})",
            "check user and password in the file that --proxy-login names",
        )
        self.scheme = scheme


class SchemeUnknown(ProxyError):
    """It offers only ways to log in that this program does not have."""

    def __init__(self, hop: str, offered: Sequence[str], missing: str = "") -> None:
        super().__init__(
            hop,
            f"offers only {', '.join(offered) or 'unknown ways'} to log in"
            + (f"; {missing}" if missing else ""),
            missing or "ask for Basic, Digest or NTLM, or for a rule without login",
        )
        self.offered = tuple(offered)


class TargetRefused(ProxyError):
    """It will not, or cannot, connect to the target. reason: its own words."""

    def __init__(self, hop: str, target: str, reason: str, advice: str) -> None:
        super().__init__(hop, f"does not connect to {target}: {reason}", advice)
        self.target = target


class NoProxyProtocol(ProxyError):
    """It answers, but not as a proxy of this kind does."""

    def __init__(self, hop: str, what: str) -> None:
        super().__init__(
            hop, what, "check the kind (http, https, socks5h) and port of the proxy"
        )


class TlsRefused(HopError):
    """TCP stands, but TLS does not: another certificate, or no TLS at all."""

    def __init__(self, hop: str, reason: str, *, advice: str = "") -> None:
        super().__init__(
            hop,
            f"TLS failed: {reason}",
            stage="tls",
            advice=advice
            or "if TLS is inspected here, ask for an exception for this name",
        )


class NoAnswer(HopError):
    """It was reached and said nothing (in time), or hung up."""

    def __init__(self, hop: str, what: str, *, stage: Stage) -> None:
        super().__init__(
            hop, what, stage=stage, advice="try again; a middle box may cut connections"
        )

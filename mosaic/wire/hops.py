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
    """A user and a password for a proxy; never shown in a repr or an error.

    keytab: in place of the password, the file with the user's Kerberos keys; the
    user is then a principal, or `*` for the first in the file.
    """

    username: str
    password: str
    keytab: str = ""

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
    """It wants a login and none was given. offered: its schemes. ticket: what became
    of the Kerberos ticket that would have done as well. missing: what would bring it.
    """

    def __init__(
        self,
        hop: str,
        offered: Sequence[str] = (),
        ticket: TicketFailed | None = None,
        missing: str = "",
    ) -> None:
        ways = f" ({', '.join(offered)})" if offered else ""
        none = ""
        or_else = f"; {missing}" if missing else ""
        if ticket is not None:
            none, or_else = ", nor is there a Kerberos ticket", f"; or {ticket.advice}"
        super().__init__(
            hop,
            f"wants a login{ways} and none is set{none}",
            "put user and password for this proxy into a file of mode 0600 and "
            f"name it with --proxy-login{or_else}",
        )
        self.offered = tuple(offered)


class LoginRefused(ProxyError):
    """It does not accept the user and password. more: what else may be the cause."""

    def __init__(self, hop: str, scheme: str, more: str = "") -> None:
        super().__init__(
            hop,
            f"refused the user and password ({scheme})",
            "check user and password in the file that --proxy-login names"
            + (f"; {more}" if more else ""),
        )
        self.scheme = scheme


TicketTrouble = Literal["none", "expired", "service", "clock", "kdc", "login", "other"]
"""Why there is no Kerberos ticket for a proxy."""

_TICKETS: dict[TicketTrouble, tuple[str, str]] = {
    "none": (
        "wants a Kerberos ticket and there is none",
        "run kinit as this program's user, or give it a keytab: KRB5_CLIENT_KTNAME, or "
        "keytab:/path in the file that --proxy-login names",
    ),
    "expired": (
        "wants a Kerberos ticket, and the one here has expired",
        "run kinit again; with a keytab (KRB5_CLIENT_KTNAME, or keytab:/path in the "
        "file that --proxy-login names) tickets are renewed",
    ),
    "service": (
        "has no Kerberos service under this name",
        "name the proxy as the domain does, by its full host name and no address, or "
        "ask for the service principal HTTP/NAME to be made",
    ),
    "clock": (
        "wants a Kerberos ticket, and the clocks differ too much for one",
        "set this machine's clock (NTP): Kerberos allows five minutes",
    ),
    "kdc": (
        "wants a Kerberos ticket, and no KDC could be asked for it",
        "check the realm in /etc/krb5.conf, and that port 88 of its KDC is open from "
        "here",
    ),
    "login": (
        "wants a Kerberos ticket, and the KDC gives none for this login",
        "check the principal, and its password or keytab, in the file that "
        "--proxy-login names",
    ),
    "other": (
        "wants a Kerberos ticket, and there is none to be had",
        "try kinit and kvno HTTP/NAME on this machine, which say more",
    ),
}


class TicketFailed(ProxyError):
    """There is no Kerberos ticket for it. text: the library's words."""

    def __init__(self, hop: str, kind: TicketTrouble, text: str) -> None:
        message, advice = _TICKETS[kind]
        super().__init__(hop, f"{message} ({text})" if text else message, advice)
        self.kind: TicketTrouble = kind


class TicketRefused(LoginRefused):
    """It does not accept the Kerberos ticket. service: whom the ticket is for."""

    def __init__(self, hop: str, service: str) -> None:
        ProxyError.__init__(
            self,
            hop,
            f"refused the Kerberos ticket for {service} (Negotiate)",
            "its clock and ours may differ by more than five minutes (NTP), its keytab "
            "may be old or another service's, or it does not let this user pass: ask "
            "who runs the proxy",
        )
        self.scheme = "Negotiate"


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

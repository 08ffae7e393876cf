"""Endpoint strings: everything that Twisted understands, and `mosaic-tls:`.

    mosaic-tls:PORT[:interface=ADDRESS][:certs=FOLDER][:backlog=N]
    mosaic-tls:on=ENDPOINT[:certs=FOLDER]      TLS on any other stream endpoint
    haproxy:mosaic-tls:PORT...                 the PROXY header (v1, v2) before TLS
    tcp:PORT                                   both families, where there are two

`on=` takes an endpoint string with its colons escaped. That is how TLS stands
on a socket that systemd has opened:

    mosaic-tls:on=systemd\\:domain=INET6\\:name=web

The socket unit must set `FileDescriptorName=web` (for systemd-socket-activate:
`--fdname=web`); systemd's names are also needed where the socket is chosen by
`index=0`. Without `interface=` a port is bound on `::`, which serves IPv4 too,
or on 0.0.0.0 where the machine has no IPv6.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import (
    IStreamServerEndpoint,
)
from twisted.protocols.haproxy import proxyEndpoint

from mosaic.tls.context import Certificates, ServerContext
from mosaic.tls.ports import MemoryTlsEndpoint, SocketEndpoint, Transport, has_sockets

BACKLOG = 512
"""Connections that wait for accept: a whole site reconnects at once."""


def server_endpoint(
    reactor: Any,
    description: str,
    *,
    default_context: ServerContext | None,
    certificates: Certificates | None = None,
    transport: Transport = "socket",
) -> IStreamServerEndpoint:
    """Make an endpoint from a description.

    default_context: serves `mosaic-tls:` without `certs=`. certificates: holds
    the contexts of `certs=` folders, so that they can be reloaded. transport:
    where OpenSSL stands, if the endpoint leaves the choice.

    Raises ValueError, one line, for a description that cannot be understood,
    and CertificateError for certificates that cannot be used.
    """
    grammar = _Grammar(
        reactor, default_context, certificates or Certificates(), transport
    )
    try:
        return grammar.endpoint(description)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        reason = re.sub(r"^[\w.]+\(\) ", "", str(error))
        raise ValueError(f"endpoint {description!r}: {reason}") from None


def tls_endpoint(
    reactor: Any,
    args: Sequence[str],
    named: Mapping[str, str],
    *,
    default_context: ServerContext | None,
    certificates: Certificates | None = None,
    transport: Transport = "socket",
) -> IStreamServerEndpoint:
    """Make the endpoint of a `mosaic-tls:` description that is in parts already.

    Raises ValueError and CertificateError like server_endpoint.
    """
    grammar = _Grammar(
        reactor, default_context, certificates or Certificates(), transport
    )
    return grammar.tls(args, named, proxied=False)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What the parts of a description mean."""

    reactor: Any
    default_context: ServerContext | None
    certificates: Certificates
    transport: Transport

    def endpoint(self, description: str) -> IStreamServerEndpoint:
        """One whole description."""
        args, named = parse_description(description)
        kind = args[0].lower() if args else ""
        if kind == "mosaic-tls":
            return self.tls(args[1:], named, proxied=False)
        if kind == "haproxy":
            if args[1:2] == ["mosaic-tls"]:
                return self.tls(args[2:], named, proxied=True)
            below = unparse_description(args[1:], named)
            return proxyEndpoint(self.endpoint(below))
        if kind == "tcp" and len(args) == 2 and "interface" not in named:
            return self.tcp(args[1], **named)
        if kind == "systemd":
            return self.ours(self.inherited(description))
        return self.ours(_twisted_endpoint(self.reactor, description))

    def ours(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """With our own transports, where it has sockets for them."""
        if self.transport == "socket" and has_sockets(endpoint):
            return SocketEndpoint(endpoint)
        return endpoint

    def tls(
        self, args: Sequence[str], named: Mapping[str, str], *, proxied: bool
    ) -> IStreamServerEndpoint:
        """TLS over a port of its own or, with on=, over another endpoint."""
        rest = dict(named)
        folder, on = rest.pop("certs", ""), rest.pop("on", "")
        if on and (args or rest):
            raise ValueError("on= takes its port from the endpoint it names")
        below = self.endpoint(on) if on else self.tcp(*args, **rest)
        if folder:
            context = self.certificates.context(Path(folder))
        elif self.default_context is None:
            raise ValueError("certs=FOLDER is needed")
        else:
            context = self.default_context
        # A proxy in front sends its header in clear, before the client's TLS.
        below = proxyEndpoint(below) if proxied else below
        if isinstance(below, SocketEndpoint) and below.context is None:
            return below.with_tls(context)
        return MemoryTlsEndpoint(self.reactor, below, context)

    def tcp(
        self, port: str, interface: str = "", backlog: str = str(BACKLOG)
    ) -> IStreamServerEndpoint:
        """A port on one address, or on all addresses of both families."""
        address = interface or ("::" if has_ipv6() else "0.0.0.0")  # noqa: S104
        number = _number("port", port, 65535)
        waiting = _number("backlog", backlog, 1 << 31)
        made = TCP6ServerEndpoint if ":" in address else TCP4ServerEndpoint
        return self.ours(made(self.reactor, number, backlog=waiting, interface=address))

    def inherited(self, description: str) -> IStreamServerEndpoint:
        """A socket that systemd has opened.

        Twisted sees none at all where LISTEN_FDNAMES does not name each.
        """
        try:
            return _twisted_endpoint(self.reactor, description)
        except (IndexError, KeyError):
            raise ValueError(
                "no such inherited socket; set FileDescriptorName= in the socket "
                "unit (systemd-socket-activate: --fdname=)"
            ) from None


def _number(name: str, text: str, most: int) -> int:
    """A decimal argument, or ValueError with its name."""
    if not text.isdecimal() or int(text) > most:
        raise ValueError(f"{name} is a number from 0 to {most}, not {text!r}")
    return int(text)


def has_ipv6() -> bool:
    """Whether a listener on `::` can be had, and serves IPv4 as well."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False


def parse_description(description: str) -> tuple[list[str], dict[str, str]]:
    """Split a description at its colons, as Twisted does.

    The first `=` of a part divides name and value; a backslash takes the next
    character as it is. Raises ValueError for a backslash at the end.
    """
    args: list[str] = []
    named: dict[str, str] = {}
    name: str | None = None
    current = ""
    characters = iter(description + ":")
    for character in characters:
        if character == "\\":
            current += next(characters)
        elif character == "=" and name is None:
            name, current = current, ""
        elif character == ":":
            if name is None:
                args.append(current)
            else:
                named[name] = current
            name, current = None, ""
        else:
            current += character
    if current or name is not None:
        raise ValueError("ends in a backslash")
    return args, named


def unparse_description(args: Sequence[str], named: Mapping[str, str]) -> str:
    """Write the parts as a description again."""
    parts = [_quote(arg) for arg in args]
    parts += [f"{_quote(name)}={_quote(value)}" for name, value in named.items()]
    return ":".join(parts)


def _quote(text: str) -> str:
    """Escape what would divide a description."""
    return re.sub(r"([\\:=])", r"\\\1", text)


def _twisted_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """Twisted's own grammar and its plugins (untyped there)."""
    parse: Any = serverFromString
    endpoint: IStreamServerEndpoint = parse(reactor, description)
    return endpoint

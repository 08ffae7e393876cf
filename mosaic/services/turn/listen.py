"""Endpoint strings for datagrams, and the address that a relay opens on."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from mosaic.wire.stun.address import Address, canonical

WILDCARD_V4 = "0.0.0.0"  # noqa: S104 - a relay listens everywhere by default
WILDCARD_V6 = "::"


@dataclass(frozen=True, slots=True)
class UdpEndpoint:
    """`udp:PORT[:interface=ADDRESS][:proxy=v2]`, or `dtls:` without `proxy`.

    host None: every address, both families. proxied: each datagram comes with
    a header of the PROXY protocol.
    """

    port: int
    host: str | None = None
    proxied: bool = False


def parse_udp_endpoint(text: str, kind: str = "udp") -> UdpEndpoint:
    """Read an endpoint string; colons in an address are written `\\:`.

    kind: "udp" or "dtls". Raises ValueError that names the string.
    """
    fields = [
        field.replace("\0", ":") for field in text.replace("\\:", "\0").split(":")
    ]
    port = host = None
    proxied = False
    for at, field in enumerate(fields[1:]):
        name, equals, value = field.partition("=")
        if not equals and at == 0:
            name, value = "port", field
        if name == "port" and value.isdecimal() and int(value) <= 65535:
            port = int(value)
        elif name == "interface":
            host = _host(value, text)
        elif kind == "udp" and (name, value) == ("proxy", "v2"):
            proxied = True
        else:
            raise ValueError(f"{text!r}: what is {field!r}?")
    if fields[0] != kind or port is None:
        raise ValueError(f"{text!r} is not {kind}:PORT[:interface=ADDRESS]")
    return UdpEndpoint(port, host, proxied)


def _host(value: str, text: str) -> str:
    try:
        return canonical(value.strip("[]"))
    except ValueError as error:
        raise ValueError(f"{text!r}: {value!r} is no IP address") from error


def discovery_pairs(texts: Iterable[str]) -> list[tuple[Address, Address]]:
    """`turn.nat_discovery`, two by two; the configuration has been checked."""
    found = []
    for text in texts:
        host, _, port = text.rpartition(":")
        found.append(Address(canonical(host.strip("[]")), int(port)))
    return list(zip(found[::2], found[1::2], strict=True))


def has_ipv6() -> bool:
    """Whether this machine can bind an IPv6 socket."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class RelayHosts:
    """Which address a relay socket is bound to, and which one peers are told.

    configured: "" or an address for each family; one that this machine does
    not have is that of a NAT in front of it, and the socket is bound to every
    address.
    """

    def __init__(self, configured_v4: str, configured_v6: str) -> None:
        self._configured = {
            family: canonical(host)
            for family, host in ((4, configured_v4), (6, configured_v6))
            if host
        }
        for family, host in self._configured.items():
            if ip_address(host).version != family:
                raise ValueError(
                    f"turn.relay_address_v{family}: {host} is not IPv{family}"
                )

    def choose(self, family: int, reached: str) -> tuple[str, str] | None:
        """(bind, advertise) for a client that reached us at an address.

        None if there is no address of this family.
        """
        configured = self._configured.get(family)
        if configured is not None:
            wildcard = WILDCARD_V6 if family == 6 else WILDCARD_V4
            return (configured if _is_local(configured) else wildcard), configured
        if (6 if ":" in reached else 4) == family:
            return reached, reached
        address = ip_address(reached.partition("%")[0])
        if address.is_loopback:
            host = "::1" if family == 6 else "127.0.0.1"
            return (host, host) if _is_local(host) else None
        source = _source_address(family)
        return None if source is None else (source, source)


def _family(family: int) -> socket.AddressFamily:
    return socket.AF_INET6 if family == 6 else socket.AF_INET


def _is_local(host: str) -> bool:
    try:
        with socket.socket(
            _family(6 if ":" in host else 4), socket.SOCK_DGRAM
        ) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _source_address(family: int) -> str | None:
    """The address that routing would send from; nothing is sent."""
    try:
        with socket.socket(_family(family), socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1" if family == 6 else "192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def all_hosts(endpoint: UdpEndpoint) -> Iterable[str]:
    """The hosts that an endpoint string means on this machine."""
    if endpoint.host is not None:
        return (endpoint.host,)
    return (WILDCARD_V4, WILDCARD_V6) if has_ipv6() else (WILDCARD_V4,)

"""The PROXY protocol, version 2, on datagrams (haproxy's proxy-protocol.txt).

A load balancer puts this header before each datagram that it passes on. Who
can write it can claim any source: only a balancer may reach such a port.
"""

from __future__ import annotations

from typing import NamedTuple

from mosaic.wire.stun.address import Address, canonical, pack_host, unpack_host

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD = len(SIGNATURE) + 4
_LOCAL, _PROXY = 0x20, 0x21
_SIZES = {0x12: 4, 0x22: 16}
"""AF_INET and AF_INET6 with SOCK_DGRAM: bytes of one host."""


class ProxyHeaderError(ValueError):
    """No header of version 2 for datagrams."""


class Proxied(NamedTuple):
    """What the header says. source, destination: None if the balancer speaks
    for itself (LOCAL) or does not know (UNSPEC)."""

    source: Address | None
    destination: Address | None
    payload: memoryview


def parse_proxied(datagram: bytes | memoryview) -> Proxied:
    """Take the header off. Raises ProxyHeaderError for anything else.

    Extensions (TLVs) after the addresses are skipped.
    """
    view = memoryview(datagram)
    if len(view) < _HEAD or view[:12] != SIGNATURE:
        raise ProxyHeaderError("no PROXY signature")
    command, kind = view[12], view[13]
    size = view[14] << 8 | view[15]
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command {command:#04x}")
    if size > len(view) - _HEAD:
        raise ProxyHeaderError("the header is longer than the datagram")
    payload = view[_HEAD + size :]
    if command == _LOCAL or kind & 0xF0 == 0x00:
        return Proxied(None, None, payload)
    host_size = _SIZES.get(kind)
    if host_size is None:
        raise ProxyHeaderError(f"family and protocol {kind:#04x} are no datagrams")
    if size < 2 * host_size + 4:
        raise ProxyHeaderError("the addresses are cut short")
    body = bytes(view[_HEAD : _HEAD + 2 * host_size + 4])
    ports = body[2 * host_size :]
    source = Address(
        canonical(unpack_host(body[:host_size])), int.from_bytes(ports[:2], "big")
    )
    destination = Address(
        canonical(unpack_host(body[host_size : 2 * host_size])),
        int.from_bytes(ports[2:], "big"),
    )
    return Proxied(source, destination, payload)


def encode_proxied(source: Address, destination: Address, payload: bytes) -> bytes:
    """A datagram as a balancer passes it on; both addresses of one family."""
    hosts = pack_host(source.host) + pack_host(destination.host)
    ports = source.port.to_bytes(2, "big") + destination.port.to_bytes(2, "big")
    kind = 0x12 if source.family == 4 else 0x22
    size = (len(hosts) + 4).to_bytes(2, "big")
    return SIGNATURE + bytes((_PROXY, kind)) + size + hosts + ports + payload

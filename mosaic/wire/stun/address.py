"""Transport addresses, plain and as STUN attributes (RFC 8489 section 14.2)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from mosaic.wire.stun.errors import MalformedAttribute

MAGIC_COOKIE = 0x2112A442
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_XOR_V4 = Struct(">xBHI")
_MAPPED = b"\0" * 10 + b"\xff\xff"
FAMILY_CODES = {4: 1, 6: 2}
FAMILIES = {1: 4, 2: 6}


class Address(NamedTuple):
    """An IP address as text and a port: what `sendto` takes.

    The text is canonical (RFC 5952 for IPv6), so equal addresses are equal.
    """

    host: str
    port: int

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.host else 4


class FiveTuple(NamedTuple):
    """Who speaks to which of our addresses, and over what.

    transport: "udp", "tcp", "tls", "dtls", or "udp-proxy" for datagrams that
    a load balancer passes on.
    """

    transport: str
    client: Address
    server: Address


@lru_cache(maxsize=4096)
def pack_host(host: str) -> bytes:
    """The 4 or 16 bytes of an address; a scope such as %eth0 is left out."""
    if ":" in host:
        return IPv6Address(host.partition("%")[0]).packed
    return IPv4Address(host).packed


def unpack_host(packed: bytes) -> str:
    """Canonical text of 4 or 16 bytes."""
    if len(packed) == 4:
        return "%d.%d.%d.%d" % tuple(packed)  # noqa: UP031 - three times as fast
    return str(IPv6Address(packed))


def canonical(host: str) -> str:
    """Canonical text; v4-mapped addresses of dual-stack sockets become IPv4.

    Raises ValueError if it is no IP address. A scope is kept.
    """
    if ":" not in host:
        return str(IPv4Address(host))
    bare, percent, scope = host.partition("%")
    try:
        parsed = IPv6Address(bare)
    except AddressValueError as error:
        raise ValueError(str(error)) from error
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{parsed}{percent}{scope}"


def _mask(data: bytes, transaction: bytes) -> bytes:
    pad = (_COOKIE + transaction)[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(
        len(data), "big"
    )


def pack_plain(address: Address) -> bytes:
    """The value of MAPPED-ADDRESS (RFC 8489 section 14.1)."""
    return (
        bytes((0, FAMILY_CODES[address.family]))
        + address.port.to_bytes(2, "big")
        + pack_host(address.host)
    )


def pack_xor(address: Address, transaction: bytes) -> bytes:
    """The value of an XOR-…-ADDRESS attribute (RFC 8489 section 14.2)."""
    packed = pack_host(address.host)
    port = address.port ^ (MAGIC_COOKIE >> 16)
    if len(packed) == 4:
        return _XOR_V4.pack(1, port, int.from_bytes(packed, "big") ^ MAGIC_COOKIE)
    return (
        bytes((0, FAMILY_CODES[address.family]))
        + port.to_bytes(2, "big")
        + _mask(packed, transaction)
    )


def unpack_plain(value: bytes) -> Address:
    """Read MAPPED-ADDRESS and its relatives; raises MalformedAttribute."""
    return unpack_xor(value, None)


def unpack_xor(value: bytes, transaction: bytes | None) -> Address:
    """Read an XOR-…-ADDRESS (plain without transaction).

    Raises MalformedAttribute if family and length do not agree.
    """
    family = FAMILIES.get(value[1]) if len(value) >= 2 else None
    if family is None or len(value) != (8 if family == 4 else 20):
        raise MalformedAttribute("ADDRESS", f"bad family or length {len(value)}")
    port, packed = int.from_bytes(value[2:4], "big"), value[4:]
    if transaction is not None:
        port, packed = port ^ (MAGIC_COOKIE >> 16), _mask(packed, transaction)
    return Address(unpack_host(packed), port)

"""The attribute table of TURN (RFC 8656 section 18): one row for each."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import (
    FAMILIES,
    FAMILY_CODES,
    MAGIC_COOKIE,
    Address,
    pack_host,
)
from mosaic.wire.stun.attributes import (
    UNDERSTOOD,
    Attribute,
    bytes_row,
    number_row,
    xor_row,
)
from mosaic.wire.stun.errors import MalformedAttribute

CHANNEL_NUMBER = number_row(0x000C, "CHANNEL-NUMBER", "8656 18.1", 2, pad=2)
LIFETIME = number_row(0x000D, "LIFETIME", "8656 18.2", 4)
XOR_PEER_ADDRESS = xor_row(0x0012, "XOR-PEER-ADDRESS", "8656 18.3")
DATA = bytes_row(0x0013, "DATA", "8656 18.4")
XOR_RELAYED_ADDRESS = xor_row(0x0016, "XOR-RELAYED-ADDRESS", "8656 18.5")
EVEN_PORT = number_row(0x0018, "EVEN-PORT", "8656 18.6", 1)
REQUESTED_TRANSPORT = number_row(0x0019, "REQUESTED-TRANSPORT", "8656 18.7", 1, pad=3)


DONT_FRAGMENT = bytes_row(0x001A, "DONT-FRAGMENT", "8656 18.9", range(1))
RESERVATION_TOKEN = bytes_row(0x0022, "RESERVATION-TOKEN", "8656 18.10", range(8, 9))
CONNECTION_ID = number_row(0x002A, "CONNECTION-ID", "6062 6.2.1", 4)
MOBILITY_TICKET = bytes_row(0x8030, "MOBILITY-TICKET", "8016 4")


def _family_row(code: int, name: str, section: str) -> Attribute[int]:
    """A row of one address family: 4 or 6; 0 for one that nobody knows."""

    def unpack(value: bytes, _transaction: bytes) -> int:
        if len(value) != 4:
            raise MalformedAttribute(name, f"length {len(value)}")
        return FAMILIES.get(value[0], 0)

    return Attribute(
        code,
        name,
        section,
        lambda family, _: bytes((FAMILY_CODES[family], 0, 0, 0)),
        unpack,
    )


REQUESTED_ADDRESS_FAMILY = _family_row(0x0017, "REQUESTED-ADDRESS-FAMILY", "8656 18.8")
ADDITIONAL_ADDRESS_FAMILY = _family_row(
    0x8000, "ADDITIONAL-ADDRESS-FAMILY", "8656 18.11"
)
DRAFT_ADDITIONAL_ADDRESS_FAMILY = _family_row(
    0x8032, "ADDITIONAL-ADDRESS-FAMILY (coturn before 4.8)", "none"
)


@dataclass(frozen=True, slots=True)
class AddressError:
    """The value of ADDRESS-ERROR-CODE: which family there was none of, and why."""

    family: int
    code: int
    reason: str = ""


def _pack_address_error(value: AddressError, _transaction: bytes) -> bytes:
    head = (FAMILY_CODES[value.family], 0, value.code // 100, value.code % 100)
    return bytes(head) + value.reason.encode()


def _unpack_address_error(value: bytes, _transaction: bytes) -> AddressError:
    if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
        raise MalformedAttribute("ADDRESS-ERROR-CODE", "no code of 300-699")
    code = (value[2] & 7) * 100 + value[3]
    reason = value[4:].decode(errors="replace")
    return AddressError(FAMILIES.get(value[0], 0), code, reason)


ADDRESS_ERROR_CODE: Attribute[AddressError] = Attribute(
    0x8001,
    "ADDRESS-ERROR-CODE",
    "8656 18.12",
    _pack_address_error,
    _unpack_address_error,
)


@dataclass(frozen=True, slots=True)
class Icmp:
    """The value of ICMP: type 0-127, code 0-511, and the rest of the header."""

    type: int
    code: int
    data: bytes = bytes(4)


def _pack_icmp(value: Icmp, _transaction: bytes) -> bytes:
    both = (value.type & 0x7F) << 9 | value.code & 0x1FF
    return bytes(2) + both.to_bytes(2, "big") + value.data


def _unpack_icmp(value: bytes, _transaction: bytes) -> Icmp:
    if len(value) != 8:
        raise MalformedAttribute("ICMP", f"length {len(value)}")
    both = int.from_bytes(value[2:4], "big")
    return Icmp(both >> 9, both & 0x1FF, value[4:])


ICMP: Attribute[Icmp] = Attribute(
    0x8004, "ICMP", "8656 18.13", _pack_icmp, _unpack_icmp
)

_ALLOCATED = Struct(">HHxBHI HHI HHxBHI")


def pack_allocated(relayed: Address, lifetime_s: int, client: Address) -> bytes:
    """The attributes of nearly every success response to Allocate, over IPv4:
    XOR-RELAYED-ADDRESS, LIFETIME and XOR-MAPPED-ADDRESS (RFC 8656 section 7.3)."""
    port_mask = MAGIC_COOKIE >> 16
    return _ALLOCATED.pack(
        XOR_RELAYED_ADDRESS.code,
        8,
        1,
        relayed.port ^ port_mask,
        int.from_bytes(pack_host(relayed.host), "big") ^ MAGIC_COOKIE,
        LIFETIME.code,
        4,
        lifetime_s,
        stun.XOR_MAPPED_ADDRESS.code,
        8,
        1,
        client.port ^ port_mask,
        int.from_bytes(pack_host(client.host), "big") ^ MAGIC_COOKIE,
    )


TURN_UNDERSTOOD = UNDERSTOOD | {
    row.code
    for row in (
        CHANNEL_NUMBER,
        LIFETIME,
        XOR_PEER_ADDRESS,
        DATA,
        XOR_RELAYED_ADDRESS,
        EVEN_PORT,
        REQUESTED_TRANSPORT,
        REQUESTED_ADDRESS_FAMILY,
        DONT_FRAGMENT,
        RESERVATION_TOKEN,
        CONNECTION_ID,
    )
}
"""Comprehension-required codes that the TURN methods understand."""

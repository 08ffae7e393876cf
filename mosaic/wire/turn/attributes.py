"""The attribute table of TURN (RFC 8656 section 18): one row for each."""

from __future__ import annotations

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


def _unpack_family(value: bytes, _transaction: bytes) -> int:
    if len(value) != 4:
        raise MalformedAttribute("REQUESTED-ADDRESS-FAMILY", f"length {len(value)}")
    return {1: 4, 2: 6}.get(value[0], 0)


REQUESTED_ADDRESS_FAMILY: Attribute[int] = Attribute(
    0x0017,
    "REQUESTED-ADDRESS-FAMILY",
    "8656 18.6",
    lambda family, _: bytes((1 if family == 4 else 2, 0, 0, 0)),
    _unpack_family,
)
"""4 or 6; 0 for a family that nobody knows."""

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
    )
}
"""Comprehension-required codes that the TURN methods understand."""

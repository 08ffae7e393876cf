"""The attribute table of STUN (RFC 8489 section 14): one row for each.

A row knows its code, its name, the section that defines it, and how its value
is packed and unpacked. TURN's rows are in `mosaic.wire.turn.attributes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from mosaic.wire.stun.address import (
    Address,
    pack_plain,
    pack_xor,
    unpack_plain,
    unpack_xor,
)
from mosaic.wire.stun.errors import MalformedAttribute

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Attribute(Generic[T]):
    """One row: pack and unpack take the transaction id (12 bytes) as well."""

    code: int
    name: str
    section: str
    pack: Callable[[T, bytes], bytes]
    unpack: Callable[[bytes, bytes], T]

    @property
    def required(self) -> bool:
        """Whether a receiver that does not know it must refuse (section 14)."""
        return self.code < 0x8000


class ErrorCode(msgspec.Struct, frozen=True):
    """The value of ERROR-CODE: 300-699 and a reason for people."""

    code: int
    reason: str = ""


def text_row(code: int, name: str, section: str, limit: int) -> Attribute[str]:
    """A row of UTF-8 text of at most `limit` bytes."""

    def pack(value: str, _transaction: bytes) -> bytes:
        data = value.encode()
        if len(data) > limit:
            raise ValueError(f"{name} is longer than {limit} bytes")
        return data

    def unpack(value: bytes, _transaction: bytes) -> str:
        if len(value) > limit:
            raise MalformedAttribute(name, f"longer than {limit} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise MalformedAttribute(name, "not UTF-8") from error

    return Attribute(code, name, section, pack, unpack)


def bytes_row(
    code: int, name: str, section: str, lengths: range | None = None
) -> Attribute[bytes]:
    """A row of raw bytes whose length must be one of `lengths`."""

    def unpack(value: bytes, _transaction: bytes) -> bytes:
        if lengths is not None and len(value) not in lengths:
            raise MalformedAttribute(name, f"length {len(value)}")
        return value

    return Attribute(code, name, section, lambda value, _: value, unpack)


def number_row(
    code: int, name: str, section: str, size: int, pad: int = 0
) -> Attribute[int]:
    """A row of one unsigned number of `size` bytes, then `pad` reserved ones."""

    def unpack(value: bytes, _transaction: bytes) -> int:
        if len(value) != size + pad:
            raise MalformedAttribute(name, f"length {len(value)}")
        return int.from_bytes(value[:size], "big")

    return Attribute(
        code,
        name,
        section,
        lambda value, _: value.to_bytes(size, "big") + bytes(pad),
        unpack,
    )


def xor_row(code: int, name: str, section: str) -> Attribute[Address]:
    """A row of one XORed transport address."""
    return Attribute(code, name, section, pack_xor, unpack_xor)


def _pack_error(value: ErrorCode, _transaction: bytes) -> bytes:
    return bytes((0, 0, value.code // 100, value.code % 100)) + value.reason.encode()


def _unpack_error(value: bytes, _transaction: bytes) -> ErrorCode:
    if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
        raise MalformedAttribute("ERROR-CODE", "no code of 300-699")
    reason = value[4:].decode(errors="replace")
    return ErrorCode((value[2] & 7) * 100 + value[3], reason)


def _pack_codes(value: tuple[int, ...], _transaction: bytes) -> bytes:
    return b"".join(code.to_bytes(2, "big") for code in value)


def _unpack_codes(value: bytes, _transaction: bytes) -> tuple[int, ...]:
    if len(value) % 2:
        raise MalformedAttribute("UNKNOWN-ATTRIBUTES", "odd length")
    return tuple(
        int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)
    )


@dataclass(frozen=True, slots=True)
class PasswordAlgorithm:
    """One entry of PASSWORD-ALGORITHM(S): its number and parameters."""

    number: int
    parameters: bytes = b""


MD5 = PasswordAlgorithm(1)
SHA256 = PasswordAlgorithm(2)


def _pack_algorithms(value: tuple[PasswordAlgorithm, ...], _tid: bytes) -> bytes:
    return b"".join(
        entry.number.to_bytes(2, "big")
        + len(entry.parameters).to_bytes(2, "big")
        + entry.parameters
        + bytes(-len(entry.parameters) % 4)
        for entry in value
    )


def _unpack_algorithms(value: bytes, _tid: bytes) -> tuple[PasswordAlgorithm, ...]:
    found = []
    at = 0
    while at < len(value):
        size = int.from_bytes(value[at + 2 : at + 4], "big")
        parameters = value[at + 4 : at + 4 + size]
        if at + 4 > len(value) or len(parameters) != size:
            raise MalformedAttribute("PASSWORD-ALGORITHMS", "runs over the end")
        number = int.from_bytes(value[at : at + 2], "big")
        found.append(PasswordAlgorithm(number, parameters))
        at += 4 + (size + 3 & ~3)
    if not found:
        raise MalformedAttribute("PASSWORD-ALGORITHMS", "names none")
    return tuple(found)


def _unpack_algorithm(value: bytes, transaction: bytes) -> PasswordAlgorithm:
    found = _unpack_algorithms(value, transaction)
    if len(found) != 1:
        raise MalformedAttribute("PASSWORD-ALGORITHM", "names several")
    return found[0]


def plain_row(code: int, name: str, section: str) -> Attribute[Address]:
    """A row of one plain transport address."""
    return Attribute(
        code,
        name,
        section,
        lambda value, _: pack_plain(value),
        lambda value, _: unpack_plain(value),
    )


MAPPED_ADDRESS = plain_row(0x0001, "MAPPED-ADDRESS", "8489 14.1")
USERNAME = text_row(0x0006, "USERNAME", "8489 14.3", 513)
MESSAGE_INTEGRITY = bytes_row(0x0008, "MESSAGE-INTEGRITY", "8489 14.5", range(20, 21))
ERROR_CODE: Attribute[ErrorCode] = Attribute(
    0x0009, "ERROR-CODE", "8489 14.8", _pack_error, _unpack_error
)
UNKNOWN_ATTRIBUTES: Attribute[tuple[int, ...]] = Attribute(
    0x000A, "UNKNOWN-ATTRIBUTES", "8489 14.13", _pack_codes, _unpack_codes
)
REALM = text_row(0x0014, "REALM", "8489 14.9", 763)
NONCE = text_row(0x0015, "NONCE", "8489 14.10", 763)
MESSAGE_INTEGRITY_SHA256 = bytes_row(
    0x001C, "MESSAGE-INTEGRITY-SHA256", "8489 14.6", range(16, 33, 4)
)
USERHASH = bytes_row(0x001E, "USERHASH", "8489 14.4", range(32, 33))
PASSWORD_ALGORITHM: Attribute[PasswordAlgorithm] = Attribute(
    0x001D,
    "PASSWORD-ALGORITHM",
    "8489 14.12",
    lambda value, transaction: _pack_algorithms((value,), transaction),
    _unpack_algorithm,
)
PASSWORD_ALGORITHMS: Attribute[tuple[PasswordAlgorithm, ...]] = Attribute(
    0x8002,
    "PASSWORD-ALGORITHMS",
    "8489 14.11",
    _pack_algorithms,
    _unpack_algorithms,
)
XOR_MAPPED_ADDRESS = xor_row(0x0020, "XOR-MAPPED-ADDRESS", "8489 14.2")
PRIORITY = number_row(0x0024, "PRIORITY", "8445 16.1", 4)
USE_CANDIDATE = bytes_row(0x0025, "USE-CANDIDATE", "8445 16.1", range(1))
SOFTWARE = text_row(0x8022, "SOFTWARE", "8489 14.14", 763)
ALTERNATE_DOMAIN = text_row(0x8003, "ALTERNATE-DOMAIN", "8489 14.16", 255)
ALTERNATE_SERVER = plain_row(0x8023, "ALTERNATE-SERVER", "8489 14.15")
FINGERPRINT = number_row(0x8028, "FINGERPRINT", "8489 14.7", 4)
ICE_CONTROLLED = number_row(0x8029, "ICE-CONTROLLED", "8445 16.1", 8)
ICE_CONTROLLING = number_row(0x802A, "ICE-CONTROLLING", "8445 16.1", 8)

UNDERSTOOD = frozenset(
    row.code
    for row in (
        MAPPED_ADDRESS,
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        REALM,
        NONCE,
        MESSAGE_INTEGRITY_SHA256,
        PASSWORD_ALGORITHM,
        USERHASH,
        XOR_MAPPED_ADDRESS,
    )
)
"""Comprehension-required codes that our server understands in any request.

ICE's belong to checks between peers: a request with them is refused with 420.
"""

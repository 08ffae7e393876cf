"""STUN messages: parse, encode, integrity, fingerprint (RFC 8489 sections 5, 14)."""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, TypeVar

from mosaic.wire.stun import attributes as rows
from mosaic.wire.stun.address import MAGIC_COOKIE
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.errors import MalformedMessage

T = TypeVar("T")
HEADER_BYTES = 20
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_INTEGRITY = rows.MESSAGE_INTEGRITY.code
_INTEGRITY_SHA256 = rows.MESSAGE_INTEGRITY_SHA256.code
_FINGERPRINT = rows.FINGERPRINT.code
_FINGERPRINT_XOR = 0x5354554E
Digest = Literal["sha1", "sha256"]


class Class(IntEnum):
    """The two class bits of a message type (section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Method(IntEnum):
    """Methods of RFC 8489, RFC 8656 section 17 and RFC 6062 section 6.1."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009
    CONNECT = 0x00A
    CONNECTION_BIND = 0x00B
    CONNECTION_ATTEMPT = 0x00C


def message_type(method: int, cls: int) -> int:
    """Weave the class bits into the method (section 5, figure 3)."""
    return (
        (method & 0xF80) << 2
        | (method & 0x70) << 1
        | method & 0xF
        | (cls & 2) << 7
        | (cls & 1) << 4
    )


def split_type(kind: int) -> tuple[int, Class]:
    """Method and class of a message type."""
    method = (kind & 0x3E00) >> 2 | (kind & 0xE0) >> 1 | kind & 0xF
    return method, Class((kind & 0x100) >> 7 | (kind & 0x10) >> 4)


def looks_like_stun(data: bytes) -> bool:
    """Whether a datagram claims to be STUN: two zero bits and the cookie."""
    return len(data) >= HEADER_BYTES and data[0] < 0x40 and data[4:8] == _COOKIE


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message. Attribute values stay raw until they are asked for.

    attributes: (code, value) in order; those after MESSAGE-INTEGRITY that the
    integrity does not cover are left out (section 14.5).
    raw: the whole message. *_at: offset of that attribute, -1 if absent.
    """

    method: int
    cls: Class
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...]
    raw: bytes
    sha1_at: int = -1
    sha256_at: int = -1
    fingerprint: bool = False

    def first(self, row: Attribute[T]) -> T | None:
        """The first value of an attribute (later ones are ignored, section 14).

        Raises MalformedAttribute if it is there and broken.
        """
        for code, value in self.attributes:
            if code == row.code:
                return row.unpack(value, self.transaction)
        return None

    def every(self, row: Attribute[T]) -> list[T]:
        """All values of an attribute that may repeat; raises as `first` does."""
        return [
            row.unpack(value, self.transaction)
            for code, value in self.attributes
            if code == row.code
        ]

    def unknown_required(self, understood: frozenset[int]) -> tuple[int, ...]:
        """Comprehension-required codes that are not understood, each once."""
        codes = dict.fromkeys(code for code, _ in self.attributes if code < 0x8000)
        return tuple(code for code in codes if code not in understood)

    @property
    def digest(self) -> Digest | None:
        """The strongest integrity that the message carries."""
        if self.sha256_at >= 0:
            return "sha256"
        return "sha1" if self.sha1_at >= 0 else None

    @property
    def is_truncated(self) -> bool:
        """Whether MESSAGE-INTEGRITY-SHA256 is not whole, which is only for
        usages that say so (section 14.6); TURN does not."""
        return any(
            code == _INTEGRITY_SHA256 and len(value) < 32
            for code, value in self.attributes
        )

    def verify(self, key: bytes) -> bool:
        """Whether the strongest integrity attribute is made with this key."""
        if self.sha256_at >= 0:
            sent = next(v for c, v in self.attributes if c == _INTEGRITY_SHA256)
            made = _integrity(self.raw, self.sha256_at, len(sent), key, "sha256")
            return hmac.compare_digest(sent, made[: len(sent)])
        if self.sha1_at >= 0:
            sent = next(v for c, v in self.attributes if c == _INTEGRITY)
            made = _integrity(self.raw, self.sha1_at, 20, key, "sha1")
            return hmac.compare_digest(sent, made)
        return False


def _integrity(raw: bytes, at: int, size: int, key: bytes, digest: Digest) -> bytes:
    """HMAC over all before `at`, the length field as if the message ended there."""
    length = (at - HEADER_BYTES + 4 + size).to_bytes(2, "big")
    return hmac.digest(key, raw[:2] + length + raw[4:at], digest)


def parse(data: bytes) -> Message:
    """Parse one whole message; raises MalformedMessage.

    The length field must cover the data exactly, and a fingerprint, if there is
    one, must be last and right.
    """
    if not looks_like_stun(data):
        raise MalformedMessage("no STUN header")
    size = int.from_bytes(data[2:4], "big")
    if size % 4 or len(data) != HEADER_BYTES + size:
        raise MalformedMessage(f"length field {size}, message {len(data)}")
    found: list[tuple[int, bytes]] = []
    sha1_at = sha256_at = -1
    fingerprint = False
    at, end = HEADER_BYTES, len(data)
    while at < end:
        code = int.from_bytes(data[at : at + 2], "big")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        after = at + 4 + (length + 3 & ~3)
        if after > end:
            raise MalformedMessage(f"attribute {code:#06x} at {at} runs over the end")
        value = data[at + 4 : at + 4 + length]
        if code == _FINGERPRINT:
            _check_fingerprint(data, at, value)
            fingerprint = True
        elif code == _INTEGRITY_SHA256 and sha256_at < 0:
            if length not in range(16, 33, 4):
                raise MalformedMessage("MESSAGE-INTEGRITY-SHA256 of a wrong length")
            sha256_at = at
            found.append((code, value))
        elif code == _INTEGRITY and sha1_at < 0 and sha256_at < 0:
            if length != 20:
                raise MalformedMessage("MESSAGE-INTEGRITY of a wrong length")
            sha1_at = at
            found.append((code, value))
        elif sha1_at < 0 and sha256_at < 0:
            found.append((code, value))
        at = after
    method, cls = split_type(int.from_bytes(data[:2], "big"))
    return Message(
        method,
        cls,
        bytes(data[8:20]),
        tuple(found),
        bytes(data),
        sha1_at,
        sha256_at,
        fingerprint,
    )


def _check_fingerprint(data: bytes, at: int, value: bytes) -> None:
    if at + 8 != len(data) or len(value) != 4:
        raise MalformedMessage("FINGERPRINT is not the last attribute")
    if int.from_bytes(value, "big") != zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR:
        raise MalformedMessage("FINGERPRINT does not match")


def encode(
    method: int,
    cls: Class,
    transaction: bytes,
    attributes: Iterable[tuple[Attribute[Any], Any]] = (),
    *,
    key: bytes | None = None,
    digest: Digest = "sha1",
    fingerprint: bool = False,
) -> bytes:
    """One message as bytes, padding zeroed.

    transaction: 12 bytes. key: with one, integrity of `digest` is added; then
    the fingerprint if wanted. Raises ValueError if a value does not fit.
    """
    body = bytearray()
    for row, value in attributes:
        _append(body, row.code, row.pack(value, transaction))
    head = message_type(method, cls).to_bytes(2, "big")
    tail = _COOKIE + transaction
    if key is not None:
        size = 32 if digest == "sha256" else 20
        code = _INTEGRITY_SHA256 if digest == "sha256" else _INTEGRITY
        length = (len(body) + 4 + size).to_bytes(2, "big")
        _append(body, code, hmac.digest(key, head + length + tail + body, digest))
    if fingerprint:
        length = (len(body) + 8).to_bytes(2, "big")
        crc = zlib.crc32(head + length + tail + body) ^ _FINGERPRINT_XOR
        _append(body, _FINGERPRINT, crc.to_bytes(4, "big"))
    return head + len(body).to_bytes(2, "big") + tail + bytes(body)


def _append(body: bytearray, code: int, value: bytes) -> None:
    body += code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
    body += bytes(-len(value) % 4)

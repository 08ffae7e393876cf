"""STUN messages: parse, encode, integrity, fingerprint (RFC 8489 sections 5, 14)."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Any, Literal, TypeVar

import msgspec

from mosaic.wire.stun import attributes as rows
from mosaic.wire.stun.address import MAGIC_COOKIE
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.errors import MalformedMessage

T = TypeVar("T")
HEADER_BYTES = 20
FINGERPRINT_BYTES = 8
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_INTEGRITY = rows.MESSAGE_INTEGRITY.code
_INTEGRITY_SHA256 = rows.MESSAGE_INTEGRITY_SHA256.code
_FINGERPRINT = rows.FINGERPRINT.code
_FINGERPRINT_XOR = 0x5354554E
_LAST = frozenset((_INTEGRITY, _INTEGRITY_SHA256, _FINGERPRINT))
Digest = Literal["sha1", "sha256"]
_HEADER = Struct(">HHI12s")
_INTEGRITIES = {"sha1": (_INTEGRITY, 20), "sha256": (_INTEGRITY_SHA256, 32)}
_LONGEST = 0xFFFF - 44  # integrity and fingerprint come after
_ATTRIBUTE = Struct(">HH")
_TYPE = Struct(">H")
_HMAC_BLOCK = 64
_INNER_PAD = bytes(x ^ 0x36 for x in range(256))
_OUTER_PAD = bytes(x ^ 0x5C for x in range(256))
KEYS_KEPT = 1024
"""For how many keys the beginning of an HMAC is remembered."""
_PADDING = (b"", bytes(3), bytes(2), bytes(1))


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


@lru_cache(maxsize=256)
def message_type(method: int, cls: int) -> int:
    """Weave the class bits into the method (section 5, figure 3)."""
    return (
        (method & 0xF80) << 2
        | (method & 0x70) << 1
        | method & 0xF
        | (cls & 2) << 7
        | (cls & 1) << 4
    )


@lru_cache(maxsize=256)
def split_type(kind: int) -> tuple[int, Class]:
    """Method and class of a message type."""
    method = (kind & 0x3E00) >> 2 | (kind & 0xE0) >> 1 | kind & 0xF
    return method, Class((kind & 0x100) >> 7 | (kind & 0x10) >> 4)


def looks_like_stun(data: bytes) -> bool:
    """Whether a datagram claims to be STUN: two zero bits and the cookie."""
    return len(data) >= HEADER_BYTES and data[0] < 0x40 and data[4:8] == _COOKIE


class Message(msgspec.Struct, frozen=True):
    """A parsed message. Attribute values stay raw until they are asked for.

    attributes: (code, value) in order; those after MESSAGE-INTEGRITY that the
    integrity does not cover are left out (section 14.5).
    values: the first value of each code among them.
    raw: the whole message. *_at: offset of that attribute, -1 if absent.
    """

    method: int
    cls: Class
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...]
    values: dict[int, bytes]
    raw: bytes
    sha1_at: int = -1
    sha256_at: int = -1
    fingerprint: bool = False

    def first(self, row: Attribute[T]) -> T | None:
        """The first value of an attribute (later ones are ignored, section 14).

        Raises MalformedAttribute if it is there and broken.
        """
        value = self.values.get(row.code)
        return None if value is None else row.unpack(value, self.transaction)

    def every(self, row: Attribute[T]) -> list[T]:
        """All values of an attribute that may repeat; raises as `first` does."""
        return [
            row.unpack(value, self.transaction)
            for code, value in self.attributes
            if code == row.code
        ]

    def unknown_required(self, understood: frozenset[int]) -> tuple[int, ...]:
        """Comprehension-required codes that are not understood, each once."""
        if understood.issuperset(self.values):
            return ()
        return tuple(
            [code for code in self.values if code < 0x8000 and code not in understood]
        )

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
        return len(self.values.get(_INTEGRITY_SHA256, bytes(32))) < 32

    def verify(self, key: bytes) -> bool:
        """Whether the strongest integrity attribute is made with this key."""
        if self.sha256_at >= 0:
            sent = self.values[_INTEGRITY_SHA256]
            made = _integrity(self.raw, self.sha256_at, len(sent), key, "sha256")
            return hmac.compare_digest(sent, made[: len(sent)])
        if self.sha1_at >= 0:
            sent = self.values[_INTEGRITY]
            made = _integrity(self.raw, self.sha1_at, 20, key, "sha1")
            return hmac.compare_digest(sent, made)
        return False


@lru_cache(maxsize=KEYS_KEPT)
def _begun(key: bytes, digest: Digest) -> tuple[Any, Any]:
    """The two hashes of HMAC (RFC 2104) with the key in them: copies of these
    take less than half the time of the library's own, which begins anew."""
    if len(key) > _HMAC_BLOCK:
        key = hashlib.new(digest, key).digest()
    key = key.ljust(_HMAC_BLOCK, b"\0")
    inner = hashlib.new(digest, key.translate(_INNER_PAD))
    return inner, hashlib.new(digest, key.translate(_OUTER_PAD))


def hmac_of(key: bytes, data: bytes, digest: Digest) -> bytes:
    """HMAC-SHA-1 or HMAC-SHA-256, quick for keys that were used before."""
    inner, outer = _begun(key, digest)
    first, second = inner.copy(), outer.copy()
    first.update(data)
    second.update(first.digest())
    proof: bytes = second.digest()
    return proof


def _integrity(raw: bytes, at: int, size: int, key: bytes, digest: Digest) -> bytes:
    """HMAC over all before `at`, the length field as if the message ended there."""
    length = _TYPE.pack(at - HEADER_BYTES + 4 + size)
    return hmac_of(key, raw[:2] + length + raw[4:at], digest)


def parse(data: bytes) -> Message:
    """Parse one whole message; raises MalformedMessage.

    The length field must cover the data exactly, and a fingerprint, if there is
    one, must be last and right.
    """
    end = len(data)
    if end < HEADER_BYTES:
        raise MalformedMessage("no STUN header")
    kind, size, cookie, transaction = _HEADER.unpack_from(data)
    if kind >= 0x4000 or cookie != MAGIC_COOKIE:
        raise MalformedMessage("no STUN header")
    if size % 4 or end != HEADER_BYTES + size:
        raise MalformedMessage(f"length field {size}, message {end}")
    found: list[tuple[int, bytes]] = []
    values: dict[int, bytes] = {}
    sha1_at = sha256_at = -1
    fingerprint = False
    at = HEADER_BYTES
    while at < end:
        code, length = _ATTRIBUTE.unpack_from(data, at)
        after = at + 4 + (length + 3 & ~3)
        if after > end:
            raise MalformedMessage(f"attribute {code:#06x} at {at} runs over the end")
        value = data[at + 4 : at + 4 + length]
        if code not in _LAST:
            if sha1_at < 0 and sha256_at < 0:
                found.append((code, value))
                if code not in values:
                    values[code] = value
        elif code == _FINGERPRINT:
            _check_fingerprint(data, at, value)
            fingerprint = True
        elif code == _INTEGRITY_SHA256 and sha256_at < 0:
            if length not in range(16, 33, 4):
                raise MalformedMessage("MESSAGE-INTEGRITY-SHA256 of a wrong length")
            sha256_at = at
            found.append((code, value))
            values[code] = value
        elif code == _INTEGRITY and sha1_at < 0 and sha256_at < 0:
            if length != 20:
                raise MalformedMessage("MESSAGE-INTEGRITY of a wrong length")
            sha1_at = at
            found.append((code, value))
            values[code] = value
        at = after
    method, cls = split_type(kind)
    return Message(
        method,
        cls,
        transaction,
        tuple(found),
        values,
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
    body = _packed(attributes, transaction)
    return seal(
        method, cls, transaction, body, key=key, digest=digest, fingerprint=fingerprint
    )


def _packed(
    attributes: Iterable[tuple[Attribute[Any], Any]], transaction: bytes
) -> bytes:
    parts: list[bytes] = []
    for row, value in attributes:
        packed = row.pack(value, transaction)
        length = len(packed)
        if length > _LONGEST:
            raise ValueError(f"{row.name} of {length} bytes")
        parts += (_ATTRIBUTE.pack(row.code, length), packed, _PADDING[length & 3])
    body = b"".join(parts)
    if len(body) > _LONGEST:
        raise ValueError(f"a message of {len(body)} bytes")
    return body


def seal(
    method: int,
    cls: Class,
    transaction: bytes,
    body: bytes,
    *,
    key: bytes | None,
    digest: Digest,
    fingerprint: bool,
) -> bytes:
    """One message around attributes that are packed already; see `encode`."""
    size = len(body)
    kind = message_type(method, cls)
    if key is not None:
        code, length = _INTEGRITIES[digest]
        size += 4 + length
        covered = _HEADER.pack(kind, size, MAGIC_COOKIE, transaction) + body
        proof = hmac_of(key, covered, digest)
        body += _ATTRIBUTE.pack(code, length) + proof
    if fingerprint:
        size += FINGERPRINT_BYTES
        covered = _HEADER.pack(kind, size, MAGIC_COOKIE, transaction) + body
        crc = zlib.crc32(covered) ^ _FINGERPRINT_XOR
        return covered + _ATTRIBUTE.pack(_FINGERPRINT, 4) + crc.to_bytes(4, "big")
    return _HEADER.pack(kind, size, MAGIC_COOKIE, transaction) + body

"""Which protocol a client speaks, told from the first bytes that it sends.

HTTP begins with a method, XMPP with `<` (RFC 6120 section 4.2), STUN and TURN
with two zero bits and the magic cookie at byte 4 (RFC 8489 section 5). TURN
ChannelData, whose first byte looks like a letter, never opens a connection: it
needs an allocation, and that is made by a STUN message.
"""

from __future__ import annotations

from enum import Enum

STUN_COOKIE = b"\x21\x12\xa4\x42"
STUN_PREFIX_BYTES = 8
WHITESPACE_BYTES = 64
"""Longest run of leading whitespace that is waited through."""

_WHITESPACE = b" \t\r\n"


class FirstBytes(Enum):
    """What the bytes so far say."""

    HTTP = "http"
    XMPP = "xmpp"
    TURN = "turn"
    MORE = "more"
    UNKNOWN = "unknown"


def recognise(data: bytes) -> FirstBytes:
    """Name the protocol that begins with these bytes.

    data: everything received so far, from the first byte on. MORE asks for
    more bytes; every other answer is final, whatever follows. At most
    WHITESPACE_BYTES + 1 bytes are needed.
    """
    if not data:
        return FirstBytes.MORE
    if data[0] in _WHITESPACE:
        return _after_whitespace(data)
    return _by_first_byte(data)


def _by_first_byte(data: bytes) -> FirstBytes:
    """Decide where there is no whitespace in front."""
    if data[:1] == b"<":
        return FirstBytes.XMPP
    if data[:1].isalpha():
        return FirstBytes.HTTP
    if data[0] & 0xC0:
        return FirstBytes.UNKNOWN
    seen = data[4:STUN_PREFIX_BYTES]
    if seen != STUN_COOKIE[: len(seen)]:
        return FirstBytes.UNKNOWN
    if len(data) < STUN_PREFIX_BYTES:
        return FirstBytes.MORE
    return FirstBytes.TURN


def _after_whitespace(data: bytes) -> FirstBytes:
    """Decide behind whitespace: a keep-alive before XML, an empty line before HTTP.

    No STUN method has a whitespace character as its first byte. RFC 9112
    section 2.2 lets an empty line stand before a request, blanks are no part
    of it.
    """
    rest = data[: WHITESPACE_BYTES + 1].lstrip(_WHITESPACE)
    if not rest:
        long = len(data) > WHITESPACE_BYTES
        return FirstBytes.UNKNOWN if long else FirstBytes.MORE
    if rest[:1] == b"<":
        return FirstBytes.XMPP
    blanks = data[: data.index(rest[:1])]
    if rest[:1].isalpha() and not blanks.strip(b"\r\n"):
        return FirstBytes.HTTP
    return FirstBytes.UNKNOWN

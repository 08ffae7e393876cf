"""The first bytes of a connection name its protocol."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.firstbytes import WHITESPACE_BYTES, FirstBytes, recognise

BINDING = bytes.fromhex("000100002112a442") + b"twelve bytes"
OPENINGS = [
    b"GET / HTTP/1.1\r\n",
    b"\r\nGET / HTTP/1.1\r\n",
    b"<?xml version='1.0'?>",
    b" \n<stream:stream>",
    BINDING,
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"\x00\x01\x00\x00\x21\x12\xa4\x43",
    b" " * 80,
    b"",
]


class RecogniseTests(SynchronousTestCase):
    """Each protocol, and what is none of them."""

    def test_letters_are_http(self) -> None:
        """Every HTTP method is letters."""
        for opening in (b"G", b"get", b"POST /", b"\r\nOPTIONS *"):
            self.assertIs(recognise(opening), FirstBytes.HTTP, opening)

    def test_angle_bracket_is_xmpp(self) -> None:
        """A stream header or an XML declaration, also after a keep-alive."""
        for opening in (b"<", b"<?xml", b" <stream:stream", b"\r\n\t <"):
            self.assertIs(recognise(opening), FirstBytes.XMPP, opening)

    def test_magic_cookie_is_turn(self) -> None:
        """RFC 8489 section 5: two zero bits and the cookie, known at 8 bytes."""
        for length in range(8):
            self.assertIs(recognise(BINDING[:length]), FirstBytes.MORE)
        self.assertIs(recognise(BINDING[:8]), FirstBytes.TURN)

    def test_wrong_cookie_is_refused_at_once(self) -> None:
        """Nobody waits for bytes that cannot help."""
        self.assertIs(recognise(BINDING[:4] + b"\x20"), FirstBytes.UNKNOWN)

    def test_strangers_are_unknown(self) -> None:
        """TLS inside TLS, ChannelData numbers outside ASCII, blanks before letters."""
        for opening in (b"\x80", b"\xff", b"\x60", b" GET", b"\t1", b"\r\n\x00"):
            self.assertIs(recognise(opening), FirstBytes.UNKNOWN, opening)

    def test_whitespace_is_not_waited_through_for_ever(self) -> None:
        """A bound on what is buffered before the decision."""
        blanks = b"\n" * WHITESPACE_BYTES
        self.assertIs(recognise(blanks), FirstBytes.MORE)
        self.assertIs(recognise(blanks + b"<"), FirstBytes.XMPP)
        self.assertIs(recognise(blanks + b"\n"), FirstBytes.UNKNOWN)

    @given(binary(max_size=90) | sampled_from(OPENINGS), integers(0, 90))
    def test_a_decision_is_final(self, data: bytes, cut: int) -> None:
        """However the bytes are cut, the first answer other than MORE stands."""
        early = recognise(data[:cut])
        if early is not FirstBytes.MORE:
            self.assertIs(recognise(data), early)

    @given(binary(min_size=WHITESPACE_BYTES + 1, max_size=200))
    def test_a_decision_is_always_reached(self, data: bytes) -> None:
        """No input keeps the port waiting past its bound."""
        self.assertIsNot(recognise(data), FirstBytes.MORE)

    @given(binary(max_size=64))
    def test_every_stun_message_is_turn(self, tail: bytes) -> None:
        """Whatever follows the header, and for both assigned leading bytes."""
        for first in (b"\x00\x01", b"\x00\x03", b"\x01\x01"):
            self.assertIs(
                recognise(first + b"\x00\x08\x21\x12\xa4\x42" + tail), FirstBytes.TURN
            )

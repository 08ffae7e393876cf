"""SOCKS5, the client's side (RFC 1928, RFC 1929)."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.hops import (
    HopError,
    Login,
    LoginRefused,
    LoginWanted,
    NoProxyProtocol,
    TargetRefused,
)
from mosaic.wire.socks5 import REPLIES, Socks5Client

HOP = "proxy socks5h://p:1080"
LOGIN = Login("alice", "s3cret")
OPEN = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


def client(host: str = "meet.example.org", login: Login | None = None) -> Socks5Client:
    """A client at the beginning."""
    made = Socks5Client(host, 443, hop=HOP, login=login)
    made.begin()
    return made


class Socks5Tests(SynchronousTestCase):
    """Each message in its order, however it is cut."""

    def test_name_goes_to_the_proxy(self) -> None:
        """Remote DNS: behind a strict firewall this side can resolve nothing."""
        asked = client().receive(b"\x05\x00")
        self.assertEqual(asked, b"\x05\x01\x00\x03\x10meet.example.org\x01\xbb")

    def test_addresses_go_as_addresses(self) -> None:
        """Section 5: kinds 1 and 4."""
        self.assertEqual(
            client("192.0.2.1").receive(b"\x05\x00")[3:8], b"\x01\xc0\x00\x02\x01"
        )
        self.assertEqual(client("[2001:db8::1]").receive(b"\x05\x00")[3], 4)

    def test_login_goes_only_when_it_is_asked_for(self) -> None:
        """RFC 1929: a proxy that wants none never sees the password."""
        asked = client(login=LOGIN)
        self.assertNotIn(b"s3cret", asked.receive(b"\x05\x00"))
        asked = client(login=LOGIN)
        self.assertEqual(asked.receive(b"\x05\x02"), b"\x01\x05alice\x06s3cret")
        self.assertEqual(asked.receive(b"\x01\x00")[:3], b"\x05\x01\x00")
        asked.receive(OPEN + b"hello")
        self.assertTrue(asked.is_open)
        self.assertEqual(asked.leftover(), b"hello")

    def test_each_refusal_has_its_own_error(self) -> None:
        """The person must know what to set."""
        with self.assertRaises(LoginWanted):
            client().receive(b"\x05\xff")
        with self.assertRaises(NoProxyProtocol):
            client(login=LOGIN).receive(b"\x05\xff")
        wrong = client(login=LOGIN)
        wrong.receive(b"\x05\x02")
        with self.assertRaises(LoginRefused) as caught:
            wrong.receive(b"\x01\x01")
        self.assertIn(HOP, str(caught.exception))
        self.assertNotIn("s3cret", str(caught.exception) + repr(LOGIN))
        with self.assertRaises(NoProxyProtocol):
            client().receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def test_reply_codes_are_told_in_words(self) -> None:
        """RFC 1928 section 6."""
        for code, (words, _) in REPLIES.items():
            asked = client()
            asked.receive(b"\x05\x00")
            with self.assertRaises(TargetRefused) as caught:
                asked.receive(bytes((5, code, 0, 1)) + bytes(6))
            self.assertIn(words, str(caught.exception))

    def test_what_does_not_fit_is_a_value_error(self) -> None:
        """Before a byte is sent."""
        for host, port in (("x" * 256, 1), ("", 1), ("a", 0), ("a", 65536)):
            with self.assertRaises(ValueError):
                Socks5Client(host, port, hop=HOP)
        with self.assertRaises(ValueError):
            Socks5Client("a", 1, hop=HOP, login=Login("", "x"))

    @given(lists(integers(1, 5), max_size=30))
    def test_cuts_do_not_matter(self, cuts: list[int]) -> None:
        """A stream has no messages."""
        asked = client(login=LOGIN)
        stream, out = b"\x05\x02\x01\x00" + OPEN + b"tail", b""
        for size in [*cuts, len(stream)]:
            out += asked.receive(stream[:size])
            stream = stream[size:]
        self.assertTrue(asked.is_open)
        self.assertEqual(asked.leftover(), b"tail")
        self.assertTrue(out.endswith(b"\x01\xbb"))

    @given(lists(binary(max_size=40), max_size=8))
    def test_any_bytes_are_safe(self, pieces: list[bytes]) -> None:
        """Whatever comes, it is a tunnel, a wait or a HopError."""
        asked = client(login=LOGIN)
        try:
            for piece in pieces:
                asked.receive(piece)
        except HopError as error:
            self.assertEqual(error.hop, HOP)

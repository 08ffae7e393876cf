"""DTLS sessions over datagrams in memory: no sockets, no real time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, lists
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.turn import dtls
from mosaic.services.turn.counters import TurnCounters
from mosaic.services.turn.dtls import DtlsDoor, datagrams_of, is_client_hello
from mosaic.tls.context import ServerContext
from mosaic.wire.stun.address import Address, FiveTuple
from tests.support.certificate import self_signed_pem

ME = FiveTuple("dtls", Address("198.51.100.7", 40000), Address("198.18.0.1", 5349))


class Owner:
    """Stands for the service."""

    def __init__(self) -> None:
        self.counters = TurnCounters()
        self.open: dict[FiveTuple, Any] = {}
        self.got: list[bytes] = []
        self.idle = True

    def stream_opened(self, stream: Any, five_tuple: FiveTuple) -> None:
        """Noted."""
        assert five_tuple not in self.open
        self.open[five_tuple] = stream

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """Noted."""
        self.got.append(message)

    def stream_closed(self, stream: Any, five_tuple: FiveTuple) -> None:
        """Noted."""
        assert self.open.pop(five_tuple) is stream

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """As told."""
        return self.idle


class Client:
    """pyOpenSSL's DTLS client at one address; `lose` drops what it would hear."""

    def __init__(self, door: DtlsDoor, five_tuple: FiveTuple = ME) -> None:
        context: Any = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_alpn_protos([b"stun.turn"])
        self.door = door
        self.five_tuple = five_tuple
        self.connection: Any = SSL.Connection(context, None)
        self.connection.set_connect_state()
        self.connection.set_ciphertext_mtu(1200)
        self.heard: list[bytes] = []
        self.sent: list[bytes] = []
        self.lose = False

    def hear(self, datagram: bytes) -> None:
        """From the server."""
        if not self.lose:
            self.heard.append(datagram)

    def flush(self) -> None:
        """What OpenSSL wants sent, a flight at a time."""
        try:
            flight = self.connection.bio_read(65536)
        except SSL.WantReadError:
            return
        for datagram in datagrams_of(flight):
            self.sent.append(datagram)
            self.door.datagram_received(datagram, self.five_tuple, self.hear)

    def step(self) -> bool:
        """Whether the handshake is complete."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            self.flush()
            return False
        self.flush()
        return True

    def take_in(self) -> None:
        """Give OpenSSL what was heard."""
        heard, self.heard = self.heard, []
        for datagram in heard:
            self.connection.bio_write(datagram)

    def shake(self) -> None:
        """The whole handshake."""
        for _ in range(10):
            if self.step():
                self.take_in()
                return
            self.take_in()
        raise AssertionError("no handshake")

    def send(self, message: bytes) -> None:
        """One record."""
        self.connection.send(message)
        self.flush()

    def receive(self) -> bytes:
        """One record."""
        self.take_in()
        return bytes(self.connection.recv(65536))


class DoorCase(SynchronousTestCase):
    """A door with a certificate of its own."""

    def setUp(self) -> None:
        """On a clock that the test turns."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name in ("localhost.pem", "localhost.key"):
            (folder / name).write_text(self_signed_pem_once())
        self.context = ServerContext(folder)
        self.clock = Clock()
        self.owner = Owner()
        self.door = DtlsDoor(
            self.owner,
            self.clock,
            self.context.for_datagrams,
            handshake_s=10.0,
            idle_s=120.0,
            per_address=3,
        )
        self.addCleanup(self.door.close)

    def client(self, port: int = 40000, host: str = "198.51.100.7") -> Client:
        """A client at an address of its own."""
        client = Address(host, port)
        return Client(self.door, FiveTuple("dtls", client, ME.server))


_PEM: list[str] = []


def self_signed_pem_once() -> str:
    """Made once: keys take their time."""
    if not _PEM:
        _PEM.append(self_signed_pem())
    return _PEM[0]


class HandshakeTests(DoorCase):
    """Cookies, ALPN, loss."""

    def test_messages_both_ways(self) -> None:
        """After a handshake with ALPN (RFC 7443)."""
        client = self.client()
        client.shake()
        self.assertEqual(client.connection.get_alpn_proto_negotiated(), b"stun.turn")
        client.send(b"\0\1\0\0binding")
        client.send(b"\x40\0\0\1x")
        self.assertEqual(self.owner.got, [b"\0\1\0\0binding", b"\x40\0\0\1x"])
        self.owner.open[client.five_tuple].send(b"answer")
        self.assertEqual(client.receive(), b"answer")
        self.owner.open[client.five_tuple].send(b"\x40\0\0\1x\0\0\0")
        self.assertEqual(client.receive(), b"\x40\0\0\1x")

    def test_first_answer_is_a_cookie_without_memory(self) -> None:
        """And no longer than the question (RFC 6347 section 4.2.1)."""
        for port in range(500):
            client = self.client(port + 1)
            client.step()
            (hello,) = client.sent
            (answer,) = client.heard
            self.assertLessEqual(len(answer), len(hello))
            self.assertEqual(answer[13], 3)
        self.assertEqual(len(self.door), 0)

    def test_cookie_of_another_address_is_worthless(self) -> None:
        """It is bound to who asked."""
        client, thief = self.client(1), self.client(2)
        client.step()
        client.take_in()
        with self.assertRaises(SSL.WantReadError):
            client.connection.do_handshake()
        hello = client.connection.bio_read(65536)
        self.door.datagram_received(hello, thief.five_tuple, thief.hear)
        self.assertEqual(len(self.door), 0)
        self.assertEqual(thief.heard[0][13], 3)
        self.door.datagram_received(hello, client.five_tuple, client.hear)
        self.assertEqual(len(self.door), 1)

    def test_cookie_grows_old(self) -> None:
        """Two minutes later it is as good as none."""
        client = self.client()
        client.step()
        client.take_in()
        self.clock.advance(120)
        client.step()
        self.assertEqual(len(self.door), 0)

    def test_flights_fit_into_the_mtu(self) -> None:
        """The certificate is sent in pieces; a memory BIO joins them."""
        client = self.client()
        client.step()
        client.take_in()
        client.step()
        self.assertTrue(all(len(each) <= dtls.MTU_BYTES for each in client.heard))

    def test_silence_ends_a_handshake(self) -> None:
        """An absolute time, whatever is resent meanwhile."""
        client = self.client()
        client.step()
        client.take_in()
        client.lose = True
        client.step()
        self.assertEqual(len(self.door), 1)
        self.clock.pump([0.5] * 20)
        self.assertEqual(len(self.door), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_half_open_are_bounded(self) -> None:
        """In all, and for one address."""
        for port in range(5):
            client = self.client(port + 1)
            client.step()
            client.take_in()
            client.step()
        self.assertEqual(len(self.door), 3)
        self.assertEqual(self.owner.counters.dtls_refused, 2)
        self.patch(dtls, "MAX_HALF_OPEN", 3)
        other = self.client(1, "198.51.100.8")
        other.step()
        other.take_in()
        other.step()
        self.assertEqual(len(self.door), 3)

    def test_new_certificates_are_for_newcomers(self) -> None:
        """A reload ends no session."""
        client, later = self.client(1), self.client(2)
        client.shake()
        self.context.reload()
        self.door.renew()
        later.shake()
        client.send(b"\0\1\0\0")
        later.send(b"\0\1\0\1")
        self.assertEqual(len(self.owner.got), 2)

    @settings(max_examples=100, deadline=None)
    @given(lists(binary(max_size=80), max_size=6))
    def test_any_datagrams_are_safe(self, noise: list[bytes]) -> None:
        """Before and after a handshake, alone and behind a valid head."""
        head = b"\x16\xfe\xfd\0\0" + bytes(6)
        for data in noise:
            for each in (data, head + len(data).to_bytes(2, "big") + b"\1" + data):
                self.door.datagram_received(each, ME, lambda datagram: None)
        client = self.client(1)
        client.shake()
        for data in noise:
            for each in (data, b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x20" + data):
                self.door.datagram_received(each, client.five_tuple, client.hear)
        client.send(b"\0\1\0\0still here")
        self.assertEqual(self.owner.got[-1], b"\0\1\0\0still here")
        self.door.close()


class SessionTests(DoorCase):
    """After the handshake."""

    def test_client_that_begins_anew_takes_its_place(self) -> None:
        """But only with a whole handshake (RFC 6347 section 4.2.8)."""
        first, second = self.client(), self.client()
        first.shake()
        session = self.owner.open[ME]
        second.step()
        second.take_in()
        second.step()
        self.assertIs(self.owner.open[ME], session)
        first.send(b"\0\1\0\0first")
        self.assertEqual(self.owner.got, [b"\0\1\0\0first"])
        second.take_in()
        second.shake()
        self.assertIsNot(self.owner.open[ME], session)
        second.send(b"\0\1\0\0second")
        self.assertEqual(self.owner.got[-1], b"\0\1\0\0second")
        self.assertEqual(len(self.door), 1)

    def test_end_from_either_side(self) -> None:
        """close_notify."""
        client, other = self.client(1), self.client(2)
        client.shake()
        other.shake()
        client.connection.shutdown()
        client.flush()
        self.assertNotIn(client.five_tuple, self.owner.open)
        self.owner.open[other.five_tuple].abort()
        self.assertEqual(self.owner.open, {})
        self.assertRaises(SSL.ZeroReturnError, other.receive)
        self.assertEqual(len(self.door), 0)

    def test_idle_client_is_let_go(self) -> None:
        """One with an allocation, or that speaks, is kept."""
        client = self.client()
        client.shake()
        self.owner.idle = False
        self.clock.advance(120)
        self.owner.idle = True
        client.send(b"\0\1\0\0")
        self.clock.advance(120)
        self.assertIn(ME, self.owner.open)
        self.clock.advance(120)
        self.assertEqual((self.owner.open, len(self.door)), ({}, 0))

    def test_what_cannot_be_turn_is_dropped(self) -> None:
        """The plane takes whole messages alone."""
        client = self.client()
        client.shake()
        for message in (b"x", b"\x80abc", b"\xffabc"):
            client.send(message)
        self.assertEqual(self.owner.got, [])

    def test_too_long_for_a_record(self) -> None:
        """Dropped; the session lives."""
        client = self.client()
        client.shake()
        session = self.owner.open[ME]
        session.send(bytes(20_000))
        session.send(b"short")
        self.assertEqual(client.receive(), b"short")


class FramingTests(SynchronousTestCase):
    """Records and datagrams."""

    @given(lists(binary(max_size=1500), max_size=10))
    def test_records_are_kept_whole_and_in_order(self, bodies: list[bytes]) -> None:
        """No datagram is longer than the MTU but for a record that is."""
        records = [
            b"\x16\xfe\xfd" + bytes(8) + len(body).to_bytes(2, "big") + body
            for body in bodies
        ]
        packed = list(datagrams_of(b"".join(records)))
        self.assertEqual(b"".join(packed), b"".join(records))
        for datagram in packed:
            self.assertTrue(len(datagram) <= dtls.MTU_BYTES or datagram in records)

    @given(binary(max_size=60))
    def test_only_a_whole_hello_is_one(self, data: bytes) -> None:
        """Whatever the bytes are."""
        if is_client_hello(data):
            self.assertEqual((data[0], data[13]), (22, 1))

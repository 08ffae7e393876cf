"""Joining a client's stream to a peer's connection (RFC 6062), without sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.limit import ByteLimit
from mosaic.services.turn.stream import TurnStream
from mosaic.services.turn.tcprelay import PeerConnection, TcpRelays
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.message import Class, Method, encode

BINDING = encode(Method.BINDING, Class.REQUEST, bytes(12))

HOST = "127.0.0.99"


class Wire(StringTransport):
    """A connection that remembers how it ended."""

    ended = ""

    def __init__(self, host: str) -> None:
        super().__init__(IPv4Address("TCP", host, 1), IPv4Address("TCP", host, 2))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Small messages leave at once."""

    def loseConnection(self) -> None:
        """After what is written."""
        self.ended = "lost"

    def abortConnection(self) -> None:
        """At once."""
        self.ended = "aborted"


class Owner:
    """The service and the core, writing down what they hear."""

    streams_timed_out = streams_broken = stream_frames_dropped = 0

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.number = 7
        self.counters = self

    def stream_opened(self, stream: TurnStream, five_tuple: FiveTuple) -> None:
        """A client."""

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """Takes nothing."""
        return 0

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """A message."""
        self.heard.append(message)

    def stream_closed(self, stream: TurnStream, five_tuple: FiveTuple) -> None:
        """No client."""

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """Always."""
        return True

    def peer_arrived(self, relay: int, peer: Address) -> int:
        """A peer's own connection."""
        self.heard.append(("arrived", relay, peer))
        return self.number

    def peer_connected(self, connection: int) -> None:
        """One that was asked for."""
        self.heard.append(("connected", connection))

    def peer_failed(self, connection: int) -> None:
        """It failed."""
        self.heard.append(("failed", connection))

    def peer_closed(self, connection: int) -> None:
        """It has gone."""
        self.heard.append(("closed", connection))


class JoinTests(SynchronousTestCase):
    """A client and a peer."""

    def setUp(self) -> None:
        """Not joined yet."""
        self.clock = Clock()
        self.owner = Owner()
        self.relays = TcpRelays(
            self.clock, self.owner, ports=(1, 2), clock=self.clock.seconds
        )
        self.near, self.far = Wire("192.0.2.1"), Wire("9.9.9.9")
        self.stream = TurnStream(
            self.owner,
            self.clock,
            "tcp",
            first_message_timeout_s=10,
            idle_s=10,
            queue_bytes=1000,
            queue_s=1,
        )
        self.stream.makeConnection(self.near)
        self.peer = PeerConnection(self.relays, 3, 0)
        self.peer.makeConnection(self.far)

    def join(self) -> None:
        """As the service does, after the answer."""
        self.stream.send(b"answer")
        self.stream.hold()
        self.relays.join(7, self.stream)

    def test_peer_is_not_read_before(self) -> None:
        """The kernel keeps its words, and stops it when they are many."""
        self.assertEqual(self.far.producerState, "paused")
        self.assertEqual(self.owner.heard, [("arrived", 3, Address("9.9.9.9", 2))])
        self.stream.hold()
        self.assertEqual(self.near.producerState, "paused")
        self.relays.join(7, self.stream)
        states = self.near.producerState, self.far.producerState
        self.assertEqual(states, ("producing", "producing"))

    def test_answer_leaves_before_bytes_of_the_peer(self) -> None:
        """Then both ways, unframed."""
        self.join()
        self.peer.dataReceived(b"\xff not TURN")
        self.stream.dataReceived(b"\xfe neither")
        self.assertEqual(self.near.value(), b"answer\xff not TURN")
        self.assertEqual(self.far.value(), b"\xfe neither")
        self.clock.advance(100)
        self.assertEqual((self.near.ended, self.far.ended), ("", ""))

    def test_each_is_the_other_s_producer(self) -> None:
        """A full transport pauses the other end of the pipe."""
        self.join()
        for full, read in ((self.near, self.far), (self.far, self.near)):
            assert full.producer is not None
            full.producer.pauseProducing()
            self.assertEqual(read.producerState, "paused")
            full.producer.resumeProducing()
            self.assertEqual(read.producerState, "producing")

    def test_who_is_too_fast_is_not_read(self) -> None:
        """Nothing is dropped: both sides wait until the limit has room again."""
        limit = ByteLimit(100_000.0, 0.0)
        self.peer._pace._limits = lambda: [limit]
        self.join()
        self.peer.dataReceived(b"x" * 100_000)
        self.assertEqual(self.far.producerState, "producing")
        self.stream.dataReceived(b"x" * 50_000)
        states = self.near.producerState, self.far.producerState
        self.assertEqual(states, ("paused", "paused"))
        self.assertEqual(len(self.near.value()), 100_006)
        self.assertEqual(len(self.far.value()), 50_000)
        self.clock.advance(0.49)
        assert self.near.producer is not None
        self.near.producer.resumeProducing()  # room in the transport is not enough
        self.assertEqual(self.far.producerState, "paused")
        self.clock.advance(0.02)
        states = self.near.producerState, self.far.producerState
        self.assertEqual(states, ("producing", "producing"))

    def test_a_full_transport_is_not_read_for_when_the_limit_has_room(self) -> None:
        """Both must have room."""
        limit = ByteLimit(100_000.0, 0.0)
        self.peer._pace._limits = lambda: [limit]
        self.join()
        assert self.near.producer is not None
        self.near.producer.pauseProducing()
        self.stream.dataReceived(b"x" * 150_000)
        self.clock.advance(1)
        states = self.near.producerState, self.far.producerState
        self.assertEqual(states, ("producing", "paused"))

    def test_an_end_while_it_waits(self) -> None:
        """Nothing of it is left in the clock."""
        limit = ByteLimit(100_000.0, 0.0)
        self.peer._pace._limits = lambda: [limit]
        self.join()
        self.stream.dataReceived(b"x" * 150_000)
        self.stream.connectionLost()
        self.peer.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_words_that_came_with_the_bind_are_the_peer_s(self) -> None:
        """What the framing had left over."""
        self.stream.dataReceived(BINDING + BINDING[:10])
        self.join()
        self.assertEqual(self.far.value(), BINDING[:10])

    def test_end_of_one_side(self) -> None:
        """What is written still leaves; the core hears of it."""
        self.join()
        self.peer.connectionLost()
        self.assertEqual(self.near.ended, "lost")
        self.assertIsNone(self.near.producer)
        self.assertEqual(self.owner.heard[-1], ("closed", 7))
        self.stream.connectionLost()
        self.assertEqual(len(self.relays), 0)

    def test_end_of_the_client(self) -> None:
        """The peer's connection follows."""
        self.join()
        self.stream.connectionLost()
        self.assertEqual(self.far.ended, "lost")
        self.assertIsNone(self.far.producer)

    def test_hanging_up(self) -> None:
        """At once, and nobody is told what they know."""
        self.relays.hang_up(7)
        self.assertEqual(self.far.ended, "aborted")
        self.peer.connectionLost()
        self.assertNotIn(("closed", 7), self.owner.heard)

    def test_unwelcome_peer(self) -> None:
        """The core says 0."""
        self.owner.number = 0
        far = Wire("9.9.9.9")
        peer = PeerConnection(self.relays, 3, 0)
        peer.makeConnection(far)
        self.assertEqual(far.ended, "aborted")
        self.assertEqual(len(self.relays), 1)

    def test_peer_that_has_gone_before_the_bind(self) -> None:
        """The client's stream is closed too."""
        self.relays.hang_up(7)
        self.join()
        self.assertEqual(self.near.ended, "lost")


class RelayTests(SynchronousTestCase):
    """Relayed addresses over TCP, on loopback."""

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.owner = Owner()
        self.relays = TcpRelays(
            self.clock, self.owner, ports=(40000, 40001), clock=self.clock.seconds
        )
        self.addCleanup(self.relays.stop)

    def open(self, relay: int, **limits: Any) -> Address:
        """One relayed address."""
        return self.relays.open(relay, bind=HOST, advertise=HOST, **limits)

    def test_freed_port_rests(self) -> None:
        """As those of UDP do: peers of the old allocation still come."""
        first = self.open(1)
        self.relays.close(1)
        second = self.open(2)
        self.assertNotEqual(first, second)
        self.relays.close(2)
        self.assertEqual(self.open(3), first)  # in need the longest rested one

    def test_limits_of_an_allocation_and_its_user(self) -> None:
        """Both hold, and change while it runs."""
        self.open(1, user=5, bytes_per_s=1000.0)
        self.relays.limit_user(5, 2000.0)
        limits = self.relays.pace(1)._limits
        self.assertEqual(len(limits()), 2)
        self.relays.limit(1, 0.0)
        self.assertEqual(len(limits()), 1)
        self.relays.limit_user(5, 0.0)
        self.assertEqual(limits(), [])
        self.relays.limit(1, 1.0)
        self.relays.close(1)
        self.assertEqual(limits(), [])

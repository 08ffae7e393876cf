"""Writes to sockets: at once, in order, and the rest by the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mosaic.tls.direct import SENT_BYTES, DirectWrites
from mosaic.tls.transports import PlainServer


class Direct(DirectWrites, Connection):
    """A connection without a port."""


class Kernel:
    """A socket that takes as much as it is told to."""

    def __init__(self) -> None:
        self.room = 1000
        self.taken = b""
        self.broken = False
        self.calls = 0

    def send(self, data: Any) -> int:
        """Some of it."""
        self.calls += 1
        if self.broken:
            raise ConnectionResetError(104, "gone")
        if not self.room:
            raise BlockingIOError(11, "full")
        some = bytes(data[: self.room])
        self.room -= len(some)
        self.taken += some
        return len(some)

    def setblocking(self, blocking: bool) -> None:
        """Never."""

    def fileno(self) -> int:
        """None."""
        return -1


class Reactor(Clock):
    """Who wants to write."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        """Written down."""
        self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        """Forgotten."""
        if writer in self.writers:
            self.writers.remove(writer)


@implementer(IPushProducer)
class Producer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Too much."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """More."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """No more."""
        self.told.append("stop")


class DirectWritesTests(SynchronousTestCase):
    """On a plain connection."""

    def setUp(self) -> None:
        self.kernel = Kernel()
        self.reactor = Reactor()
        parts: list[Any] = [self.kernel, None, self.reactor]
        self.connection: Any = Direct(*parts)
        self.connection.connected = 1

    def test_what_fits_bothers_nobody(self) -> None:
        """The reactor is not asked."""
        self.connection.write(b"one")
        self.connection.write(b"two")
        self.assertEqual((self.kernel.taken, self.reactor.writers), (b"onetwo", []))

    def test_rest_is_the_reactor_s_and_order_stays(self) -> None:
        """What comes later waits behind it, also when there is room again."""
        self.kernel.room = 2
        self.connection.write(b"one")
        self.kernel.room = 1000
        self.connection.write(b"two")
        self.assertEqual(self.kernel.taken, b"on")
        self.assertIn(self.connection, self.reactor.writers)
        self.connection.doWrite()
        self.assertEqual(self.kernel.taken, b"onetwo")
        self.connection.write(b"three")
        self.assertEqual(self.kernel.taken, b"onetwothree")

    def test_a_large_rest_is_not_copied(self) -> None:
        """A board of megabytes waits where it is, behind what has left of it."""
        board = bytes(range(256)) * 10_000
        self.connection.write(board)
        self.assertIs(self.connection.dataBuffer, board)
        self.kernel.room = 2 * len(board)
        self.connection.write(b"after")
        while self.connection in self.reactor.writers:
            self.connection.doWrite()
        self.assertEqual(self.kernel.taken, board + b"after")

    def test_error_is_found_by_the_reactor(self) -> None:
        """It knows how to end a connection."""
        self.kernel.broken = True
        self.connection.write(b"one")
        self.assertIn(self.connection, self.reactor.writers)
        self.assertIsInstance(self.connection.doWrite(), (Failure, Exception))

    def test_nothing_leaves_after_the_end(self) -> None:
        """A connection that is gone takes nothing."""
        self.connection.connected = 0
        self.connection.write(b"one")
        self.assertEqual((self.kernel.taken, self.reactor.writers), (b"", []))

    def test_sequences_leave_as_one(self) -> None:
        """One system call, and with TLS one record."""
        self.kernel.calls = 0
        self.connection.writeSequence([b"one", b"two"])
        self.assertEqual((self.kernel.taken, self.kernel.calls), (b"onetwo", 1))

    def test_only_bytes(self) -> None:
        """As Twisted says it."""
        self.assertRaises(TypeError, self.connection.write, "text")
        self.assertRaises(TypeError, self.connection.writeSequence, ["text"])

    def test_producer_stops_when_the_buffer_is_full_and_goes_on_when_it_is_empty(
        self,
    ) -> None:
        """Back-pressure comes from what the kernel has not taken."""
        producer = Producer()
        self.connection.registerProducer(producer, True)
        self.connection.write(bytes(1000))
        self.assertEqual(producer.told, [])
        self.connection.write(bytes(self.connection.bufferSize))
        self.assertEqual(producer.told, [])
        self.connection.write(b"more")
        self.assertEqual(producer.told, ["pause"])
        self.kernel.room = 1 << 20
        self.connection.doWrite()
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_pull_producers_are_asked_again_and_again(self) -> None:
        """By the reactor, and not by the write itself: it may not end."""
        producer = Producer()
        self.connection.registerProducer(producer, False)
        self.connection.write(b"one")
        self.assertEqual(producer.told, ["resume"])
        self.connection.doWrite()
        self.assertEqual(producer.told, ["resume", "resume"])

    def test_pull_producers_are_asked_although_all_has_left(self) -> None:
        """What was written before they came is no longer there to wait for."""
        self.connection.write(b"one")
        producer = Producer()
        self.connection.registerProducer(producer, False)
        self.assertIn(self.connection, self.reactor.writers)
        self.connection.doWrite()
        self.assertEqual(producer.told, ["resume", "resume"])


class PlainServerTests(SynchronousTestCase):
    """What leaves in one turn."""

    def test_others_have_their_turn(self) -> None:
        """However much a socket would take."""
        connection: Any = PlainServer.__new__(PlainServer)
        connection.socket = kernel = Kernel()
        kernel.room = 10 * SENT_BYTES
        self.assertEqual(connection.writeSomeData(bytes(3 * SENT_BYTES)), SENT_BYTES)
        self.assertEqual(kernel.calls, 1)

"""Writes to streams: at once, in order, and the rest by the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.turn.eager import write_now
from mosaic.services.turn.stream import TurnStream
from tests.unit.test_turn_tcprelay import Owner, Wire


class Kernel:
    """A socket that takes as much as it is told to."""

    def __init__(self) -> None:
        self.room = 1000
        self.taken = b""
        self.broken = False

    def send(self, data: Any) -> int:
        """Some of it."""
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
        self.writers.remove(writer)


class TcpTests(SynchronousTestCase):
    """On a connection of TCP."""

    def setUp(self) -> None:
        self.kernel = Kernel()
        self.reactor = Reactor()
        parts: list[Any] = [self.kernel, None, self.reactor]
        self.connection: Any = Connection(*parts)
        self.connection.connected = 1

    def test_what_fits_bothers_nobody(self) -> None:
        """The reactor is not asked."""
        write_now(self.connection, b"one")
        write_now(self.connection, b"two")
        self.assertEqual((self.kernel.taken, self.reactor.writers), (b"onetwo", []))

    def test_rest_is_the_reactor_s_and_order_stays(self) -> None:
        """What comes later waits behind it, also when there is room again."""
        self.kernel.room = 2
        write_now(self.connection, b"one")
        self.kernel.room = 1000
        write_now(self.connection, b"two")
        self.assertEqual(self.kernel.taken, b"on")
        self.assertIn(self.connection, self.reactor.writers)
        self.connection.doWrite()
        self.assertEqual(self.kernel.taken, b"onetwo")
        write_now(self.connection, b"three")
        self.assertEqual(self.kernel.taken, b"onetwothree")

    def test_error_is_found_by_the_reactor(self) -> None:
        """It knows how to end a connection."""
        self.kernel.broken = True
        write_now(self.connection, b"one")
        self.assertIn(self.connection, self.reactor.writers)
        self.assertIsInstance(self.connection.doWrite(), (Failure, Exception))

    def test_nothing_leaves_after_the_end(self) -> None:
        """A connection that is gone takes nothing."""
        self.connection.connected = 0
        write_now(self.connection, b"one")
        self.assertEqual((self.kernel.taken, self.reactor.writers), (b"", []))


class TogetherTests(SynchronousTestCase):
    """Frames that a plane hands over in one piece."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.owner, self.wire = Owner(), Wire("192.0.2.1")
        self.stream = TurnStream(
            self.owner, self.clock, "tcp",
            first_message_timeout_s=10, idle_s=10, queue_bytes=10, queue_s=1,
        )  # fmt: skip
        self.stream.makeConnection(self.wire)

    def test_they_leave_at_once(self) -> None:
        """In one write."""
        self.stream.send_all([b"one", b"two"])
        self.assertEqual(self.wire.value(), b"onetwo")

    def test_an_answer_that_waits_goes_first(self) -> None:
        """The order is that of their coming."""
        self.stream.send(b"answer")
        self.stream.send_all([b"one"])
        self.assertEqual(self.wire.value(), b"")
        self.clock.advance(0)
        self.assertEqual(self.wire.value(), b"answerone")

    def test_full_connection_drops_whole_frames_oldest_first(self) -> None:
        """And each is counted."""
        self.stream.pauseProducing()
        self.stream.send_all([b"four", b"five", b"sixx", b"last"])
        self.stream.resumeProducing()
        self.assertEqual(self.wire.value(), b"sixxlast")
        self.assertEqual(self.owner.stream_frames_dropped, 2)

    def test_messages_that_come_in_pieces_are_joined(self) -> None:
        """What is data goes its short way, whole."""
        frame = b"\x40\0\0\5hello\0\0\0"
        runs: list[bytes] = []

        def stream_run(five_tuple: Any, data: bytes) -> int:
            runs.append(data)
            return len(data) // len(frame) * len(frame)

        self.patch(self.owner, "stream_run", stream_run)
        self.stream.dataReceived(frame + frame[:7])
        self.stream.dataReceived(frame[7:] + frame[:1])
        self.stream.dataReceived(frame[1:])
        self.assertEqual(runs, [frame + frame[:7], frame + frame[:1], frame])
        self.assertEqual(self.owner.heard, [])

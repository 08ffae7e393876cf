"""What a stream joins before it writes, and what it drops when it cannot."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.turn.stream import TurnStream
from tests.unit.test_turn_tcprelay import Owner, Wire


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

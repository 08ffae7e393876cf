"""TLS on the socket, its end: each is told as what it was."""

from __future__ import annotations

import socket

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from mosaic.tls.onsocket import CLOSE_S
from tests.support.tls_pumped import PairCase, Recorder


class EndTests(PairCase):
    """close_notify or not, ours or theirs."""

    def test_our_goodbye(self) -> None:
        """What waits goes first; then the peer has its time to answer."""
        pair = self.pair(small_buffers=True)
        pair.server.write(bytes(50_000))
        pair.server.loseConnection()
        pair.server.write(b"too late")
        heard = b""
        for _ in range(100):
            pair.turn()
            heard += pair.client.hear()
        self.assertEqual(heard, bytes(50_000))
        self.assertTrue(pair.client.said_goodbye)
        self.assertIsNone(pair.protocol.reason)
        pair.client.say_goodbye()
        pair.theirs.close()
        pair.turn(2)
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)
        self.assertEqual(pair.reactor.getDelayedCalls(), [])

    def test_input_after_our_goodbye_is_thrown_away_and_resets_nothing(self) -> None:
        """An upload that was refused: the client can read the refusal."""
        pair = self.pair()
        pair.client.say(bytes(30_000))
        pair.server.write(b"413")
        pair.server.loseConnection()
        pair.turn(3)
        pair.client.say(bytes(30_000))
        pair.turn(3)
        self.assertEqual(pair.client.hear(), b"413")
        self.assertFalse(pair.client.reset)
        self.assertLessEqual(len(pair.protocol.received), 30_000)

    def test_a_peer_that_goes_on_in_crumbs_is_cut_off(self) -> None:
        """Each costs a turn of the reactor, though nobody wants to hear it."""
        pair = self.pair()
        pair.server.loseConnection()
        pair.turn(2)
        for _ in range(1000):
            if pair.protocol.reason is not None:
                break
            pair.theirs.send(b"x")
            pair.turn()
        self.assertIsNotNone(pair.protocol.reason)

    def test_a_peer_that_never_answers_is_not_waited_for(self) -> None:
        """A clean end all the same: everything was sent."""
        pair = self.pair()
        pair.server.loseConnection()
        pair.turn(3)
        pair.reactor.advance(CLOSE_S - 1)
        self.assertIsNone(pair.protocol.reason)
        pair.reactor.advance(1)
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)

    def test_a_peer_that_never_reads_is_not_waited_for(self) -> None:
        """As long as it reads something it has time; then it is cut off."""
        pair = self.pair(small_buffers=True)
        pair.server.write(bytes(400_000))
        pair.server.loseConnection()
        for _ in range(3):
            pair.reactor.advance(CLOSE_S - 1)
            for _ in range(10):
                pair.client.hear()
                pair.turn()
            pair.reactor.advance(1)
            self.assertIsNone(pair.protocol.reason)
        pair.reactor.advance(CLOSE_S)
        pair.turn()
        self.assertIsInstance(pair.protocol.reason, ConnectionAborted)
        self.assertEqual(pair.reactor.getDelayedCalls(), [])

    def test_their_goodbye(self) -> None:
        """Is answered, and a clean end; what came before it is delivered."""
        pair = self.pair()
        pair.client.say(b"last words")
        pair.client.say_goodbye()
        pair.turn(2)
        self.assertEqual(pair.protocol.received, b"last words")
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)
        pair.client.hear()
        self.assertTrue(pair.client.said_goodbye)

    def test_an_end_without_goodbye_is_no_clean_one(self) -> None:
        """RFC 8446 section 6.1: it may have been cut by somebody else."""
        for how in (socket.SHUT_WR, socket.SHUT_RDWR):
            pair = self.pair()
            pair.client.say(b"half a sent")
            pair.theirs.shutdown(how)
            pair.turn(2)
            self.assertEqual(pair.protocol.received, b"half a sent")
            self.assertIsInstance(pair.protocol.reason, ConnectionLost)

    def test_a_broken_record_is_an_error(self) -> None:
        """Somebody in between, or a bug: SSL.Error, as with Twisted's TLS."""
        pair = self.pair()
        pair.theirs.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        pair.turn(2)
        self.assertIsInstance(pair.protocol.reason, SSL.Error)

    def test_writing_to_a_peer_that_has_gone(self) -> None:
        """The write says nothing; the reactor ends the connection."""
        pair = self.pair()
        pair.theirs.close()
        pair.server.write(b"anybody there?")
        self.assertIsNone(pair.protocol.reason)
        pair.turn(2)
        self.assertIsInstance(pair.protocol.reason, ConnectionLost)
        pair.server.write(b"?")
        pair.server.loseConnection()
        pair.server.loseWriteConnection()

    def test_abort(self) -> None:
        """At once: no goodbye, nothing delivered, nothing sent."""
        pair = self.pair()
        pair.client.say(b"ignored")
        pair.server.abortConnection()
        pair.server.abortConnection()
        pair.server.write(b"ignored")
        pair.server.loseConnection()
        pair.turn(2)
        self.assertEqual(pair.client.hear(), b"")
        self.assertFalse(pair.client.said_goodbye)
        self.assertEqual(pair.protocol.received, b"")
        self.assertIsInstance(pair.protocol.reason, ConnectionAborted)

    def test_half_close(self) -> None:
        """A protocol that knows of halves ends its own, and hears of the other."""

        @implementer(IHalfCloseableProtocol)
        class Halves(Recorder):
            def readConnectionLost(self) -> None:
                self.events.append("read lost")

            def writeConnectionLost(self) -> None:
                self.events.append("write lost")

        pair = self.pair(Halves())
        pair.server.write(b"all I have")
        pair.server.loseWriteConnection()
        pair.turn()
        pair.server.write(b"too late")
        self.assertEqual(pair.protocol.events[2:], ["write lost"])
        self.assertEqual(pair.client.hear(), b"all I have")
        self.assertTrue(pair.client.said_goodbye)
        pair.client.say(b"still here")
        pair.turn()
        self.assertEqual(pair.protocol.received, b"still here")
        pair.client.say_goodbye()
        pair.turn()
        self.assertEqual(pair.protocol.events[3:], ["read lost"])
        pair.server.loseConnection()
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)

    def test_their_half_first(self) -> None:
        """It may go on writing (RFC 8446 section 6.1)."""

        @implementer(IHalfCloseableProtocol)
        class Answers(Recorder):
            def readConnectionLost(self) -> None:
                self.transport.write(b"answer")  # type: ignore[union-attr]  # ours
                self.transport.loseConnection()  # type: ignore[union-attr]  # ours

            def writeConnectionLost(self) -> None:
                """Not used."""

        pair = self.pair(Answers())
        pair.client.say(b"question")
        pair.client.say_goodbye()
        pair.turn(3)
        self.assertEqual(pair.client.hear(), b"answer")
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)

    def test_an_end_that_comes_to_a_paused_protocol_waits(self) -> None:
        """Even if it came in one read with what made the protocol pause."""

        class Pauses(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()  # type: ignore[union-attr]  # ours

        for broken in (False, True):
            pair = self.pair(Pauses())
            pair.client.say(b"wait")
            if broken:
                pair.theirs.shutdown(socket.SHUT_WR)
            else:
                pair.client.say_goodbye()
            pair.turn(3)
            self.assertEqual(pair.protocol.received, b"wait")
            self.assertIsNone(pair.protocol.reason)
            pair.server.resumeProducing()
            pair.turn(2)
            expected = ConnectionLost if broken else ConnectionDone
            self.assertIsInstance(pair.protocol.reason, expected)

    def test_closing_in_data_received(self) -> None:
        """Together with the peer's goodbye in the same turn."""

        class Closes(Recorder):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"bye")  # type: ignore[union-attr]  # ours
                self.transport.loseConnection()  # type: ignore[union-attr]  # ours

        pair = self.pair(Closes())
        pair.client.say(b"bye")
        pair.client.say_goodbye()
        pair.turn(3)
        self.assertEqual(pair.client.hear(), b"bye")
        self.assertIsInstance(pair.protocol.reason, ConnectionDone)

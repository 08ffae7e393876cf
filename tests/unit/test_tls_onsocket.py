"""TLS on the socket: everything arrives, and every end is told as what it was."""

from __future__ import annotations

import gc
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, integers, lists, one_of, tuples
from OpenSSL import SSL
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    ISSLTransport,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mosaic.tls import openssl
from mosaic.tls.context import ServerContext
from mosaic.tls.onsocket import CLOSE_S
from mosaic.tls.transports import TlsServer
from tests.support.tls_folders import certificate_folder
from tests.support.tls_pumped import Pair, Recorder


class PairCase(SynchronousTestCase):
    """Makes connections."""

    def setUp(self) -> None:
        self.folder = certificate_folder(Path(self.mktemp()))
        self.context = ServerContext(self.folder)

    def pair(self, protocol: Any = None, *, shaken: bool = True, **how: Any) -> Pair:
        """A connection, after its handshake."""
        pair = Pair(self.folder, protocol, context=self.context, **how)
        self.addCleanup(pair.close)
        if shaken:
            pair.shake_hands()
        return pair


class HandshakeTests(PairCase):
    """Until the handshake is done, and what is known then."""

    def test_protocol_is_told_once(self) -> None:
        """First that there is a connection, then that it is safe."""
        pair = self.pair(shaken=False)
        self.assertEqual(pair.protocol.events, ["made"])
        pair.shake_hands()
        self.assertEqual(pair.protocol.events, ["made", "handshake"])

    def test_it_is_a_transport_of_tls(self) -> None:
        """For twisted.web (https?), the shared port (ALPN?) and channel bindings."""
        pair = self.pair(alpn=["http/1.1"])
        for interface in (ISSLTransport, INegotiated):
            self.assertTrue(verifyObject(interface, pair.server))
        self.assertEqual(pair.server.negotiatedProtocol, b"http/1.1")
        self.assertIsNone(pair.server.getPeerCertificate())
        handle = pair.server.getHandle()
        assert handle is not None
        binding = handle.export_keying_material(b"EXPORTER-Channel-Binding", 32)
        self.assertEqual(len(binding), 32)

    def test_nothing_is_negotiated_without_alpn(self) -> None:
        """None, as Twisted says it, and also when the connection is gone."""
        pair = self.pair()
        self.assertIsNone(pair.server.negotiatedProtocol)
        pair.server.abortConnection()
        pair.turn()
        self.assertIsNone(pair.server.negotiatedProtocol)
        self.assertIsNone(pair.server.getHandle())
        self.assertIsNone(pair.server.getPeerCertificate())

    def test_what_is_written_before_waits(self) -> None:
        """A server may speak first."""
        pair = self.pair(shaken=False)
        pair.server.write(b"hello ")
        pair.server.writeSequence([b"wor", b"ld"])
        pair.shake_hands()
        pair.turn()
        self.assertEqual(pair.client.hear(), b"hello world")

    def test_garbage_is_an_error_and_no_traceback(self) -> None:
        """Plain HTTP on the TLS port, and worse."""
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 100):
            pair = self.pair(shaken=False)
            pair.theirs.sendall(garbage)
            pair.turn(2)
            self.assertIsInstance(pair.protocol.reason, SSL.Error)
            self.assertNotIsInstance(pair.protocol.reason, SSL.SysCallError)

    @given(binary(min_size=1, max_size=600), booleans())
    @settings(max_examples=60, deadline=None)
    def test_any_bytes_are_safe_before_and_in_the_handshake(
        self, garbage: bytes, begun: bool
    ) -> None:
        """The connection ends, or waits for more; the shared port has a deadline."""
        pair = Pair(self.folder, context=self.context)
        if begun:
            pair.client.shake_hands()
            pair.turn()
        pair.theirs.sendall(garbage)
        pair.turn(2)
        if pair.protocol.reason is not None:
            self.assertIsInstance(pair.protocol.reason, (SSL.Error, ConnectionLost))
        pair.close()
        self.assertEqual(pair.protocol.events, ["made", "lost"])
        self.assertEqual(pair.reactor.getDelayedCalls(), [])

    def test_the_client_hears_why(self) -> None:
        """An alert, which no reset overtakes."""
        pair = self.pair(shaken=False, ciphers="ECDHE-RSA-AES128-SHA",
                         version=ssl.TLSVersion.TLSv1_2)  # fmt: skip
        pair.client.shake_hands()
        pair.theirs.sendall(b"more that nobody reads")
        pair.turn(2)
        self.assertIsInstance(pair.protocol.reason, SSL.Error)
        error = self.assertRaises(ssl.SSLError, pair.client.shake_hands)
        self.assertIn("HANDSHAKE_FAILURE", str(error))

    def test_a_client_that_goes_away_in_the_middle(self) -> None:
        """Killed, or out of patience."""
        for step in range(2):
            pair = self.pair(shaken=False)
            if step:
                pair.client.shake_hands()
                pair.turn()
            pair.theirs.close()
            pair.turn(2)
            self.assertIsInstance(pair.protocol.reason, ConnectionLost)

    def test_giving_up_in_the_middle(self) -> None:
        """Nobody to say goodbye to: at once. With something to say: after it."""
        pair = self.pair(shaken=False)
        pair.server.loseConnection()
        self.assertTrue(pair.server.disconnecting)
        pair.turn()
        self.assertIsInstance(pair.protocol.reason, ConnectionAborted)
        pair = self.pair(shaken=False)
        pair.server.write(b"sorry")
        pair.server.loseConnection()
        pair.shake_hands()
        pair.turn(2)
        self.assertEqual(pair.client.hear(), b"sorry")
        self.assertTrue(pair.client.said_goodbye)

    def test_protocol_that_aborts_on_handshake(self) -> None:
        """It hears of nothing more."""

        @implementer(IHandshakeListener)
        class Aborts(Recorder):
            def handshakeCompleted(self) -> None:
                self.transport.abortConnection()  # type: ignore[union-attr]  # ours

        pair = self.pair(Aborts(), shaken=False)
        for _ in range(3):
            pair.client.shake_hands()
            pair.turn()
        self.assertEqual(pair.protocol.received, b"")
        self.assertIsInstance(pair.protocol.reason, ConnectionAborted)


class DataTests(PairCase):
    """Both ways, whole and in order."""

    def test_what_fits_leaves_before_write_returns(self) -> None:
        """No turn of the reactor, and one record."""
        pair = self.pair()
        pair.server.write(b"now")
        self.assertEqual(pair.client.hear(), b"now")
        self.assertEqual(pair.reactor.writers, set())

    def test_a_write_is_one_record(self) -> None:
        """Also one of pieces: the cost is per record."""
        pair = self.pair()
        pair.client.hear()
        pair.server.writeSequence([b"x" * 10] * 100)
        self.assertEqual(len(pair.theirs.recv(1 << 16)), 5 + 1000 + 1 + 16)

    def test_records_that_wait_come_as_one(self) -> None:
        """A burst costs its protocol one call."""
        calls: list[int] = []

        class Counts(Recorder):
            def dataReceived(self, data: bytes) -> None:
                calls.append(len(data))

        pair = self.pair(Counts())
        for _ in range(20):
            pair.client.say(b"x" * 100)
        pair.turn()
        self.assertEqual(calls, [2000])

    def test_a_flood_gives_others_their_turn(self) -> None:
        """Reading stops at a bound, and goes on in the next turn."""
        pair = self.pair()
        pair.client.say(b"x" * 150_000)
        sizes = []
        for _ in range(4):
            pair.turn()
            pair.client.flush()
            sizes.append(len(pair.protocol.received))
        self.assertLessEqual(sizes[0], openssl.JOINED_BYTES + openssl.RECORD_BYTES)
        self.assertEqual(sizes[-1], 150_000)

    def test_pausing_is_in_time(self) -> None:
        """After pauseProducing nothing comes; after resumeProducing all of it."""
        pair = self.pair()
        pair.server.pauseProducing()
        pair.client.say(b"x" * 40_000)
        pair.turn(3)
        self.assertEqual(pair.protocol.received, b"")
        pair.server.resumeProducing()
        pair.turn(3)
        self.assertEqual(len(pair.protocol.received), 40_000)

    def test_writing_inside_data_received(self) -> None:
        """An echo, with more than the kernel takes."""

        class Echo(Recorder):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data * 50)  # type: ignore[union-attr]  # ours

        pair = self.pair(Echo(), small_buffers=True)
        pair.client.say(b"0123456789" * 100)
        heard = b""
        for _ in range(100):
            pair.turn()
            heard += pair.client.hear()
        self.assertEqual(heard, b"0123456789" * 100 * 50)

    @given(
        lists(
            one_of(
                tuples(integers(0, 0), integers(1, 70_000)),
                tuples(integers(1, 1), integers(1, 70_000)),
                tuples(integers(2, 3), integers(1, 9_000)),
            ),
            max_size=20,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_everything_arrives(self, steps: list[tuple[int, int]]) -> None:
        """However it is cut, both ways at a time, with a slow reader."""
        pair = Pair(self.folder, context=self.context, small_buffers=True)
        pair.shake_hands()
        ours, theirs, heard = b"", b"", b""
        for number, (step, size) in enumerate(steps):
            data = bytes([number % 251]) * size
            if step == 0:
                ours += data
                pair.server.write(data)
            elif step == 1:
                theirs += data
                pair.client.say(data)
            elif step == 2:
                heard += pair.client.hear(size)
            else:
                pair.turn()
        for _ in range(2000):
            pair.turn()
            heard += pair.client.hear()
            if len(heard) == len(ours) and len(pair.protocol.received) == len(theirs):
                break
        self.assertEqual(heard, ours)
        self.assertEqual(pair.protocol.received, theirs)
        self.assertEqual(pair.reactor.writers, set())
        pair.close()

    def test_a_reader_that_stops_holds_the_producer(self) -> None:
        """Not the memory."""
        told: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                told.append("pause")

            def resumeProducing(self) -> None:
                told.append("resume")

            def stopProducing(self) -> None:
                told.append("stop")

        pair = self.pair()
        producer: Any = Producer()
        pair.server.registerProducer(producer, True)
        for _ in range(100):
            pair.server.write(bytes(10_000))
            if told:
                break
        self.assertEqual(told, ["pause"])
        for _ in range(100):
            pair.client.hear()
            pair.turn()
        self.assertEqual(told, ["pause", "resume"])
        pair.server.abortConnection()
        pair.turn()
        self.assertEqual(told, ["pause", "resume", "stop"])

    def test_openssl_that_wants_the_other_direction(self) -> None:
        """It does not happen without renegotiation; if it does, nothing spins
        and nothing is lost."""
        pair = self.pair()
        wants = [(0, openssl.WANT_READ), (b"", openssl.WANT_WRITE)]
        self.patch(openssl, "send", lambda *_: wants[0])
        pair.server.write(b"late")
        pair.turn()
        self.assertNotIn(pair.server, pair.reactor.writers)
        self.patch(openssl, "send", real_send)
        pair.client.say(b"go on")
        pair.turn(2)
        self.assertEqual(pair.client.hear(), b"late")
        self.patch(openssl, "receive", lambda _: wants[1])
        pair.client.say(b" and on")
        pair.turn()
        self.assertIn(pair.server, pair.reactor.writers)
        self.patch(openssl, "receive", real_receive)
        pair.turn()
        self.assertEqual(pair.protocol.received, b"go on and on")


real_send, real_receive = openssl.send, openssl.receive


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


class ManyTests(PairCase):
    """Nothing is left of connections that have ended, whichever way."""

    def test_no_descriptor_and_no_object_stays(self) -> None:
        """Hundreds, each ended in one of five ways."""

        def alive() -> int:
            gc.collect()
            return sum(
                isinstance(it, (TlsServer, SSL.Connection)) for it in gc.get_objects()
            )

        before = len(os.listdir("/proc/self/fd")), alive()
        for number in range(300):
            pair = Pair(self.folder, context=self.context)
            how = number % 5
            if how == 0:  # garbage
                pair.theirs.sendall(b"GET / HTTP/1.0\r\n\r\n")
            elif how == 1:  # in the middle of the handshake
                pair.client.shake_hands()
                pair.turn()
            else:
                pair.shake_hands()
                pair.client.say(b"x" * 1000)
                pair.server.write(b"x" * 1000)
            if how == 3:
                pair.server.loseConnection()
            elif how == 4:
                pair.client.say_goodbye()
            pair.turn(2)
            pair.theirs.close()
            pair.turn(3)
            self.assertEqual(pair.protocol.events[-1], "lost")
            self.assertEqual(pair.reactor.getDelayedCalls(), [])
        del pair
        self.assertEqual((len(os.listdir("/proc/self/fd")), alive()), before)


class KernelTests(PairCase):
    """Who encrypts."""

    def test_the_kernel_does_not_unless_it_was_asked(self) -> None:
        """Nor on a UNIX socket, nor where the connection is gone."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        self.addCleanup(theirs.close)
        pair = self.pair()
        self.assertFalse(pair.server.is_in_kernel())
        its_own, pair.server.socket = pair.server.socket, ours
        self.assertFalse(pair.server.is_in_kernel())
        pair.server.socket = its_own
        ours.close()
        pair.server.abortConnection()
        pair.turn()
        self.assertFalse(pair.server.is_in_kernel())


class ReloadTests(PairCase):
    """New certificates are for new connections."""

    def test_an_old_connection_goes_on(self) -> None:
        """With the context that it began with."""
        pair = self.pair()
        self.context.reload()
        pair.server.write(b"still")
        self.assertEqual(pair.client.hear(), b"still")
        self.assertEqual(self.pair().protocol.events, ["made", "handshake"])

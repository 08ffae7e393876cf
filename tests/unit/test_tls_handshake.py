"""TLS on the socket, its beginning: what is known when, by which certificate."""

from __future__ import annotations

import ssl

from cryptography.hazmat.bindings.openssl.binding import Binding
from hypothesis import given, settings
from hypothesis.strategies import binary, booleans
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, INegotiated, ISSLTransport
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mosaic.tls.onsocket import MAX_HANDSHAKE_READS
from tests.support.tls_pumped import Pair, PairCase, Recorder


def leave_an_error() -> None:
    """What careless code leaves in OpenSSL's queue."""
    Binding.lib.ERR_put_error(20, 0, 193, b"", 0)


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

    def test_somebody_elses_errors_are_not_ours(self) -> None:
        """OpenSSL's queue is the thread's: whoever left something in it must not
        cost the next connection its life (it would, before OpenSSL 4)."""
        pair = self.pair(shaken=False)
        leave_an_error()
        pair.shake_hands()
        leave_an_error()
        pair.client.say(b"hello")
        pair.turn()
        leave_an_error()
        pair.server.write(b"well?")
        pair.turn()
        self.assertEqual(pair.protocol.received, b"hello")
        self.assertEqual(pair.client.hear(), b"well?")
        self.assertIsNone(pair.protocol.reason)

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

    def test_a_handshake_in_crumbs(self) -> None:
        """In pieces of four bytes a client gets through; one that never gets there
        does not."""
        pair = self.pair(shaken=False)
        with self.assertRaises(ssl.SSLWantReadError):
            pair.client.tls.do_handshake()
        hello = pair.client._out.read()
        for at in range(0, len(hello), 4):
            pair.theirs.send(hello[at : at + 4])
            pair.turn()
        pair.shake_hands()
        self.assertEqual(pair.protocol.events, ["made", "handshake"])
        pair = self.pair(shaken=False)
        pair.theirs.send(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")
        for _ in range(MAX_HANDSHAKE_READS + 2):
            if pair.protocol.reason is None:
                pair.theirs.send(b"x")
                pair.turn()
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


class ReloadTests(PairCase):
    """New certificates are for new connections."""

    def test_an_old_connection_goes_on(self) -> None:
        """With the context that it began with."""
        pair = self.pair()
        self.context.reload()
        pair.server.write(b"still")
        self.assertEqual(pair.client.hear(), b"still")
        self.assertEqual(self.pair().protocol.events, ["made", "handshake"])

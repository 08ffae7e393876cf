"""TLS on the socket: everything arrives, and nothing stays of it."""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import integers, lists, one_of, tuples
from OpenSSL import SSL

from mosaic.tls import openssl
from mosaic.tls.transports import TlsServer
from tests.support.tls_pumped import Pair, PairCase, Recorder

real_send, real_receive = openssl.send, openssl.receive


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

    def test_a_flood_of_records_does_too(self) -> None:
        """Records of one byte: it is their number that costs."""
        pair = self.pair()
        for _ in range(openssl.JOINED_RECORDS + 2):
            pair.client.say(b"x")
        sizes = []
        for _ in range(2):
            pair.turn()
            pair.client.flush()
            sizes.append(len(pair.protocol.received))
        self.assertEqual(sizes, [openssl.JOINED_RECORDS, openssl.JOINED_RECORDS + 2])

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

"""TCP and TLS clients whose connection the native plane has, over real sockets."""

from __future__ import annotations

import os
import socket
import ssl
import time
import weakref
from functools import partial
from typing import Any

from OpenSSL import SSL

from mosaic.tls.openssl import Lent
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.framing import StreamSplitter
from mosaic.wire.stun.message import parse
from mosaic.wire.turn.attributes import DATA
from mosaic.wire.turn.channel import decode_channel_data, encode_channel_data
from tests.support.certificate import self_signed_pem
from tests.support.lent_clients import ClientCase, Lender, stun
from tests.support.plane_case import address_of
from tests.support.udp import send_indication


class ClientTests(ClientCase):
    """Both ways."""

    def test_channels_both_ways(self) -> None:
        """Cut and padded as streams are (RFC 8656 section 12.5)."""
        payloads = [b"", b"x", b"hello", b"v" * 1203]
        framed = [encode_channel_data(0x4000, p, stream=True) for p in payloads]
        self.sock.sendall(b"".join(framed))
        self.same([self.receive(self.peer)[0] for _ in payloads], payloads)
        for payload in payloads:
            self.peer.sendto(payload, self.relayed)
        found = [decode_channel_data(frame) for frame in self.frames(4)]
        self.same(
            [(f and f[0], f and bytes(f[1])) for f in found],
            [(0x4000, payload) for payload in payloads],
        )

    def test_byte_by_byte(self) -> None:
        """A message is one however it comes."""
        to = address_of(self.peer)
        whole = encode_channel_data(0x4000, b"hello", stream=True) + stun(1)
        whole += send_indication(to, b"you")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(whole)):
            self.sock.send(whole[at : at + 1])
        self.same([self.receive(self.peer)[0] for _ in range(2)], [b"hello", b"you"])
        self.settle(lambda: self.lender.messages == [stun(1)])

    def test_largest_messages(self) -> None:
        """What no datagram can carry is dropped, and the stream goes on."""
        for size in (65507, 65535):
            self.sock.sendall(encode_channel_data(0x4000, bytes(size), stream=True))
        self.sock.sendall(encode_channel_data(0x4000, b"after", stream=True))
        self.same(len(self.receive(self.peer)[0]), 65507)
        self.same(self.receive(self.peer)[0], b"after")
        self.same(self.plane.counters.to_peers_failed, 1)

    def test_indications(self) -> None:
        """By permission alone, with the peer named."""
        other = self.endpoint()
        self.sock.sendall(send_indication(address_of(other), b"hi"))
        self.same(self.receive(other), (b"hi", self.relayed))
        other.sendto(b"odd", self.relayed)
        self.same(parse(self.frames(1)[0]).first(DATA), b"odd")

    def test_answers_are_the_reactor_s(self) -> None:
        """They leave whole, and after the commands before them."""
        self.sock.sendall(stun(1) + stun(2))
        self.settle(lambda: self.lender.messages == [stun(1), stun(2)])
        self.plane.send(self.five_tuple, stun(3))
        self.plane.send(self.five_tuple, stun(4))
        self.same(self.frames(2), [stun(3), stun(4)])

    def test_controls_wait_for_a_slow_reactor(self) -> None:
        """TCP loses nothing: the thread stops reading, and goes on."""
        many = 20_000
        self.sock.settimeout(5)
        wanted = b"".join(map(stun, range(many)))
        at, until = 0, time.monotonic() + 20
        self.sock.setblocking(False)
        while at < len(wanted) or len(self.lender.messages) < many:
            assert time.monotonic() < until, f"{len(self.lender.messages)} came"
            try:
                at += self.sock.send(wanted[at:])
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.pump()
            if at == len(wanted):
                self.pump()
        self.same(b"".join(self.lender.messages), wanted)

    def test_two_clients_of_ours(self) -> None:
        """Straight across, to a channel and to a Data indication."""
        lender = Lender()
        other, _, number = self.lent(lender)
        relayed = self.relayed_now
        self.allow(self.relay, relayed, 0x4001)
        self.plane.permit(number, self.host, self.now + 300, own_only=False)
        message = encode_channel_data(0x4001, b"across!", stream=True)
        self.sock.sendall(message * 3)
        found = [parse(frame).first(DATA) for frame in self.frames(3, other)]
        self.same(found, [b"across!"] * 3)
        self.allow(number, self.relayed, 0x4002)
        other.sendall(encode_channel_data(0x4002, b"back", stream=True) * 2)
        found_back = [decode_channel_data(frame) for frame in self.frames(2)]
        self.same([f and bytes(f[1]) for f in found_back], [b"back"] * 2)
        self.same(self.plane.counters.hairpins, 5)


class EndTests(ClientCase):
    """Who has the connection, and when it ends."""

    def test_client_that_goes(self) -> None:
        """The reactor is told once, and closes it."""
        self.sock.close()
        self.settle(lambda: self.lender.lost == [False])
        self.plane.detach_stream(self.five_tuple)
        self.peer.sendto(b"late", self.relayed)
        self.settle(lambda: self.plane.counters.from_peers == 1)

    def test_what_is_no_turn(self) -> None:
        """There is no way to find the next message."""
        self.sock.sendall(encode_channel_data(0x4000, b"x", stream=True) + b"\xff" * 8)
        self.same(self.receive(self.peer)[0], b"x")
        self.settle(lambda: self.lender.lost == [True])

    def test_it_is_given_back_with_the_last_relay(self) -> None:
        """With what came and was not used; then it is not read here."""
        part = encode_channel_data(0x4000, b"half", stream=True)[:5]
        self.sock.sendall(stun(1) + part)
        self.settle(lambda: self.lender.messages == [stun(1)])
        self.plane.send(self.five_tuple, stun(2))
        self.plane.close(self.relay)
        self.same(self.lender.back, [(part, b"")])
        self.same(self.frames(1), [stun(2)])
        self.sock.sendall(b"for the reactor")
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                self.same(self.our_recv(100), b"for the reactor")
                break
            except (BlockingIOError, SSL.WantReadError):
                self.pump()
        else:
            raise AssertionError("it never came")
        self.same(self.lender.lost, [])

    def test_who_moves_takes_the_relay_along(self) -> None:
        """To another connection (RFC 8016), which is lent in turn; the first one
        comes back."""
        lender = Lender()
        with socket.create_server((self.host, 0)) as door:
            client = socket.create_connection(door.getsockname())
            self.ours, _ = door.accept()
        self.addCleanup(client.close)
        self.addCleanup(self.ours.close)
        self.ours.setblocking(False)
        name, server = client.getsockname(), address_of(self.ours)
        five_tuple = FiveTuple(self.transport, Address(*name[:2]), server)
        client, secured = self.dressed(client)
        self.plane.move(self.relay, five_tuple)
        self.same(self.lender.back, [(b"", b"")])
        self.adopting().adopt(
            five_tuple,
            self.ours.fileno(),
            b"",
            lender,
            queue_bytes=self.queue_bytes,
            queue_s=self.queue_s,
            secured=secured,
        )
        client.sendall(encode_channel_data(0x4000, b"moved", stream=True) + stun(1))
        self.same(self.receive(self.peer)[0], b"moved")
        self.settle(lambda: lender.messages == [stun(1)])
        self.peer.sendto(b"found", self.relayed)
        frame = decode_channel_data(self.frames(1, client)[0])
        self.same(frame and bytes(frame[1]), b"found")
        self.plane.close(self.relay)
        self.same(lender.back, [(b"", b"")])

    def test_what_was_read_before_comes_first(self) -> None:
        """The lender's half message and the rest of it are one."""
        lender = Lender()
        message = stun(7)
        sock, _, _ = self.lent(lender, message[:9])
        sock.sendall(message[9:])
        self.settle(lambda: lender.messages == [message])

    def test_detached(self) -> None:
        """The thread's descriptor is closed too."""
        self.plane.detach_stream(self.five_tuple)
        self.ours.close()
        self.settle(lambda: self.ended())

    def test_stop_closes_what_is_lent(self) -> None:
        """And leaves no descriptor behind."""
        self.ours.close()
        before = len(os.listdir("/proc/self/fd"))
        self.plane.stop()
        self.assertLess(len(os.listdir("/proc/self/fd")), before)
        self.assertTrue(self.ended())

    def ended(self) -> bool:
        """Whether the client sees the end."""
        self.sock.settimeout(0.05)
        try:
            return self.sock.recv(10) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


class SlowClientTests(ClientCase):
    """A client that does not read."""

    queue_bytes, queue_s = 50_000, 1000.0

    def fill(self, count: int) -> None:
        """Numbered datagrams of a peer, more than the kernel's buffers hold."""
        for number in range(count):
            self.peer.sendto(number.to_bytes(4, "big") + bytes(1196), self.relayed)
            if number % 16 == 15:
                self.settle(partial(self.have_come, number + 1))
        self.settle(partial(self.have_come, count))

    def have_come(self, count: int) -> bool:
        """Whether the plane has read so many datagrams of peers."""
        return self.plane.counters.from_peers >= count

    def numbers(self) -> list[int]:
        """What the client gets in the end, whole frames or nothing."""
        found, splitter = list[int](), StreamSplitter()
        self.sock.settimeout(2)
        while True:
            try:
                data = self.sock.recv(1 << 20)
            except TimeoutError:
                break
            for frame in splitter.feed(data):
                decoded = decode_channel_data(frame)
                assert decoded is not None
                self.same(len(decoded[1]), 1200)
                found.append(int.from_bytes(decoded[1][:4], "big"))
        self.same(splitter.pending_bytes, 0)
        return found

    def test_whole_frames_are_dropped_oldest_first(self) -> None:
        """One that has begun to leave is finished."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        count = 1000
        self.fill(count)
        dropped = self.plane.counters.stream_frames_dropped
        self.assertGreater(dropped, 0)
        found = self.numbers()
        self.same(found, sorted(found))
        self.same(len(found) + dropped, count)
        self.same(found[-1], count - 1)

    def test_late_frames_are_dropped(self) -> None:
        """What is late in a call is worth nothing."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.fill(600)
        before = self.plane.counters.stream_frames_dropped
        before = self.plane.counters.stream_frames_dropped
        turn_forward: Any = self.plane
        turn_forward.turn_forward(2000.0)
        found = self.numbers()
        self.assertGreater(self.plane.counters.stream_frames_dropped, before)
        self.same(found, sorted(found))
        self.same(len(found) + self.plane.counters.stream_frames_dropped, 600)


class TlsCase(ClientCase):
    """The same clients over TLS: OpenSSL is lent with the socket."""

    transport = "tls"
    version = ssl.TLSVersion.TLSv1_3

    def setUp(self) -> None:
        """A certificate, and no client's check of it."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(self_signed_pem())
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.use_privatekey_file(path)
        self.context.use_certificate_file(path)
        self.context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        self.theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.theirs.maximum_version = self.version
        self.theirs.check_hostname = False
        self.theirs.verify_mode = ssl.CERT_NONE
        super().setUp()

    def dressed(self, client: socket.socket) -> tuple[socket.socket, Any]:
        """Shake hands, both sides in turn."""
        ours = SSL.Connection(self.context, self.ours)
        ours.set_accept_state()
        client.setblocking(False)
        theirs = self.theirs.wrap_socket(client, do_handshake_on_connect=False)
        self.addCleanup(theirs.close)
        done = 0
        until = time.monotonic() + 5
        while done < 2:
            assert time.monotonic() < until, "no handshake"
            done = 0
            for shake in (theirs.do_handshake, ours.do_handshake):
                try:
                    shake()
                    done += 1
                except (ssl.SSLWantReadError, SSL.WantReadError):
                    continue
        theirs.settimeout(2)
        self.connection = ours
        return theirs, Lent(ours)

    def our_recv(self, size: int) -> bytes:
        """Decrypted."""
        return self.connection.recv(size)


class TlsClientTests(TlsCase, ClientTests):
    """Both ways."""

    def test_many_frames_are_one_record(self) -> None:
        """What comes together leaves together, a few at a time."""
        count = 100
        for number in range(count):
            self.peer.sendto(number.to_bytes(2, "big") * 300, self.relayed)
        frames = [decode_channel_data(frame) for frame in self.frames(count)]
        found = [int.from_bytes(f[1][:2], "big") for f in frames if f is not None]
        self.same(found, list(range(count)))


class Tls12ClientTests(TlsClientTests):
    """The version before."""

    version = ssl.TLSVersion.TLSv1_2


class TlsEndTests(TlsCase, EndTests):
    """Who has the connection, and when it ends."""

    def test_the_client_says_goodbye(self) -> None:
        """close_notify is the end, with what came before it."""
        self.sock.sendall(stun(1))
        assert isinstance(self.sock, ssl.SSLSocket)
        self.sock.setblocking(False)
        with self.assertRaises(ssl.SSLWantReadError):
            self.sock.unwrap()
        self.settle(lambda: self.lender.lost == [False])
        self.same(self.lender.messages, [stun(1)])

    def test_openssl_lives_until_the_thread_has_let_go(self) -> None:
        """Whoever lent it may be gone before."""
        gone: list[bool] = []
        for _ in range(20):
            lender = Lender()
            sock, five_tuple, _ = self.lent(lender)
            weakref.finalize(self.connection, gone.append, True)
            self.connection = None  # type: ignore[assignment] # as after connectionLost
            sock.sendall(encode_channel_data(0x4000, b"x" * 900, stream=True) * 9)
            self.plane.detach_stream(five_tuple)
            self.ours.close()
        self.settle(lambda: len(gone) == 20)


class TlsSlowClientTests(TlsCase, SlowClientTests):
    """A client that does not read: a record that has begun is finished."""

    def test_given_back_in_the_middle_of_a_record(self) -> None:
        """The reactor goes on with the bytes that OpenSSL has begun with."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.fill(200)
        self.plane.close(self.relay)
        ((_, unsent),) = self.lender.back
        self.assertGreater(len(unsent), 0)
        dropped = self.plane.counters.stream_frames_dropped
        found, splitter = list[int](), StreamSplitter()
        self.sock.settimeout(0.02)
        until = time.monotonic() + 10
        while len(found) + dropped < 200:
            assert time.monotonic() < until, f"{len(found)} came"
            try:
                unsent = unsent[self.connection.send(unsent[:16384]) :]
            except (SSL.WantWriteError, SSL.Error):
                pass
            try:
                for frame in splitter.feed(self.sock.recv(65536)):
                    found.append(int.from_bytes(frame[4:8], "big"))
            except TimeoutError:
                continue
        self.same(found, sorted(found))
        self.same((splitter.pending_bytes, unsent), (0, b""))

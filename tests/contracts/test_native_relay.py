"""What only the native plane does: its thread, its rings, its own answers."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.choose import choose_plane, is_native
from mosaic.relay.pure import PurePlane
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import FiveTuple
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn.attributes import DATA, XOR_PEER_ADDRESS
from mosaic.wire.turn.channel import encode_channel_data
from tests.support.native_plane import need_native
from tests.support.plane_case import PORTS, NativeCase, Readers, address_of
from tests.support.running import ROOT
from tests.support.udp import send_indication

_SO_NO_CHECK = 11
ALLOCATE = encode(Method.ALLOCATE, Class.REQUEST, bytes(12))


def threads() -> dict[int, str]:
    """The names of this process's threads, by number."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            found[int(task.name)] = (task / "comm").read_text().strip()
        except FileNotFoundError:
            continue
    return found


def dup_of(address: Any) -> socket.socket:
    """Another handle on the socket of this process that is bound there."""
    for name in os.listdir("/proc/self/fd"):
        try:
            made = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        if made.type == socket.SOCK_DGRAM and made.getsockname()[:2] == tuple(address):
            return made
        made.close()
    raise AssertionError(f"nothing is bound to {address}")


class BindingTests(NativeCase):
    """Plain Bindings are answered in the thread (RFC 8489 section 12)."""

    def ask(self, *rows: Any, fingerprint: bool = False) -> bytes:
        """The answer to a Binding request."""
        sock = self.endpoint()
        request = encode(
            Method.BINDING, Class.REQUEST, b"t" * 12, rows, fingerprint=fingerprint
        )
        sock.sendto(request, self.server)
        self.asker = address_of(sock)
        return self.receive(sock)[0]

    def test_answer_is_what_the_core_would_say(self) -> None:
        """Byte for byte, with and without fingerprint."""
        for fingerprint in (False, True):
            answer = self.ask(fingerprint=fingerprint)
            expected = encode(
                Method.BINDING,
                Class.SUCCESS,
                b"t" * 12,
                [(stun.XOR_MAPPED_ADDRESS, self.asker)],
                fingerprint=fingerprint,
            )
            self.assertEqual(answer, expected)
        self.assertEqual(self.plane.counters.bindings, 2)
        self.assertEqual(self.controls, [])

    def test_optional_attributes_are_passed_over(self) -> None:
        """SOFTWARE asks for nothing."""
        answer = parse(self.ask((stun.SOFTWARE, "a client"), fingerprint=True))
        self.assertEqual(answer.first(stun.XOR_MAPPED_ADDRESS), self.asker)

    def test_what_needs_thought_goes_to_the_core(self) -> None:
        """Anything that a server must understand."""
        sock = self.endpoint()
        for rows in ([(stun.USERNAME, "ann")], [(stun.PRIORITY, 1)]):
            sock.sendto(
                encode(Method.BINDING, Class.REQUEST, b"t" * 12, rows), self.server
            )
        self.settle(lambda: len(self.controls) == 2)
        self.assertEqual(self.plane.counters.bindings, 0)

    def test_broken_messages_are_dropped(self) -> None:
        """A length that lies, a cookie that is none, a fingerprint that is wrong."""
        sock = self.endpoint()
        right = encode(Method.BINDING, Class.REQUEST, b"t" * 12, fingerprint=True)
        sock.sendto(right[:2] + b"\0\4" + right[4:], self.server)
        sock.sendto(right[:4] + b"abcd" + right[8:], self.server)
        self.settle(lambda: self.plane.counters.not_stun == 2)
        sock.sendto(right[:-1] + bytes([right[-1] ^ 1]), self.server)
        self.settle(lambda: len(self.controls) == 1)  # for the core to count

    def test_strangers_have_a_budget(self) -> None:
        """A reflector that is asked too much falls silent."""
        sock = self.endpoint()
        request = encode(Method.BINDING, Class.REQUEST, b"t" * 12)
        until = time.monotonic() + 5
        while self.plane.counters.bindings_over_budget == 0:
            for _ in range(500):
                sock.sendto(request, self.server)
            self.assertLess(time.monotonic(), until)
        self.assertGreaterEqual(self.plane.counters.bindings, 4000)


class WildcardBindingTests(BindingTests):
    """They leave from the address that was reached."""

    host = "127.0.0.2"
    listen_host = "0.0.0.0"


class PacketTests(NativeCase):
    """Batches, segmentation and broken frames on the real kernel."""

    def pair(self) -> tuple[socket.socket, socket.socket, Any]:
        """Client and peer with a channel, and the relayed address."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        for made in (sock, peer):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        return sock, peer, relayed

    def exchange(self, payloads: list[bytes]) -> None:
        """Send both ways in one burst; all arrives, in order."""
        sock, peer, relayed = self.pair()
        for payload in payloads:
            frame = encode_channel_data(0x4000, payload, stream=False)
            sock.sendto(frame, self.server)
        self.assertEqual([self.receive(peer)[0] for _ in payloads], payloads)
        for payload in payloads:
            peer.sendto(payload, relayed)
        frames = [self.receive(sock)[0][4:] for _ in payloads]
        self.assertEqual(frames, payloads)

    def test_bursts_keep_order_and_borders(self) -> None:
        """Runs of one size leave as one message, and arrive as they were."""
        video = [bytes([n]) * (1200 if n % 8 else 700) for n in range(64)]
        self.exchange(video)
        self.exchange([bytes([n]) * (n * 37 % 1400) for n in range(64)])
        self.exchange([b"", b"a", b"", b"bb", b"bb", b"c", b""])
        self.exchange([b"big" * 7000, b"", b"v" * 60000])

    def test_kernel_that_refuses_segmentation(self) -> None:
        """Nothing is lost: the run is sent again, packet by packet."""
        sock, peer, relayed = self.pair()
        with closing(dup_of(relayed)) as held, closing(dup_of(self.server)) as door:
            for made in (held, door):
                made.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
        for n in range(64):
            payload = bytes([n]) * 1000
            frame = encode_channel_data(0x4000, payload, stream=False)
            sock.sendto(frame, self.server)
        for n in range(64):
            self.assertEqual(self.receive(peer)[0], bytes([n]) * 1000)
            peer.sendto(bytes([n]) * 1000, relayed)
        for n in range(64):
            self.assertEqual(self.receive(sock)[0][4:], bytes([n]) * 1000)
        self.assertEqual(self.plane.counters.to_peers_failed, 0)
        self.assertEqual(self.plane.counters.to_clients_failed, 0)

    def test_the_header_says_how_long_it_is(self) -> None:
        """Padding is dropped; a promise of more than there is, the whole."""
        sock, peer, _ = self.pair()
        sock.sendto(b"\x40\0\0\3abc\0", self.server)
        self.assertEqual(self.receive(peer)[0], b"abc")
        sock.sendto(b"\x40\0\0\4abc", self.server)
        sock.sendto(b"\x50\0\0\3abc", self.server)
        sock.sendto(b"\x7f\xff\0\0", self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 3)

    def test_broken_indications_are_silence(self) -> None:
        """RFC 8656 section 11.2."""
        sock, peer, _ = self.pair()
        whole = send_indication(address_of(peer), b"data")
        unknown = whole[:2] + b"\0\x18" + whole[4:] + b"\x12\x34\0\0"
        for bad in (
            whole[:-4],
            unknown,
            whole[:20],
            whole[:2] + b"\0\x0c" + whole[4:32],
        ):
            sock.sendto(bad, self.server)
        self.settle(lambda: self.plane.counters.from_clients_no_route == 4)
        self.assertEqual(self.plane.counters.from_clients, 0)

    def test_two_servers_addresses_are_two_clients(self) -> None:
        """A five-tuple has both ends (RFC 8656 section 5)."""
        sock, _, _ = self.pair()
        other = self.plane.listen(self.listen_host, 0)
        frame = encode_channel_data(0x4000, b"x", stream=False)
        sock.sendto(frame, (self.host, other.port))
        self.settle(lambda: self.plane.counters.from_clients_no_route == 1)

    def test_closed_peer_is_told_and_hinders_nobody(self) -> None:
        """An ICMP error becomes an indication (section 11.5); the next packet
        to somebody else is not its victim (IP_RECVERR)."""
        sock, relay, _ = self.client()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        living, dead = self.endpoint(), self.endpoint()
        gone = address_of(dead)
        dead.close()
        for n in range(20):
            sock.sendto(send_indication(gone, b"anyone?"), self.server)
            sock.sendto(send_indication(address_of(living), bytes([n])), self.server)
        self.assertEqual(
            [self.receive(living)[0] for _ in range(20)],
            [bytes([n]) for n in range(20)],
        )
        message = parse(self.receive(sock)[0])
        self.assertEqual(message.method, Method.DATA)
        self.assertEqual(message.first(XOR_PEER_ADDRESS), gone)
        data: bytes | None = message.first(DATA)
        self.assertIsNone(data)
        icmp = dict(message.attributes)[0x8004]
        self.assertEqual(icmp, (3 << 9 | 3).to_bytes(4, "big") + bytes(4))

    def test_one_flood_does_not_starve_others(self) -> None:
        """Rounds are bounded: a quiet call is served between two of them."""
        _, loud, loud_relayed = self.pair()
        sock, peer, relayed = self.pair()
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                loud.sendto(bytes(100), loud_relayed)

        thread = threading.Thread(target=flood)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        for n in range(100):
            peer.sendto(bytes([n]), relayed)
            self.assertEqual(self.receive(sock)[0][4:], bytes([n]))

    def test_full_socket_is_read_to_its_end(self) -> None:
        """Edges are reported once: what was left must not wait for the next."""
        sock, peer, relayed = self.pair()
        with closing(dup_of(relayed)) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for n in range(600):
            peer.sendto(n.to_bytes(2, "big"), relayed)
        got = [int.from_bytes(self.receive(sock)[0][4:], "big") for _ in range(600)]
        self.assertEqual(got, list(range(600)))


class HandOverTests(NativeCase):
    """Between the thread and the reactor: bounded, and never waiting."""

    def test_stalled_reactor_loses_messages_not_media(self) -> None:
        """The ring fills, the rest is counted, packets go on."""
        sock, relay, relayed = self.client()
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        flood = self.endpoint()
        rows = [(stun.USERNAME, "u" * 500)]
        request = encode(Method.ALLOCATE, Class.REQUEST, bytes(12), rows)
        until = time.monotonic() + 10
        while self.plane.counters.controls_dropped == 0:
            for _ in range(100):
                flood.sendto(request, self.server)
            self.assertLess(time.monotonic(), until)
        self.pump, pump = (lambda: None), self.pump
        sock.sendto(encode_channel_data(0x4000, b"media", stream=False), self.server)
        self.assertEqual(self.receive(peer), (b"media", relayed))
        self.pump = pump
        held = (1 << 20) // (64 + len(request) + 16)
        self.settle(lambda: len(self.controls) >= held - 50)
        before = len(self.controls)
        self.plane.settled(lambda: self.controls.clear())
        self.settle(lambda: len(self.controls) < before)

    def test_stalled_reactor_drops_frames_and_counts(self) -> None:
        """A stream client's frames wait in a ring of fixed size."""
        got: list[bytes] = []
        five_tuple = FiveTuple("tcp", self.server, self.server)
        self.plane.attach_stream(five_tuple, got.append)
        relay, relayed = self.open(five_tuple)
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        sock, other, _ = self.client()
        self.plane.permit(other, self.host, self.now + 300, own_only=False)
        data = send_indication(relayed, bytes(60000))
        until = time.monotonic() + 10
        while self.plane.counters.frames_dropped == 0:
            sock.sendto(data, self.server)
            self.assertLess(time.monotonic(), until)
        self.assertEqual(got, [])
        self.settle(lambda: len(got) > 60)

    def test_stream_client_sends_more_than_the_ring_holds(self) -> None:
        """Dropped and counted, and the next one passes."""
        five_tuple = FiveTuple("tcp", self.server, self.server)
        relay, _ = self.open(five_tuple)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        frame = encode_channel_data(0x4000, bytes(60000), stream=True)
        until = time.monotonic() + 10
        while self.plane.counters.streams_dropped == 0:
            for _ in range(200):
                self.plane.stream_received(five_tuple, frame)
            self.assertLess(time.monotonic(), until)

    def test_frames_of_one_wake_up_come_together(self) -> None:
        """So that they leave in one write; whole, padded and in order."""
        got: list[list[bytes]] = []
        five_tuple = FiveTuple("tcp", self.server, self.server)
        self.plane.attach_stream(five_tuple, lambda frame: None, got.append)
        relay, relayed = self.open(five_tuple)
        peer = self.endpoint()
        self.plane.permit(relay, self.host, self.now + 300, own_only=False)
        self.plane.bind(relay, 0x4000, address_of(peer), self.now + 600)
        settled: list[bool] = []
        self.plane.settled(lambda: settled.append(True))
        self.settle(lambda: bool(settled))
        sent = [bytes([at]) * at for at in range(9)]
        for payload in sent:
            peer.sendto(payload, relayed)
        self.settle(lambda: sum(map(len, got)) == len(sent))
        frames = [encode_channel_data(0x4000, each, stream=True) for each in sent]
        self.assertEqual([each for many in got for each in many], frames)
        self.assertEqual(len(got), 1)

    def test_streams_speak_to_each_other(self) -> None:
        """Hairpin from stream to stream, as indication and as channel."""
        got: dict[str, list[bytes]] = {"ann": [], "bob": []}
        ends = {}
        for at, name in enumerate(got):
            five = FiveTuple("tls", self.server._replace(port=at + 1), self.server)
            self.plane.attach_stream(five, got[name].append)
            relay, relayed = self.open(five)
            self.plane.permit(relay, self.host, self.now + 300, own_only=True)
            ends[name] = (five, relay, relayed)
        bob_relayed = ends["bob"][2]
        self.plane.bind(ends["bob"][1], 0x4001, ends["ann"][2], self.now + 600)
        self.plane.stream_received(ends["ann"][0], send_indication(bob_relayed, b"hi"))
        self.settle(lambda: bool(got["bob"]))
        frame = encode_channel_data(0x4001, b"hi", stream=True)
        self.assertEqual(got["bob"], [frame])
        self.plane.stream_received(ends["bob"][0], frame)
        self.settle(lambda: bool(got["ann"]))
        message = parse(got["ann"][0])
        self.assertEqual(message.first(XOR_PEER_ADDRESS), bob_relayed)
        self.assertEqual(message.first(DATA), b"hi")


class LifeTests(NativeCase):
    """The thread begins in start() and ends in stop()."""

    def test_thread_begins_with_start_and_ends_with_stop(self) -> None:
        """So that a daemon's fork has none yet, and the interpreter none left."""
        mine = [n for n, name in threads().items() if name == "mosaic-relay"]
        self.assertEqual(len(mine), 1)
        self.plane.stop()
        self.assertNotIn("mosaic-relay", threads().values())

    def test_importing_starts_nothing(self) -> None:
        """Threads do not survive the fork of a daemon."""
        look = (
            "import os, mosaic.relay.native; print(len(os.listdir('/proc/self/task')))"
        )
        text = subprocess.run(
            [sys.executable, "-c", look],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        if "No module named 'mosaic.relay._plane'" not in text.stderr:
            self.assertEqual(text.stdout.strip(), "1", text.stderr)

    def test_signals_are_for_others(self) -> None:
        """Every signal is blocked in the thread."""
        number = next(n for n, name in threads().items() if name == "mosaic-relay")
        status = Path(f"/proc/self/task/{number}/status").read_text()
        line = next(x for x in status.splitlines() if x.startswith("SigBlk:"))
        blocked = int(line.split()[1], 16)
        for wanted in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
            self.assertTrue(blocked >> (wanted - 1) & 1, wanted)

    def test_starts_again_and_counts_on(self) -> None:
        """A service may be stopped and started; counters only grow."""
        sock = self.endpoint()
        sock.sendto(b"\xff" * 4, self.server)
        self.settle(lambda: self.plane.counters.not_stun == 1)
        self.plane.stop()
        self.plane.stop()
        self.assertEqual(self.plane.counters.not_stun, 1)
        self.plane.start(lambda data, five: self.controls.append((data, five)))
        again = self.plane.listen(self.listen_host, 0)
        sock.sendto(b"\xff" * 4, again)
        self.settle(lambda: self.plane.counters.not_stun == 2)
        sock.sendto(ALLOCATE, again)
        self.settle(lambda: len(self.controls) == 1)

    def test_no_descriptor_is_left_behind(self) -> None:
        """Relays, listeners, event descriptors."""
        before = len(os.listdir("/proc/self/fd"))
        readers = Readers()
        plane = choose_plane(readers, ports=PORTS, clock=self.clock)
        plane.start(lambda data, five: None)
        plane.listen(self.host, 0)
        five_tuple = FiveTuple("udp", self.server, self.server)
        for relay in range(1, 70):
            plane.open_relay(
                relay, five_tuple, bind=self.host, advertise=self.host, expires_at=1e9
            )
        plane.stop()
        del plane
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_thread_sleeps_when_nothing_comes(self) -> None:
        """No wake-ups of its own: an idle server costs nothing."""
        number = next(n for n, name in threads().items() if name == "mosaic-relay")
        path = Path(f"/proc/self/task/{number}/stat")
        self.client()

        def used() -> int:
            fields = path.read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = used()
        select.select([], [], [], 0.3)
        self.assertLess(used() - before, 3)


class ChoiceTests(SynchronousTestCase):
    """Which plane an installation gets."""

    def test_native_where_it_was_built(self) -> None:
        """By default."""
        need_native()
        plane: Any = choose_plane(Readers(), ports=PORTS, clock=time.monotonic)
        self.assertEqual(type(plane).__name__, "NativePlane")

    def test_pure_when_asked_for(self) -> None:
        """MOSAIC_PURE_PYTHON=1 at run time."""
        self.patch(os, "environ", {**os.environ, "MOSAIC_PURE_PYTHON": "1"})
        self.assertFalse(is_native())
        plane: Any = choose_plane(Readers(), ports=PORTS, clock=time.monotonic)
        self.assertIsInstance(plane, PurePlane)

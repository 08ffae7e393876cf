"""Small frames go the short way, with Autobahn as the oracle; pings; writes."""

# Autobahn and Twisted's test transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerProtocol
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp.compat import YConnection, check_y
from mosaic.services.drcp.connection import Connection
from mosaic.services.drcp.direct import eager_write
from mosaic.services.drcp.heartbeat import LOOK_S, Heartbeat
from mosaic.services.drcp.sockets import Socket, SocketFactory, masks_natively
from mosaic.wire.drcp.frames import begins_small_frame, small_frames
from mosaic.wire.drcp.native import PING_S
from tests.support.drcp import HUB, FakeWire, Hub

LIMIT = 300
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


class Listener:
    """In place of a Connection: what came, and an end at a certain message."""

    outbound = None

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.heard: list[bytes] = []
        wire.limit_messages(LIMIT)

    def frame_received(self, frame: bytes) -> None:
        """Remember it; `!` closes."""
        self.heard.append(frame)
        if frame == b"!":
            self.close(4400, "as you wish")

    def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        self.wire.close(code, reason)

    def lost(self) -> None:
        """The socket is gone."""


class Factory(SocketFactory):
    """Every socket gets a Listener."""

    def connect(self, socket: Socket, request: Any) -> Connection:
        """The listener."""
        return cast(Connection, Listener(socket))


class Transport(StringTransport):
    """Knows how Autobahn drops a connection."""

    def abortConnection(self) -> None:
        """As closing."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Nothing is ever full here."""

    def unregisterProducer(self) -> None:
        """There is none."""


def opened(slow: bool) -> tuple[Socket, Listener, Transport, Hub]:
    """A socket after its handshake; slow: all frames go through Autobahn."""
    hub = Hub()
    factory = Factory(hub.service)
    if slow:
        way_of_autobahn = {"dataReceived": WebSocketServerProtocol.dataReceived}
        factory.protocol = type("Slow", (factory.protocol,), way_of_autobahn)
    made: Any = factory.buildProtocol(None)
    transport = Transport()
    made.makeConnection(transport)
    made.dataReceived(HANDSHAKE)
    hub.clock.advance(0)
    transport.clear()
    return made, made.connection, transport, hub


def frame(
    payload: bytes, *, first: int = 0x82, mask: bytes | None = b"\1\2\3\4"
) -> bytes:
    """One frame as a client sends it."""
    size, bit = len(payload), 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    clear = bytes(byte ^ mask[n & 3] for n, byte in enumerate(payload))
    return head + mask + clear


masks = st.binary(min_size=4, max_size=4)
small = st.builds(
    lambda payload, mask: frame(payload, mask=mask),
    st.binary(max_size=60) | st.binary(min_size=120, max_size=140) | st.just(b"!"),
    masks,
)
others = st.one_of(
    # fragments, whole messages of them and astray
    st.builds(
        lambda a, b: (
            frame(a, first=0x02) + frame(b"ping", first=0x89) + frame(b, first=0x80)
        ),
        st.binary(max_size=20),
        st.binary(max_size=20),
    ),
    st.builds(lambda a: frame(a, first=0x02), st.binary(max_size=9)),
    st.builds(lambda a: frame(a, first=0x80), st.binary(max_size=9)),
    # control frames
    st.builds(lambda a: frame(a, first=0x89), st.binary(max_size=9)),
    st.builds(lambda a: frame(a, first=0x8A), st.binary(max_size=9)),
    st.just(frame(b"\x03\xe8", first=0x88)),
    # texts, too large ones, unmasked ones, reserved bits, longer than need be
    st.just(frame(b"text", first=0x81)),
    st.just(frame(bytes(LIMIT + 1))),
    st.just(frame(b"bare", mask=None)),
    st.just(frame(b"reserved", first=0xC2)),
    st.just(b"\x82\xfe\x00\x05\1\2\3\4hello"),
    st.just(b"\x82\xff" + (5).to_bytes(8, "big") + b"\1\2\3\4hello"),
    st.just(frame(bytes(70_000))),
    st.binary(min_size=1, max_size=12),
)
streams = st.lists(small | others, min_size=1, max_size=8).map(b"".join)


def listen(slow: bool, pieces: list[bytes]) -> tuple[Any, ...]:
    """What a socket hears, answers and becomes."""
    made, listener, transport, _ = opened(slow)
    for piece in pieces:
        if transport.disconnecting:
            break
        made.dataReceived(piece)
    return listener.heard, transport.value(), made.state, transport.disconnecting


class OracleTests(SynchronousTestCase):
    """The short way hears, answers and refuses what Autobahn does."""

    @settings(max_examples=300, deadline=None)
    @given(streams, st.data())
    def test_any_stream_cut_anywhere(self, stream: bytes, data: st.DataObject) -> None:
        """Frames of every kind, good and bad, in pieces of any size."""
        cuts = sorted(
            data.draw(st.lists(st.integers(0, len(stream)), max_size=6), label="cuts")
        )
        edges = [0, *cuts, len(stream)]
        pieces = [stream[a:b] for a, b in pairwise(edges) if a < b]
        self.assertEqual(listen(False, pieces), listen(True, pieces))

    def test_every_split(self) -> None:
        """Small ones, one with a 16-bit length, a fragmented one and a ping,
        cut in two at each byte, and byte by byte."""
        stream = (
            frame(b"one") + frame(b"") + frame(b"x" * 130) + frame(b"a", first=0x02)
            + frame(b"b", first=0x80) + frame(b"p", first=0x89) + frame(b"last")
        )  # fmt: skip
        wanted = ([b"one", b"", b"x" * 130, b"ab", b"last"], b"\x8a\x01p")
        for cut in range(len(stream) + 1):
            heard = listen(False, [p for p in (stream[:cut], stream[cut:]) if p])
            self.assertEqual(heard[:2], wanted, cut)
        single = [stream[n : n + 1] for n in range(len(stream))]
        self.assertEqual(listen(False, single)[:2], wanted)

    def test_nothing_is_heard_after_the_close(self) -> None:
        """The frames behind one that closed are Autobahn's again."""
        stream = frame(b"!") + frame(b"late") + frame(b"p", first=0x89)
        self.assertEqual(listen(False, [stream]), listen(True, [stream]))

    def test_the_short_way_is_taken(self) -> None:
        """Autobahn sees no small frame, not even one that comes in halves."""
        made, listener, _, _ = opened(slow=False)
        setattr(made, "processData", None)  # noqa: B010  # it would be called
        whole = frame(b"half") + frame(b"x" * 200)
        made.dataReceived(whole[:7])
        made.dataReceived(whole[7:20])
        made.dataReceived(whole[20:])
        self.assertEqual(listener.heard, [b"half", b"x" * 200])

    @given(st.binary(max_size=40), st.integers(0, 70_000))
    def test_any_bytes_are_safe(self, data: bytes, limit: int) -> None:
        """The parser gives frames or nothing."""
        at = 0
        for _, at in small_frames(data, limit):
            self.assertLessEqual(at, len(data))
        begins_small_frame(data, at, limit)


class SocketTests(SynchronousTestCase):
    """One connection."""

    def test_masks_in_c(self) -> None:
        """Autobahn's NVX is there: long frames are not unmasked byte by byte."""
        self.assertTrue(masks_natively())

    def test_the_handshake_is_forgotten(self) -> None:
        """An idle connection holds neither its request nor Autobahn's options."""
        made, _, _, _ = opened(slow=False)
        for name in ("http_headers", "http_request_data", "_asked", "send_queue"):
            self.assertNotIn(name, made.__dict__)
        self.assertNotIn("maxConnections", made.__dict__)
        self.assertLess(len(made.__dict__), 50)

    def test_a_silent_peer_is_dropped(self) -> None:
        """A ping after twenty seconds; forty without a sign of life are the end."""
        made, _, transport, hub = opened(slow=False)
        hub.clock.pump([LOOK_S] * int(PING_S + 1))
        self.assertEqual(transport.value(), b"\x89\x00")
        made.dataReceived(frame(b"", first=0x8A))
        hub.clock.pump([LOOK_S] * int(PING_S + 1))
        self.assertFalse(transport.disconnecting)
        hub.clock.pump([LOOK_S] * int(PING_S + 1))
        self.assertTrue(transport.disconnecting)
        self.flushWarnings()


class AdmittedTests(SynchronousTestCase):
    """The door for stock clients, which looks at the token before it opens."""

    def test_it_looks_once(self) -> None:
        """The store is asked at the handshake, and not again."""
        hub = Hub()
        token = hub.token("ada")
        looked = check_y(hub.service, HUB, "board", token)
        admitted = self.successResultOf(Deferred.fromCoroutine(looked))
        self.patch(hub.service, "admit", None)
        wire = FakeWire()
        YConnection(hub.service, wire, HUB, "board", token, admitted=admitted)
        self.assertTrue(wire.messages())


class Heart:
    """A socket that counts."""

    def __init__(self) -> None:
        self.heard = False
        self.pings = self.ends = 0

    def ping(self) -> None:
        """Count."""
        self.pings += 1

    def give_up(self) -> None:
        """Count."""
        self.ends += 1


class HeartbeatTests(SynchronousTestCase):
    """One timer for all sockets."""

    def test_each_in_its_turn(self) -> None:
        """Sockets are pinged twenty seconds after they came, not all at once."""
        clock = Clock()
        beat = Heartbeat(clock)
        beat.start()
        early, late, gone = Heart(), Heart(), Heart()
        beat.add(early)
        beat.add(gone)
        beat.remove(gone)
        clock.pump([LOOK_S] * 5)
        beat.add(late)
        clock.pump([LOOK_S] * 16)
        self.assertEqual((early.pings, late.pings, gone.pings), (1, 0, 0))
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.pump([LOOK_S] * 20)
        self.assertEqual((early.ends, late.pings, late.ends), (1, 1, 0))
        beat.stop()


class Kernel:
    """A socket that takes as much as it is told to."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken = b""

    def send(self, data: Any) -> int:
        """Some of it."""
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


class EagerTests(SynchronousTestCase):
    """Bytes are with the kernel when write returns, and in order."""

    def transport(self, room: int) -> tuple[Any, Kernel, Callable[[bytes], None]]:
        """Twisted's own TCP transport on a made-up socket."""
        kernel = Kernel(room)
        made: Any = tcp.Server.__new__(tcp.Server)
        tcp.Connection.__init__(
            made, cast(Any, kernel), cast(Any, None), cast(Any, None)
        )
        made.connected = 1
        made.startWriting = made.stopWriting = lambda: None
        return made, kernel, eager_write(made)

    def test_at_once(self) -> None:
        """Nothing waits for the reactor."""
        made, kernel, write = self.transport(100)
        write(b"one")
        self.assertEqual((kernel.taken, made._tempDataBuffer), (b"one", []))

    def test_the_rest_waits_and_keeps_its_place(self) -> None:
        """What the kernel does not take goes before what is written later,
        even when there is room again."""
        made, kernel, write = self.transport(4)
        write(b"first")
        kernel.room = 100
        write(b"second")
        made.doWrite()
        self.assertEqual(kernel.taken, b"firstsecond")

    def test_a_full_socket(self) -> None:
        """Everything waits; the producer is paused past the transport's mark."""
        made, _, write = self.transport(0)
        paused = []
        producer = type("P", (), {"pauseProducing": lambda self: paused.append(1)})()
        made.producer, made.streamingProducer = producer, True
        write(bytes(100_000))
        self.assertEqual((len(made._tempDataBuffer[0]), paused), (100_000, [1]))

    def test_transports_of_other_kinds_are_left_alone(self) -> None:
        """They know how to write."""
        transport = StringTransport()
        self.assertEqual(eager_write(transport), transport.write)

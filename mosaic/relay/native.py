"""The native data plane: packets move in a thread of C, without the GIL.

The thread owns the tables and the sockets (plane.c). Commands go to it in a
list; STUN messages, frames for stream clients and settled tickets come back as
records, and the reactor is told by an event descriptor.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay._plane import (  # type: ignore[import-not-found,unused-ignore] # built from C
    ffi,
    lib,
)
from mosaic.relay.interface import (
    Control,
    Joining,
    Lender,
    NoRelayPort,
    PlaneCounters,
    Sink,
)
from mosaic.relay.packing import five_tuple_of, packed
from mosaic.relay.ports import QUARANTINE_S, RelayPorts
from mosaic.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    RELAY_BUFFER_BYTES,
    WILDCARDS,
    open_udp,
    tell_destination,
)
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.forwarding import SEND_TYPE, STREAMS
from mosaic.wire.turn.nonce import ChallengeTerms

# size, kind, number, client, server, length of what follows, unused
_RECORD = struct.Struct("=IIQ20s20sII")
_FRAME_RECORD = struct.Struct("=IIQ40xI4x")
_CONTROL, _FRAME, _SETTLED, _STREAM_CONTROL, _STREAM_GONE = 1, 2, 3, 5, 6
_BROKEN_AT = 60
_UNREAD_BYTES = 192 << 10
_UNSENT_SLACK = 128 << 10
_TAKE_BYTES = 512 << 10
_TAKES = 4
_NO_RELAY = (0,)
_PADDED = 0x8000
_NS = 1_000_000_000
COUNTERS = (
    "from_clients",
    "from_clients_bytes",
    "from_peers",
    "from_peers_bytes",
    "hairpins",
    "from_clients_no_route",
    "from_peers_no_route",
    "to_clients_failed",
    "to_peers_failed",
    "to_peers_refused",
    "over_limit",
    "icmp",
    "not_stun",
    "bindings",
    "bindings_over_budget",
    "challenges",
    "challenges_over_budget",
    "challenges_too_short",
    "controls_dropped",
    "frames_dropped",
    "stream_frames_dropped",
)
"""In the order of plane.c."""


class _Lent(NamedTuple):
    """A connection that the thread has."""

    number: int
    lender: Lender
    queue_bytes: int


def _open_relay(host: str, port: int) -> int:
    """The descriptor of a relay's socket; raises OSError."""
    if "%" in host:  # a scope, which addresses of the thread have none of
        return open_udp(host, port, RELAY_BUFFER_BYTES).detach()
    fd = int(lib.plane_socket(packed(host, port), RELAY_BUFFER_BYTES))
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))
    return fd


@implementer(IReadDescriptor)
class NativePlane:
    """See `mosaic.relay.interface.RelayPlane`; it has every ability.

    ports: first and last relay port. clock: seconds, never backwards; the
    thread has its own, and is told what is left of each time.
    answer_bindings: plain Binding requests are answered in the thread, at most
    bindings_per_s (and a burst of them) for a /24 or /56.
    quarantine_s: how long a freed port rests.
    """

    abilities = frozenset(("dual", "reserve", "move", "df", "icmp"))

    def __init__(
        self,
        reactor: IReactorFDSet,
        *,
        ports: tuple[int, int],
        clock: Callable[[], float],
        quarantine_s: float = QUARANTINE_S,
        answer_bindings: bool = True,
        bindings_per_s: float = 1000.0,
        bindings_burst: float = 4000.0,
    ) -> None:
        self._reactor = reactor
        self._ports = RelayPorts(
            ports, opens=_open_relay, closes=os.close, rest_s=quarantine_s, clock=clock
        )
        self._held: dict[int, tuple[int, str, int]] = {}
        self._clock = clock
        self._bindings = (answer_bindings, bindings_per_s, bindings_burst)
        self._control: Control = lambda data, five_tuple: None
        self._plane: Any = None
        self._take = ffi.new("unsigned char[]", _TAKE_BYTES)
        self._taken = memoryview(ffi.buffer(self._take))
        self._dropped = ffi.new("int *")
        self._counters = PlaneCounters()
        self._before = [0] * len(COUNTERS)
        self._failed = 0
        self._local: set[str] = set()
        self._relayed: dict[int, tuple[str, int]] = {}
        self._sinks: dict[FiveTuple, Sink] = {}
        self._joining: dict[FiveTuple, Joining] = {}
        self._transports = {"udp": 0}
        self._last_lent = 0
        self._lent: dict[FiveTuple, _Lent] = {}
        self._lenders: dict[int, Lender] = {}
        self._numbers_of: dict[FiveTuple, list[int]] = {}
        self._relays_of: dict[FiveTuple, list[int]] = {}
        self._stream_of: dict[int, FiveTuple] = {}
        self._commands = self._done = self._tickets = 0
        self._waiting: dict[int, tuple[int, Callable[[], None]]] = {}
        self._in_batch = self._to_wake = False
        self._more = ffi.new("int *")

    # Life

    def start(self, control: Control) -> None:
        """Start the thread (after daemonising: a fork would lose it).

        Raises OSError if the machine gives no thread or descriptors.
        """
        self._control = control
        plane = lib.plane_new(*self._bindings)
        if plane == ffi.NULL:
            raise OSError("no memory or descriptors for the data plane")
        self._plane = ffi.gc(plane, lib.plane_free)
        error = lib.plane_start(self._plane)
        if error:
            self._plane = None
            raise OSError(error, os.strerror(error))
        self._reactor.addReader(self)

    def stop(self) -> None:
        """End the thread, which closes every socket."""
        if self._plane is None:
            return
        self._reactor.removeReader(self)
        lib.plane_stop(self._plane)
        self._before = self._counted()
        self._plane = None
        for relay in list(self._relayed):
            self._forget(relay)
        for relay in list(self._held):
            self._let_go(relay)
        for held in (self._local, self._sinks, self._waiting):
            held.clear()
        self._joining.clear()
        for lent in (self._lent, self._lenders, self._numbers_of):
            lent.clear()
        self._done = self._commands

    def fileno(self) -> int:
        """Readable when the thread has something to say."""
        return -1 if self._plane is None else int(lib.plane_event_fd(self._plane))

    def logPrefix(self) -> str:
        """Twisted's name for this reader."""
        return "turn-plane"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up on the descriptor (at its end)."""
        self.stop()

    # Counters

    @property
    def counters(self) -> PlaneCounters:
        """What has moved so far; one object, brought up to date."""
        for name, value in zip(COUNTERS, self._counted(), strict=True):
            setattr(self._counters, name, value)
        self._counters.to_clients_failed += self._failed
        return self._counters

    def _counted(self) -> list[int]:
        if self._plane is None:
            return self._before
        now = ffi.new("uint64_t[]", len(COUNTERS))
        lib.plane_counters(self._plane, now, len(COUNTERS))
        return [old + new for old, new in zip(self._before, now, strict=True)]

    # Listeners and clients

    def listen(self, host: str, port: int) -> Address:
        """Open a UDP listener; raises OSError."""
        sock = open_udp(host, port, LISTENER_BUFFER_BYTES)
        wildcard = host in WILDCARDS
        if wildcard:
            tell_destination(sock)
        name = sock.getsockname()
        bound = Address(name[0], name[1])
        plane = self._running()
        self._command(lib.plane_listen(plane, sock.detach(), packed(*bound), wildcard))
        return bound

    def challenge_with(self, terms: ChallengeTerms) -> None:
        """Challenge strangers in the thread from now on."""
        plane, now = self._running(), int(self._clock() * _NS)
        key, realm, proof_bytes, features = terms
        size = len(realm)
        if lib.plane_challenge(plane, key, realm, size, proof_bytes, features, now):
            raise ValueError(f"no challenges of {terms.realm!r}")

    def _running(self) -> Any:
        if self._plane is None:
            raise OSError("the data plane is not started")
        return self._plane

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer, after every command so far has taken effect."""
        if self._plane is None:
            return
        if to.transport == "udp":
            client, server = packed(*to.client), packed(*to.server)
            lib.plane_send(self._plane, client, server, data, len(data))
            self._wake()
        elif to in self._lent:
            self._send_lent(to, data)
        elif self._done == self._commands:
            self._deliver(to, data)
        else:
            self.settled(partial(self._deliver, to, data))

    def _send_lent(self, to: FiveTuple, data: bytes) -> None:
        number = self._lent[to].number
        self._command(lib.plane_send_stream(self._plane, number, data, len(data)))

    def _deliver(self, to: FiveTuple, data: bytes) -> None:
        if to in self._lent:
            self._send_lent(to, data)
            return
        sink = self._sinks.get(to)
        if sink is None:
            self._failed += 1
        else:
            sink(data)

    def attach_stream(
        self, five_tuple: FiveTuple, sink: Sink, many: Joining | None = None
    ) -> None:
        """A TCP or TLS client has connected."""
        self._sinks[five_tuple] = sink
        if many is not None:
            self._joining[five_tuple] = many

    def detach_stream(self, five_tuple: FiveTuple) -> None:
        """It has gone."""
        self._sinks.pop(five_tuple, None)
        self._joining.pop(five_tuple, None)
        # what the thread has said of it may still lie in a ring until now
        for number in self._numbers_of.pop(five_tuple, ()):
            del self._lenders[number]
        lent = self._lent.pop(five_tuple, None)
        if lent is not None and self._plane is not None:
            self._command(lib.plane_leave(self._plane, lent.number))

    def adopt(
        self,
        five_tuple: FiveTuple,
        fd: int,
        unread: bytes,
        lender: Lender,
        *,
        queue_bytes: int,
        queue_s: float,
    ) -> None:
        """The thread reads and writes a TCP client's connection from now on."""
        plane, own = self._running(), os.dup(fd)
        self._last_lent += 1
        number = self._last_lent
        self._lent[five_tuple] = _Lent(number, lender, queue_bytes)
        self._lenders[number] = lender
        self._numbers_of.setdefault(five_tuple, []).append(number)
        client, server = packed(*five_tuple.client), packed(*five_tuple.server)
        transport, queue_ns = self._transport(five_tuple), int(queue_s * _NS)
        self._command(
            lib.plane_adopt(
                plane,
                number,
                own,
                client,
                server,
                transport,
                unread,
                len(unread),
                queue_bytes,
                queue_ns,
            )
        )

    def _give_back(self, five_tuple: FiveTuple) -> None:
        """Its last relay has ended."""
        lent = self._lent.pop(five_tuple, None)
        if lent is None:
            return
        room = lent.queue_bytes + _UNSENT_SLACK
        unread = ffi.new("unsigned char[]", _UNREAD_BYTES)
        unsent, unsent_size = ffi.new("unsigned char[]", room), ffi.new("int *")
        size = lib.plane_give_back(
            self._plane, lent.number, unread, _UNREAD_BYTES, unsent, room, unsent_size
        )
        if size < 0:
            lent.lender.lent_lost(broken=False)
            return
        waits = bytes(ffi.buffer(unsent, unsent_size[0]))
        lent.lender.given_back(bytes(ffi.buffer(unread, size)), waits)

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message from a stream client."""
        if message[0] < 0x40 and message[:2] != SEND_TYPE:
            self._control(message, five_tuple)
        elif self._plane is not None:
            relay = self._relays_of.get(five_tuple, _NO_RELAY)[0]
            size = len(message)
            if lib.plane_stream(self._plane, relay, message, size):
                self._counters.streams_dropped += 1
            self._wake()

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """The data messages that a read begins with, in one call."""
        if self._plane is None:
            return 0
        relay = self._relays_of.get(five_tuple, _NO_RELAY)[0]
        dropped = self._dropped
        taken = lib.plane_stream_run(self._plane, relay, data, len(data), dropped)
        if dropped[0]:
            self._counters.streams_dropped += dropped[0]
            dropped[0] = 0
        return int(taken)

    # Commands

    def _command(self, failed: int) -> None:
        if failed:
            raise MemoryError
        self._commands += 1
        self._wake()

    def _wake(self) -> None:
        if self._in_batch:
            self._to_wake = True
        else:
            lib.plane_wake(self._plane)

    def _until(self, expires_at: float) -> int:
        """The thread's time for one of ours."""
        left = int((expires_at - self._clock()) * _NS)
        return int(lib.plane_now(self._plane)) + left

    def open_relay(
        self,
        relay: int,
        five_tuple: FiveTuple,
        *,
        bind: str,
        advertise: str,
        expires_at: float,
        even: bool = False,
        bytes_per_s: float = 0.0,
        user: int = 0,
        reserve: int = 0,
        claims: int = 0,
    ) -> Address:
        """Open a relay's socket; raises RelayError."""
        plane = self._running()
        transport, client, server = five_tuple
        fd, host, port = self._take_socket(bind, even, reserve, claims)
        self._know((bind, advertise, server.host))
        self._relayed[relay] = host, port
        number = 0
        if transport != "udp":
            number = self._transport(five_tuple)
            self._place(relay, five_tuple)
        self._command(
            lib.plane_open(
                plane,
                relay,
                fd,
                packed(*client),
                packed(*server),
                packed(advertise, port),
                number,
                self._until(expires_at),
                bytes_per_s,
                user,
            )
        )
        return Address(advertise, port)

    def _take_socket(
        self, bind: str, even: bool, reserve: int, claims: int
    ) -> tuple[int, str, int]:
        """A held one, one of a pair, or any: descriptor, host and port. Raises
        RelayError."""
        if claims:
            held = self._held.pop(claims, None)
            if held is None:
                raise NoRelayPort("the port is held no longer")
            return held

        if reserve:
            fd, after, port = self._ports.open_pair(bind)
            self._held[reserve] = after, bind, port + 1
            return fd, bind, port
        fd, port = self._ports.open(bind, even=even)
        return fd, bind, port

    def _know(self, hosts: tuple[str, ...]) -> None:
        """Tell the thread which addresses are this machine's."""
        for host in hosts:
            if host not in self._local:
                self._local.add(host)
                self._command(lib.plane_local_host(self._plane, packed(host, 0)))

    def _transport(self, five_tuple: FiveTuple) -> int:
        """The thread's number for a transport."""
        name = five_tuple.transport
        number = self._transports.setdefault(name, len(self._transports))
        return number | _PADDED if name in STREAMS else number

    def _place(self, relay: int, five_tuple: FiveTuple) -> None:
        """Frames of this relay go to that stream, and the stream's to it."""
        if five_tuple.transport != "udp":
            self._relays_of.setdefault(five_tuple, []).append(relay)
            self._stream_of[relay] = five_tuple

    def _displace(self, relay: int) -> None:
        five_tuple = self._stream_of.pop(relay, None)
        if five_tuple is not None:
            self._relays_of[five_tuple].remove(relay)
            if not self._relays_of[five_tuple]:
                del self._relays_of[five_tuple]

    def move(self, relay: int, five_tuple: FiveTuple) -> None:
        """The client is reached over another five-tuple from now on."""
        if relay in self._relayed:
            self._know((five_tuple.server.host,))
            self._displace(relay)
            self._place(relay, five_tuple)
            client, server = packed(*five_tuple.client), packed(*five_tuple.server)
            transport = self._transport(five_tuple)
            self._command(lib.plane_move(self._plane, relay, client, server, transport))

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Another limit for an allocation; 0 lifts it."""
        if relay in self._relayed:
            self._command(lib.plane_limit(self._plane, relay, bytes_per_s))

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """A limit that a user's allocations share; 0 lifts it."""
        if self._plane is not None:
            self._command(lib.plane_limit_user(self._plane, user, bytes_per_s))

    def extend(self, relay: int, expires_at: float) -> None:
        """The allocation passes packets until then."""
        if relay in self._relayed:
            until = self._until(expires_at)
            self._command(lib.plane_extend(self._plane, relay, until))

    def permit(
        self, relay: int, host: str, expires_at: float, *, own_only: bool
    ) -> None:
        """Install or refresh a permission."""
        if relay in self._relayed:
            until = self._until(expires_at)
            at = packed(host, 0)
            self._command(lib.plane_permit(self._plane, relay, at, until, own_only))

    def bind(self, relay: int, channel: int, peer: Address, expires_at: float) -> None:
        """Bind or refresh a channel."""
        if relay in self._relayed:
            until = self._until(expires_at)
            at = packed(*peer)
            self._command(lib.plane_bind(self._plane, relay, channel, at, until))

    def close(self, relay: int) -> None:
        """End a relay, or free a port that is held."""
        if relay in self._held:
            self._let_go(relay)
        if relay in self._relayed:
            five_tuple = self._stream_of.get(relay)
            self._forget(relay)
            self._command(lib.plane_close(self._plane, relay))
            if five_tuple is not None and five_tuple not in self._relays_of:
                self._give_back(five_tuple)

    def _let_go(self, held: int) -> None:
        fd, host, port = self._held.pop(held)
        self._ports.freed(host, port)
        os.close(fd)

    def _forget(self, relay: int) -> None:
        self._ports.freed(*self._relayed.pop(relay))
        self._displace(relay)

    def settled(self, done: Callable[[], None]) -> None:
        """Call back when the thread has run every command so far."""
        if self._plane is None:
            return
        self._tickets += 1
        self._waiting[self._tickets] = (self._commands, done)
        if lib.plane_settle(self._plane, self._tickets):
            raise MemoryError
        self._wake()

    # What the thread says

    def doRead(self) -> None:
        """Take what is there, but leave the reactor its turn."""
        self._in_batch = True
        try:
            for _ in range(_TAKES):
                if not self._take_some():
                    return
            lib.plane_again(self._plane)
        finally:
            wake, self._in_batch, self._to_wake = self._to_wake, False, False
            if wake and self._plane is not None:
                lib.plane_wake(self._plane)

    def _take_some(self) -> bool:
        """Perform some records; False when there are none, or we have stopped."""
        used = lib.plane_take(self._plane, self._take, _TAKE_BYTES, self._more)
        taken, at = self._taken, 0
        frames: dict[int, list[bytes]] = {}
        while at < used and self._plane is not None:
            size, kind, number, length = _FRAME_RECORD.unpack_from(taken, at)
            start = at + _RECORD.size
            data = bytes(taken[start : start + length])
            if kind == _FRAME:
                frames.setdefault(number, []).append(data)
            elif kind == _CONTROL:
                _, _, _, client, server, _, _ = _RECORD.unpack_from(taken, at)
                self._control(data, five_tuple_of(client, server))
            elif kind == _SETTLED:
                self._settle(number)
            elif kind == _STREAM_CONTROL:
                lender = self._lenders.get(number)
                if lender is not None:
                    lender.lent_received(data)
            elif kind == _STREAM_GONE:
                lender = self._lenders.get(number)
                if lender is not None:
                    lender.lent_lost(broken=taken[at + _BROKEN_AT] != 0)
            at += size
        for number, found in frames.items():
            five_tuple = self._stream_of.get(number)
            if five_tuple is not None:
                self._deliver_all(five_tuple, found)
        return self._more[0] != 0 and self._plane is not None

    def _deliver_all(self, to: FiveTuple, frames: list[bytes]) -> None:
        """All that came for one stream in this wake-up."""
        sink = self._joining.get(to)
        if sink is not None:
            sink(frames)
        else:
            for frame in frames:
                self._deliver(to, frame)

    def _settle(self, ticket: int) -> None:
        held = self._waiting.pop(ticket, None)
        if held is not None:
            self._done, done = held
            done()

    # For tests

    def turn_forward(self, seconds: float) -> None:
        """Let time pass for the thread at once."""
        if self._plane is not None:
            lib.plane_turn_forward(self._plane, round(seconds * _NS))

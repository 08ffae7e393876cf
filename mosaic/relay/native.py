"""The native data plane: packets move in a thread of C, without the GIL.

The thread owns the tables and the sockets (plane.c). Here is what it is told of
listeners, clients and relays; `thread` has how commands and records travel.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IReactorFDSet

from mosaic.relay._plane import (  # type: ignore[import-not-found,unused-ignore] # built from C
    ffi,
    lib,
)
from mosaic.relay.granting import GRANT, Passes
from mosaic.relay.interface import (
    Grant,
    Granting,
    Joining,
    Lender,
    NoRelayPort,
    Secured,
    Sink,
)
from mosaic.relay.lent import LentConnections
from mosaic.relay.packing import new_tuple, packed
from mosaic.relay.ports import QUARANTINE_S, RelayPorts
from mosaic.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    RELAY_BUFFER_BYTES,
    WILDCARDS,
    open_udp,
    tell_destination,
)
from mosaic.relay.thread import NS, PlaneThread
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.forwarding import SEND_TYPE, STREAMS
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.nonce import ChallengeTerms

_NO_RELAY = (0,)
_PADDED = 0x8000


def _open_relay(host: str, port: int) -> int:
    """The descriptor of a relay's socket; raises OSError."""
    if "%" in host:  # a scope, which addresses of the thread have none of
        return open_udp(host, port, RELAY_BUFFER_BYTES).detach()
    fd = int(lib.plane_socket(packed(host, 0), port, RELAY_BUFFER_BYTES))
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))
    return fd


class NativePlane(PlaneThread):
    """See `mosaic.relay.interface.RelayPlane`; it has every ability.

    ports: first and last relay port. clock: seconds, never backwards; the
    thread has its own, and is told what is left of each time.
    answer_bindings: plain Binding requests are answered in the thread, at most
    bindings_per_s (and a burst of them) for a /24 or /56.
    quarantine_s: how long a freed port rests. preserve_dscp: packets leave with
    the traffic class that they came with.
    """

    abilities = frozenset(("dual", "reserve", "move", "df", "icmp", "admit"))

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
        preserve_dscp: bool = False,
    ) -> None:
        super().__init__(
            reactor,
            clock=clock,
            options=(answer_bindings, bindings_per_s, bindings_burst, preserve_dscp),
        )
        self._ports = RelayPorts(
            ports, opens=_open_relay, closes=os.close, rest_s=quarantine_s, clock=clock
        )
        self._held: dict[int, tuple[int, str, int]] = {}
        self._dropped = ffi.new("int *")
        self._local: set[str] = set()
        self._relayed: dict[int, tuple[str, int]] = {}
        self._sinks: dict[FiveTuple, Sink] = {}
        self._joining: dict[FiveTuple, Joining] = {}
        self._transports = {"udp": 0}
        self._lent = LentConnections(self._command, self.settled)
        self._relays_of: dict[FiveTuple, list[int]] = {}
        self._stream_of: dict[int, FiveTuple] = {}
        self._passes = Passes()
        self._admit: Callable[[list[KnownAsk]], None] | None = None
        self._grants: list[bytes] = []

    def stop(self) -> None:
        """End the thread, which closes every socket."""
        if self._plane is None:
            return
        super().stop()
        for relay in list(self._relayed):
            self._forget(relay)
        for relay in list(self._held):
            self._let_go(relay)
        self._local.clear()
        self._sinks.clear()
        self._joining.clear()
        self._lent.clear()
        self._passes.clear()

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
        plane, now = self._running(), int(self._clock() * NS)
        key, realm, proof_bytes, features = terms
        size = len(realm)
        if lib.plane_challenge(plane, key, realm, size, proof_bytes, features, now):
            raise ValueError(f"no challenges of {terms.realm!r}")

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer, after every command so far has taken effect."""
        if self._plane is None:
            return
        if to.transport == "udp":
            client, server = packed(*to.client), packed(*to.server)
            lib.plane_send(self._plane, client, server, data, len(data))
            self._wake()
        elif to in self._lent:
            self._lent.send(self._plane, to, data)
        elif self._done == self._commands:
            self._deliver(to, data)
        else:
            self.settled(partial(self._deliver, to, data))

    def _deliver(self, to: FiveTuple, data: bytes) -> None:
        if to in self._lent:
            self._lent.send(self._plane, to, data)
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
        self._lent.detach(self._plane, five_tuple)

    def adopt(
        self,
        five_tuple: FiveTuple,
        fd: int,
        unread: bytes,
        lender: Lender,
        *,
        queue_bytes: int,
        queue_s: float,
        secured: Secured | None = None,
    ) -> None:
        """The thread reads and writes a client's connection from now on."""
        self._lent.adopt(
            self._running(),
            five_tuple,
            self._transport(five_tuple),
            fd,
            unread,
            lender,
            queue_bytes=queue_bytes,
            queue_s=queue_s,
            secured=secured,
        )

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

    # Known clients

    def admit_with(self, admit: Callable[[list[KnownAsk]], None]) -> None:
        """Tell of them from now on."""
        self._admit = admit

    def know(self, username: str, key: bytes) -> None:
        """Check requests of this username in the thread."""
        if self._admit is not None:
            self._passes.know(self._running(), username, key)

    def username_of(self, credential: int) -> tuple[str, bytes] | None:
        """What the thread was told under a number."""
        return self._passes.get(credential)

    def _known_ask(self, asks: list[KnownAsk]) -> None:
        if self._admit is None:
            return
        self._admit(asks)
        if self._grants:
            grants, self._grants = b"".join(self._grants), []
            if lib.plane_admit(self._plane, grants, len(grants)):
                raise MemoryError
            self._commands += 1  # done, or the thread has been woken

    def grant(self, granting: Granting, grants: list[Grant]) -> list[Address | None]:
        """Open relays, and answer with all others; None where there is no port."""
        bind, advertise, key, bytes_per_s, user = granting
        self._know((bind, advertise, grants[0].ask.five_tuple.server.host))
        ahead = int(lib.plane_now(self._plane)) - int(self._clock() * NS)
        ports = self._ports.take_many(bind, len(grants))
        fds = ffi.new("int[]", ports)
        lib.plane_sockets(packed(bind, 0), fds, len(ports), RELAY_BUFFER_BYTES)
        relayed, host = self._relayed, packed(advertise, 0)
        found: list[Address | None] = [None] * len(grants)
        for at, (port, fd) in enumerate(zip(ports, fds, strict=True)):
            ask, relay, expires_at, lifetime_s = grants[at]
            if fd < 0:
                self._ports.freed(bind, port)  # somebody else's
                continue
            relayed[relay] = bind, port
            found[at] = new_tuple(Address, (advertise, port))
            self._grants.append(
                GRANT.pack(
                    relay,
                    user,
                    ahead + int(expires_at * NS),
                    bytes_per_s,
                    ask.ends,
                    host,
                    ask.transaction,
                    key,
                    lifetime_s,
                    ask.fingerprint,
                    fd,
                    port,
                )
            )
        return found

    # Commands

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
            before = self._stream_of.get(relay)
            self._displace(relay)
            self._place(relay, five_tuple)
            client, server = packed(*five_tuple.client), packed(*five_tuple.server)
            transport = self._transport(five_tuple)
            self._command(lib.plane_move(self._plane, relay, client, server, transport))
            if before is not None and before not in self._relays_of:
                self._lent.give_back(self._plane, before)

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
                self._lent.give_back(self._plane, five_tuple)

    def _let_go(self, held: int) -> None:
        fd, host, port = self._held.pop(held)
        self._ports.freed(host, port)
        os.close(fd)

    def _forget(self, relay: int) -> None:
        self._ports.freed(*self._relayed.pop(relay))
        self._displace(relay)

    # What the thread says

    def _frames_came(self, relay: int, frames: list[bytes]) -> None:
        five_tuple = self._stream_of.get(relay)
        if five_tuple is not None:
            self._deliver_all(five_tuple, frames)

    def _stream_said(self, number: int, data: bytes) -> None:
        self._lent.received(number, data)

    def _stream_gone(self, number: int, *, broken: bool) -> None:
        self._lent.lost(number, broken=broken)

    def _deliver_all(self, to: FiveTuple, frames: list[bytes]) -> None:
        """All that came for one stream in this wake-up."""
        sink = self._joining.get(to)
        if sink is not None:
            sink(frames)
        else:
            for frame in frames:
                self._deliver(to, frame)

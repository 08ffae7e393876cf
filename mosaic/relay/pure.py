"""The pure-Python data plane: runs on the reactor, needs no compiler."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IReactorFDSet

from mosaic.relay.interface import (
    Control,
    Joining,
    NoRelayPort,
    PlaneCounters,
    Sink,
)
from mosaic.relay.legs import Leg
from mosaic.relay.limit import ByteLimit, UserLimits, changed_limit
from mosaic.relay.ports import QUARANTINE_S, RelayPorts
from mosaic.relay.relaysocket import IcmpError, RelaySocket
from mosaic.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    RELAY_BUFFER_BYTES,
    WILDCARDS,
    ListenerSocket,
    WildcardSocket,
    open_udp,
)
from mosaic.relay.trafficclass import TrafficClass
from mosaic.relay.watch import Watch, watch_for
from mosaic.relay.ways import Flows
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.forwarding import COOKIE, SEND_TYPE, Route

L = TypeVar("L", bound=ListenerSocket)

_KNOWN_PEERS = 65536


def _open_relay(host: str, port: int) -> socket.socket:
    return open_udp(host, port, RELAY_BUFFER_BYTES)


def _close(sock: socket.socket) -> None:
    sock.close()


class PurePlane:
    """See `mosaic.relay.interface.RelayPlane`; it has every ability.

    ports: first and last relay port. clock: seconds, never backwards.
    quarantine_s: how long a freed port rests (see `ports`).
    preserve_dscp: packets leave with the traffic class that they came with.
    """

    abilities = frozenset(("dual", "reserve", "move", "df", "icmp"))

    def __init__(
        self,
        reactor: IReactorFDSet,
        *,
        ports: tuple[int, int],
        clock: Callable[[], float],
        quarantine_s: float = QUARANTINE_S,
        preserve_dscp: bool = False,
    ) -> None:
        self._traffic = TrafficClass(preserve_dscp)
        self.counters = PlaneCounters()
        self._reactor = reactor
        self._relay_readers = watch_for(reactor)
        self._ports = RelayPorts(
            ports, opens=_open_relay, closes=_close, rest_s=quarantine_s, clock=clock
        )
        self._clock = clock
        self._control: Control = lambda data, five_tuple: None
        self._listeners: dict[Address, ListenerSocket] = {}
        self._wildcards: dict[tuple[int, int], WildcardSocket] = {}
        self._local_hosts: set[str] = set()
        self._sinks: dict[FiveTuple, Sink] = {}
        self._limits = UserLimits()
        self._legs: dict[int, Leg] = {}
        self._held: dict[int, tuple[socket.socket, str]] = {}
        self._by_client: dict[FiveTuple, Leg] = {}
        self._by_udp: dict[tuple[Address, Address], Leg] = {}
        self._by_relayed: dict[Address, Leg] = {}
        self._flows = Flows(self.counters, clock)
        self._known_peers: set[Address] = set()

    def start(self, control: Control) -> None:
        """Begin to hand over STUN messages."""
        self._control = control

    def stop(self) -> None:
        """Close every socket."""
        for relay in (*self._legs, *self._held):
            self.close(relay)
        for listener in (*self._listeners.values(), *self._wildcards.values()):
            listener.close()
        self._listeners.clear()
        self._wildcards.clear()
        self._sinks.clear()
        if isinstance(self._relay_readers, Watch):
            self._relay_readers.close()

    # Listeners and clients

    def listen(self, host: str, port: int) -> Address:
        """Open a UDP listener; raises OSError."""
        sock = open_udp(host, port, LISTENER_BUFFER_BYTES)
        if host in WILDCARDS:
            wildcard = self._listen_on(WildcardSocket, sock)
            bound = wildcard.address
            self._wildcards[bound.family, bound.port] = wildcard
            return bound
        listener = self._listen_on(ListenerSocket, sock)
        self._listeners[listener.address] = listener
        return listener.address

    def _listen_on(self, kind: type[L], sock: socket.socket) -> L:
        self._forget_all()
        return kind(self._reactor, sock, self._from_udp, self._traffic, self._flows)

    def _listener(self, server: Address) -> ListenerSocket | None:
        return self._listeners.get(server) or self._wildcards.get(
            (server.family, server.port)
        )

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer to a client."""
        self._traffic.at_hand = 0
        if not self._deliver(to, data):
            self.counters.to_clients_failed += 1

    def _deliver(self, to: FiveTuple, data: bytes) -> bool:
        if to.transport == "udp":
            listener = self._listener(to.server)
            return listener is not None and listener.reply(data, to.client, to.server)
        sink = self._sinks.get(to)
        if sink is None:
            return False
        sink(data)
        return True

    def attach_stream(
        self, five_tuple: FiveTuple, sink: Sink, many: Joining | None = None
    ) -> None:
        """A TCP or TLS client has connected."""
        self._sinks[five_tuple] = sink

    def detach_stream(self, five_tuple: FiveTuple) -> None:
        """It has gone."""
        self._sinks.pop(five_tuple, None)

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
        sock, host = self._take_socket(bind, even, reserve, claims)
        relayed = Address(advertise, sock.getsockname()[1])
        route = Route(relay, five_tuple, relayed, expires_at)
        leg = Leg(route, self._way_to(five_tuple), user, host)
        if bytes_per_s:
            leg.limit = ByteLimit(bytes_per_s, self._clock())

        def received(payload: memoryview, peer: Address, _: Address) -> None:
            self._from_peer(leg, payload, peer)

        def failed(error: IcmpError) -> None:
            self._tell_of(leg, error)

        leg.socket = RelaySocket(
            self._relay_readers,
            sock,
            received,
            failed,
            self._traffic,
            self._flows,
            leg.ways,
        )
        self._local_hosts.update((bind, advertise, five_tuple.server.host))
        self._legs[relay] = self._by_relayed[relayed] = leg
        if relayed in self._known_peers:
            self._forget_all()
        self._meet(leg)
        return relayed

    def _take_socket(
        self, bind: str, even: bool, reserve: int, claims: int
    ) -> tuple[socket.socket, str]:
        """A held one, one of a pair, or any, and the host whose port it has;
        raises RelayError."""
        if claims:
            held = self._held.pop(claims, None)
            if held is None:
                raise NoRelayPort("the port is held no longer")
            return held

        if not reserve:
            return self._ports.open(bind, even=even)[0], bind
        sock, after, _ = self._ports.open_pair(bind)
        self._held[reserve] = after, bind
        return sock, bind

    def _meet(self, leg: Leg) -> None:
        """The client's packets find this leg, and its other one beside it."""
        five_tuple = leg.route.five_tuple
        first = self._by_client.get(five_tuple)
        if first is not None and first is not leg:
            first.other, leg.other = leg, first
            return
        self._by_client[five_tuple] = leg
        if five_tuple.transport == "udp":
            self._by_udp[five_tuple.client, five_tuple.server] = leg
            clients = self._flows.clients_of(five_tuple.server)
            clients[five_tuple.client] = leg.ways.to_peers

    def _part(self, leg: Leg) -> None:
        """The client's packets find it no more, only its other one."""
        five_tuple = leg.route.five_tuple
        if self._by_client.get(five_tuple) is leg:
            del self._by_client[five_tuple]
            self._by_udp.pop((five_tuple.client, five_tuple.server), None)
            self._flows.clients_of(five_tuple.server).pop(five_tuple.client, None)
        other, leg.other = leg.other, None
        if other is not None:
            other.other = None
            if other.route.five_tuple == five_tuple:
                self._meet(other)

    def move(self, relay: int, five_tuple: FiveTuple) -> None:
        """The client is reached over another five-tuple from now on."""
        leg = self._legs.get(relay)
        if leg is not None:
            self._part(leg)
            leg.ways.forget()
            leg.route.move(five_tuple)
            leg.deliver = self._way_to(five_tuple)
            self._local_hosts.add(five_tuple.server.host)
            self._meet(leg)

    def _way_to(self, five_tuple: FiveTuple) -> Callable[[bytes], bool]:
        """How to reach a client, looked up once."""
        if five_tuple.transport == "udp":
            listener = self._listener(five_tuple.server)
            if listener is not None:
                client, server = five_tuple.client, five_tuple.server
                return lambda data: listener.reply(data, client, server)
        return lambda data: self._deliver(five_tuple, data)

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Another limit for an allocation; 0 lifts it."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.limit = changed_limit(leg.limit, bytes_per_s, self._clock())
            leg.ways.forget()

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """A limit that a user's allocations share; 0 lifts it."""
        self._limits.change(user, bytes_per_s, self._clock())
        self._forget_all()

    def extend(self, relay: int, expires_at: float) -> None:
        """The allocation passes packets until then."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.expires_at = expires_at
            leg.ways.forget()

    def permit(
        self, relay: int, host: str, expires_at: float, *, own_only: bool
    ) -> None:
        """Install or refresh a permission."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.permit(host, expires_at, own_only, self._clock())
            leg.ways.forget()

    def bind(self, relay: int, channel: int, peer: Address, expires_at: float) -> None:
        """Bind or refresh a channel."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.bind(channel, peer, expires_at)
            leg.ways.forget()

    def close(self, relay: int) -> None:
        """End a relay, or free a port that is held."""
        held = self._held.pop(relay, None)
        if held is not None:
            sock, host = held
            self._ports.freed(host, sock.getsockname()[1])
            sock.close()
        leg = self._legs.pop(relay, None)
        if leg is None:
            return
        self._part(leg)
        leg.ways.forget()
        del self._by_relayed[leg.route.relayed]
        if leg.socket is not None:
            leg.socket.close()
            self._ports.freed(leg.host, leg.route.relayed.port)

    def settled(self, done: Callable[[], None]) -> None:
        """Commands take effect at once here."""
        done()

    # Packets

    def _from_udp(self, data: memoryview, client: Address, server: Address) -> None:
        if not data or data[0] >= 0x80 or len(data) < 4:
            self.counters.not_stun += 1
        elif data[0] >= 0x40 or data[:2] == SEND_TYPE:
            self._from_client(self._by_udp.get((client, server)), data)
        else:
            self._control(bytes(data), FiveTuple("udp", client, server))

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message from a stream client."""
        self._traffic.at_hand = 0
        if message[0] >= 0x40 or message[:2] == SEND_TYPE:
            self._from_client(self._by_client.get(five_tuple), message)
        else:
            self._control(message, five_tuple)

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """The data messages that a read begins with."""
        self._traffic.at_hand = 0
        leg = self._by_client.get(five_tuple)
        at, end = 0, len(data)
        while end - at >= 4:
            size = data[at + 2] << 8 | data[at + 3]
            if data[at] >> 6 == 1:
                size, total = 4 + size, 4 + (size + 3 & ~3)
            elif data[at : at + 2] == SEND_TYPE and not size & 3:
                if data[at + 4 : at + 8] != COOKIE:
                    break
                size = total = 20 + size
            else:
                break
            if end - at < total:
                break
            self._from_client(leg, data[at : at + size])
            at += total
        return at

    def _from_client(self, leg: Leg | None, data: bytes | memoryview) -> None:
        counters = self.counters
        now = self._clock()
        outbound = None if leg is None else leg.route.from_client(data, now)
        if outbound is None and leg is not None and leg.other is not None:
            leg = leg.other
            outbound = leg.route.from_client(data, now)
        if leg is None or outbound is None:
            counters.from_clients_no_route += 1
            return
        peer, payload, own_only, whole = outbound
        if not self._limits.allow(leg.limit, leg.user, len(payload), now):
            counters.over_limit += 1
            return
        counters.from_clients += 1
        counters.from_clients_bytes += len(payload)
        other = self._by_relayed.get(peer)
        if other is not None:
            self._hairpin(leg, other, payload, now)
        elif own_only or self._is_listener(peer):
            counters.to_peers_refused += 1
        elif leg.socket is None or not (
            leg.socket.send_whole(payload, peer)
            if whole
            else leg.socket.send(payload, peer)
        ):
            counters.to_peers_failed += 1
        else:
            self._learn_out(leg, data, peer)

    def _learn_out(self, leg: Leg, data: bytes | memoryview, peer: Address) -> None:
        """The next packet of this channel needs no further look, unless its
        bytes are counted."""
        if leg.limit is None and not self._limits and leg.socket is not None:
            channel = data[0] << 8 | data[1]
            until = leg.route.out_until(channel)
            if until:
                self._know(peer)
                leg.ways.to_peers[channel] = until, leg.socket.sendto, peer

    def _learn_in(self, leg: Leg, peer: Address) -> None:
        """The same for what this peer sends to a channel of a UDP client."""
        five_tuple = leg.route.five_tuple
        listener = self._listener(five_tuple.server)
        if leg.limit is not None or self._limits or leg.socket is None:
            return
        found = leg.route.in_until(peer)
        if found and listener is not None and five_tuple.transport == "udp":
            until, channel = found
            way = listener.way(five_tuple.client, five_tuple.server)
            leg.ways.to_client[leg.socket.as_sender(peer)] = until, channel, way

    def _know(self, peer: Address) -> None:
        """Remember whom packets are sent to without a look: it may become one
        of our own relayed addresses."""
        if len(self._known_peers) >= _KNOWN_PEERS:
            self._forget_all()
        self._known_peers.add(peer)

    def _forget_all(self) -> None:
        self._known_peers.clear()
        for leg in self._legs.values():
            leg.ways.forget()

    def _hairpin(
        self, leg: Leg, other: Leg, payload: bytes | memoryview, now: float
    ) -> None:
        """Both ends are clients here: straight across, by the other's rules."""
        frame = other.route.from_peer(leg.route.relayed, payload, now, own=True)
        if frame is None:
            self.counters.from_peers_no_route += 1
            return
        if self._limits.allow(other.limit, other.user, len(payload), now):
            self.counters.hairpins += 1
            self._to_client(other, frame, len(payload))
        else:
            self.counters.over_limit += 1

    def _from_peer(self, leg: Leg, payload: memoryview, peer: Address) -> None:
        now = self._clock()
        frame = leg.route.from_peer(peer, payload, now, own=False)
        if frame is None:
            self.counters.from_peers_no_route += 1
        elif self._limits.allow(leg.limit, leg.user, len(payload), now):
            self._to_client(leg, frame, len(payload))
            self._learn_in(leg, peer)
        else:
            self.counters.over_limit += 1

    def _tell_of(self, leg: Leg, error: IcmpError) -> None:
        peer, icmp_type, code, data = error
        self._traffic.at_hand = 0
        now = self._clock()
        frame = leg.route.from_icmp(peer, icmp_type, code, data, now)
        if frame is not None and leg.deliver(frame):
            self.counters.icmp += 1

    def _to_client(self, leg: Leg, frame: bytes, size: int) -> None:
        self.counters.from_peers += 1
        self.counters.from_peers_bytes += size
        if not leg.deliver(frame):
            self.counters.to_clients_failed += 1

    def _is_listener(self, peer: Address) -> bool:
        """A relay that talks to its own front door would loop."""
        if peer in self._listeners:
            return True
        return (peer.family, peer.port) in self._wildcards and (
            peer.host in self._local_hosts
            or peer.host.startswith("127.")
            or peer.host == "::1"
        )

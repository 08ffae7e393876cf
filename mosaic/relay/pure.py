"""The pure-Python data plane: runs on the reactor, needs no compiler."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet

from mosaic.relay.interface import Control, PlaneCounters, Sink
from mosaic.relay.ports import RelayPorts
from mosaic.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    WILDCARDS,
    ListenerSocket,
    UdpSocket,
    WildcardSocket,
    open_udp,
)
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.forwarding import SEND_TYPE, Route


class _Leg:
    """An allocation here: its route, its relay socket, the way to its client."""

    __slots__ = ("deliver", "route", "socket")

    def __init__(self, route: Route, deliver: Callable[[bytes], bool]) -> None:
        self.route = route
        self.deliver = deliver
        self.socket: UdpSocket | None = None


class PurePlane:
    """See `mosaic.relay.interface.RelayPlane`.

    ports: first and last relay port. clock: seconds, never backwards.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        *,
        ports: tuple[int, int],
        clock: Callable[[], float],
    ) -> None:
        self.counters = PlaneCounters()
        self._reactor = reactor
        self._ports = RelayPorts(ports, clock)
        self._clock = clock
        self._control: Control = lambda data, five_tuple: None
        self._listeners: dict[Address, ListenerSocket] = {}
        self._wildcards: dict[tuple[int, int], WildcardSocket] = {}
        self._local_hosts: set[str] = set()
        self._sinks: dict[FiveTuple, Sink] = {}
        self._legs: dict[int, _Leg] = {}
        self._by_client: dict[FiveTuple, _Leg] = {}
        self._by_udp: dict[tuple[Address, Address], _Leg] = {}
        self._by_relayed: dict[Address, _Leg] = {}

    def start(self, control: Control) -> None:
        """Begin to hand over STUN messages."""
        self._control = control

    def stop(self) -> None:
        """Close every socket."""
        for relay in list(self._legs):
            self.close(relay)
        for listener in (*self._listeners.values(), *self._wildcards.values()):
            listener.close()
        self._listeners.clear()
        self._wildcards.clear()
        self._sinks.clear()

    # Listeners and clients

    def listen(self, host: str, port: int) -> Address:
        """Open a UDP listener; raises OSError."""
        sock = open_udp(host, port, LISTENER_BUFFER_BYTES)
        if host in WILDCARDS:
            wildcard = WildcardSocket(self._reactor, sock, self._from_udp)
            bound = wildcard.address
            self._wildcards[bound.family, bound.port] = wildcard
            return bound
        listener = ListenerSocket(self._reactor, sock, self._from_udp)
        self._listeners[listener.address] = listener
        return listener.address

    def _listener(self, server: Address) -> ListenerSocket | None:
        return self._listeners.get(server) or self._wildcards.get(
            (server.family, server.port)
        )

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer to a client."""
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

    def attach_stream(self, five_tuple: FiveTuple, sink: Sink) -> None:
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
    ) -> Address:
        """Open an allocation's socket; raises RelayError."""
        sock, relayed = self._ports.open(bind, advertise, even=even)
        route = Route(relay, five_tuple, relayed, expires_at)
        leg = _Leg(route, self._way_to(five_tuple))

        def received(payload: memoryview, peer: Address, _: Address) -> None:
            self._from_peer(leg, payload, peer)

        leg.socket = UdpSocket(self._reactor, sock, received)
        self._local_hosts.update((bind, advertise, five_tuple.server.host))
        self._legs[relay] = self._by_relayed[relayed] = leg
        self._by_client[five_tuple] = leg
        if five_tuple.transport == "udp":
            self._by_udp[five_tuple.client, five_tuple.server] = leg
        return relayed

    def _way_to(self, five_tuple: FiveTuple) -> Callable[[bytes], bool]:
        """How to reach a client, looked up once."""
        if five_tuple.transport == "udp":
            listener = self._listener(five_tuple.server)
            if listener is not None:
                client, server = five_tuple.client, five_tuple.server
                return lambda data: listener.reply(data, client, server)
        return lambda data: self._deliver(five_tuple, data)

    def extend(self, relay: int, expires_at: float) -> None:
        """The allocation passes packets until then."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.expires_at = expires_at

    def permit(
        self, relay: int, host: str, expires_at: float, *, own_only: bool
    ) -> None:
        """Install or refresh a permission."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.permit(host, expires_at, own_only, self._clock())

    def bind(self, relay: int, channel: int, peer: Address, expires_at: float) -> None:
        """Bind or refresh a channel."""
        leg = self._legs.get(relay)
        if leg is not None:
            leg.route.bind(channel, peer, expires_at)

    def close(self, relay: int) -> None:
        """End an allocation."""
        leg = self._legs.pop(relay, None)
        if leg is None:
            return
        five_tuple = leg.route.five_tuple
        if self._by_client.get(five_tuple) is leg:
            del self._by_client[five_tuple]
            self._by_udp.pop((five_tuple.client, five_tuple.server), None)
        del self._by_relayed[leg.route.relayed]
        self._ports.freed(leg.route.relayed)
        if leg.socket is not None:
            leg.socket.close()

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
        if message[0] >= 0x40 or message[:2] == SEND_TYPE:
            self._from_client(self._by_client.get(five_tuple), message)
        else:
            self._control(message, five_tuple)

    def _from_client(self, leg: _Leg | None, data: bytes | memoryview) -> None:
        counters = self.counters
        now = self._clock()
        outbound = None if leg is None else leg.route.from_client(data, now)
        if leg is None or outbound is None:
            counters.from_clients_no_route += 1
            return
        peer, payload, own_only = outbound
        counters.from_clients += 1
        counters.from_clients_bytes += len(payload)
        other = self._by_relayed.get(peer)
        if other is not None:
            self._hairpin(leg, other, payload, now)
        elif own_only or self._is_listener(peer):
            counters.to_peers_refused += 1
        elif leg.socket is None or not leg.socket.send(payload, peer):
            counters.to_peers_failed += 1

    def _hairpin(
        self, leg: _Leg, other: _Leg, payload: bytes | memoryview, now: float
    ) -> None:
        """Both ends are clients here: straight across, by the other's rules."""
        frame = other.route.from_peer(leg.route.relayed, payload, now, own=True)
        if frame is None:
            self.counters.from_peers_no_route += 1
            return
        self.counters.hairpins += 1
        self._to_client(other, frame, len(payload))

    def _from_peer(self, leg: _Leg, payload: memoryview, peer: Address) -> None:
        frame = leg.route.from_peer(peer, payload, self._clock(), own=False)
        if frame is None:
            self.counters.from_peers_no_route += 1
            return
        self._to_client(leg, frame, len(payload))

    def _to_client(self, leg: _Leg, frame: bytes, size: int) -> None:
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

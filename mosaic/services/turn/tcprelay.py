"""TCP between clients and peers (RFC 6062): sockets, and bytes both ways.

A relay here is a listener on its relayed address, from which connections to
peers are made too. A peer's connection is not read until it is joined to a
client's stream; from then on each side is the producer of the other, so that
a slow reader stops the writer and nothing piles up here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EINPROGRESS
from typing import Any, cast
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IPushProducer,
    IReactorFDSet,
    IReactorSocket,
    IReactorTime,
    IWriteDescriptor,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay.limit import ByteLimit
from mosaic.relay.ports import QUARANTINE_S, RelayPorts
from mosaic.services.turn.valve import Pace, Valve
from mosaic.wire.stun.address import Address, canonical

_BACKLOG = 16


class Stream(Interface):
    """A client's stream that can become a pipe."""

    transport: Any

    def hold(self) -> None:
        """Read nothing until it is joined."""

    def join(self, peer: PeerConnection) -> None:
        """Give up framing: bytes go to the peer and come from it."""

    def part(self) -> None:
        """The peer has gone: send what is left, and close."""


class Owner(Interface):
    """Who decides."""

    def peer_arrived(self, relay: int, peer: Address) -> int:
        """A number for a peer's connection, or 0 to close it."""

    def peer_connected(self, connection: int) -> None:
        """What was asked for is there."""

    def peer_failed(self, connection: int) -> None:
        """It will not come."""

    def peer_closed(self, connection: int) -> None:
        """It was there, and has gone."""


class PeerConnection(Protocol):
    """One TCP connection to a peer; silent until it is joined.

    producer: its bytes, for whoever they are written to.
    """

    transport: Any
    producer: IPushProducer

    def __init__(self, relays: TcpRelays, relay: int, number: int) -> None:
        self._relays = relays
        self._relay = relay
        self.number = number
        self._stream: Stream | None = None
        self._pace = relays.pace(relay)

    def connectionMade(self) -> None:
        """Read nothing yet: the kernel keeps what comes, and stops the peer."""
        self._valve = Valve(self.transport)
        self.producer = cast(IPushProducer, self._valve)
        self.transport.pauseProducing()
        self.transport.setTcpNoDelay(True)
        self._relays.made(self, self._relay)

    def join(self, stream: Stream) -> None:
        """One with a client's stream from now on."""
        self._stream = stream
        client = Valve(stream.transport)
        self._pace.govern(client, self._valve)
        self.transport.registerProducer(client, True)
        stream.join(self)
        self._valve.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """To the client."""
        if self._stream is not None:
            self._stream.transport.write(data)
            self._pace.passed(len(data))

    def write(self, data: bytes) -> None:
        """From the client."""
        self.transport.write(data)
        self._pace.passed(len(data))

    def part(self) -> None:
        """The client's stream has gone: send what is left, and close."""
        self._stream = None
        self._pace.stop()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def close(self) -> None:
        """At once, and the client's stream after what is left for it."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has gone; the client's stream follows."""
        stream, self._stream = self._stream, None
        self._pace.stop()
        if stream is not None:
            stream.part()
        self._relays.lost(self)


class _Peers(ServerFactory):
    """Peers that connect to one relayed address, and those it connects to."""

    noisy = False

    def __init__(self, relays: TcpRelays, relay: int, number: int = 0) -> None:
        self._relays = relays
        self._relay = relay
        self._number = number

    def buildProtocol(self, addr: IAddress | None) -> PeerConnection:
        """One connection."""
        return PeerConnection(self._relays, self._relay, self._number)


@implementer(IWriteDescriptor)
class _Dialling:
    """A connection to a peer that is on its way."""

    def __init__(
        self, reactor: Any, sock: socket.socket, done: Callable[[int], None]
    ) -> None:
        self._reactor = reactor
        self._sock = sock
        self._done = done
        reactor.addWriter(self)

    def fileno(self) -> int:
        """The descriptor, or -1 when it is closed."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """Twisted's name for it."""
        return "turn-tcp"

    def doWrite(self) -> None:
        """It is there, or it has failed."""
        self.stop(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw it fail."""
        self.stop(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or 1)

    def stop(self, error: int) -> None:
        """Once: out of the reactor, tell, and close what was not taken over."""
        if self._sock.fileno() >= 0:
            self._reactor.removeWriter(self)
            self._done(error)
            self._sock.close()


class _Relay:
    """One relayed address: where it is bound, who listens there, and what its
    user's other connections share with it."""

    def __init__(self, bound: Address, port: IListeningPort, user: int) -> None:
        self.bound = bound
        self.port = port
        self.user = user
        self.limit: ByteLimit | None = None


def _listenable(host: str, port: int) -> socket.socket:
    made = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def _close(sock: socket.socket) -> None:
    sock.close()


class TcpRelays:
    """The relayed addresses and connections of TCP allocations.

    ports: first and last relay port. owner: told of everything that happens.
    quarantine_s: how long a freed port rests.
    Bandwidth limits are as those of `relay.interface`, but nothing is dropped.
    """

    def __init__(
        self,
        reactor: Any,
        owner: Owner,
        *,
        ports: tuple[int, int],
        clock: Callable[[], float],
        quarantine_s: float = QUARANTINE_S,
    ) -> None:
        self._reactor = reactor
        self._owner = owner
        self._ports = RelayPorts(
            ports,
            opens=_listenable,
            closes=_close,
            rest_s=quarantine_s,
            clock=clock,
        )
        self._user_limits: dict[int, ByteLimit] = {}
        self._relays: dict[int, _Relay] = {}
        self._connections: dict[int, PeerConnection] = {}
        self._dialling: dict[int, _Dialling] = {}
        self._silenced: set[int] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def open(
        self,
        relay: int,
        *,
        bind: str,
        advertise: str,
        user: int = 0,
        bytes_per_s: float = 0.0,
    ) -> Address:
        """Listen on a random port of a host; raises RelayError."""
        sock, number = self._ports.open(bind)
        bound = Address(bind, number)
        # The bind was exclusive, so nobody else has the port; connections to
        # peers are made from it too, which the option allows from here on.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.listen(_BACKLOG)
        adopt = IReactorSocket(self._reactor).adoptStreamPort
        port = adopt(sock.fileno(), sock.family, _Peers(self, relay))
        sock.close()
        self._relays[relay] = _Relay(bound, port, user)
        self.limit(relay, bytes_per_s)
        return Address(advertise, bound.port)

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Another limit for an allocation from now on; 0 lifts it."""
        held = self._relays.get(relay)
        if held is not None:
            held.limit = self._limit(bytes_per_s)

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """Another limit for a user's connections together; 0 lifts it."""
        limit = self._limit(bytes_per_s)
        if limit is None:
            self._user_limits.pop(user, None)
        else:
            self._user_limits[user] = limit

    def _limit(self, bytes_per_s: float) -> ByteLimit | None:
        seconds = IReactorTime(self._reactor).seconds
        return ByteLimit(bytes_per_s, seconds()) if bytes_per_s else None

    def pace(self, relay: int) -> Pace:
        """What holds back the connections of a relay."""

        def limits() -> list[ByteLimit]:
            held = self._relays.get(relay)
            if held is None:
                return []
            both = held.limit, self._user_limits.get(held.user)
            return [limit for limit in both if limit is not None]

        return Pace(self._reactor, limits)

    def close(self, relay: int) -> None:
        """Listen no more; its connections are closed one by one."""
        held = self._relays.pop(relay, None)
        if held is not None:
            held.port.stopListening()
            self._ports.freed(*held.bound)

    def connect(self, relay: int, connection: int, peer: Address) -> None:
        """Connect to a peer from the relayed address."""
        held = self._relays.get(relay)
        sock = None if held is None else self._dial(held.bound, peer)
        if sock is None:
            self._owner.peer_failed(connection)
            return

        def done(error: int) -> None:
            self._dialling.pop(connection, None)
            if connection in self._silenced:
                self._silenced.discard(connection)
            elif error:
                self._owner.peer_failed(connection)
            else:
                adopt = IReactorSocket(self._reactor).adoptStreamConnection
                peers = _Peers(self, relay, connection)
                adopt(sock.fileno(), sock.family, peers)

        dialling = _Dialling(IReactorFDSet(self._reactor), sock, done)
        self._dialling[connection] = dialling

    def _dial(self, bound: Address, peer: Address) -> socket.socket | None:
        sock = socket.socket(_family(bound.host), socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((bound.host, bound.port))
            if sock.connect_ex((peer.host, peer.port)) in (0, EINPROGRESS):
                return sock
        except OSError:
            pass
        sock.close()
        return None

    def join(self, connection: int, stream: Stream) -> None:
        """A client's stream and a peer's connection are one from now on."""
        held = self._connections.get(connection)
        if held is None:
            stream.part()
        else:
            held.join(stream)

    def hang_up(self, connection: int) -> None:
        """Close a connection to a peer, or give up connecting."""
        dialling = self._dialling.get(connection)
        if dialling is not None:
            self._silenced.add(connection)
            dialling.stop(0)
        held = self._connections.pop(connection, None)
        if held is not None:
            held.close()

    def stop(self) -> None:
        """Close everything."""
        for connection in (*self._dialling, *self._connections):
            self.hang_up(connection)
        for relay in list(self._relays):
            self.close(relay)

    # Connections

    def made(self, peer: PeerConnection, relay: int) -> None:
        """A connection stands: one that was asked for, or a peer's own."""
        if peer.number:
            self._connections[peer.number] = peer
            self._owner.peer_connected(peer.number)
            return
        end = peer.transport.getPeer()
        address = Address(canonical(end.host), end.port)
        peer.number = self._owner.peer_arrived(relay, address)
        if peer.number:
            self._connections[peer.number] = peer
        else:
            peer.close()

    def lost(self, peer: PeerConnection) -> None:
        """A connection has gone."""
        if self._connections.pop(peer.number, None) is not None:
            self._owner.peer_closed(peer.number)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

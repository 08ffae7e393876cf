"""TCP between clients and peers (RFC 6062): sockets, and bytes both ways.

A relay here is a listener on its relayed address, from which connections to
peers are made too. A peer's connection is not read until it is joined to a
client's stream; from then on each side is the producer of the other, so that
a slow reader stops the writer and nothing piles up here.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EINPROGRESS
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorFDSet,
    IReactorSocket,
    IWriteDescriptor,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay.interface import HostUnavailable, NoRelayPort
from mosaic.wire.stun.address import Address, canonical

_TRIES = 64
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
    """One TCP connection to a peer; silent until it is joined."""

    transport: Any

    def __init__(self, relays: TcpRelays, relay: int, number: int) -> None:
        self._relays = relays
        self._relay = relay
        self.number = number
        self._stream: Stream | None = None

    def connectionMade(self) -> None:
        """Read nothing yet: the kernel keeps what comes, and stops the peer."""
        self.transport.pauseProducing()
        self.transport.setTcpNoDelay(True)
        self._relays.made(self, self._relay)

    def join(self, stream: Stream) -> None:
        """One with a client's stream from now on."""
        self._stream = stream
        self.transport.registerProducer(stream.transport, True)
        stream.join(self)
        self.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """To the client."""
        if self._stream is not None:
            self._stream.transport.write(data)

    def write(self, data: bytes) -> None:
        """From the client."""
        self.transport.write(data)

    def part(self) -> None:
        """The client's stream has gone: send what is left, and close."""
        self._stream = None
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def close(self) -> None:
        """At once, and the client's stream after what is left for it."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has gone; the client's stream follows."""
        stream, self._stream = self._stream, None
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
    """One relayed address: where it is bound, and who listens there."""

    def __init__(self, bound: Address, port: IListeningPort) -> None:
        self.bound = bound
        self.port = port


class TcpRelays:
    """The relayed addresses and connections of TCP allocations.

    ports: first and last relay port. owner: told of everything that happens.
    """

    def __init__(self, reactor: Any, owner: Owner, *, ports: tuple[int, int]) -> None:
        self._reactor = reactor
        self._owner = owner
        self._ports = ports
        self._relays: dict[int, _Relay] = {}
        self._connections: dict[int, PeerConnection] = {}
        self._dialling: dict[int, _Dialling] = {}
        self._silenced: set[int] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def open(self, relay: int, *, bind: str, advertise: str) -> Address:
        """Listen on a random port of a host; raises RelayError."""
        sock = self._bind(bind)
        bound = Address(bind, sock.getsockname()[1])
        # The bind was exclusive, so nobody else has the port; connections to
        # peers are made from it too, which the option allows from here on.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.listen(_BACKLOG)
        adopt = IReactorSocket(self._reactor).adoptStreamPort
        port = adopt(sock.fileno(), sock.family, _Peers(self, relay))
        sock.close()
        self._relays[relay] = _Relay(bound, port)
        return Address(advertise, bound.port)

    def _bind(self, host: str) -> socket.socket:
        first, last = self._ports
        for _ in range(_TRIES):
            sock = socket.socket(_family(host), socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                sock.bind((host, first + secrets.randbelow(last - first + 1)))
            except OSError as error:
                sock.close()
                if error.errno == EADDRNOTAVAIL:
                    raise HostUnavailable(host) from error
                continue
            return sock
        raise NoRelayPort(f"no TCP port of {first}-{last} is free on {host}")

    def close(self, relay: int) -> None:
        """Listen no more; its connections are closed one by one."""
        held = self._relays.pop(relay, None)
        if held is not None:
            held.port.stopListening()

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

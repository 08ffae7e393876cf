"""Connections of TCP allocations (RFC 6062): who may connect to whom, until when.

A client with a TCP allocation has connections to peers: those it asked for
(Connect) and those that peers made to its relayed address, of which it is told
(ConnectionAttempt). Each is joined to a connection of its own from the client
by a ConnectionBind; from then on both carry bytes and nothing else. Whatever
is not joined after 30 seconds is closed.
"""

from __future__ import annotations

import hmac

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Class, Method, encode
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.allocation import Allocation
from mosaic.wire.turn.events import Answer, ClosePeer, ConnectPeer, Event, JoinPeer
from mosaic.wire.turn.forwarding import STREAMS
from mosaic.wire.turn.permissions import Permissions
from mosaic.wire.turn.refusals import (
    AllocationMismatch,
    BadRequest,
    ConnectionAlreadyExists,
    ConnectionFailed,
    InsufficientCapacity,
    Refusal,
    WrongCredentials,
)
from mosaic.wire.turn.request import Request
from mosaic.wire.turn.table import Allocations

CONNECT_S = 30.0
"""RFC 6062 section 5.2: at least this long for a peer to take a connection."""

BIND_S = 30.0
"""Sections 5.2 and 5.3: at least this long for the client's ConnectionBind."""


class Connection:
    """One connection to a peer.

    request: the Connect that waits for it, if any. ends_at: when it is closed
    unless the next step comes; None once it is joined.
    """

    __slots__ = ("allocation", "ends_at", "number", "peer", "request")

    def __init__(
        self, number: int, allocation: Allocation, peer: Address, ends_at: float
    ) -> None:
        self.number = number
        self.allocation = allocation
        self.peer = peer
        self.ends_at: float | None = ends_at
        self.request: Request | None = None


class Connections:
    """All connections of a server, by their numbers (CONNECTION-ID).

    key: 32 random bytes, for the transaction ids of indications.
    """

    def __init__(
        self, table: Allocations, permissions: Permissions, key: bytes
    ) -> None:
        self._table = table
        self._permissions = permissions
        self._key = key
        self._last = 0
        self._held: dict[int, Connection] = {}
        self._waiting: dict[int, Connection] = {}

    def __len__(self) -> int:
        return len(self._held)

    def connect(self, request: Request) -> list[Event]:
        """Ask for a connection to a peer (section 5.2)."""
        allocation = self._table.of(request)
        if not allocation.tcp:
            raise AllocationMismatch("this is no TCP allocation")
        peer = request.message.first(turn.XOR_PEER_ADDRESS)
        if peer is None:
            raise BadRequest("no XOR-PEER-ADDRESS")
        self._permissions.check_peer(allocation, peer)
        for held in self._of(allocation):
            if held.peer != peer:
                continue
            if held.request and held.request.message.raw == request.message.raw:
                return []  # its retransmission
            raise ConnectionAlreadyExists("there is a connection to this peer")
        connection = self._add(allocation, peer, request.now + CONNECT_S)
        connection.request = request
        return [ConnectPeer(allocation.relay, connection.number, peer)]

    def connected(self, number: int, now: float) -> list[Event]:
        """The peer has taken it: the client has 30 seconds to bind it."""
        connection = self._held.get(number)
        if connection is None or connection.request is None:
            return [ClosePeer(number)]
        request, connection.request = connection.request, None
        self._wait(connection, now + BIND_S)
        return [request.success([(turn.CONNECTION_ID, number)])]

    def failed(self, number: int) -> list[Event]:
        """The peer did not take it: 447."""
        connection = self._forget(number)
        if connection is None or connection.request is None:
            return []
        return [connection.request.error(ConnectionFailed("the peer did not answer"))]

    def arrived(self, relay: int, peer: Address, now: float) -> tuple[int, list[Event]]:
        """A peer has connected to a relayed address (section 5.3).

        Returns the connection's number and the indication for the client, or
        0 and nothing if it must be closed: no permission, or too many.
        """
        allocation = self._table.by_relay(relay)
        if allocation is None or not self._permissions.lets_in(allocation, peer, now):
            return 0, []
        try:
            connection = self._add(allocation, peer, now + BIND_S)
        except InsufficientCapacity:
            return 0, []
        seed = b"attempt %d" % connection.number
        transaction = hmac.digest(self._key, seed, "sha256")[:12]
        data = encode(
            Method.CONNECTION_ATTEMPT,
            Class.INDICATION,
            transaction,
            [
                (turn.CONNECTION_ID, connection.number),
                (turn.XOR_PEER_ADDRESS, peer),
            ],
        )
        return connection.number, [Answer(allocation.five_tuple, data)]

    def connection_bind(self, request: Request) -> list[Event]:
        """Join the client's connection to a peer's (section 5.4)."""
        if request.five_tuple.transport not in STREAMS:
            raise BadRequest("ConnectionBind comes over TCP or TLS")
        if request.five_tuple in self._table:
            raise BadRequest("this connection has an allocation")
        number = request.message.first(turn.CONNECTION_ID)
        connection = None if number is None else self._waiting.get(number)
        if connection is None or connection.request is not None:
            raise BadRequest("no connection of this number waits")
        if connection.allocation.username != request.username:
            raise WrongCredentials("another username made the allocation")
        connection.ends_at = None
        del self._waiting[connection.number]
        answer = request.success([(turn.CONNECTION_ID, connection.number)])
        return [answer, JoinPeer(connection.number, request.five_tuple)]

    def closed(self, number: int) -> None:
        """The peer's connection, or the client's to it, has gone."""
        self._forget(number)

    def enforce_policy(self) -> list[Event]:
        """Close connections to peers that may no longer be reached."""
        gone = []
        for held in self._held.values():
            try:
                self._permissions.check_peer(held.allocation, held.peer)
            except Refusal:
                gone.append(held.number)
        return self._hang_up(gone)

    def relays_closed(self, relays: set[int]) -> list[Event]:
        """Allocations have ended, and their connections with them."""
        gone = [
            held.number
            for held in self._held.values()
            if held.allocation.relay in relays
        ]
        return self._hang_up(gone)

    def _hang_up(self, numbers: list[int]) -> list[Event]:
        """Close at once; one that is under way has failed (447)."""
        events: list[Event] = []
        for number in numbers:
            events += [*self.failed(number), ClosePeer(number)]
        return events

    def expire(self, now: float) -> list[Event]:
        """Close what was not joined, or did not even connect, in time."""
        over = []
        for connection in self._waiting.values():
            if connection.ends_at is None or connection.ends_at > now:
                break
            over.append(connection.number)
        return self._hang_up(over)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do: all wait equally long."""
        return next((held.ends_at for held in self._waiting.values()), None)

    def _of(self, allocation: Allocation) -> list[Connection]:
        return [c for c in self._held.values() if c.allocation is allocation]

    def _add(self, allocation: Allocation, peer: Address, ends_at: float) -> Connection:
        if len(self._of(allocation)) >= self._table.limits.tcp_connections:
            raise InsufficientCapacity("too many connections")
        self._last = self._last % 0xFFFFFFFF + 1
        connection = Connection(self._last, allocation, peer, ends_at)
        self._held[connection.number] = connection
        self._wait(connection, ends_at)
        return connection

    def _wait(self, connection: Connection, ends_at: float) -> None:
        connection.ends_at = ends_at
        self._waiting.pop(connection.number, None)
        self._waiting[connection.number] = connection

    def _forget(self, number: int) -> Connection | None:
        self._waiting.pop(number, None)
        return self._held.pop(number, None)

"""What the server core asks of the world around it.

Those with a relay number are commands for the data plane. They are performed
in order, and an `Answer` after them leaves only when the plane has taken them.
"""

from __future__ import annotations

import msgspec

from mosaic.wire.stun.address import Address, FiveTuple


class Answer(msgspec.Struct, frozen=True):
    """Bytes for a client, over the five-tuple that it used."""

    to: FiveTuple
    data: bytes


class OpenRelay(msgspec.Struct, frozen=True):
    """Open a relay socket of a family (4 or 6), then call `relay_opened` or
    `relay_refused` with its number. Numbers are never used again.

    A client with two families has two relays with one five-tuple.
    even: the port must be even (EVEN-PORT). reserve: the next higher port is
    held under this number, until a relay claims it or it is closed; 0 for
    none. claims: the number of a held port that this relay gets.
    tcp: a listener for connections of peers (RFC 6062), not a UDP socket.
    """

    relay: int
    five_tuple: FiveTuple
    family: int
    expires_at: float
    even: bool
    reserve: int = 0
    claims: int = 0
    tcp: bool = False


class Extend(msgspec.Struct, frozen=True):
    """The allocation lives until then."""

    relay: int
    expires_at: float


class Permit(msgspec.Struct, frozen=True):
    """Let a host's datagrams pass until then (RFC 8656 section 9).

    own_only: the host is ours, and only its relayed addresses are meant.
    """

    relay: int
    host: str
    expires_at: float
    own_only: bool


class Bind(msgspec.Struct, frozen=True):
    """Bind a channel to a peer until then (RFC 8656 section 12)."""

    relay: int
    channel: int
    peer: Address
    expires_at: float


class Move(msgspec.Struct, frozen=True):
    """The client is reached over another five-tuple from now on (RFC 8016)."""

    relay: int
    five_tuple: FiveTuple


class CloseRelay(msgspec.Struct, frozen=True):
    """The allocation, or the port that was held, is gone."""

    relay: int


class Vouch(msgspec.Struct, frozen=True):
    """Requests of this username that are signed with this key (16 bytes, MD5)
    may be checked by the data plane. Whether they are granted is asked anew."""

    username: str
    key: bytes


class ConnectPeer(msgspec.Struct, frozen=True):
    """Connect to a peer from the relayed address (RFC 6062 section 5.2), then
    call `peer_connected` or `peer_failed` with the connection's number."""

    relay: int
    connection: int
    peer: Address


class JoinPeer(msgspec.Struct, frozen=True):
    """The client's stream over this five-tuple and the peer's connection are
    one from now on: after the answers before it, bytes and nothing else."""

    connection: int
    five_tuple: FiveTuple


class ClosePeer(msgspec.Struct, frozen=True):
    """Close a connection to a peer, and the client's stream if it is joined."""

    connection: int


Event = (
    Answer
    | OpenRelay
    | Extend
    | Permit
    | Bind
    | Move
    | CloseRelay
    | Vouch
    | ConnectPeer
    | JoinPeer
    | ClosePeer
)

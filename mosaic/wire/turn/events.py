"""What the server core asks of the world around it.

Those with a relay number are commands for the data plane. They are performed
in order, and an `Answer` after them leaves only when the plane has taken them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.wire.stun.address import Address, FiveTuple


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes for a client, over the five-tuple that it used."""

    to: FiveTuple
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenRelay:
    """Open a relay socket of a family (4 or 6), then call `relay_opened` or
    `relay_refused` with its number. Numbers are never used again.
    even: the port must be even (EVEN-PORT)."""

    relay: int
    five_tuple: FiveTuple
    family: int
    expires_at: float
    even: bool


@dataclass(frozen=True, slots=True)
class Extend:
    """The allocation lives until then."""

    relay: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Permit:
    """Let a host's datagrams pass until then (RFC 8656 section 9).

    own_only: the host is ours, and only its relayed addresses are meant.
    """

    relay: int
    host: str
    expires_at: float
    own_only: bool


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind a channel to a peer until then (RFC 8656 section 12)."""

    relay: int
    channel: int
    peer: Address
    expires_at: float


@dataclass(frozen=True, slots=True)
class CloseRelay:
    """The allocation is gone."""

    relay: int


Event = Answer | OpenRelay | Extend | Permit | Bind | CloseRelay

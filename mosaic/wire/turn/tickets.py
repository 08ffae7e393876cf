"""Mobility tickets (RFC 8016): by which a client finds its allocation again."""

from __future__ import annotations

import base64
import hmac

from mosaic.wire.turn.allocation import Allocation

_PROOF_BYTES = 18


class Tickets:
    """Gives tickets and finds what they are for.

    A move gives a new ticket. The one that was used stays good until the new
    one is used: the answer that brings the new one may be lost on the way.
    key: 32 random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given = 0
        self._held: dict[bytes, Allocation] = {}

    def give(self, allocation: Allocation) -> None:
        """Its first ticket."""
        self._given += 1
        text = b"ticket %d" % self._given
        # text, because coturn's client ends a ticket at its first zero byte
        ticket = base64.b64encode(hmac.digest(self._key, text, "sha256")[:_PROOF_BYTES])
        self._held[ticket] = allocation
        allocation.tickets = (ticket, *allocation.tickets)

    def find(self, ticket: bytes) -> Allocation | None:
        """The allocation of a ticket, or None."""
        return self._held.get(ticket)

    def used(self, allocation: Allocation, ticket: bytes) -> None:
        """The allocation has moved by this ticket: it gets another."""
        for old in allocation.tickets:
            if old != ticket:
                del self._held[old]
        allocation.tickets = (ticket,)
        self.give(allocation)

    def forget(self, allocation: Allocation) -> None:
        """It has ended."""
        for ticket in allocation.tickets:
            del self._held[ticket]
        allocation.tickets = ()

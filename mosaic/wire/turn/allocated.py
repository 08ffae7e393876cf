"""The answer to an Allocate that succeeded (RFC 8656 section 7.2)."""

from __future__ import annotations

from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.allocation import Allocation
from mosaic.wire.turn.events import Answer
from mosaic.wire.turn.request import Request


def allocated(request: Request, allocation: Allocation) -> Answer:
    """Tell the client its relayed addresses, or why one of two is missing.

    An IPv4 allocation with nothing special is packed in one go.
    """
    halves, client = allocation.halves, request.five_tuple.client
    relayed = halves[0].relayed
    plain = len(halves) == 1 and not allocation.token and not allocation.tickets
    if plain and relayed is not None and ":" not in relayed.host + client.host:
        body = turn.pack_allocated(relayed, allocation.lifetime_s, client)
        return request.success_of(body)
    rows: list[tuple[Attribute[Any], Any]] = []
    for half in halves:
        if half.relayed is not None:
            rows.append((turn.XOR_RELAYED_ADDRESS, half.relayed))
        elif half.failure:
            error = turn.AddressError(half.family, half.failure)
            rows.append((turn.ADDRESS_ERROR_CODE, error))
    rows.append((turn.LIFETIME, allocation.lifetime_s))
    rows.append((stun.XOR_MAPPED_ADDRESS, client))
    if allocation.token:
        rows.append((turn.RESERVATION_TOKEN, allocation.token))
    if allocation.tickets:
        rows.append((turn.MOBILITY_TICKET, allocation.tickets[0]))
    return request.success(rows)

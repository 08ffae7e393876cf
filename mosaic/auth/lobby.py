"""Who stands in a room's lobby, for every door the same."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.auth.issue import SEAT
from mosaic.store.interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class InLobby:
    """Somebody who waits for a host. hub: the Hub ID of a room box, else None."""

    participant_id: str
    name: str
    hub: str | None


async def lobby_of(store: Store, hub_id: str) -> list[InLobby]:
    """First come first."""
    found = []
    for token in await store.waiting_tokens(hub_id):
        seat = None
        if token.kind == SEAT:
            seat = await store.hub_seat(token.participant_id)
        found.append(
            InLobby(
                participant_id=token.participant_id,
                name=token.name,
                hub=None if seat is None else seat.hub_id,
            )
        )
    return found

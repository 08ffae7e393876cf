"""Who leaves a room by force leaves the relay too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mosaic.auth.turn_credentials import TurnSecrets, owner_of
from mosaic.bus.interface import Bus, Payload


class Relay(Protocol):
    """The part of the TURN service that ends allocations."""

    def drop(self, matches: Callable[[str], bool]) -> None:
        """End the allocations of the user names that match."""


def revoke_with_the_door(
    bus: Bus, *, secrets: TurnSecrets, relay: Relay, now: Callable[[], float]
) -> None:
    """Revoke the TURN credentials of participants who are kicked and of
    accounts that are removed or change their password."""

    def revoke(owner: str) -> None:
        secrets.revoke(owner, now())
        relay.drop(lambda username: owner_of(username) == owner)

    def heard_people(topic: str, payload: Payload) -> None:
        if payload.get("type") == "kicked":
            revoke(str(payload["participant_id"]))

    def heard_account(topic: str, payload: Payload) -> None:
        revoke(topic.partition(".")[2])

    bus.subscribe("room.*", heard_people)
    bus.subscribe("account.*", heard_account)

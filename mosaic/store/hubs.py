"""What every store keeps of room boxes: codes, hubs, their seats and commands.

A part of store.interface.Store, under the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.store.errors import StoreError
from mosaic.workspace.hubcodes import HubCode
from mosaic.workspace.hubs import Hub, HubCommand, Outcome
from mosaic.workspace.model import Room


class TooMany(StoreError):
    """There are as many hubs, or waiting commands, as there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSeat:
    """A room token that a hub was given: participant_id in room, until then."""

    participant_id: str
    hub_id: str
    room: str
    created_at: float
    expires_at: float


class Hubs(Protocol):
    """Hubs go with their room; codes stand alone; the rest goes with its hub."""

    def add_hub_code(self, code: HubCode) -> Deferred[None]:
        """Keep one. Raises NameTaken for its digest or id."""

    def hub_codes(self) -> Deferred[list[HubCode]]:
        """All, oldest first."""

    def hub_code(self, digest: bytes) -> Deferred[HubCode | None]:
        """The one of that digest, good or not."""

    def remove_hub_code(self, id: str) -> Deferred[None]:
        """Raises NotFound."""

    def remove_hub_codes(self, *, expired_before: float) -> Deferred[int]:
        """Forget those that are over; how many."""

    def enrol_hub(
        self, hub: Hub, room: Room, *, now: float, most: int
    ) -> Deferred[Hub]:
        """Keep a hub with its room, and use the code hub.code once.

        A hub of the same public key that came by this code, or comes by a good
        one, is given back as it is, and nothing is used. Raises NotFound for a
        code that is not good, TooMany past `most` hubs, NameTaken for the Hub ID.
        """

    def hubs(self) -> Deferred[list[Hub]]:
        """All, oldest first."""

    def change_hub(
        self, hub_id: str, change: Callable[[Hub], Hub], *, touch: bool = False
    ) -> Deferred[Hub]:
        """Write what the function makes of it, in one transaction; the hub after.

        hub_id, public_key, code and enrolled_at stay. seq grows if the feed shows
        something else, or if told to (touch). The function may be called again,
        in another thread. Raises NotFound, and what the function raises.
        """

    def remove_hub(self, hub_id: str) -> Deferred[None]:
        """Forget it, its seats and commands; its room stays. Raises NotFound."""

    # Seats ----------------------------------------------------------------
    def add_hub_seat(self, seat: HubSeat) -> Deferred[None]:
        """Raises NotFound for the hub."""

    def hub_seats(self, hub_id: str) -> Deferred[list[HubSeat]]:
        """A hub's, oldest first."""

    def hub_seat(self, participant_id: str) -> Deferred[HubSeat | None]:
        """Whose seat it is."""

    def prolong_hub_seat(
        self, participant_id: str, expires_at: float
    ) -> Deferred[None]:
        """Let it last until then. Raises NotFound."""

    def remove_hub_seat(self, participant_id: str) -> Deferred[None]:
        """Unknown ones are no error."""

    def remove_hub_seats(self, *, expired_before: float) -> Deferred[int]:
        """Forget those that are over; how many."""

    # Commands -------------------------------------------------------------
    def add_hub_command(self, command: HubCommand, *, most: int) -> Deferred[Hub]:
        """Keep it; seq grows. The hub after. Raises NotFound, and TooMany if
        `most` of the hub wait already."""

    def hub_command(self, hub_id: str, id: str) -> Deferred[HubCommand]:
        """Raises NotFound."""

    def hub_commands(
        self, *, hub_id: str | None = None, state: Outcome | None = None
    ) -> Deferred[list[HubCommand]]:
        """Those that meet every given condition, newest first."""

    def note_hub_file(
        self, hub_id: str, id: str, *, media_type: str, size_bytes: int
    ) -> Deferred[None]:
        """The file of a waiting command is there. Raises NotFound."""

    def finish_hub_command(
        self, hub_id: str, id: str, *, state: Outcome, detail: str
    ) -> Deferred[bool]:
        """Its answer; False, and nothing changes, if it had one. Raises NotFound."""

    def remove_hub_commands(self, *, before: float) -> Deferred[list[HubCommand]]:
        """Forget those that were asked for before; they are given back."""

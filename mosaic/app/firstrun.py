"""What a new installation needs before people can meet in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mosaic.store.interface import Store
from mosaic.workspace.model import Room

FIRST_ROOM = "Meeting room"


class FirstDoor(Protocol):
    """The part of the door that the first run uses."""

    async def create_room(
        self, name: str, *, owner: str | None, alias: str | None = None
    ) -> Room:
        """A new room."""

    async def new_setup_code(self) -> str | None:
        """A one-time code, or None once there is an administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What the banner shows. setup_code: None once there is an administrator."""

    room: Room | None
    setup_code: str | None


async def prepare(store: Store, door: FirstDoor) -> Welcome:
    """Make the first room if there is none, and a code for the administrator."""
    rooms = await store.rooms()
    if not rooms:
        rooms = [await door.create_room(FIRST_ROOM, owner=None)]
    open_rooms = [room for room in rooms if room.closed_at is None]
    oldest = min(open_rooms, key=lambda room: room.created_at, default=None)
    code = await door.new_setup_code()
    # The house's own room is for everybody; others' PINs are not for the log.
    shown = oldest if oldest is not None and oldest.owner is None else None
    return Welcome(room=shown, setup_code=code)

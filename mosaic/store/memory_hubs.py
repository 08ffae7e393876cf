"""Hubs, codes, seats and commands of the store that forgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.hubs import HubSeat, TooMany
from mosaic.store.memory_history import RoomRecord, fired
from mosaic.workspace.hubcodes import HubCode
from mosaic.workspace.hubs import Hub, HubCommand, Outcome, with_seq
from mosaic.workspace.model import Room


class MemoryHubs:
    """The Hubs of the memory store. rooms: those of the store, by Hub ID."""

    def __init__(self, rooms: dict[str, RoomRecord]) -> None:
        self._hub_rooms = rooms
        self._hub_codes: dict[str, HubCode] = {}
        self._hubs: dict[str, Hub] = {}
        self._hub_seats: dict[str, HubSeat] = {}
        self._hub_commands: dict[str, HubCommand] = {}

    @fired
    def add_hub_code(self, code: HubCode) -> None:
        """See Hubs."""
        if code.id in self._hub_codes or self._code(code.digest) is not None:
            raise NameTaken("this activation code exists")
        self._hub_codes[code.id] = code

    @fired
    def hub_codes(self) -> list[HubCode]:
        """See Hubs."""
        return sorted(self._hub_codes.values(), key=lambda c: (c.created_at, c.id))

    @fired
    def hub_code(self, digest: bytes) -> HubCode | None:
        """See Hubs."""
        return self._code(digest)

    @fired
    def remove_hub_code(self, id: str) -> None:
        """See Hubs."""
        if self._hub_codes.pop(id, None) is None:
            raise NotFound("there is no such activation code")

    @fired
    def remove_hub_codes(self, *, expired_before: float) -> int:
        """See Hubs."""
        old = [c.id for c in self._hub_codes.values() if c.expires_at < expired_before]
        for id in old:
            del self._hub_codes[id]
        return len(old)

    @fired
    def enrol_hub(self, hub: Hub, room: Room, *, now: float, most: int) -> Hub:
        """See Hubs."""
        code = self._code(hub.code)
        for known in self._hubs.values():
            if known.public_key != hub.public_key:
                continue
            if known.code == hub.code or (code is not None and code.is_good(now)):
                return known
        if code is None or not code.is_good(now):
            raise NotFound("this activation code is not good")
        if len(self._hubs) >= most:
            raise TooMany(f"there are {len(self._hubs)} hubs already")
        if room.hub_id in self._hub_rooms:
            raise NameTaken(f"the room {room.hub_id} exists")
        self._hub_rooms[room.hub_id] = RoomRecord(room)
        self._hubs[hub.hub_id] = hub
        self._hub_codes[code.id] = replace(code, uses_left=code.uses_left - 1)
        return hub

    @fired
    def hubs(self) -> list[Hub]:
        """See Hubs."""
        return sorted(self._hubs.values(), key=lambda h: (h.enrolled_at, h.hub_id))

    @fired
    def change_hub(
        self, hub_id: str, change: Callable[[Hub], Hub], *, touch: bool = False
    ) -> Hub:
        """See Hubs."""
        return self._change_hub(hub_id, change, touch=touch)

    @fired
    def remove_hub(self, hub_id: str) -> None:
        """See Hubs."""
        self._hub(hub_id)
        del self._hubs[hub_id]
        self._hub_seats = {
            id: seat for id, seat in self._hub_seats.items() if seat.hub_id != hub_id
        }
        self._hub_commands = {
            id: one for id, one in self._hub_commands.items() if one.hub_id != hub_id
        }

    # Seats ----------------------------------------------------------------
    @fired
    def add_hub_seat(self, seat: HubSeat) -> None:
        """See Hubs."""
        self._hub(seat.hub_id)
        self._hub_seats[seat.participant_id] = seat

    @fired
    def hub_seats(self, hub_id: str) -> list[HubSeat]:
        """See Hubs."""
        mine = [seat for seat in self._hub_seats.values() if seat.hub_id == hub_id]
        return sorted(mine, key=lambda seat: (seat.created_at, seat.participant_id))

    @fired
    def hub_seat(self, participant_id: str) -> HubSeat | None:
        """See Hubs."""
        return self._hub_seats.get(participant_id)

    @fired
    def prolong_hub_seat(self, participant_id: str, expires_at: float) -> None:
        """See Hubs."""
        seat = self._hub_seats.get(participant_id)
        if seat is None:
            raise NotFound("no such seat")
        self._hub_seats[participant_id] = replace(seat, expires_at=expires_at)

    @fired
    def remove_hub_seat(self, participant_id: str) -> None:
        """See Hubs."""
        self._hub_seats.pop(participant_id, None)

    @fired
    def remove_hub_seats(self, *, expired_before: float) -> int:
        """See Hubs."""
        before = len(self._hub_seats)
        self._hub_seats = {
            id: seat
            for id, seat in self._hub_seats.items()
            if seat.expires_at >= expired_before
        }
        return before - len(self._hub_seats)

    # Commands -------------------------------------------------------------
    @fired
    def add_hub_command(self, command: HubCommand, *, most: int) -> Hub:
        """See Hubs."""
        waiting = self._commands(command.hub_id, Outcome.WAITING)
        if len(waiting) >= most:
            raise TooMany(f"{len(waiting)} commands of this hub wait already")
        hub = self._change_hub(command.hub_id, lambda same: same, touch=True)
        self._hub_commands[command.id] = command
        return hub

    @fired
    def hub_command(self, hub_id: str, id: str) -> HubCommand:
        """See Hubs."""
        return self._command(hub_id, id)

    @fired
    def hub_commands(
        self, *, hub_id: str | None = None, state: Outcome | None = None
    ) -> list[HubCommand]:
        """See Hubs."""
        return self._commands(hub_id, state)

    @fired
    def note_hub_file(
        self, hub_id: str, id: str, *, media_type: str, size_bytes: int
    ) -> None:
        """See Hubs."""
        command = self._command(hub_id, id)
        if command.state is not Outcome.WAITING:
            raise NotFound("this command has been answered")
        self._hub_commands[id] = replace(
            command, media_type=media_type, size_bytes=size_bytes
        )

    @fired
    def finish_hub_command(
        self, hub_id: str, id: str, *, state: Outcome, detail: str
    ) -> bool:
        """See Hubs."""
        command = self._command(hub_id, id)
        if command.state is not Outcome.WAITING:
            return False
        self._hub_commands[id] = replace(command, state=state, detail=detail)
        return True

    @fired
    def remove_hub_commands(self, *, before: float) -> list[HubCommand]:
        """See Hubs."""
        gone = [one for one in self._hub_commands.values() if one.at < before]
        for one in gone:
            del self._hub_commands[one.id]
        return gone

    # ----------------------------------------------------------------------
    def _code(self, digest: bytes) -> HubCode | None:
        codes = self._hub_codes.values()
        return next((code for code in codes if code.digest == digest), None)

    def _hub(self, hub_id: str) -> Hub:
        if hub_id not in self._hubs:
            raise NotFound(f"there is no hub {hub_id}")
        return self._hubs[hub_id]

    def _change_hub(
        self, hub_id: str, change: Callable[[Hub], Hub], *, touch: bool
    ) -> Hub:
        before = self._hub(hub_id)
        self._hubs[hub_id] = with_seq(before, change(before), touch=touch)
        return self._hubs[hub_id]

    def _command(self, hub_id: str, id: str) -> HubCommand:
        command = self._hub_commands.get(id)
        if command is None or command.hub_id != hub_id:
            raise NotFound("there is no such command")
        return command

    def _commands(self, hub_id: str | None, state: Outcome | None) -> list[HubCommand]:
        found = [
            one
            for one in self._hub_commands.values()
            if hub_id in (None, one.hub_id) and state in (None, one.state)
        ]
        return sorted(found, key=lambda one: (-one.at, one.id))

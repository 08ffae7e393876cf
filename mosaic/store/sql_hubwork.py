"""Seats and commands of hubs in SQL: functions over a connection, and the part
of the SQL store that calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from twisted.internet.defer import Deferred

from mosaic.store import sql_hubs
from mosaic.store.errors import NotFound
from mosaic.store.hubs import HubSeat, TooMany
from mosaic.store.hubs_schema import hub_commands, hub_seats
from mosaic.workspace.hubs import Hub, HubCommand, Outcome


class SqlHubWork:
    """The seats and commands of the SQL store."""

    _ask: Callable[..., Deferred[Any]]
    _change: Callable[..., Deferred[Any]]

    def add_hub_seat(self, seat: HubSeat) -> Deferred[None]:
        """See Hubs."""
        return self._change(_add_seat, seat)

    def hub_seats(self, hub_id: str) -> Deferred[list[HubSeat]]:
        """See Hubs."""
        return self._ask(seats_of, hub_id)

    def hub_seat(self, participant_id: str) -> Deferred[HubSeat | None]:
        """See Hubs."""
        return self._ask(_seat, participant_id)

    def prolong_hub_seat(
        self, participant_id: str, expires_at: float
    ) -> Deferred[None]:
        """See Hubs."""
        return self._change(_prolong_seat, participant_id, expires_at)

    def remove_hub_seat(self, participant_id: str) -> Deferred[None]:
        """See Hubs."""
        return self._change(_remove_seat, participant_id)

    def remove_hub_seats(self, *, expired_before: float) -> Deferred[int]:
        """See Hubs."""
        return self._change(_remove_old_seats, expired_before)

    def add_hub_command(self, command: HubCommand, *, most: int) -> Deferred[Hub]:
        """See Hubs."""
        return self._change(_add_command, command, most=most)

    def hub_command(self, hub_id: str, id: str) -> Deferred[HubCommand]:
        """See Hubs."""
        return self._ask(_command, hub_id, id)

    def hub_commands(
        self, *, hub_id: str | None = None, state: Outcome | None = None
    ) -> Deferred[list[HubCommand]]:
        """See Hubs."""
        return self._ask(_commands, hub_id=hub_id, state=state)

    def note_hub_file(
        self, hub_id: str, id: str, *, media_type: str, size_bytes: int
    ) -> Deferred[None]:
        """See Hubs."""
        return self._change(
            _note_file, hub_id, id, media_type=media_type, size_bytes=size_bytes
        )

    def finish_hub_command(
        self, hub_id: str, id: str, *, state: Outcome, detail: str
    ) -> Deferred[bool]:
        """See Hubs."""
        return self._change(_finish, hub_id, id, state=state, detail=detail)

    def remove_hub_commands(self, *, before: float) -> Deferred[list[HubCommand]]:
        """See Hubs."""
        return self._change(_remove_old_commands, before)


def _add_seat(connection: Connection, seat: HubSeat) -> None:
    sql_hubs.get(connection, seat.hub_id)
    connection.execute(insert(hub_seats).values(asdict(seat)))


def seats_of(connection: Connection, hub_id: str) -> list[HubSeat]:
    """See Hubs.hub_seats."""
    rows = connection.execute(
        select(hub_seats)
        .where(hub_seats.c.hub_id == hub_id)
        .order_by(hub_seats.c.created_at, hub_seats.c.participant_id)
    )
    return [HubSeat(**row._mapping) for row in rows]


def _seat(connection: Connection, participant_id: str) -> HubSeat | None:
    where = hub_seats.c.participant_id == participant_id
    row = connection.execute(select(hub_seats).where(where)).first()
    return None if row is None else HubSeat(**row._mapping)


def _prolong_seat(
    connection: Connection, participant_id: str, expires_at: float
) -> None:
    where = hub_seats.c.participant_id == participant_id
    changed = connection.execute(
        update(hub_seats).where(where).values(expires_at=expires_at)
    )
    if changed.rowcount == 0:
        raise NotFound("no such seat")


def _remove_seat(connection: Connection, participant_id: str) -> None:
    where = hub_seats.c.participant_id == participant_id
    connection.execute(delete(hub_seats).where(where))


def _remove_old_seats(connection: Connection, before: float) -> int:
    statement = delete(hub_seats).where(hub_seats.c.expires_at < before)
    return connection.execute(statement).rowcount


def _add_command(connection: Connection, command: HubCommand, *, most: int) -> Hub:
    waiting = connection.execute(
        select(func.count())
        .select_from(hub_commands)
        .where(
            hub_commands.c.hub_id == command.hub_id,
            hub_commands.c.state == Outcome.WAITING.value,
        )
    ).scalar_one()
    if waiting >= most:
        raise TooMany(f"{waiting} commands of this hub wait already")
    hub = sql_hubs.change_hub(connection, command.hub_id, lambda same: same, touch=True)
    connection.execute(insert(hub_commands).values(asdict(command)))
    return hub


def _command(connection: Connection, hub_id: str, id: str) -> HubCommand:
    row = connection.execute(
        select(hub_commands).where(
            hub_commands.c.id == id, hub_commands.c.hub_id == hub_id
        )
    ).first()
    if row is None:
        raise NotFound("there is no such command")
    return _read(row._mapping)


def _commands(
    connection: Connection, *, hub_id: str | None, state: Outcome | None
) -> list[HubCommand]:
    question = select(hub_commands)
    if hub_id is not None:
        question = question.where(hub_commands.c.hub_id == hub_id)
    if state is not None:
        question = question.where(hub_commands.c.state == state.value)
    question = question.order_by(hub_commands.c.at.desc(), hub_commands.c.id)
    return [_read(row._mapping) for row in connection.execute(question)]


def _note_file(
    connection: Connection, hub_id: str, id: str, *, media_type: str, size_bytes: int
) -> None:
    if _command(connection, hub_id, id).state is not Outcome.WAITING:
        raise NotFound("this command has been answered")
    connection.execute(
        update(hub_commands)
        .where(hub_commands.c.id == id)
        .values(media_type=media_type, size_bytes=size_bytes)
    )


def _finish(
    connection: Connection, hub_id: str, id: str, *, state: Outcome, detail: str
) -> bool:
    if _command(connection, hub_id, id).state is not Outcome.WAITING:
        return False
    connection.execute(
        update(hub_commands)
        .where(hub_commands.c.id == id)
        .values(state=state.value, detail=detail)
    )
    return True


def _remove_old_commands(connection: Connection, before: float) -> list[HubCommand]:
    old = hub_commands.c.at < before
    gone = [
        _read(r._mapping) for r in connection.execute(select(hub_commands).where(old))
    ]
    if gone:
        connection.execute(delete(hub_commands).where(old))
    return gone


def _read(row: Any) -> HubCommand:
    values = dict(row)
    values["state"] = Outcome(values["state"])
    return HubCommand(**values)

"""Hubs and activation codes in SQL: functions over a connection, and the part of
the SQL store that calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from twisted.internet.defer import Deferred

from mosaic.store import rooms
from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.hubs import TooMany
from mosaic.store.hubs_schema import hub_codes, hubs
from mosaic.workspace.hubcodes import HubCode
from mosaic.workspace.hubnetwork import HubNetwork
from mosaic.workspace.hubs import (
    CalendarEntry,
    Desired,
    Hub,
    UpdatePolicy,
    with_seq,
)
from mosaic.workspace.model import Room

_JSON: dict[str, Any] = {
    "desired": Desired,
    "update": UpdatePolicy,
    "calendar": tuple[CalendarEntry, ...],
    "network": HubNetwork | None,
}


class SqlHubs:
    """The hubs and codes of the SQL store."""

    _ask: Callable[..., Deferred[Any]]
    _change: Callable[..., Deferred[Any]]

    def add_hub_code(self, code: HubCode) -> Deferred[None]:
        """See Hubs."""
        return self._change(add_code, code)

    def hub_codes(self) -> Deferred[list[HubCode]]:
        """See Hubs."""
        return self._ask(every_code)

    def hub_code(self, digest: bytes) -> Deferred[HubCode | None]:
        """See Hubs."""
        return self._ask(find_code, digest)

    def remove_hub_code(self, id: str) -> Deferred[None]:
        """See Hubs."""
        return self._change(remove_code, id)

    def remove_hub_codes(self, *, expired_before: float) -> Deferred[int]:
        """See Hubs."""
        return self._change(remove_old_codes, expired_before)

    def enrol_hub(
        self, hub: Hub, room: Room, *, now: float, most: int
    ) -> Deferred[Hub]:
        """See Hubs."""
        return self._change(enrol, hub, room, now=now, most=most)

    def hubs(self) -> Deferred[list[Hub]]:
        """See Hubs."""
        return self._ask(every)

    def change_hub(
        self, hub_id: str, change: Callable[[Hub], Hub], *, touch: bool = False
    ) -> Deferred[Hub]:
        """See Hubs."""
        return self._change(change_hub, hub_id, change, touch=touch)

    def remove_hub(self, hub_id: str) -> Deferred[None]:
        """See Hubs."""
        return self._change(remove, hub_id)


# Codes --------------------------------------------------------------------
def add_code(connection: Connection, code: HubCode) -> None:
    """See Hubs.add_hub_code."""
    same = or_(hub_codes.c.id == code.id, hub_codes.c.digest == code.digest)
    if connection.execute(select(hub_codes.c.id).where(same)).first():
        raise NameTaken("this activation code exists")
    connection.execute(insert(hub_codes).values(asdict(code)))


def every_code(connection: Connection) -> list[HubCode]:
    """See Hubs.hub_codes."""
    question = select(hub_codes).order_by(hub_codes.c.created_at, hub_codes.c.id)
    return [HubCode(**row._mapping) for row in connection.execute(question)]


def find_code(connection: Connection, digest: bytes) -> HubCode | None:
    """See Hubs.hub_code."""
    question = select(hub_codes).where(hub_codes.c.digest == digest)
    row = connection.execute(question).first()
    return None if row is None else HubCode(**row._mapping)


def remove_code(connection: Connection, id: str) -> None:
    """See Hubs.remove_hub_code."""
    if not connection.execute(delete(hub_codes).where(hub_codes.c.id == id)).rowcount:
        raise NotFound("there is no such activation code")


def remove_old_codes(connection: Connection, before: float) -> int:
    """See Hubs.remove_hub_codes."""
    statement = delete(hub_codes).where(hub_codes.c.expires_at < before)
    return connection.execute(statement).rowcount


# Hubs ---------------------------------------------------------------------
def enrol(
    connection: Connection, hub: Hub, room: Room, *, now: float, most: int
) -> Hub:
    """See Hubs.enrol_hub."""
    code = find_code(connection, hub.code)
    good = code is not None and code.is_good(now)
    known = _first(connection, hubs.c.public_key == hub.public_key)
    if known is not None and (good or known.code == hub.code):
        return known
    if not good:
        raise NotFound("this activation code is not good")
    count = connection.execute(select(func.count()).select_from(hubs)).scalar_one()
    if count >= most:
        raise TooMany(f"there are {count} hubs already")
    rooms.add(connection, room)
    connection.execute(insert(hubs).values(values_of(hub)))
    connection.execute(
        update(hub_codes)
        .where(hub_codes.c.digest == hub.code)
        .values(uses_left=hub_codes.c.uses_left - 1)
    )
    return hub


def every(connection: Connection) -> list[Hub]:
    """See Hubs.hubs."""
    question = select(hubs).order_by(hubs.c.enrolled_at, hubs.c.hub_id)
    return [_hub(row) for row in connection.execute(question)]


def get(connection: Connection, hub_id: str) -> Hub:
    """One hub. Raises NotFound."""
    hub = _first(connection, hubs.c.hub_id == hub_id)
    if hub is None:
        raise NotFound(f"there is no hub {hub_id}")
    return hub


def change_hub(
    connection: Connection,
    hub_id: str,
    change: Callable[[Hub], Hub],
    *,
    touch: bool = False,
) -> Hub:
    """See Hubs.change_hub."""
    before = get(connection, hub_id)
    after = with_seq(before, change(before), touch=touch)
    if after != before:
        values = values_of(after)
        where = hubs.c.hub_id == hub_id
        connection.execute(update(hubs).where(where).values(values))
    return after


def remove(connection: Connection, hub_id: str) -> None:
    """See Hubs.remove_hub."""
    if not connection.execute(delete(hubs).where(hubs.c.hub_id == hub_id)).rowcount:
        raise NotFound(f"there is no hub {hub_id}")


def _first(connection: Connection, where: ColumnElement[bool]) -> Hub | None:
    row = connection.execute(select(hubs).where(where)).first()
    return None if row is None else _hub(row)


def values_of(hub: Hub) -> dict[str, Any]:
    """A hub as a row of the table."""
    values = {name: getattr(hub, name) for name in hub.__slots__}
    for name in _JSON:
        values[name] = msgspec.json.encode(values[name]).decode()
    return values


def _hub(row: Row[Any]) -> Hub:
    values = dict(row._mapping)
    for name, kind in _JSON.items():
        values[name] = msgspec.json.decode(values[name], type=kind)
    return Hub(**values)

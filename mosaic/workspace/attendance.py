"""Who is in which room, whichever door they came through.

The doors (services) never see each other. Each tells the bus who comes, changes
and goes, in the words of this module, and keeps an Attendance of what the
others told. The topic is `room.<hub_id>.attendance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mosaic.workspace.model import Role

Payload = dict[str, Any]
PREFIX, SUFFIX = "room.", ".attendance"
QUESTION = "attendance"
"""The topic of a door that has just opened and asks who is where."""


class Via(StrEnum):
    """The door that somebody came through."""

    BROWSER = "browser"
    XMPP = "xmpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """A participant as the other doors see them.

    id: of the participant. account: None for a guest. hand: raised; the others
    of these four say what they send. hub: the Hub ID of a room box.
    """

    id: str
    name: str
    role: Role
    account: str | None
    via: Via
    hand: bool = False
    mic: bool = False
    cam: bool = False
    screen: bool = False
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happened in a room. before, after: None for not there."""

    hub_id: str
    id: str
    before: Attendee | None
    after: Attendee | None


def topic_of(hub_id: str) -> str:
    """Where a room's attendance is told."""
    return f"{PREFIX}{hub_id}{SUFFIX}"


def here(source: str, attendee: Attendee) -> Payload:
    """Somebody is in the room now, or is another than before.

    source: the door that tells, a random text of each service object.
    """
    return {
        "type": "here",
        "source": source,
        "id": attendee.id,
        "name": attendee.name,
        "role": attendee.role.value,
        "account": attendee.account,
        "via": attendee.via.value,
        "hand": attendee.hand,
        "mic": attendee.mic,
        "cam": attendee.cam,
        "screen": attendee.screen,
        "hub": attendee.hub,
    }


def gone(source: str, participant_id: str) -> Payload:
    """Somebody has left the room, as far as this door knows."""
    return {"type": "gone", "source": source, "id": participant_id}


def question(source: str) -> Payload:
    """A door has opened: the others tell it who is with them."""
    return {"type": "question", "source": source}


@dataclass(slots=True)
class Attendance:
    """What one door knows of all the others. source: of this door, whose own
    words it need not hear."""

    source: str
    _rooms: dict[str, dict[str, tuple[str, Attendee]]] = field(default_factory=dict)

    def heard(self, topic: str, payload: Mapping[str, Any]) -> Change | None:
        """Take in what another door told; what is new in it, if anything.

        Words that are not understood are those of a later version: nothing.
        """
        if not (topic.startswith(PREFIX) and topic.endswith(SUFFIX)):
            return None
        source = payload.get("source")
        if not isinstance(source, str) or source == self.source:
            return None
        hub_id = topic[len(PREFIX) : -len(SUFFIX)]
        match payload.get("type"):
            case "here":
                return self._here(hub_id, source, payload)
            case "gone":
                return self._gone(hub_id, source, str(payload.get("id")))
        return None

    def _here(
        self, hub_id: str, source: str, payload: Mapping[str, Any]
    ) -> Change | None:
        try:
            after = Attendee(
                id=str(payload["id"]),
                name=str(payload["name"]),
                role=Role(payload["role"]),
                account=payload["account"],
                via=Via(payload["via"]),
                hub=payload.get("hub"),
                **{key: bool(payload[key]) for key in ("hand", "mic", "cam", "screen")},
            )
        except (KeyError, ValueError):
            return None
        room = self._rooms.setdefault(hub_id, {})
        known = room.get(after.id)
        room[after.id] = (source, after)
        before = None if known is None else known[1]
        if before == after:
            return None
        return Change(hub_id=hub_id, id=after.id, before=before, after=after)

    def _gone(self, hub_id: str, source: str, who: str) -> Change | None:
        room = self._rooms.get(hub_id, {})
        known = room.get(who)
        # one who has come back through another door stays
        if known is None or known[0] != source:
            return None
        del room[who]
        if not room:
            del self._rooms[hub_id]
        return Change(hub_id=hub_id, id=who, before=known[1], after=None)

    def people(self, hub_id: str) -> list[Attendee]:
        """Those in a room through other doors, in the order of their coming."""
        return [attendee for _, attendee in self._rooms.get(hub_id, {}).values()]

    def rooms(self) -> Iterator[str]:
        """Rooms with somebody in them."""
        yield from list(self._rooms)

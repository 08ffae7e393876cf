"""Who is in a room and what was said: the room's events with their numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from mosaic.wire.drcp.native import json_message
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace.attendance import Attendee, Via
from mosaic.workspace.model import Message, Role

RING = 1024
STATE_KEYS = ("hand", "mic", "cam", "screen")
MAX_EMOJI = 32


@dataclass(slots=True)
class Person:
    """One participant as the others see them."""

    id: str
    name: str
    role: Role
    account: str | None
    hand: bool = False
    mic: bool = False
    cam: bool = False
    screen: bool = False
    via: Via = Via.BROWSER
    hub: str | None = None

    def merge(self, state: dict[str, Any]) -> bool:
        """Take any of hand, mic, cam, screen; False if one is no bool."""
        changes = {key: state[key] for key in STATE_KEYS if key in state}
        if not changes or not all(isinstance(v, bool) for v in changes.values()):
            return False
        for key, value in changes.items():
            setattr(self, key, value)
        return True

    def as_json(self) -> dict[str, Any]:
        """docs/protocols/drcp.md: person."""
        person = {
            "id": self.id,
            "name": self.name,
            "role": self.role.value,
            "account": self.account,
            **{key: getattr(self, key) for key in STATE_KEYS},
        }
        if self.via is not Via.BROWSER:
            person["via"] = self.via.value
        if self.hub is not None:
            person["hub"] = self.hub
        return person

    def attendee(self) -> Attendee:
        """The person as the other doors see them."""
        return Attendee(
            id=self.id,
            name=self.name,
            role=self.role,
            account=self.account,
            via=self.via,
            hand=self.hand,
            mic=self.mic,
            cam=self.cam,
            screen=self.screen,
            hub=self.hub,
        )


def person_of(attendee: Attendee) -> Person:
    """Somebody who came through another door."""
    return Person(
        attendee.id,
        attendee.name,
        attendee.role,
        attendee.account,
        hand=attendee.hand,
        mic=attendee.mic,
        cam=attendee.cam,
        screen=attendee.screen,
        via=attendee.via,
        hub=attendee.hub,
    )


def chat_json(message: Message) -> dict[str, Any]:
    """docs/protocols/drcp.md: chat from the server."""
    line: dict[str, Any] = {
        "seq": message.seq,
        "message_id": message.message_id,
        "author_id": message.author_id,
        "author": message.author,
        "text": message.text,
        "at": message.at,
    }
    if message.edited_at is not None:
        line["edited_at"] = message.edited_at
    if message.retracted_at is not None:
        line["retracted_at"] = message.retracted_at
    return line


class EventRing:
    """The newest events, framed, for those who come back after a moment."""

    def __init__(self) -> None:
        self.seq = 0
        self._events: deque[tuple[int, bytes]] = deque(maxlen=RING)

    def add(self, kind: str, data: object, *, at: float, sender: str | None) -> bytes:
        """Number an event; its message."""
        self.seq += 1
        message = self.event(kind, data, at=at, sender=sender)
        self._events.append((self.seq, message))
        return message

    def event(self, kind: str, data: object, *, at: float, sender: str | None) -> bytes:
        """The message of an event for a few, which takes no number."""
        body = {"type": kind, "seq": self.seq, "at": at, "from": sender, "data": data}
        return json_message(0, Type.EVENT, body)

    def since(self, seq: int) -> list[bytes] | None:
        """The events after seq, or None if some of them are gone."""
        if not 0 <= seq <= self.seq:
            return None
        oldest = self._events[0][0] if self._events else self.seq + 1
        if seq + 1 < oldest:
            return None
        return [message for number, message in self._events if number > seq]

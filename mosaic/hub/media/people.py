"""Who is in the room, and what was said, as DRCP tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.yprotocols import Type


@dataclass(slots=True)
class RoomView:
    """me: our participant id, once welcomed. people: by id, as DRCP describes them.
    chat: lines by their seq. waiting: in the lobby."""

    me: str | None = None
    waiting: bool = False
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    chat: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def callable(self) -> list[str]:
        """Whom one can call: who came by DRCP (docs/protocols/drcp.md 4.1)."""
        return [
            person
            for person, facts in self.people.items()
            if not facts.get("via") and person != self.me
        ]

    def hear(self, message: Message) -> str | None:
        """Take a message; "room" (all is new), "join" or "leave" if it was that."""
        value = message.value
        match message.type:
            case Type.WELCOME:
                self.me = str(value["participant_id"])
                self.waiting = bool(value["waiting"])
                self._take(value)
                return None if self.waiting else "room"
            case Type.RESYNC:
                self._take(value)
                return "room"
            case Type.EVENT:
                return self._event(value)
        return None

    def _take(self, value: dict[str, Any]) -> None:
        self.people = {str(person["id"]): person for person in value["people"]}
        self.chat.update({int(line["seq"]): line for line in value["chat"]})

    def _event(self, event: dict[str, Any]) -> str | None:
        kind, data = event.get("type"), event.get("data", {})
        match kind:
            case "join" | "person":
                known = str(data["id"]) in self.people
                self.people[str(data["id"])] = data
                return None if known else "join"
            case "leave":
                self.people.pop(str(data["id"]), None)
                return "leave"
            case "chat" | "edit":
                self.chat[int(data["seq"])] = data
            case "admitted":
                self.waiting = False  # resync follows
        return None

"""The chat of a live room: written here, or heard from another door."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from mosaic.bus.interface import Bus, Payload
from mosaic.services.drcp.member import Member
from mosaic.services.drcp.people import chat_json
from mosaic.services.drcp.shared import spawn
from mosaic.store.interface import NotFound, Store, StoreError
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import json_message
from mosaic.wire.drcp.yprotocols import Type
from mosaic.workspace.archive import Entry, Kind
from mosaic.workspace.conversation import (
    MAX_CHAT,
    MAX_MESSAGE_ID,
    message_of,
    read_said,
    said_in_browser,
    topic_of,
)
from mosaic.workspace.model import Message, Role

WELCOME_CHAT = 100
_REMEMBERED_MESSAGES = 1024


class Listeners(Protocol):
    """Those who hear a room's events."""

    def broadcast(
        self,
        kind: str,
        data: object,
        *,
        sender: str | None = None,
        but: Member | None = None,
    ) -> None:
        """An event for everybody."""

    def tell(self, members: Iterable[Member], kind: str, data: object) -> None:
        """An event for a few."""


class Chat:
    """Keeps a line, then tells everybody, each line once.

    history: the newest lines, oldest first.
    """

    def __init__(
        self,
        hub_id: str,
        history: Iterable[Message],
        *,
        store: Store,
        bus: Bus,
        listeners: Listeners,
        wall_clock: Callable[[], float],
    ) -> None:
        self._hub_id = hub_id
        self._store = store
        self._bus = bus
        self._listeners = listeners
        self._wall_clock = wall_clock
        self._newest = list(history)
        self._known = deque(
            (message.message_id for message in self._newest),
            maxlen=_REMEMBERED_MESSAGES,
        )
        self._subscription = bus.subscribe(topic_of(hub_id), self._heard)

    def stop(self) -> None:
        """Hear nothing more."""
        self._subscription.cancel()

    def as_json(self) -> list[dict[str, Any]]:
        """The newest hundred, oldest first."""
        return [chat_json(message) for message in self._newest]

    def receive(self, member: Member, data: dict[str, Any], *, moderated: bool) -> None:
        """A line from a member. Raises ProtocolError."""
        text, message_id = data.get("text"), data.get("message_id")
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_CHAT:
            raise ProtocolError(f"chat takes a text of 1 to {MAX_CHAT} characters")
        if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_MESSAGE_ID:
            raise ProtocolError("chat takes a message_id of 1 to 64 characters")
        if moderated and member.role is Role.VIEWER:
            refuse(member, message_id, 4403, "viewers do not write in this room")
            return
        spawn(self._keep(member, text, message_id), "a chat message")

    async def _keep(self, member: Member, text: str, message_id: str) -> None:
        try:
            message = await self._store.add_message(
                self._hub_id,
                message_id=message_id,
                author_id=member.participant_id,
                author=member.name,
                text=text,
                at=self._wall_clock(),
            )
        except StoreError:
            refuse(member, message_id, 507, "the message is not saved")
            return
        if message.message_id in self._known:
            self._listeners.tell([member], "chat", chat_json(message))
            return
        self._add(message)
        self._bus.publish(topic_of(self._hub_id), said_in_browser(message))

    def _add(self, message: Message) -> None:
        """Other doors' lines may come a turn late: the list keeps the order."""
        self._known.append(message.message_id)
        insort(self._newest, message, key=lambda line: line.seq)
        del self._newest[:-WELCOME_CHAT]
        self._listeners.broadcast("chat", chat_json(message), sender=message.author_id)

    def _heard(self, topic: str, payload: Payload) -> None:
        entry = read_said(self._hub_id, payload)
        if entry is None:
            return
        if entry.kind is Kind.LINE:
            if entry.message_id not in self._known:
                self._add(message_of(entry))
        elif entry.kind is not Kind.OTHER and entry.about is not None:
            spawn(self._change(entry), "a chat message that was changed")

    async def _change(self, entry: Entry) -> None:
        """A line was edited or taken back: tell how it reads now."""
        assert entry.about is not None
        try:
            line = await self._store.archived(self._hub_id, entry.about)
        except NotFound:
            return
        message = message_of(line)
        for place, known in enumerate(self._newest):
            if known.seq == message.seq:
                self._newest[place] = message
        self._listeners.broadcast("edit", chat_json(message), sender=entry.author_id)


def refuse(member: Member, message_id: str, code: int, text: str) -> None:
    """Tell the one whose line is not kept."""
    body = {"code": code, "message": text, "message_id": message_id}
    member.send([json_message(0, Type.ERROR, body)])

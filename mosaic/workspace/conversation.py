"""What one door tells the others of a room's chat, and its limits.

The topic is `room.<hub_id>.chat`. Everything that has a number is kept already
when it is told; a number that was missed can be read from the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosaic.workspace.archive import Entry, Kind
from mosaic.workspace.model import Message

Payload = dict[str, Any]
MAX_CHAT = 4000
"""Characters of one line."""
MAX_MESSAGE_ID = 64


def topic_of(hub_id: str) -> str:
    """Where a room's chat is told."""
    return f"room.{hub_id}.chat"


def said(entry: Entry) -> Payload:
    """Something new was kept."""
    return {
        "type": "said",
        "seq": entry.seq,
        "kind": entry.kind.value,
        "message_id": entry.message_id,
        "author_id": entry.author_id,
        "author": entry.author,
        "text": entry.text,
        "at": entry.at,
        "occupant_id": entry.occupant_id,
        "stanza_id": entry.stanza_id,
        "stanza": entry.stanza,
        "about": entry.about,
        "edited_at": entry.edited_at,
        "retracted_at": entry.retracted_at,
    }


def said_in_browser(message: Message) -> Payload:
    """The same for a line that a browser wrote."""
    return said(entry_of(message))


def passing(author_id: str, stanza: str) -> Payload:
    """Something that is not kept: who writes now, what has been read."""
    return {"type": "passing", "author_id": author_id, "stanza": stanza}


def entry_of(message: Message) -> Entry:
    """A line as an entry of the archive."""
    return Entry(
        hub_id=message.hub_id,
        seq=message.seq,
        kind=Kind.LINE,
        message_id=message.message_id,
        author_id=message.author_id,
        author=message.author,
        text=message.text,
        at=message.at,
        edited_at=message.edited_at,
        retracted_at=message.retracted_at,
    )


def message_of(entry: Entry) -> Message:
    """An entry as a browser shows it."""
    return Message(
        hub_id=entry.hub_id,
        seq=entry.seq,
        message_id=entry.message_id,
        author_id=entry.author_id,
        author=entry.author,
        text=entry.text,
        at=entry.at,
        edited_at=entry.edited_at,
        retracted_at=entry.retracted_at,
    )


def read_said(hub_id: str, payload: Mapping[str, Any]) -> Entry | None:
    """What was kept; None if these are other words."""
    if payload.get("type") != "said":
        return None
    try:
        return Entry(
            hub_id=hub_id,
            seq=int(payload["seq"]),
            kind=Kind(payload["kind"]),
            message_id=str(payload["message_id"]),
            author_id=str(payload["author_id"]),
            author=str(payload["author"]),
            text=str(payload["text"]),
            at=float(payload["at"]),
            occupant_id=str(payload["occupant_id"]),
            stanza_id=payload["stanza_id"],
            stanza=payload["stanza"],
            about=payload["about"],
            edited_at=payload["edited_at"],
            retracted_at=payload["retracted_at"],
        )
    except (KeyError, ValueError, TypeError):
        return None

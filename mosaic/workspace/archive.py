"""What was said in a room, as every door can show it again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an entry of the archive is.

    Only lines are chat that people read one below the other; the others change
    or adorn a line, or matter to programs.
    """

    LINE = "line"
    EDIT = "edit"
    RETRACTION = "retraction"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a room's archive. at: Unix seconds.

    text: of a line as it reads now; "" of the other kinds. occupant_id,
    stanza_id, stanza: of what came by XMPP; stanza is the whole `<message/>`
    without addresses, None if it held no more than the text. about: the seq of
    the line that this one edits or retracts.
    """

    hub_id: str
    seq: int
    kind: Kind
    message_id: str
    author_id: str
    author: str
    text: str
    at: float
    occupant_id: str = ""
    stanza_id: str | None = None
    stanza: str | None = None
    about: int | None = None
    edited_at: float | None = None
    retracted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is to be kept of something that was said by XMPP.

    about: the line that an edit or a retraction is about. text: of a line, or
    the new text of an edit.
    """

    kind: Kind
    message_id: str
    author_id: str
    author: str
    text: str
    at: float
    occupant_id: str
    stanza_id: str | None = None
    stanza: str | None = None
    about: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which part of an archive is wanted; None leaves a side open.

    after, before: seq. start, end: Unix seconds, both included. limit: of
    entries; newest: those at the end of the span instead of its beginning.
    """

    after: int | None = None
    before: int | None = None
    start: float | None = None
    end: float | None = None
    limit: int = 50
    newest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A room's topic. secret: 32 random bytes that occupant ids come from."""

    subject: str
    author: str
    at: float
    secret: bytes

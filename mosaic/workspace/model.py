"""The things that Mosaic speaks of, as plain values (DESIGN: the domain)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do in a room."""

    HOST = "host"
    EDITOR = "editor"
    VIEWER = "viewer"

    @property
    def may_edit(self) -> bool:
        """Hosts and editors change documents; viewers read."""
        return self is not Role.VIEWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who can log in. name is unique and case-folded."""

    name: str
    admin: bool
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A durable workspace.

    hub_id: 9 digits, the last a check digit. pin: 6 digits. Times are Unix
    seconds. closed_at: None while the room is open. owner: the account that
    made it, None for the room of the first run. alias: the local part of an
    XMPP room address, or None. moderated: who comes by the PIN comes as a viewer,
    and viewers write no chat. open_to_accounts: everybody with an account comes
    in without the PIN, as if they had it.
    """

    hub_id: str
    name: str
    pin: str
    created_at: float
    owner: str | None = None
    alias: str | None = None
    locked: bool = False
    lobby: bool = False
    closed_at: float | None = None
    moderated: bool = False
    open_to_accounts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token speaks for.

    account: the account name, or None for a guest. name: shown to others.
    hub_id and role: set for a room token, None for a session token.
    participant_id: stable for the life of a room token (16 hex digits), ""
    for a session. waiting: True while a guest stands in the lobby. hub: the Hub
    ID of the room box that takes this seat, None for people.
    """

    name: str
    account: str | None
    admin: bool
    hub_id: str | None
    role: Role | None
    participant_id: str
    expires_at: float
    waiting: bool = False
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of chat. at is Unix seconds.

    seq: grows in each room; what is no line of chat has numbers of its own in
    between. edited_at: when the text became what it is, None if it is the
    first. retracted_at: when it was taken back; the text is "" since then.
    """

    hub_id: str
    seq: int
    message_id: str
    author_id: str
    author: str
    text: str
    at: float
    edited_at: float | None = None
    retracted_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A content-addressed file: its bytes live in the state folder."""

    sha256: str
    size_bytes: int
    media_type: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomContent:
    """All that a room holds, on its way into a new room.

    documents: names and full states (Yjs updates, v1). messages: in their
    order; hub_id and seq are given anew. Each may be lazy, and may be iterated
    again when a transaction is tried again: no generators.
    """

    documents: Iterable[tuple[str, bytes]] = ()
    messages: Iterable[Message] = ()
    blobs: Iterable[Blob] = ()

"""The forgetting store's half of store.room_history.RoomHistory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mosaic.store.interface import NotFound, StoredToken
from mosaic.store.memory_history import RoomRecord, fired
from mosaic.workspace.archive import Entry, Kind, Saying, Span, Subject
from mosaic.workspace.model import Account, Message


@dataclass(slots=True)
class SayingsRecord:
    """What is beside a room's chat, by seq."""

    sayings: dict[int, Entry] = field(default_factory=dict)
    subject: Subject | None = None
    banned: set[str] = field(default_factory=set)


class MemoryRoomHistory:
    """Needs the rooms, accounts and tokens of the other halves."""

    _rooms: dict[str, RoomRecord]
    _accounts: dict[str, Account]
    _tokens: dict[bytes, StoredToken]

    def __init__(self) -> None:
        self._sayings: dict[str, SayingsRecord] = {}

    @fired
    def add_saying(self, hub_id: str, saying: Saying) -> Entry:
        """Keep what was said, once."""
        kept = self._beside(hub_id)
        for seq, known in kept.sayings.items():
            if known.message_id == saying.message_id:
                return self._entry(hub_id, seq)
        messages = self._rooms[hub_id].messages
        seq = self._last_seq(hub_id) + 1
        if saying.kind is Kind.LINE:
            for message in messages:
                if message.message_id == saying.message_id:
                    seq = message.seq
                    break
            else:
                messages.append(
                    Message(
                        hub_id=hub_id,
                        seq=seq,
                        message_id=saying.message_id,
                        author_id=saying.author_id,
                        author=saying.author,
                        text=saying.text,
                        at=saying.at,
                    )
                )
        elif saying.about is not None:
            self._change_line(hub_id, saying)
        entry = Entry(
            hub_id=hub_id,
            seq=seq,
            kind=saying.kind,
            message_id=saying.message_id,
            author_id=saying.author_id,
            author=saying.author,
            text=saying.text if saying.kind is Kind.LINE else "",
            at=saying.at,
            occupant_id=saying.occupant_id,
            stanza_id=saying.stanza_id,
            stanza=saying.stanza,
            about=saying.about,
        )
        kept.sayings[seq] = entry
        return entry

    def _change_line(self, hub_id: str, saying: Saying) -> None:
        messages, kept = self._rooms[hub_id].messages, self._beside(hub_id).sayings
        place = next(
            (n for n, one in enumerate(messages) if one.seq == saying.about), None
        )
        if place is None:
            raise NotFound(f"there is no line {saying.about}")
        message = messages[place]
        if saying.kind is Kind.EDIT:
            if message.retracted_at is not None:
                raise NotFound(f"there is no line {saying.about}")
            messages[place] = replace(message, text=saying.text, edited_at=saying.at)
            return
        messages[place] = replace(message, text="", retracted_at=saying.at)
        if message.seq in kept:
            kept[message.seq] = replace(kept[message.seq], stanza=None)
        for seq, entry in list(kept.items()):
            if entry.about == saying.about and entry.kind is Kind.EDIT:
                del kept[seq]

    @fired
    def room_archive(self, hub_id: str, span: Span) -> list[Entry]:
        """Entries of a span."""
        found = list(self._within(hub_id, span))
        limit = max(span.limit, 0)
        if not span.newest:
            return found[:limit]
        return found[-limit:] if limit else []

    @fired
    def archived(self, hub_id: str, seq: int) -> Entry:
        """One entry."""
        return self._entry(hub_id, seq)

    @fired
    def count_archive(self, hub_id: str, span: Span) -> int:
        """How many entries a span has."""
        return sum(1 for _ in self._within(hub_id, span))

    @fired
    def find_line(
        self, hub_id: str, *, occupant_id: str, stanza_id: str
    ) -> Entry | None:
        """The newest such line."""
        wanted = (occupant_id, stanza_id, Kind.LINE)
        found = [
            seq
            for seq, entry in self._beside(hub_id).sayings.items()
            if (entry.occupant_id, entry.stanza_id, entry.kind) == wanted
        ]
        return self._entry(hub_id, max(found)) if found else None

    @fired
    def last_seq(self, hub_id: str) -> int:
        """The number of the newest entry."""
        return self._last_seq(hub_id)

    @fired
    def subject(self, hub_id: str) -> Subject:
        """The subject, made if there is none."""
        return self._subject(hub_id)

    @fired
    def set_subject(
        self, hub_id: str, *, subject: str, author: str, at: float
    ) -> Subject:
        """Another subject."""
        secret = self._subject(hub_id).secret
        new = Subject(subject=subject, author=author, at=at, secret=secret)
        self._beside(hub_id).subject = new
        return new

    @fired
    def banned(self, hub_id: str) -> list[str]:
        """Accounts, sorted."""
        return sorted(self._beside(hub_id).banned & set(self._accounts))

    @fired
    def set_banned(self, hub_id: str, account: str, banned: bool) -> None:
        """Ban or not."""
        if account not in self._accounts:
            raise NotFound(f"there is no account {account}")
        kept = self._beside(hub_id)
        if banned:
            kept.banned.add(account)
            self._rooms[hub_id].members.pop(account, None)
            for digest, token in list(self._tokens.items()):
                if (token.hub_id, token.account) == (hub_id, account):
                    del self._tokens[digest]
        else:
            kept.banned.discard(account)

    @fired
    def prolong_token(self, digest: bytes, expires_at: float) -> None:
        """Let a token live longer."""
        if digest not in self._tokens:
            raise NotFound("no such token")
        self._tokens[digest] = replace(self._tokens[digest], expires_at=expires_at)

    # ----------------------------------------------------------------------
    def _beside(self, hub_id: str) -> SayingsRecord:
        if hub_id not in self._rooms:
            raise NotFound(f"there is no room {hub_id}")
        return self._sayings.setdefault(hub_id, SayingsRecord())

    def _subject(self, hub_id: str) -> Subject:
        kept = self._beside(hub_id)
        if kept.subject is None:
            secret = secrets.token_bytes(32)
            kept.subject = Subject(subject="", author="", at=0.0, secret=secret)
        return kept.subject

    def _last_seq(self, hub_id: str) -> int:
        numbers = [message.seq for message in self._rooms[hub_id].messages]
        return max([0, *numbers, *self._beside(hub_id).sayings])

    def _entry(self, hub_id: str, seq: int) -> Entry:
        for entry in self._entries(hub_id):
            if entry.seq == seq:
                return entry
        raise NotFound(f"nothing was said with the number {seq}")

    def _entries(self, hub_id: str) -> list[Entry]:
        kept = self._beside(hub_id).sayings
        found = [e for e in kept.values() if e.kind is not Kind.LINE]
        for message in self._rooms[hub_id].messages:
            beside = kept.get(message.seq)
            found.append(
                Entry(
                    hub_id=hub_id,
                    seq=message.seq,
                    kind=Kind.LINE,
                    message_id=message.message_id,
                    author_id=message.author_id,
                    author=message.author,
                    text=message.text,
                    at=message.at,
                    occupant_id=beside.occupant_id if beside else "",
                    stanza_id=beside.stanza_id if beside else None,
                    stanza=beside.stanza if beside else None,
                    edited_at=message.edited_at,
                    retracted_at=message.retracted_at,
                )
            )
        return sorted(found, key=lambda entry: entry.seq)

    def _within(self, hub_id: str, span: Span) -> Iterator[Entry]:
        for entry in self._entries(hub_id):
            if span.after is not None and entry.seq <= span.after:
                continue
            if span.before is not None and entry.seq >= span.before:
                continue
            if span.start is not None and entry.at < span.start:
                continue
            if span.end is not None and entry.at > span.end:
                continue
            yield entry

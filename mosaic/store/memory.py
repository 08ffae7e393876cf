"""A store that forgets: dictionaries, and Deferreds that have already fired.

It obeys the same contract suite as the SQL store and is what other tests use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mosaic.store.belongings_memory import MemoryBelongings
from mosaic.store.interface import (
    EMPTY_UPDATE,
    JournalEntry,
    NameTaken,
    NotFound,
    StoredDocument,
    StoredToken,
)
from mosaic.store.memory_history import DocumentRecord, MemoryHistory, RoomRecord, fired
from mosaic.store.memory_hubs import MemoryHubs
from mosaic.store.memory_logins import MemoryLogins
from mosaic.store.memory_people import MemoryPeople
from mosaic.store.memory_rooms import MemoryRoomHistory
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Account, Blob, Message, Role, Room, RoomContent


class MemoryStore(
    MemoryBelongings,
    MemoryHistory,
    MemoryHubs,
    MemoryLogins,
    MemoryPeople,
    MemoryRoomHistory,
):
    """The Store interface without a disk. wall: Unix seconds now."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        MemoryHistory.__init__(self, wall)
        MemoryBelongings.__init__(self)
        MemoryRoomHistory.__init__(self)
        self._accounts: dict[str, Account] = {}
        MemoryPeople.__init__(self, self._accounts)
        self._verifiers: dict[str, ScramVerifier] = {}
        MemoryLogins.__init__(self, self._verifiers)
        MemoryHubs.__init__(self, self._rooms)
        self._tokens: dict[bytes, StoredToken] = {}

    @fired
    def start(self) -> None:
        """Nothing to open."""

    @fired
    def stop(self) -> None:
        """Nothing to close."""

    @fired
    def ping(self) -> None:
        """Memory is always there."""

    # Accounts -------------------------------------------------------------
    @fired
    def add_account(
        self, name: str, verifier: ScramVerifier, *, admin: bool
    ) -> Account:
        """Make an account."""
        if name in self._accounts:
            raise NameTaken(f"the account {name} exists")
        account = Account(name=name, admin=admin, created_at=self._wall())
        self._accounts[name] = account
        self._verifiers[name] = verifier
        return account

    @fired
    def account(self, name: str) -> Account:
        """One account."""
        return self._account(name)

    @fired
    def accounts(self) -> list[Account]:
        """All, by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    @fired
    def verifier(self, name: str) -> ScramVerifier | None:
        """The SCRAM verifier of an account."""
        return self._verifiers.get(name)

    @fired
    def set_verifier(self, name: str, verifier: ScramVerifier) -> None:
        """Change a password and revoke."""
        self._account(name)
        self._verifiers[name] = verifier
        self._drop_tokens(lambda token: token.account == name)

    @fired
    def remove_account(self, name: str) -> None:
        """Remove an account; the rooms it owned stay, without an owner."""
        self._account(name)
        del self._accounts[name], self._verifiers[name]
        self.forget_logins(name)
        self.forget_person(name)
        self._forget_belongings(name)
        self._drop_tokens(lambda token: token.account == name)
        for record in self._rooms.values():
            record.members.pop(name, None)
            if record.room.owner == name:
                record.room = replace(record.room, owner=None)

    # Rooms ----------------------------------------------------------------
    @fired
    def add_room(self, room: Room) -> None:
        """Keep a new room."""
        if room.hub_id in self._rooms:
            raise NameTaken(f"the room {room.hub_id} exists")
        self._check_room(room)
        self._rooms[room.hub_id] = RoomRecord(room)

    @fired
    def room(self, hub_id: str) -> Room:
        """One room."""
        return self._record(hub_id).room

    @fired
    def room_by_alias(self, alias: str) -> Room:
        """The room of that alias."""
        for record in self._rooms.values():
            if record.room.alias == alias:
                return record.room
        raise NotFound(f"no room has the alias {alias}")

    @fired
    def rooms(self, *, member: str | None = None) -> list[Room]:
        """Oldest first."""
        found = [
            record.room
            for record in self._rooms.values()
            if member is None or member == record.room.owner or member in record.members
        ]
        return sorted(found, key=lambda room: (room.created_at, room.hub_id))

    @fired
    def update_room(self, room: Room) -> None:
        """Write all but hub_id and created_at."""
        record = self._record(room.hub_id)
        self._check_room(room)
        record.room = replace(room, created_at=record.room.created_at)

    @fired
    def members(self, hub_id: str) -> dict[str, Role]:
        """Roles by account; the owner is a host."""
        record = self._record(hub_id)
        members = dict(record.members)
        if record.room.owner is not None:
            members[record.room.owner] = Role.HOST
        return members

    @fired
    def set_member(self, hub_id: str, account: str, role: Role | None) -> None:
        """Give or take a role."""
        record = self._record(hub_id)
        known = self._account(account)
        removed = record.members.pop(account, None)
        if role is not None:
            record.members[account] = role
        if known.admin or record.room.owner == account:
            return
        for digest, token in list(self._tokens.items()):
            if (token.hub_id, token.account) != (hub_id, account):
                continue
            if role is not None:
                self._tokens[digest] = replace(token, role=role, waiting=False)
            elif removed is not None:
                del self._tokens[digest]

    # Tokens ---------------------------------------------------------------
    @fired
    def add_token(self, token: StoredToken) -> None:
        """Keep a token."""
        if token.digest in self._tokens:
            raise NameTaken("this token exists")
        if token.account is not None:
            self._account(token.account)
        if token.hub_id is not None:
            self._record(token.hub_id)
        self._tokens[token.digest] = token

    @fired
    def token(self, digest: bytes) -> StoredToken | None:
        """The token of that digest."""
        return self._tokens.get(digest)

    @fired
    def update_token(
        self, digest: bytes, *, role: Role | None = None, waiting: bool | None = None
    ) -> None:
        """Change what is given."""
        if digest not in self._tokens:
            raise NotFound("no such token")
        changes: dict[str, Any] = {}
        if role is not None:
            changes["role"] = role
        if waiting is not None:
            changes["waiting"] = waiting
        self._tokens[digest] = replace(self._tokens[digest], **changes)

    @fired
    def participant_token(self, hub_id: str, participant_id: str) -> StoredToken | None:
        """The participant's newest room token."""
        found = [
            token
            for token in self._tokens.values()
            if token.hub_id == hub_id and token.participant_id == participant_id
        ]
        return max(found, key=lambda token: token.created_at, default=None)

    @fired
    def waiting_tokens(self, hub_id: str) -> list[StoredToken]:
        """Those in the lobby, first come first."""
        now = self._wall()
        found = [
            token
            for token in self._tokens.values()
            if token.hub_id == hub_id and token.waiting and token.expires_at > now
        ]
        return sorted(found, key=lambda token: (token.created_at, token.digest))

    @fired
    def remove_token(self, digest: bytes) -> None:
        """Forget a token."""
        self._tokens.pop(digest, None)

    @fired
    def remove_tokens(
        self, *, hub_id: str | None = None, expired_before: float | None = None
    ) -> int:
        """Forget those that meet every given condition."""
        if hub_id is None and expired_before is None:
            return 0
        return self._drop_tokens(
            lambda token: (
                (hub_id is None or token.hub_id == hub_id)
                and (expired_before is None or token.expires_at < expired_before)
            )
        )

    # Chat -----------------------------------------------------------------
    @fired
    def add_message(
        self,
        hub_id: str,
        *,
        message_id: str,
        author_id: str,
        author: str,
        text: str,
        at: float,
    ) -> Message:
        """Append once."""
        messages = self._record(hub_id).messages
        for message in messages:
            if message.message_id == message_id:
                return message
        message = Message(
            hub_id=hub_id,
            seq=self._last_seq(hub_id) + 1,
            message_id=message_id,
            author_id=author_id,
            author=author,
            text=text,
            at=at,
        )
        messages.append(message)
        return message

    @fired
    def messages(
        self, hub_id: str, *, before: int | None = None, limit: int = 100
    ) -> list[Message]:
        """The newest ones, oldest first."""
        found = [
            message
            for message in self._record(hub_id).messages
            if before is None or message.seq < before
        ]
        return found[-limit:] if limit > 0 else []

    # Blobs ----------------------------------------------------------------
    @fired
    def add_blob(self, hub_id: str, blob: Blob) -> None:
        """Note a reference; the first one stays."""
        record = self._record(hub_id)
        record.blobs.setdefault(blob.sha256, blob)
        record.unreferenced_since.pop(blob.sha256, None)

    @fired
    def blob(self, hub_id: str, sha256: str) -> Blob:
        """A blob that the room refers to."""
        record = self._rooms.get(hub_id)
        if record is None or sha256 not in record.blobs:
            raise NotFound("the room has no such file")
        return record.blobs[sha256]

    # Documents ------------------------------------------------------------
    @fired
    def load_document(self, hub_id: str, name: str) -> StoredDocument:
        """Read or make a document."""
        document = self._document(hub_id, name)
        return StoredDocument(
            epoch=document.epoch,
            snapshot=document.snapshot,
            updates=tuple(entry.update for entry in document.updates.values()),
            last_seq=document.last_seq,
            versioned_seq=document.versioned_seq,
        )

    @fired
    def document_names(self, hub_id: str) -> list[str]:
        """Names, sorted."""
        return sorted(self._record(hub_id).documents)

    @fired
    def append_updates(
        self, hub_id: str, name: str, entries: Sequence[JournalEntry]
    ) -> int:
        """Add raw updates."""
        document = self._document(hub_id, name)
        for entry in entries:
            document.last_seq += 1
            document.updates[document.last_seq] = entry
            document.note(entry, document.last_seq)
        return document.last_seq

    @fired
    def save_snapshot(
        self, hub_id: str, name: str, snapshot: bytes, *, through_seq: int
    ) -> None:
        """Replace updates by one state; an older snapshot than ours is ignored."""
        document = self._document(hub_id, name)
        through_seq = min(through_seq, document.last_seq)
        if through_seq < document.through_seq:
            return
        document.snapshot = snapshot
        document.through_seq = through_seq
        document.updates = {
            seq: entry for seq, entry in document.updates.items() if seq > through_seq
        }

    @fired
    def quarantine_update(self, hub_id: str, name: str, seq: int, reason: str) -> None:
        """Set an update aside and leave the empty update in its place."""
        document = self._document(hub_id, name)
        if seq not in document.updates:
            raise NotFound(f"{name} has no update {seq}")
        entry = document.updates[seq]
        self._quarantine(hub_id, name, seq, entry, reason)
        document.updates[seq] = JournalEntry(update=EMPTY_UPDATE, author=entry.author)

    # Whole rooms ----------------------------------------------------------
    @fired
    def add_room_with(self, room: Room, content: RoomContent) -> None:
        """All or nothing."""
        if room.hub_id in self._rooms:
            raise NameTaken(f"the room {room.hub_id} exists")
        self._check_room(room)
        self._rooms[room.hub_id] = RoomRecord(
            room=room,
            documents={
                name: DocumentRecord(snapshot=state, through_seq=1, last_seq=1)
                for name, state in content.documents
            },
            messages=[
                replace(message, hub_id=room.hub_id, seq=seq)
                for seq, message in enumerate(content.messages, 1)
            ],
            blobs={blob.sha256: blob for blob in content.blobs},
        )

    @fired
    def messages_after(self, hub_id: str, *, after: int, limit: int) -> list[Message]:
        """The oldest ones."""
        found = [one for one in self._record(hub_id).messages if one.seq > after]
        return found[: max(limit, 0)]

    @fired
    def blobs(self, hub_id: str) -> list[Blob]:
        """By hash."""
        held = self._record(hub_id).blobs
        return [held[sha256] for sha256 in sorted(held)]

    # ----------------------------------------------------------------------
    def _account(self, name: str) -> Account:
        if name not in self._accounts:
            raise NotFound(f"there is no account {name}")
        return self._accounts[name]

    def _check_room(self, room: Room) -> None:
        """The alias is free and the owner exists."""
        if room.owner is not None:
            self._account(room.owner)
        for other in self._rooms.values():
            same = room.alias is not None and other.room.alias == room.alias
            if same and other.room.hub_id != room.hub_id:
                raise NameTaken(f"the alias {room.alias} is in use")

    def _document(self, hub_id: str, name: str) -> DocumentRecord:
        return self._record(hub_id).documents.setdefault(name, DocumentRecord())

    def _drop_tokens(self, condemned: Callable[[StoredToken], bool]) -> int:
        digests = [d for d, token in self._tokens.items() if condemned(token)]
        for digest in digests:
            del self._tokens[digest]
        return len(digests)

"""The store on disk: SQLite with one writer and one reader thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, delete, insert
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import LoopingCall

from mosaic.store import (
    accounts,
    blobs,
    chat,
    journal,
    moving,
    rooms,
    tokens,
    versions,
)
from mosaic.store.belongings_sql import SqlBelongings
from mosaic.store.database import (
    database_path,
    note_open,
    open_mark,
    prepare_database,
)
from mosaic.store.history import SetAside, Unreferenced
from mosaic.store.interface import JournalEntry, StoredDocument, StoredToken
from mosaic.store.schema import heartbeat
from mosaic.store.sql_hubs import SqlHubs
from mosaic.store.sql_hubwork import SqlHubWork
from mosaic.store.sql_logins import SqlLogins
from mosaic.store.sql_people import SqlPeople
from mosaic.store.sql_rooms import SqlRoomHistory
from mosaic.store.threads import Reader, Writer
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Account, Blob, Message, Role, Room, RoomContent
from mosaic.workspace.versions import Author, Reason, Thinning, Version

P = ParamSpec("P")
T = TypeVar("T")

PROBE_EVERY_S = 1.0


class SqlStore(
    SqlBelongings, SqlHubs, SqlHubWork, SqlLogins, SqlPeople, SqlRoomHistory
):
    """The Store interface over one SQLite file.

    url_or_path: "sqlite:///…" or a path. reactor: also IReactorTime, for the
    poll that notices other processes. check_s: how long reading the whole
    file may take at the start, None for as long as it takes. wall: Unix seconds now.
    on_foreign_change: told when another process (the command line) has
    written. on_commit: told seconds and number of changes for each commit.
    """

    def __init__(
        self,
        url_or_path: str | Path,
        reactor: IReactorFromThreads,
        *,
        commit_window_s: float = 0.01,
        check_s: float | None = None,
        wall: Callable[[], float] = time.time,
        on_foreign_change: Callable[[], None] | None = None,
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:
        self.path = database_path(url_or_path)
        self._wall = wall
        self._check_s = check_s
        self._writer = Writer(
            self.path,
            reactor,
            window_s=commit_window_s,
            on_commit=on_commit,
            on_foreign_change=on_foreign_change,
        )
        self._reader = Reader(self.path, reactor)
        self._poll = LoopingCall(self._writer.probe)
        self._poll.clock = IReactorTime(reactor)

    def start(self) -> Deferred[None]:
        """Check, migrate, and start both threads.

        Raises StoreError (a damaged file, a newer database) or StoreFull.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self._writer.start(self._prepare)
        try:
            await self._reader.start()
        except BaseException:
            await self._writer.stop()
            raise
        self._poll.start(PROBE_EVERY_S, now=True)

    def _prepare(self) -> None:
        note_open(self.path)
        prepare_database(self.path, check=True, patience_s=self._check_s)

    def stop(self) -> Deferred[None]:
        """Commit what waits, and close. Later calls fail with StoreError."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._poll.running:
            self._poll.stop()
        await self._reader.stop()
        # last, so that it also folds the write-ahead log into the file
        await self._writer.stop()
        if not Path(f"{self.path}-wal").exists():
            with suppress(OSError):
                open_mark(self.path).unlink(missing_ok=True)

    def ping(self) -> Deferred[None]:
        """Fire after one small commit; StoreFull or StoreError if it cannot."""
        return self._change(_beat, at=self._wall())

    def _ask(
        self,
        call: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        return self._reader.submit(lambda connection: call(connection, *args, **kwargs))

    def _change(
        self,
        call: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        return self._writer.submit(lambda connection: call(connection, *args, **kwargs))

    # Accounts -------------------------------------------------------------
    def add_account(
        self, name: str, verifier: ScramVerifier, *, admin: bool
    ) -> Deferred[Account]:
        """Make an account. Raises NameTaken."""
        return self._change(accounts.add, name, verifier, admin=admin, at=self._wall())

    def account(self, name: str) -> Deferred[Account]:
        """Raises NotFound."""
        return self._ask(accounts.get, name)

    def accounts(self) -> Deferred[list[Account]]:
        """All, by name."""
        return self._ask(accounts.every)

    def verifier(self, name: str) -> Deferred[ScramVerifier | None]:
        """The SCRAM verifier, or None if there is no such account."""
        return self._ask(accounts.verifier, name)

    def set_verifier(self, name: str, verifier: ScramVerifier) -> Deferred[None]:
        """Change a password and revoke. Raises NotFound."""
        return self._change(accounts.set_verifier, name, verifier)

    def remove_account(self, name: str) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(accounts.remove, name)

    # Rooms ----------------------------------------------------------------
    def add_room(self, room: Room) -> Deferred[None]:
        """Raises NameTaken."""
        return self._change(rooms.add, room)

    def room(self, hub_id: str) -> Deferred[Room]:
        """Raises NotFound."""
        return self._ask(rooms.get, hub_id)

    def room_by_alias(self, alias: str) -> Deferred[Room]:
        """Raises NotFound."""
        return self._ask(rooms.by_alias, alias)

    def rooms(self, *, member: str | None = None) -> Deferred[list[Room]]:
        """All rooms, or those of an account."""
        return self._ask(rooms.every, member=member)

    def update_room(self, room: Room) -> Deferred[None]:
        """Raises NotFound, NameTaken."""
        return self._change(rooms.change, room)

    def members(self, hub_id: str) -> Deferred[dict[str, Role]]:
        """Roles by account, the owner as host. Raises NotFound."""
        return self._ask(rooms.roles, hub_id)

    def set_member(
        self, hub_id: str, account: str, role: Role | None
    ) -> Deferred[None]:
        """Give or take a role. Raises NotFound."""
        return self._change(rooms.set_member, hub_id, account, role)

    # Tokens ---------------------------------------------------------------
    def add_token(self, token: StoredToken) -> Deferred[None]:
        """Keep a token. Raises NotFound for its account or room."""
        return self._change(tokens.add, token)

    def token(self, digest: bytes) -> Deferred[StoredToken | None]:
        """The token of that digest, or None."""
        return self._ask(tokens.get, digest)

    def update_token(
        self, digest: bytes, *, role: Role | None = None, waiting: bool | None = None
    ) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(tokens.change, digest, role=role, waiting=waiting)

    def participant_token(
        self, hub_id: str, participant_id: str
    ) -> Deferred[StoredToken | None]:
        """The room token of a participant, or None."""
        return self._ask(tokens.of_participant, hub_id, participant_id)

    def waiting_tokens(self, hub_id: str) -> Deferred[list[StoredToken]]:
        """Those in the lobby."""
        return self._ask(tokens.waiting, hub_id, now=self._wall())

    def remove_token(self, digest: bytes) -> Deferred[None]:
        """Forget a token."""
        return self._change(tokens.remove, digest)

    def remove_tokens(
        self, *, hub_id: str | None = None, expired_before: float | None = None
    ) -> Deferred[int]:
        """Forget a room's tokens, or those expired; the number removed."""
        return self._change(
            tokens.remove_many, hub_id=hub_id, expired_before=expired_before
        )

    # Chat and blobs -------------------------------------------------------
    def add_message(
        self,
        hub_id: str,
        *,
        message_id: str,
        author_id: str,
        author: str,
        text: str,
        at: float,
    ) -> Deferred[Message]:
        """Append once for each message_id. Raises NotFound."""
        return self._change(
            chat.add,
            hub_id,
            message_id=message_id,
            author_id=author_id,
            author=author,
            text=text,
            at=at,
        )

    def messages(
        self, hub_id: str, *, before: int | None = None, limit: int = 100
    ) -> Deferred[list[Message]]:
        """The newest `limit` messages with seq < before, oldest first."""
        return self._ask(chat.page, hub_id, before=before, limit=limit)

    def add_blob(self, hub_id: str, blob: Blob) -> Deferred[None]:
        """Note that a room refers to a blob. Raises NotFound."""
        return self._change(blobs.add, hub_id, blob)

    def blob(self, hub_id: str, sha256: str) -> Deferred[Blob]:
        """Raises NotFound if the room does not refer to it."""
        return self._ask(blobs.get, hub_id, sha256)

    # Documents ------------------------------------------------------------
    def load_document(self, hub_id: str, name: str) -> Deferred[StoredDocument]:
        """Read a document, making it (with a new epoch) if there is none."""
        return Deferred.fromCoroutine(self._load_document(hub_id, name))

    async def _load_document(self, hub_id: str, name: str) -> StoredDocument:
        found = await self._ask(journal.find, hub_id, name)
        if found is not None:
            return found
        return await self._change(journal.open_document, hub_id, name)

    def document_names(self, hub_id: str) -> Deferred[list[str]]:
        """Names of the room's documents, sorted. Raises NotFound."""
        return self._ask(journal.names, hub_id)

    def append_updates(
        self, hub_id: str, name: str, entries: Sequence[JournalEntry]
    ) -> Deferred[int]:
        """Add raw updates; the last seq, after commit. Raises NotFound, StoreFull."""
        kept = tuple(entries)
        return self._change(journal.append, hub_id, name, kept, at=self._wall())

    def save_snapshot(
        self, hub_id: str, name: str, snapshot: bytes, *, through_seq: int
    ) -> Deferred[None]:
        """Replace the updates up to through_seq by one full state."""
        return self._change(
            journal.save_snapshot,
            hub_id,
            name,
            snapshot,
            through_seq=through_seq,
            at=self._wall(),
        )

    def quarantine_update(
        self, hub_id: str, name: str, seq: int, reason: str
    ) -> Deferred[None]:
        """Set aside an update; the empty one takes its place. Raises NotFound."""
        return self._change(journal.set_aside, hub_id, name, seq, reason=reason)

    # History --------------------------------------------------------------
    def save_version(
        self,
        hub_id: str,
        name: str,
        state: bytes,
        *,
        through_seq: int,
        reason: Reason,
        label: str | None = None,
        by: str = "",
    ) -> Deferred[Version | None]:
        """Keep a full state; None if it needs no keeping. Raises NotFound."""
        return self._change(
            versions.save,
            hub_id,
            name,
            state,
            through_seq=through_seq,
            reason=reason,
            label=label,
            by=by,
            at=self._wall(),
        )

    def versions(self, hub_id: str, name: str | None = None) -> Deferred[list[Version]]:
        """Newest first. Raises NotFound for the room."""
        return self._ask(versions.every, hub_id, name)

    def version_state(self, hub_id: str, name: str, version: int) -> Deferred[bytes]:
        """The full update. Raises NotFound."""
        return self._ask(versions.state, hub_id, name, version)

    def label_version(
        self, hub_id: str, name: str, version: int, label: str | None
    ) -> Deferred[Version]:
        """Another name, or none. Raises NotFound."""
        return self._change(versions.relabel, hub_id, name, version, label)

    def remove_version(self, hub_id: str, name: str, version: int) -> Deferred[None]:
        """Forget one. Raises NotFound."""
        return self._change(versions.remove, hub_id, name, version)

    def thin_versions(self, hub_id: str, rule: Thinning) -> Deferred[int]:
        """Forget what the rule condemns; how many. Raises NotFound."""
        return self._change(versions.thin, hub_id, rule, now=self._wall())

    def authors(self, hub_id: str, name: str) -> Deferred[list[Author]]:
        """Everybody who ever edited, first come first."""
        return self._ask(versions.every_author, hub_id, name)

    def blob_rooms(self) -> Deferred[list[str]]:
        """Hub IDs of the rooms that keep files."""
        return self._ask(blobs.room_ids)

    def unreferenced_blobs(self, hub_id: str) -> Deferred[Unreferenced]:
        """Look for every file of a room."""
        return self._ask(blobs.unreferenced, hub_id)

    def forget_blobs(self, found: Unreferenced, *, grace_s: float) -> Deferred[int]:
        """Forget what has long been unreferenced; how many."""
        return self._change(blobs.forget, found, at=self._wall(), grace_s=grace_s)

    def blob_hashes(self) -> Deferred[frozenset[str]]:
        """Of every file that some room or account keeps."""
        return self._ask(blobs.hashes)

    def set_aside(self) -> Deferred[list[SetAside]]:
        """The quarantine, oldest first."""
        return self._ask(journal.every_set_aside)

    # Whole rooms ----------------------------------------------------------
    def add_room_with(self, room: Room, content: RoomContent) -> Deferred[None]:
        """All or nothing. Raises NameTaken."""
        return self._change(moving.add_with_content, room, content, at=self._wall())

    def messages_after(
        self, hub_id: str, *, after: int, limit: int
    ) -> Deferred[list[Message]]:
        """The oldest `limit` messages with seq > after. Raises NotFound."""
        return self._ask(moving.messages_after, hub_id, after=after, limit=limit)

    def blobs(self, hub_id: str) -> Deferred[list[Blob]]:
        """All files of a room, by hash. Raises NotFound."""
        return self._ask(moving.every_blob, hub_id)


def _beat(connection: Connection, *, at: float) -> None:
    """Write one row, so that the commit reaches the disk."""
    connection.execute(delete(heartbeat))
    connection.execute(insert(heartbeat).values(id=1, at=at))

"""The second half of the store that forgets: versions, authors, files, faults."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred

from mosaic.store.history import SetAside, Unreferenced
from mosaic.store.interface import JournalEntry, NotFound
from mosaic.workspace.model import Blob, Message, Role, Room
from mosaic.workspace.versions import Author, Reason, Thinning, Version, condemned

P = ParamSpec("P")
T = TypeVar("T")


def fired(method: Callable[P, T]) -> Callable[P, Deferred[T]]:
    """Turn the result or exception of a method into a fired Deferred."""

    def at_once(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        call = cast("Callable[..., T]", method)
        return maybeDeferred(call, *args, **kwargs)

    at_once.__doc__ = method.__doc__
    at_once.__name__ = method.__name__
    return at_once


@dataclass(slots=True)
class DocumentRecord:
    """One document's journal; updates start after through_seq."""

    epoch: str = field(default_factory=lambda: str(uuid.uuid4()))
    snapshot: bytes = b""
    through_seq: int = 0
    last_seq: int = 0
    updates: dict[int, JournalEntry] = field(default_factory=dict)
    states: dict[int, bytes] = field(default_factory=dict)
    authors: dict[str, Author] = field(default_factory=dict)
    wrote: dict[str, int] = field(default_factory=dict)
    versioned_seq: int = 0

    def note(self, entry: JournalEntry, seq: int) -> None:
        """Who wrote an update."""
        self.wrote[entry.author] = seq
        if entry.writer is None:
            return
        owned = {c for one in self.authors.values() for c in one.client_ids}
        known = self.authors.get(entry.writer.id)
        fresh = set(entry.writer.client_ids) - owned
        mine = {*(known.client_ids if known else ()), *fresh}
        self.authors[entry.writer.id] = replace(
            entry.writer, client_ids=tuple(sorted(mine))
        )

    def since(self, seq: int) -> tuple[Author, ...]:
        """Who wrote updates with greater numbers."""
        nobody = Author(id="", name="", account=None)
        return tuple(
            replace(self.authors.get(author, nobody), id=author, client_ids=())
            for author in sorted(self.wrote)
            if self.wrote[author] > seq
        )


@dataclass(slots=True)
class RoomRecord:
    """A room and all that goes with it."""

    room: Room
    members: dict[str, Role] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    unreferenced_since: dict[str, float] = field(default_factory=dict)
    documents: dict[str, DocumentRecord] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)

    def written(self) -> int:
        """How many updates and messages there ever were."""
        edits = sum(document.last_seq for document in self.documents.values())
        return edits + len(self.messages)

    def texts(self) -> bytes:
        """Everything in which a file may be named."""
        parts = [message.text.encode() for message in self.messages]
        for document in self.documents.values():
            parts += [document.snapshot, *document.states.values()]
            parts += [entry.update for entry in document.updates.values()]
        return b" ".join(parts)


class MemoryHistory:
    """The History interface. wall: Unix seconds now."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._rooms: dict[str, RoomRecord] = {}
        self._versions_made = 0
        self.quarantined: list[SetAside] = []

    # Versions -------------------------------------------------------------
    @fired
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
    ) -> Version | None:
        """Keep a state, if it is worth it."""
        record = self._record(hub_id)
        if name not in record.documents:
            raise NotFound(f"there is no document {name}")
        document = record.documents[name]
        if label is None and through_seq <= document.versioned_seq:
            return None
        self._versions_made += 1
        version = Version(
            id=self._versions_made,
            document=name,
            at=self._wall(),
            label=label,
            by=by,
            reason=reason,
            through_seq=through_seq,
            size_bytes=len(state),
            kept_bytes=len(state),
            authors=document.since(document.versioned_seq),
        )
        record.versions.insert(0, version)
        document.states[version.id] = state
        document.versioned_seq = max(document.versioned_seq, through_seq)
        return version

    @fired
    def versions(self, hub_id: str, name: str | None = None) -> list[Version]:
        """Newest first."""
        found = self._record(hub_id).versions
        return [one for one in found if name is None or one.document == name]

    @fired
    def version_state(self, hub_id: str, name: str, version: int) -> bytes:
        """The state of one."""
        found = self._version(hub_id, name, version)
        return self._record(hub_id).documents[name].states[found.id]

    @fired
    def label_version(
        self, hub_id: str, name: str, version: int, label: str | None
    ) -> Version:
        """Another name, or none."""
        found = self._version(hub_id, name, version)
        changed = replace(found, label=label)
        record = self._record(hub_id)
        record.versions[record.versions.index(found)] = changed
        return changed

    @fired
    def remove_version(self, hub_id: str, name: str, version: int) -> None:
        """Forget one."""
        self._forget(self._record(hub_id), self._version(hub_id, name, version))

    @fired
    def thin_versions(self, hub_id: str, rule: Thinning) -> int:
        """Forget what the rule condemns."""
        record = self._record(hub_id)
        gone = condemned(record.versions, now=self._wall(), rule=rule)
        for one in [one for one in record.versions if one.id in gone]:
            self._forget(record, one)
        return len(gone)

    @fired
    def authors(self, hub_id: str, name: str) -> list[Author]:
        """Everybody who ever edited."""
        document = self._record(hub_id).documents.get(name)
        return [] if document is None else list(document.authors.values())

    # Files ----------------------------------------------------------------
    @fired
    def blob_rooms(self) -> list[str]:
        """Rooms that keep files."""
        return sorted(hub_id for hub_id, room in self._rooms.items() if room.blobs)

    @fired
    def unreferenced_blobs(self, hub_id: str) -> Unreferenced:
        """Look for every file of a room."""
        record = self._record(hub_id)
        texts = record.texts()
        return Unreferenced(
            hub_id=hub_id,
            blobs=frozenset(sha for sha in record.blobs if sha.encode() not in texts),
            mark=record.written(),
        )

    @fired
    def forget_blobs(self, found: Unreferenced, *, grace_s: float) -> int:
        """Mark, unmark, remove."""
        removed, now = 0, self._wall()
        record = self._record(found.hub_id)
        if found.mark != record.written():
            return 0
        since = record.unreferenced_since
        for sha256 in list(record.blobs):
            if sha256 not in found.blobs:
                since.pop(sha256, None)
            elif sha256 not in since:
                since[sha256] = now
            elif since[sha256] <= now - grace_s:
                del record.blobs[sha256], since[sha256]
                removed += 1
        return removed

    @fired
    def blob_hashes(self) -> frozenset[str]:
        """Of every file that some room or account keeps."""
        of_rooms = {sha for room in self._rooms.values() for sha in room.blobs}
        return frozenset(of_rooms | self._upload_hashes())

    def _upload_hashes(self) -> set[str]:
        """Those that accounts share."""
        return set()

    # Faults ---------------------------------------------------------------
    @fired
    def set_aside(self) -> list[SetAside]:
        """The quarantine."""
        return list(self.quarantined)

    def _quarantine(
        self, hub_id: str, name: str, seq: int, entry: JournalEntry, reason: str
    ) -> None:
        place = (hub_id, name, seq)
        if place in [(one.hub_id, one.document, one.seq) for one in self.quarantined]:
            return
        self.quarantined.append(
            SetAside(
                hub_id=hub_id,
                document=name,
                seq=seq,
                author=entry.author,
                at=self._wall(),
                size_bytes=len(entry.update),
                reason=reason,
            )
        )

    # ----------------------------------------------------------------------
    def _record(self, hub_id: str) -> RoomRecord:
        if hub_id not in self._rooms:
            raise NotFound(f"there is no room {hub_id}")
        return self._rooms[hub_id]

    def _version(self, hub_id: str, name: str, version: int) -> Version:
        for one in self._record(hub_id).versions:
            if (one.document, one.id) == (name, version):
                return one
        raise NotFound(f"{name} has no version {version}")

    def _forget(self, record: RoomRecord, version: Version) -> None:
        record.versions.remove(version)
        document = record.documents[version.document]
        del document.states[version.id]
        document.versioned_seq = max(
            (v.through_seq for v in record.versions if v.document == version.document),
            default=0,
        )

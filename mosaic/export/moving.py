"""From the store into a job, and from a job into the store."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from mosaic.config.settings import Settings
from mosaic.export.jobs import (
    CONTENT,
    ArchiveJob,
    BlobEntry,
    ChatEntry,
    DocumentJob,
    DocumentNotFound,
    Imported,
    Limits,
    RoomEntry,
    StoredUpdates,
    WorkFailed,
    write_job,
    write_updates,
)
from mosaic.store.interface import NameTaken, Store, StoredDocument
from mosaic.workspace.ids import new_hub_id, new_pin
from mosaic.workspace.model import Blob, Message, Room, RoomContent

T = TypeVar("T")
CHAT_PAGE = 200
HUB_ID_TRIES = 8


class InThread(Protocol):
    """Like deferToThread: disks take their time."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Run the function elsewhere and fire with its result."""


class BlobPlace(Protocol):
    """The folder of files, as far as an import needs it."""

    async def adopt(self, source: Path, sha256: str) -> None:
        """Move a whole file in. If it is done, one settle() follows."""

    async def settle(self, sha256: str, *, wanted: bool) -> None:
        """Say whether it is referred to."""


def export_limits(settings: Settings) -> Limits:
    """What a worker may use. A state may be a little larger when it is
    written anew."""
    return Limits(
        seconds=settings.export.worker_timeout_s,
        memory_bytes=settings.export.worker_memory_bytes,
        archive_bytes=settings.export.max_archive_bytes,
        document_bytes=settings.drcp.max_document_bytes * 5 // 4,
        blob_bytes=settings.http.max_upload_bytes,
    )


class Mover:
    """Fills job folders. blobs_root: of the house's files. fonts: the web
    client's. now: Unix seconds."""

    def __init__(
        self,
        store: Store,
        *,
        blobs_root: Path,
        fonts: Path,
        limits: Limits,
        now: Callable[[], float],
        in_thread: InThread,
    ) -> None:
        self._store = store
        self._blobs_root = blobs_root.absolute()
        self._fonts = fonts
        self.limits = limits
        self._now = now
        self._in_thread = in_thread

    async def room_name(self, hub_id: str) -> str:
        """What the room is called. Raises NotFound."""
        return (await self._store.room(hub_id)).name

    async def archive_job(self, hub_id: str, folder: Path, *, by: str) -> None:
        """Everything of a room, for an archive `out` in the folder.

        Raises NotFound.
        """
        room = await self._store.room(hub_id)
        documents = []
        for at, name in enumerate(await self._store.document_names(hub_id)):
            documents.append(await self._document(hub_id, name, folder, at))
        await self._chat(hub_id, folder)
        job = ArchiveJob(
            room=_entry(room),
            exported_at=self._now(),
            exported_by=by,
            documents=documents,
            blobs=await self._blobs(hub_id),
            blobs_root=str(self._blobs_root),
            fonts=str(self._fonts),
            chat="chat.jsonl",
            out="out",
            limits=self.limits,
        )
        await self._in_thread(lambda: write_job(folder, job))

    async def document_job(
        self, hub_id: str, name: str, format_: str, folder: Path
    ) -> None:
        """One document, for a file `out` in the folder.

        Raises NotFound for the room, DocumentNotFound.
        """
        room = await self._store.room(hub_id)
        if name not in await self._store.document_names(hub_id):
            raise DocumentNotFound(f"the room has no document {name}")
        job = DocumentJob(
            room=_entry(room),
            document=await self._document(hub_id, name, folder, 0),
            format=format_,
            blobs=await self._blobs(hub_id),
            blobs_root=str(self._blobs_root),
            fonts=str(self._fonts),
            out="out",
            limits=self.limits,
        )
        await self._in_thread(lambda: write_job(folder, job))

    async def _document(
        self, hub_id: str, name: str, folder: Path, at: int
    ) -> StoredUpdates:
        stored: StoredDocument = await self._store.load_document(hub_id, name)
        file = f"updates-{at}"
        await self._in_thread(
            lambda: write_updates(folder / file, (stored.snapshot, *stored.updates))
        )
        return StoredUpdates(name=name, epoch=stored.epoch, file=file)

    async def _chat(self, hub_id: str, folder: Path) -> None:
        path = folder / "chat.jsonl"
        await self._in_thread(path.touch)
        after = 0
        while page := await self._store.messages_after(
            hub_id, after=after, limit=CHAT_PAGE
        ):
            await self._in_thread(_appender(path, page))
            after = page[-1].seq

    async def _blobs(self, hub_id: str) -> list[BlobEntry]:
        return [
            BlobEntry(
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                media_type=blob.media_type,
                created_at=blob.created_at,
            )
            for blob in await self._store.blobs(hub_id)
        ]

    async def settle_import(
        self, folder: Path, *, files: BlobPlace, owner: str | None
    ) -> Room:
        """Make the room that an import job left in its folder: all of it or
        nothing. Raises StoreError."""
        content = await self._in_thread(lambda: _read_content(folder))
        adopted: list[str] = []
        kept = False
        try:
            for blob in content.blobs:
                await files.adopt(folder / "blobs" / blob.sha256, blob.sha256)
                adopted.append(blob.sha256)
            room = await self._add(content, folder, owner)
            kept = True
        finally:
            for sha256 in adopted:
                await files.settle(sha256, wanted=kept)
        return room

    async def _add(self, content: Imported, folder: Path, owner: str | None) -> Room:
        whole = RoomContent(
            documents=_States(content, folder),
            messages=_Chat(folder / content.chat),
            blobs=[
                Blob(
                    sha256=blob.sha256,
                    size_bytes=blob.size_bytes,
                    media_type=blob.media_type,
                    created_at=blob.created_at,
                )
                for blob in content.blobs
            ],
        )
        for _ in range(HUB_ID_TRIES):
            room = Room(
                hub_id=new_hub_id(secrets.randbelow),
                name=content.name,
                pin=new_pin(secrets.randbelow),
                created_at=self._now(),
                owner=owner,
            )
            try:
                await self._store.add_room_with(room, whole)
            except NameTaken:
                continue
            return room
        raise WorkFailed("no free Hub ID was found")


class _States:
    """Names and states of an import, read when they are written."""

    def __init__(self, content: Imported, folder: Path) -> None:
        self._content = content
        self._folder = folder

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for document in self._content.documents:
            yield document.name, (self._folder / document.file).read_bytes()


class _Chat:
    """Messages of an import, read when they are written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Message]:
        with self._path.open("rb") as lines:
            for line in lines:
                entry = msgspec.json.decode(line, type=ChatEntry)
                yield Message(
                    hub_id="",
                    seq=entry.seq,
                    message_id=entry.message_id,
                    author_id=entry.author_id,
                    author=entry.author,
                    text=entry.text,
                    at=entry.at,
                )


def _entry(room: Room) -> RoomEntry:
    return RoomEntry(hub_id=room.hub_id, name=room.name, created_at=room.created_at)


def _appender(path: Path, page: list[Message]) -> Callable[[], Any]:
    def append() -> None:
        with path.open("ab") as chat:
            for message in page:
                entry = ChatEntry(
                    seq=message.seq,
                    message_id=message.message_id,
                    author_id=message.author_id,
                    author=message.author,
                    text=message.text,
                    at=message.at,
                )
                chat.write(msgspec.json.encode(entry) + b"\n")

    return append


def _read_content(folder: Path) -> Imported:
    return msgspec.json.decode((folder / CONTENT).read_bytes(), type=Imported)

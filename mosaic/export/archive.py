"""The archive of a room: a ZIP that people can read and Mosaic can import."""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mosaic import __version__
from mosaic.export.documents import is_of_content, rebuild
from mosaic.export.formats import BOARD_FORMATS, NOTES_FORMATS, Studio
from mosaic.export.jobs import (
    ArchiveJob,
    BlobEntry,
    RoomEntry,
    StoredUpdates,
    WorkRefused,
    read_updates,
)

FORMAT = "mosaic-room"
VERSION = 1

_STORED = {".png", ".pdf"}
"""Already compressed. Word documents are too, but they are ZIPs: of a torn
archive a reader would find the directory of the one inside."""

README = """\
This is the room "{name}" of a Mosaic server, Hub ID {hub_id},
as it was on {day} (UTC).

  board.svg, .png, .pdf    the whiteboard to look at
  board.excalidraw         the whiteboard for excalidraw.com and others
  notes/*.html, .md, .docx the notes to read
  chat.jsonl               the chat: one message on each line, JSON
  blobs/                   pictures and files, named by their SHA-256
  documents/*.ydoc         board and notes as they live in the room: Yjs
                           updates, version 1; an import reads these
  manifest.json            what is in here, with SHA-256 of each document

Import it with `mosaic room import FILE`, or on the administration page.
A new room is made; the old one is not touched. PINs are not in here.
"""


class DocumentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A document of the archive."""

    name: str
    file: str
    epoch: str
    size_bytes: int
    sha256: str


class ChatRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The chat of the archive."""

    file: str
    messages: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json. notes: what could not be written, in words."""

    format: str
    version: int
    room: RoomEntry
    exported_at: float
    exported_by: str
    documents: list[DocumentRecord]
    chat: ChatRecord
    blobs: list[BlobEntry]
    mosaic: str = ""
    notes: list[str] = []


Told = Callable[[float, str], None]
"""How far the work is, from 0 to 1, and at what."""


class ArchiveWriter:
    """Writes one archive. folder: of the job, for what is made on the way."""

    def __init__(self, job: ArchiveJob, folder: Path, told: Told) -> None:
        self._job = job
        self._folder = folder
        self._told = told
        self._notes: list[str] = []
        self._date = time.gmtime(max(job.exported_at, 315532800.0))[:6]
        root = Path(job.blobs_root)
        self._paths = {
            blob.sha256: root / blob.sha256[:2] / blob.sha256[2:] for blob in job.blobs
        }
        self._studio = Studio(
            blobs={blob.sha256: blob for blob in job.blobs},
            blob_paths=self._paths,
            fonts=Path(job.fonts),
            room_name=job.room.name,
        )

    def write(self, out: Path) -> None:
        """Write it. Raises WorkRefused if it would be too large."""
        job = self._job
        size = sum(blob.size_bytes for blob in job.blobs)
        if size > job.limits.archive_bytes:
            raise WorkRefused(
                f"the room's files have {size} bytes,"
                f" an archive may have {job.limits.archive_bytes}"
            )
        with zipfile.ZipFile(
            out, "w", zipfile.ZIP_DEFLATED, compresslevel=6
        ) as self._zip:
            day = datetime.fromtimestamp(job.exported_at, UTC).isoformat(" ", "minutes")
            words = README.format(
                name=job.room.name, hub_id=job.room.hub_id, day=day[:16]
            )
            self._put_text("README.txt", words)
            documents = list(self._documents())
            chat = self._chat()
            blobs = list(self._blobs())
            manifest = Manifest(
                format=FORMAT,
                version=VERSION,
                room=job.room,
                exported_at=job.exported_at,
                exported_by=job.exported_by,
                documents=documents,
                chat=chat,
                blobs=blobs,
                mosaic=__version__,
                notes=self._notes,
            )
            encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            self._put_text("manifest.json", encoded.decode())
        if out.stat().st_size > job.limits.archive_bytes:
            raise WorkRefused(
                f"the archive would have more than {job.limits.archive_bytes} bytes"
            )

    def _documents(self) -> Iterator[DocumentRecord]:
        count = max(len(self._job.documents), 1)
        for at, stored in enumerate(self._job.documents):
            self._told(0.05 + 0.75 * at / count, stored.name)
            yield self._document(stored)

    def _document(self, stored: StoredUpdates) -> DocumentRecord:
        name = stored.name
        updates = read_updates(self._folder / stored.file)
        document, set_aside = rebuild(updates, name=name)
        if set_aside:
            self._notes.append(f"{name}: {set_aside} unreadable updates left out")
        state = document.get_update()
        file = f"documents/{name}.ydoc"
        with self._zip.open(self._info(file), "w") as out:
            out.write(state)
        if name == "board":
            self._views("board", document, BOARD_FORMATS, "board")
        elif name.startswith("notes/"):
            self._views(name, document, NOTES_FORMATS, name)
        return DocumentRecord(
            name=name,
            file=file,
            epoch=stored.epoch,
            size_bytes=len(state),
            sha256=hashlib.sha256(state).hexdigest(),
        )

    def _views(
        self, name: str, document: Any, formats: tuple[str, ...], stem: str
    ) -> None:
        """What people read. One that fails is noted: the state is there."""
        paths = {one: self._folder / f"view.{one}" for one in formats}
        try:
            if name == "board":
                self._studio.board(document, paths)
            else:
                self._studio.notes(name, document, paths)
        except BaseException as error:
            if not is_of_content(error):
                raise
            self._notes.append(f"{name}: not drawn ({type(error).__name__})")
        for one, path in paths.items():
            if path.exists():
                self._put_file(f"{stem}.{one}", path)
                path.unlink()

    def _chat(self) -> ChatRecord:
        self._told(0.82, "chat")
        path = self._folder / self._job.chat
        digest, lines = hashlib.sha256(), 0
        with path.open("rb") as chat:
            for line in chat:
                digest.update(line)
                lines += 1
        self._put_file("chat.jsonl", path)
        return ChatRecord(file="chat.jsonl", messages=lines, sha256=digest.hexdigest())

    def _blobs(self) -> Iterator[BlobEntry]:
        blobs = self._job.blobs
        for at, blob in enumerate(blobs):
            self._told(0.85 + 0.15 * at / len(blobs), "files")
            path = self._paths[blob.sha256]
            if not path.is_file():
                self._notes.append(f"the file {blob.sha256} is missing on this server")
                continue
            self._put_file(f"blobs/{blob.sha256}", path, stored=True)
            yield blob

    def _put_text(self, name: str, words: str) -> None:
        self._zip.writestr(self._info(name), words.encode())

    def _put_file(self, name: str, path: Path, *, stored: bool = False) -> None:
        info = self._info(name)
        if stored or path.suffix in _STORED:
            info.compress_type = zipfile.ZIP_STORED
        info.file_size = path.stat().st_size
        with path.open("rb") as source, self._zip.open(info, "w") as out:
            shutil.copyfileobj(source, out, 1 << 20)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return info

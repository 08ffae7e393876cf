"""Archives of a room: made, and taken in again."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.build import STATIC
from mosaic.export.jobs import (
    CONTENT,
    ArchiveJob,
    BlobEntry,
    ChatEntry,
    Imported,
    ImportJob,
    Limits,
    RoomEntry,
    StoredUpdates,
    WorkRefused,
    write_job,
    write_updates,
)
from mosaic.export.worker import perform
from tests.support.rooms import board_of, element, notes_of, paragraph, png, written

PICTURE = png()
SHA256 = hashlib.sha256(PICTURE).hexdigest()
ROOM = RoomEntry(hub_id="100000009", name="Blue", created_at=5.0)


def quiet(progress: float, step: str) -> None:
    """Nobody listens."""


def a_line(number: int, **more: Any) -> ChatEntry:
    """A line of chat."""
    line = ChatEntry(
        seq=number,
        message_id=f"m{number}",
        author_id="0" * 16,
        author="Ada",
        text=f"line {number}",
        at=1000.0 + number,
    )
    return msgspec.structs.replace(line, **more)


class ArchiveCase(SynchronousTestCase):
    """Folders for jobs, and a room."""

    def setUp(self) -> None:
        """One folder for all."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.count = 0
        blob = self.root / "blobs" / SHA256[:2] / SHA256[2:]
        blob.parent.mkdir(parents=True)
        blob.write_bytes(PICTURE)

    def folder(self) -> Path:
        """A fresh one."""
        self.count += 1
        path = self.root / f"job-{self.count}"
        path.mkdir()
        return path

    def export(
        self,
        documents: dict[str, list[bytes]],
        chat: list[ChatEntry] | None = None,
        **more: Any,
    ) -> bytes:
        """The archive of a room with these updates."""
        folder = self.folder()
        stored = []
        for at, (name, updates) in enumerate(documents.items()):
            write_updates(folder / f"u{at}", updates)
            stored.append(StoredUpdates(name=name, epoch=f"e{at}", file=f"u{at}"))
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in chat or [])
        (folder / "chat.jsonl").write_bytes(lines)
        blob = BlobEntry(
            sha256=SHA256,
            size_bytes=len(PICTURE),
            media_type="image/png",
            created_at=1.0,
        )
        given_: dict[str, Any] = {
            "room": ROOM,
            "exported_at": 1_700_000_000.0,
            "exported_by": "ada",
            "documents": stored,
            "blobs": [blob],
            "blobs_root": str(self.root / "blobs"),
            "fonts": str(STATIC / "excalidraw" / "fonts"),
            "chat": "chat.jsonl",
            "out": "out",
        }
        write_job(folder, ArchiveJob(**(given_ | more)))
        perform(folder, quiet)
        return (folder / "out").read_bytes()

    def a_room(self) -> bytes:
        """An archive with something of everything."""
        board = board_of([written("Plan", "t"), element("image", "i", fileId=SHA256)])
        notes = notes_of([paragraph("Minutes")])
        documents = {"board": board, "notes/main": notes}
        return self.export(
            {name: [one.get_update()] for name, one in documents.items()},
            [a_line(1), a_line(2)],
        )

    def take_in(
        self, data: bytes, limits: Limits | None = None
    ) -> tuple[Imported, Path]:
        """The content of an archive, and where it is."""
        folder = self.folder()
        path = folder / "archive.zip"
        path.write_bytes(data)
        write_job(folder, ImportJob(archive=str(path), limits=limits or Limits()))
        perform(folder, quiet)
        content = msgspec.json.decode((folder / CONTENT).read_bytes(), type=Imported)
        return content, folder

    def refused(self, data: bytes, says: str, limits: Limits | None = None) -> None:
        """The archive is refused with these words, and no content is left."""
        with self.assertRaises(WorkRefused) as caught:
            self.take_in(data, limits)
        self.assertIn(says, str(caught.exception))
        self.assertFalse((self.root / f"job-{self.count}" / CONTENT).exists())

"""What a worker is asked to do, and what it says: plain data in a folder.

A job is a folder for one worker: `job.json` in, files beside it, and the lines
that the worker prints, one JSON value each, out.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

import mosaic

JOB = "job.json"
CONTENT = "content.json"
_LENGTH = struct.Struct(">I")


class StoredUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """A document of a job. file: see write_updates()."""

    name: str
    epoch: str
    file: str


class BlobEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the room."""

    sha256: str
    size_bytes: int
    media_type: str
    created_at: float


class RoomEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The room, without its PIN: that opens doors."""

    hub_id: str
    name: str
    created_at: float


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker may use; see [export] in etc/mosaic.toml."""

    seconds: float = 300.0
    memory_bytes: int = 1 << 30
    archive_bytes: int = 2 << 30
    document_bytes: int = 20 << 20
    blob_bytes: int = 50 << 20


class ArchiveJob(msgspec.Struct, frozen=True, kw_only=True, tag="archive"):
    """Write the archive of a room. blobs_root: where `ab/cdef…` files are."""

    room: RoomEntry
    exported_at: float
    exported_by: str
    documents: list[StoredUpdates]
    blobs: list[BlobEntry]
    blobs_root: str
    fonts: str
    chat: str
    out: str
    limits: Limits = Limits()


class DocumentJob(msgspec.Struct, frozen=True, kw_only=True, tag="document"):
    """Write one document in one format."""

    room: RoomEntry
    document: StoredUpdates
    format: str
    blobs: list[BlobEntry]
    blobs_root: str
    fonts: str
    out: str
    limits: Limits = Limits()


class ImportJob(msgspec.Struct, frozen=True, kw_only=True, tag="import"):
    """Check an archive and take it apart into the job's folder."""

    archive: str
    limits: Limits = Limits()


Job = ArchiveJob | DocumentJob | ImportJob


class ImportedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was checked. file: its full state, in the folder."""

    name: str
    file: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import job leaves in content.json. chat: a file of ChatEntry
    lines. blobs: each is a file `blobs/<sha256>` in the folder."""

    name: str
    hub_id: str
    documents: list[ImportedDocument]
    chat: str
    messages: int
    blobs: list[BlobEntry]


class ChatEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of chat.jsonl. at: Unix seconds."""

    seq: int
    message_id: str
    author_id: str
    author: str
    text: str
    at: float


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that a worker prints: how far it is, or why it gives up."""

    progress: float = 0.0
    step: str = ""
    refused: str = ""
    done: bool = False


class WorkRefused(Exception):
    """What was given cannot be worked on; the text is for the person."""


class WorkFailed(Exception):
    """The worker broke down, was stopped or ran out; the text says so."""


class DocumentNotFound(WorkRefused):
    """The room has no such document."""


def write_updates(path: Path, updates: Iterable[bytes]) -> None:
    """Keep raw updates in their order: a length in 4 bytes before each."""
    with path.open("wb") as file:
        for update in updates:
            file.write(_LENGTH.pack(len(update)))
            file.write(update)


def read_updates(path: Path) -> Iterator[bytes]:
    """The updates again."""
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            (length,) = _LENGTH.unpack(head)
            yield file.read(length)


def write_job(folder: Path, job: Job) -> None:
    """Put a job into its folder."""
    (folder / JOB).write_bytes(msgspec.json.encode(job))


def read_job(folder: Path) -> Job:
    """The job of a folder."""
    return msgspec.json.decode((folder / JOB).read_bytes(), type=Job)  # type: ignore[no-any-return]  # msgspec takes unions


def worker_command(folder: Path) -> list[str]:
    """The command line of a worker for a job."""
    return [sys.executable, "-m", "mosaic.export.worker", str(folder)]


def worker_environment() -> dict[str, str]:
    """What a worker needs to find Python and this Mosaic, and nothing else."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    here = str(Path(mosaic.__file__).resolve().parents[1])
    before = os.environ.get("PYTHONPATH", "")
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (here, before)))
    # A small stack and few arenas: the limit is on addresses, not on pages.
    found["MALLOC_ARENA_MAX"] = "2"
    found["OMP_NUM_THREADS"] = "1"
    return found


def read_said(line: bytes) -> Said | None:
    """A line that a worker printed; None for what is none."""
    try:
        return msgspec.json.decode(line, type=Said)
    except msgspec.MsgspecError:
        return None

"""`mosaic backup`: everything that a server needs, in one file.

A tar archive: the database as of one moment, the uploaded files, keys and
certificates, and last `manifest.json` with the SHA-256 of each. An archive
without a manifest is one whose making was cut off.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mosaic import __version__
from mosaic.store.copying import copy_database, sync_file

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "mosaic.db"
MEMBER = re.compile(
    r"mosaic\.db|blobs/[0-9a-f]{2}/[0-9a-f]{62}|(keys|tls)/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
)
"""What an archive may hold besides the manifest; nothing leads out of the folder."""


@dataclass(slots=True, kw_only=True)
class Backup:
    """What was written. damaged: files whose bytes are not those of their name."""

    file: Path
    size_bytes: int = 0
    files: int = 0
    damaged: list[str] = field(default_factory=list)


def default_name(now: float) -> str:
    """For an archive made at that moment (UTC)."""
    return time.strftime("mosaic-%Y%m%dT%H%M%SZ.tar", time.gmtime(now))


def make_backup(
    *, state: Path, database: Path, target: Path, secrets: bool, now: float
) -> Backup:
    """Write the archive; the server may be running.

    secrets: keys and certificates too. target appears when it is whole, with
    mode 0600. Raises FileExistsError, StoreError, OSError.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    copy = target.with_name(f".{target.name}.{os.getpid()}.db")
    made = Backup(file=target)
    try:
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        copy_database(database, copy)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(
                fileobj=stream, mode="w", format=tarfile.PAX_FORMAT
            ) as tar:
                _fill(tar, made, copy=copy, state=state, secrets=secrets, now=now)
            stream.flush()
            os.fsync(stream.fileno())
            made.size_bytes = stream.tell()
        os.link(partial, target)  # unlike a rename it replaces nothing
        sync_file(target.parent)
    finally:
        for left in (
            partial,
            copy,
            *(Path(f"{copy}{end}") for end in ("-wal", "-shm")),
        ):
            with suppress(OSError):
                left.unlink()
    return made


def _fill(
    tar: tarfile.TarFile,
    made: Backup,
    *,
    copy: Path,
    state: Path,
    secrets: bool,
    now: float,
) -> None:
    hashes: dict[str, str] = {}
    hashes[DATABASE] = _add(tar, DATABASE, copy)
    # After the database: a file is on disk before anything refers to it.
    for name, path in _files(state, secrets=secrets):
        try:
            digest = _add(tar, name, path)
        except FileNotFoundError:
            continue  # nothing referred to it any more, and it was collected
        if name.startswith("blobs/") and digest != name[6:].replace("/", ""):
            made.damaged.append(name)
        hashes[name] = digest
    made.files = len(hashes)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "mosaic": __version__,
        "made_at": now,
        "files": hashes,
    }
    data = json.dumps(manifest, indent=1).encode()
    member = tarfile.TarInfo(MANIFEST)
    member.size, member.mode, member.mtime = len(data), 0o600, int(now)
    tar.addfile(member, io.BytesIO(data))


def _files(state: Path, *, secrets: bool) -> Iterator[tuple[str, Path]]:
    folders = ("blobs", "keys", "tls") if secrets else ("blobs",)
    for folder in folders:
        for path in sorted((state / folder).rglob("*")):
            name = path.relative_to(state).as_posix()
            if MEMBER.fullmatch(name) and path.is_file() and not path.is_symlink():
                yield name, path


class _Hashed(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__()
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.hash.update(data)
        return data


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file; its SHA-256. Raises FileNotFoundError before anything is added."""
    with path.open("rb") as file:
        member = tarfile.TarInfo(name)
        facts = os.fstat(file.fileno())
        member.size, member.mtime = facts.st_size, int(facts.st_mtime)
        member.mode = 0o600
        hashed = _Hashed(file)
        tar.addfile(member, hashed)
    return hashed.hash.hexdigest()

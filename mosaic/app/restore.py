"""`mosaic restore`: put an archive of `mosaic backup` in a state folder.

Until the archive has been unpacked and checked whole, nothing in the folder is
touched. Then files are added (they are named by their content), the database is
exchanged in one step, and last keys and certificates. What they replace stays
beside them, named `….replaced-<time>`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mosaic.app.backup import DATABASE, FORMAT, MANIFEST, MEMBER
from mosaic.store.copying import SIDE_FILES, check_copy, fold_log, sync_file
from mosaic.store.database import open_mark
from mosaic.store.interface import StoreError

STAGING = "restore.partial"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
CHUNK_BYTES = 1 << 20


class BadArchive(Exception):
    """The archive is none of ours, damaged or cut off; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put in place. replaced: where the database before it is now."""

    made_at: float
    mosaic: str
    files: int
    replaced: Path | None


def unpack(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpack into a new folder and check every byte; the manifest.

    Raises BadArchive, StoreError for its database, OSError.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    hashes: dict[str, str] = {}
    manifest: Any = None
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if not member.isreg() or manifest is not None:
                    raise BadArchive(f"{archive}: {member.name} does not belong there")
                source = tar.extractfile(member)
                assert source is not None
                if member.name == MANIFEST:
                    manifest = json.loads(source.read(MAX_MANIFEST_BYTES))
                elif MEMBER.fullmatch(member.name) and member.name not in hashes:
                    hashes[member.name] = _extract(source, folder / member.name)
                else:
                    raise BadArchive(f"{archive}: {member.name} does not belong there")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise BadArchive(f"{archive} is damaged or no backup: {error}") from error
    if not isinstance(manifest, dict):
        raise BadArchive(f"{archive} is cut off: it has no {MANIFEST}")
    _compare(archive, manifest, hashes)
    check_copy(folder / DATABASE)
    return manifest


def _compare(archive: Path, manifest: dict[str, Any], hashes: dict[str, str]) -> None:
    if manifest.get("format") != FORMAT:
        raise BadArchive(f"{archive} has a format that this Mosaic does not know")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or DATABASE not in hashes:
        raise BadArchive(f"{archive} holds no database")
    for name in sorted({*listed, *hashes}):
        if listed.get(name) != hashes.get(name):
            raise BadArchive(f"{archive}: {name} is missing or damaged")


def _extract(source: Any, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def put_in_place(
    staged: Path, *, state: Path, database: Path, manifest: dict[str, Any], now: float
) -> Restored:
    """Exchange what is in the state folder for what was unpacked and checked.

    The caller holds the folder's lock. Whoever kills this in the middle finds
    the old database or the new one, each whole.
    """
    stamp = time.strftime("replaced-%Y%m%dT%H%M%SZ", time.gmtime(now))
    for path in sorted((staged / "blobs").rglob("*")):
        if path.is_file():
            target = state / path.relative_to(staged)
            _move(path, target)
    replaced = _set_aside(database, stamp)
    _move(staged / DATABASE, database)
    open_mark(database).unlink(missing_ok=True)
    for path in sorted([*staged.glob("keys/*"), *staged.glob("tls/*")]):
        target = state / path.relative_to(staged)
        if target.exists() and target.read_bytes() != path.read_bytes():
            folder = state / f"{path.parent.name}.{stamp}"
            folder.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(target, folder / target.name)
        _move(path, target)
    shutil.rmtree(staged)
    return Restored(
        made_at=float(manifest.get("made_at") or 0.0),
        mosaic=str(manifest.get("mosaic") or ""),
        files=len(manifest["files"]),
        replaced=replaced,
    )


def _set_aside(database: Path, stamp: str) -> Path | None:
    """Keep the old database under another name; its own name stays too, until
    the new one takes it. A log that belongs to the old one must be gone then."""
    if not database.exists():
        for end in SIDE_FILES:
            Path(f"{database}{end}").unlink(missing_ok=True)
        return None
    kept = database.with_name(f"{database.name}.{stamp}")
    with suppress(StoreError):  # a damaged one keeps its log, under its new name
        fold_log(database)
    kept.unlink(missing_ok=True)
    os.link(database, kept)
    for end in SIDE_FILES:
        log = Path(f"{database}{end}")
        if log.exists():
            log.replace(f"{kept}{end}")
    sync_file(database.parent)
    return kept


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError:  # the database may lie on another file system
        partial = target.with_name(f".{target.name}.partial")
        shutil.copy2(source, partial)
        sync_file(partial)
        partial.replace(target)
    sync_file(target.parent)

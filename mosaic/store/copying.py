"""Copies of the database: taken while a server writes, and put in its place."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mosaic.store.database import (
    DATABASE_ERRORS,
    damaged,
    explain,
    faults,
    prepare_database,
)
from mosaic.store.interface import StoreError

SIDE_FILES = ("-wal", "-shm")


def copy_database(source: Path, target: Path) -> None:
    """Write a checked copy, the state of one moment; a server may go on writing.

    target: must not be there; one file, without a log beside it. The copy is
    on disk when this returns.

    Raises StoreError (also for a damaged source) or StoreFull.
    """
    if not source.exists():
        raise StoreError(f"there is no database {source}")
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.execute("PRAGMA busy_timeout = 10000")
            live.backup(copy)  # in one step: readers never stop the writer
            copy.execute("PRAGMA journal_mode = DELETE")
            found = faults(copy)
            if found:
                raise damaged(source, found)
        sync_file(target)
    except DATABASE_ERRORS as error:
        raise explain(error, source) from error


def check_copy(path: Path) -> None:
    """Read all of a copy and bring it to the newest form of the tables.

    Raises StoreError for a damaged one or one of a newer Mosaic.
    """
    prepare_database(path, check=True)
    fold_log(path)
    sync_file(path)


def fold_log(path: Path) -> None:
    """Take the write-ahead log into the file, and leave none behind.

    Nobody else may have the database open. Raises StoreError, StoreFull.
    """
    try:
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.execute("PRAGMA journal_mode = DELETE")
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def sync_file(path: Path) -> None:
    """What was written to a file or into a folder is on disk after this."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

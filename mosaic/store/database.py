"""Opening SQLite the way Mosaic wants it, and telling its failures apart."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, PoolProxiedConnection
from twisted.logger import Logger

from mosaic.store.interface import StoreError, StoreFull
from mosaic.store.migrate import migrate

_log = Logger()

BUSY_TIMEOUT_S = 5.0
FILE_MODE = 0o600

DATABASE_ERRORS = (DBAPIError, sqlite3.Error, OSError)
"""What the database or the file system may raise; explain() tells them apart."""

_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def database_path(url_or_path: str | Path) -> Path:
    """The file behind a path or an sqlite:/// URL.

    Raises StoreError for any other kind of database.
    """
    text = str(url_or_path)
    if "://" not in text:
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.partition("+")[0] != "sqlite" or not rest.startswith("/"):
        raise StoreError(f"store.url: {scheme}: only sqlite:///PATH is known here")
    return Path(rest[1:])


def open_engine(path: Path, *, write: bool) -> Engine:
    """An engine whose transactions take the write lock at once, or never write."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: PoolProxiedConnection) -> None:
        # pysqlite's own transactions begin too late and know no savepoints
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        if not write:
            raw.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The writer has begun already, past SQLAlchemy.
        if not driver(connection).in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def driver(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection, in the same transaction."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def prepare_database(
    path: Path, *, check: bool, patience_s: float | None = None
) -> None:
    """Make the file if there is none, check its pages, and migrate it.

    check: reads the whole file; the server does so when it starts.
    patience_s: the check is cut off, and that is logged, when it takes longer.

    Raises StoreError naming the file when it is damaged, StoreFull when
    nothing can be written.
    """
    try:
        _make_private(path)
        engine = open_engine(path, write=True)
        try:
            with engine.connect() as connection:
                if check:
                    _check_pages(connection, path, patience_s)
                with connection.begin():
                    migrate(connection)
        finally:
            engine.dispose()
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def note_open(path: Path) -> None:
    """Say in the folder that a server has the database open.

    If the last one did not close it, its write-ahead log must still be there:
    without it the newest edits are lost, and the database looks whole. That is
    only logged, for another program may have folded the log in.
    """
    mark, log = open_mark(path), Path(f"{path}-wal")
    if mark.exists() and path.exists() and not log.exists():
        _log.error(
            "{log} is missing, though no server closed {path}: if this is a copy, or"
            " somebody removed it, the newest edits are not in it; bring it back"
            " before anything is written, or put your newest backup in place:"
            " mosaic restore --force FILE",
            log=str(log), path=str(path),
        )  # fmt: skip
    with suppress(OSError):  # a full disk keeps nobody from reading
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, FILE_MODE))


def open_mark(path: Path) -> Path:
    """The file that stands beside a database while a server has it open."""
    return Path(f"{path}-open")


def _make_private(path: Path) -> None:
    """Only the owner reads it; SQLite gives its -wal and -shm the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, FILE_MODE)
    try:
        if os.fstat(descriptor).st_mode & 0o777 != FILE_MODE:
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def _check_pages(connection: Connection, path: Path, patience_s: float | None) -> None:
    raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    deadline = None if patience_s is None else time.monotonic() + patience_s
    if deadline is not None:
        late = deadline
        # 1: SQLite gives up and raises SQLITE_INTERRUPT
        raw.set_progress_handler(lambda: time.monotonic() > late, 10_000)
    try:
        found = faults(raw)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        _log.warn(
            "the check of {path} was cut off after {seconds} s (store.check_s);"
            " `mosaic check` reads all of it",
            path=str(path), seconds=patience_s,
        )  # fmt: skip
        return
    finally:
        raw.set_progress_handler(None, 0)
    if found:
        raise damaged(path, found)


def faults(raw: sqlite3.Connection) -> str | None:
    """The first fault of a database: in its pages, or a row that refers to none."""
    (answer,) = raw.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        return str(answer)
    row = raw.execute("PRAGMA foreign_key_check").fetchone()
    if row is not None:
        return f"row {row[1]} of {row[0]} belongs to nothing in {row[2]}"
    return None


def check_database(path: Path) -> str | None:
    """The first fault of a database that is there, without changing it.

    A server may be running. Raises StoreError if it cannot be read at all.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as raw:
            raw.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
            return faults(raw)
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def damaged(path: Path, fault: str) -> StoreError:
    """What is said of a damaged database: which, how, and what to do."""
    what = " ".join(fault.split())
    return StoreError(
        f"the database {path} is damaged ({what}); put your newest backup in its"
        " place: mosaic restore --force FILE"
    )


def explain(error: BaseException, path: Path) -> StoreError:
    """The store's own error for one of the database or the file system."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OSError):
        return StoreFull(f"the database {path} cannot be written: {cause}")
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in _DISK:
        return StoreFull(f"the database {path} cannot be written: {cause}")
    if code in _DAMAGE:
        return damaged(path, str(cause))
    return StoreError(f"the database {path} failed: {cause}")

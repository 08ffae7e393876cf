"""Opening SQLite the way Mosaic wants it, and telling its failures apart."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from mosaic.store.interface import StoreError, StoreFull
from mosaic.store.migrate import migrate

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


def prepare_database(path: Path, *, check: bool) -> None:
    """Make the file if there is none, check its pages, and migrate it.

    check: reads the whole file; the server does so when it starts.

    Raises StoreError naming the file when it is damaged, StoreFull when
    nothing can be written.
    """
    try:
        _make_private(path)
        engine = open_engine(path, write=True)
        try:
            with engine.connect() as connection:
                if check:
                    _check_pages(connection, path)
                with connection.begin():
                    migrate(connection)
        finally:
            engine.dispose()
    except DATABASE_ERRORS as error:
        raise explain(error, path) from error


def _make_private(path: Path) -> None:
    """Only the owner reads it; SQLite gives its -wal and -shm the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, FILE_MODE)
    try:
        if os.fstat(descriptor).st_mode & 0o777 != FILE_MODE:
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def _check_pages(connection: Connection, path: Path) -> None:
    with connection.begin():
        answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if answer != "ok":
        raise _damaged(path, str(answer))


def _damaged(path: Path, fault: str) -> StoreError:
    what = " ".join(fault.split())
    return StoreError(
        f"the database {path} is damaged ({what}); keep a copy of it and run"
        " `mosaic restore` with your newest backup"
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
        return _damaged(path, str(cause))
    return StoreError(f"the database {path} failed: {cause}")

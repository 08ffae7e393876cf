"""The two threads behind SqlStore: one writes in groups, one reads.

A caller on the reactor thread submits a function over a Connection and gets a
Deferred. Results cross back with callFromThread; for a write that happens
only after its commit.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads

from mosaic.store.database import DATABASE_ERRORS, driver, explain, open_engine
from mosaic.store.interface import StoreError

T = TypeVar("T")

MAX_WINDOW_S = 0.020
MAX_GROUP = 512


@dataclass(slots=True, eq=False)
class Operation:
    """One function to run over the connection, and who waits for it."""

    call: Callable[[Connection], Any]
    waiter: Deferred[Any] = field(default_factory=Deferred)


@dataclass(slots=True, frozen=True)
class _Failed:
    """In place of an operation's value."""

    error: Exception


class _Stop:
    """Put last into the queue."""


class _Probe:
    """Asks whether another process has written."""


Item = Operation | _Stop | _Probe
Outcome = tuple[Operation, Any]


class DatabaseThread:
    """A thread with a connection of its own and a queue of operations.

    Every public method is called on the reactor thread.
    """

    _write = False

    def __init__(self, path: Path, reactor: IReactorFromThreads) -> None:
        self._path = path
        self._reactor = reactor
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._engine = open_engine(path, write=self._write)
        self._connection: Connection | None = None
        self._thread: Thread | None = None
        self._stopped: Deferred[None] | None = None

    def start(self, prepare: Callable[[], None] | None = None) -> Deferred[None]:
        """Prepare and connect, then take operations.

        Fires when ready; fails, with the thread ended, when that cannot be.
        """
        started: Deferred[None] = Deferred()
        self._thread = Thread(
            target=self._run, args=(prepare, started), name=self._name(), daemon=True
        )
        self._thread.start()
        return started

    def submit(self, call: Callable[[Connection], T]) -> Deferred[T]:
        """Run the function in a transaction; fires with its result."""
        if self._thread is None:
            return fail(StoreError("the store is not running"))
        operation = Operation(call)
        self._queue.put(operation)
        return operation.waiter

    def stop(self) -> Deferred[None]:
        """Finish what waits and close; fires when the thread has ended."""
        thread, self._thread = self._thread, None
        if thread is None:
            return succeed(None)
        self._queue.put(_Stop())
        stopped = self._stopped = Deferred[None]()
        stopped.addCallback(lambda _: thread.join())
        return stopped

    def _start_failed(self, started: Deferred[None], cause: Exception) -> None:
        self._thread = None
        started.errback(cause)

    # On the thread --------------------------------------------------------
    def _name(self) -> str:
        return f"mosaic store {'writer' if self._write else 'reader'}"

    def _run(self, prepare: Callable[[], None] | None, started: Deferred[None]) -> None:
        try:
            if prepare is not None:
                prepare()
            self._connected()
        except Exception as error:
            self._close()
            cause = self._explain(error)
            self._reactor.callFromThread(self._start_failed, started, cause)
            return
        self._reactor.callFromThread(started.callback, None)
        while not self._step():
            pass
        self._close()
        self._reactor.callFromThread(self._ended)

    def _ended(self) -> None:
        """On the reactor thread, last of all."""
        assert self._stopped is not None
        self._stopped.callback(None)

    def _explain(self, error: Exception) -> Exception:
        if isinstance(error, DATABASE_ERRORS):
            return explain(error, self._path)
        return error

    def _close(self) -> None:
        self._disconnect()
        self._engine.dispose()

    def _step(self) -> bool:
        """Take an item and see to it; True if it was the last."""
        raise NotImplementedError

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Let the connection go; after a fault the next one starts clean."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except DATABASE_ERRORS:
                connection.invalidate()

    def _deliver(self, outcomes: Sequence[Outcome]) -> None:
        self._reactor.callFromThread(_fire, outcomes)


def _fire(outcomes: Sequence[Outcome]) -> None:
    """On the reactor thread: tell everybody who waits, in order."""
    for operation, value in outcomes:
        if isinstance(value, _Failed):
            operation.waiter.errback(value.error)
        else:
            operation.waiter.callback(value)


class Reader(DatabaseThread):
    """Questions, each over its own snapshot of what is committed by then."""

    def _step(self) -> bool:
        item = self._queue.get()
        if isinstance(item, Operation):
            self._deliver([(item, self._answer(item))])
        return isinstance(item, _Stop)

    def _answer(self, operation: Operation) -> Any:
        try:
            return self._read(operation.call)
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS):
                self._disconnect()
            return _Failed(self._explain(error))

    def _read(self, call: Callable[[Connection], T]) -> T:
        """One snapshot for all that the function asks."""
        connection = self._connected()
        database = driver(connection)
        # plain statements: SQLAlchemy's begin() costs more than a small question
        database.execute("BEGIN")
        try:
            return call(connection)
        finally:
            if connection.in_transaction():
                connection.rollback()
            else:
                database.rollback()


class Writer(DatabaseThread):
    """Changes, committed in groups.

    window_s: how long a group waits for company, and only while changes come
    faster than commits; a lone change is committed at once. on_commit: told
    the seconds that a commit took and how many changes it held.
    on_foreign_change: told, after a probe, that another process has written.
    Both are called on the reactor thread.
    """

    _write = True

    def __init__(
        self,
        path: Path,
        reactor: IReactorFromThreads,
        *,
        window_s: float,
        on_commit: Callable[[float, int], None] | None = None,
        on_foreign_change: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(path, reactor)
        self._window_s = min(window_s, MAX_WINDOW_S)
        self._on_commit = on_commit
        self._on_foreign_change = on_foreign_change
        self._last_group = 1
        self._data_version: int | None = None

    def probe(self) -> None:
        """Look, between two groups, whether another process has written."""
        if self._thread is not None:
            self._queue.put(_Probe())

    # On the thread --------------------------------------------------------
    def _step(self) -> bool:
        group, last, probe = self._take()
        if group:
            self._perform(group)
            self._last_group = len(group)
        if probe:
            self._look()
        return last

    def _take(self) -> tuple[list[Operation], bool, bool]:
        """All that waits, and what comes within the window of a busy time."""
        group: list[Operation] = []
        probe = False
        item: Item | None = self._queue.get()
        patience_s = self._window_s if self._last_group > 1 else 0.0
        deadline = time.monotonic() + patience_s
        while item is not None:
            if isinstance(item, _Stop):
                return group, True, probe
            if isinstance(item, Operation):
                group.append(item)
            else:
                probe = True
            item = self._next(deadline) if len(group) < MAX_GROUP else None
        return group, False, probe

    def _next(self, deadline: float) -> Item | None:
        try:
            wait_s = deadline - time.monotonic()
            return self._queue.get(block=wait_s > 0, timeout=max(wait_s, 0))
        except Empty:
            return None

    def _perform(self, group: list[Operation]) -> None:
        """Commit a group and tell its members; a fault is told to those it hit."""
        began = time.perf_counter()
        try:
            outcomes = self._commit(group)
        except DATABASE_ERRORS as error:
            self._disconnect()
            if len(group) > 1:
                # a large change may not fit where small ones still do
                for operation in group:
                    self._perform([operation])
                return
            outcomes = [(group[0], _Failed(self._explain(error)))]
        else:
            took_s = time.perf_counter() - began
            # One call for both: each wakes the reactor.
            self._reactor.callFromThread(self._committed, outcomes, took_s)
            return
        self._deliver(outcomes)

    def _commit(self, group: list[Operation]) -> list[Outcome]:
        """Run each operation in a savepoint of one transaction.

        Returns when everything is on disk; raises one of DATABASE_ERRORS when
        nothing is.
        """
        connection = self._connected()
        database = driver(connection)
        try:
            database.execute("BEGIN IMMEDIATE")
            outcomes = [(op, _attempt(connection, op)) for op in group]
            # SQLAlchemy has a transaction of its own if an operation used it.
            if connection.in_transaction():
                connection.commit()
            else:
                database.execute("COMMIT")
        except BaseException:
            connection.rollback()
            database.rollback()
            raise
        return outcomes

    def _committed(self, outcomes: Sequence[Outcome], took_s: float) -> None:
        """On the reactor thread."""
        _fire(outcomes)
        if self._on_commit is not None:
            self._on_commit(took_s, len(outcomes))

    def _look(self) -> None:
        """Compare data_version: it moves only when another connection commits,
        and in this process no other connection writes."""
        try:
            version = self._read_data_version()
        except DATABASE_ERRORS:
            self._disconnect()  # the next group will meet the fault and tell
            return
        known, self._data_version = self._data_version, version
        if known is not None and known != version and self._on_foreign_change:
            self._reactor.callFromThread(self._on_foreign_change)

    def _read_data_version(self) -> int:
        database = driver(self._connected())
        (version,) = database.execute("PRAGMA data_version").fetchone()
        return int(version)


def _attempt(connection: Connection, operation: Operation) -> Any:
    """The value or the failure of one operation; its failure undoes it alone."""
    # plain statements: begin_nested() costs more than a small insert
    database = driver(connection)
    database.execute("SAVEPOINT one")
    try:
        value = operation.call(connection)
        database.execute("RELEASE one")
    except (IntegrityError, sqlite3.IntegrityError) as error:
        _undo(database)
        cause = getattr(error, "orig", error)
        return _Failed(StoreError(f"refused by the database: {cause}"))
    except DATABASE_ERRORS:
        raise  # the transaction may be gone: the whole group starts over
    except Exception as error:
        _undo(database)
        return _Failed(error)
    return value


def _undo(database: sqlite3.Connection) -> None:
    database.execute("ROLLBACK TO one")
    database.execute("RELEASE one")

"""The two stores that one suite runs over, and what a store is furnished with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.interface import JournalEntry, Store
from mosaic.store.memory import MemoryStore
from mosaic.store.sql import SqlStore
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Room
from tests.support.pumped import PumpedReactor

T = TypeVar("T")

NOW = 1_000_000.0
VERIFIER = ScramVerifier(
    salt=b"s" * 16, iterations=4096, stored_key=b"k" * 32, server_key=b"v" * 32
)
OTHER = replace(VERIFIER, salt=b"t" * 16)
ROOM = Room(hub_id="100000009", name="Blue", pin="012345", created_at=5.5)
SECOND = Room(hub_id="200000008", name="Red", pin="000000", created_at=4.5)


def entries(*updates: bytes) -> list[JournalEntry]:
    """Updates by one author."""
    return [JournalEntry(update=update, author="aa") for update in updates]


class StoreContract(SynchronousTestCase):
    """A subclass makes the store and waits for its results."""

    store: Store

    def result(self, deferred: Deferred[T]) -> T:
        """The value of a Deferred, or its exception raised."""
        raise NotImplementedError

    def fails(self, error: type[Exception], deferred: Deferred[T]) -> None:
        """The Deferred fails with that error."""
        with self.assertRaises(error):
            self.result(deferred)

    def furnish(self) -> None:
        """One account and one room."""
        self.result(self.store.add_account("ada", VERIFIER, admin=True))
        self.result(self.store.add_room(ROOM))


class MemoryCase(StoreContract):
    """The fake."""

    def setUp(self) -> None:
        self.store = MemoryStore(wall=lambda: NOW)
        self.result(self.store.start())
        super().setUp()

    def result(self, deferred: Deferred[T]) -> T:
        """It has fired already."""
        outcomes: list[T] = []
        failures: list[Exception] = []
        deferred.addCallbacks(outcomes.append, lambda f: failures.append(f.value))
        for error in failures:
            raise error
        return outcomes[0]


class SqlCase(StoreContract):
    """The store on disk, with its real threads."""

    def setUp(self) -> None:
        self.reactor = PumpedReactor()
        self.path = Path(self.mktemp()) / "state" / "mosaic.db"
        self.store = SqlStore(self.path, self.reactor, wall=lambda: NOW)
        self.result(self.store.start())
        super().setUp()

    def tearDown(self) -> None:
        self.result(self.store.stop())

    def result(self, deferred: Deferred[T]) -> T:
        """Play the reactor until it fires."""
        return self.reactor.result(deferred)

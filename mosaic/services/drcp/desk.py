"""The documents of a live room that somebody has opened."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mosaic.config.settings import Drcp, History
from mosaic.services.drcp.apart import Apart
from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.document import LiveDocument
from mosaic.services.drcp.pace import MIN_TICK_S, Pace
from mosaic.services.drcp.rounds import Rounds
from mosaic.services.drcp.states import RunInThread, Shelf
from mosaic.store.interface import Store
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.workspace.documents import is_document_name

_log = Logger()

MAX_DOCUMENTS = 256


class Desk:
    """Opens documents, and keeps them while the room lives.

    documents: by name. rounds: read the members' sockets at the documents' tick,
    None where that cannot be. shelf: states that clients fetch by reference.
    """

    def __init__(
        self,
        hub_id: str,
        *,
        store: Store,
        settings: Drcp,
        history: History,
        reactor: IReactorTime,
        wall_clock: Callable[[], float],
        pace: Pace,
        counters: Counters,
        rounds: Rounds | None,
        run_in_thread: RunInThread,
        apart: Apart,
    ) -> None:
        self.documents: dict[str, LiveDocument] = {}
        self.rounds = None if rounds is None else rounds.within(self._tick_s)
        self.shelf = Shelf(
            run_in_thread,
            seconds=reactor.seconds,
            renew_bytes=settings.snapshot_ref_bytes // 4,
        )
        self._hub_id = hub_id
        self._store = store
        self._settings = settings
        self._history = history
        self._reactor = reactor
        self._wall_clock = wall_clock
        self._pace = pace
        self._counters = counters
        self._apart = apart

    async def open(self, name: str) -> LiveDocument:
        """The live document. Raises ProtocolError (4404, 4413, 4500)."""
        if not is_document_name(name):
            raise ProtocolError("no such document", code=4404)
        document = self.documents.get(name)
        if document is None:
            await self._check_number(name)
            document = self.documents.get(name)
        if document is None:
            document = self.documents[name] = self._lay_out(name)
            self._counters.documents += 1
        try:
            await document.ready()
        except Exception:
            _log.failure(
                "cannot load {name} of {hub_id}", name=name, hub_id=self._hub_id
            )
            if self.documents.get(name) is document:
                del self.documents[name]
                self._counters.documents -= 1
            raise ProtocolError("the document cannot be read", code=4500) from None
        return document

    def _lay_out(self, name: str) -> LiveDocument:
        return LiveDocument(
            hub_id=self._hub_id,
            name=name,
            store=self._store,
            settings=self._settings,
            reactor=self._reactor,
            pace=self._pace,
            counters=self._counters,
            history=self._history,
            wall_clock=self._wall_clock,
            gather=self._gather,
            apart=self._apart,
        )

    async def _check_number(self, name: str) -> None:
        names = await self._store.document_names(self._hub_id)
        if name not in names and len(names) >= MAX_DOCUMENTS:
            raise ProtocolError("the room has too many documents", code=4413)

    def _tick_s(self) -> float:
        """The time between two rounds: no document flushes more seldom."""
        ticks = [document.tick_s for document in self.documents.values()]
        return max(ticks, default=MIN_TICK_S)

    def _gather(self) -> None:
        if self.rounds is not None:
            self.rounds.gather()

    @property
    def is_saved(self) -> bool:
        """Nothing would be lost if the room were unloaded."""
        return all(
            document.is_saved and not document.versions.is_busy
            for document in self.documents.values()
        )

    async def prune(self) -> None:
        """Forget old tombstones, as long as nobody is here."""
        for document in list(self.documents.values()):
            await document.versions.prune()

    async def drain(self) -> None:
        """Flush, commit and snapshot every document."""
        for document in list(self.documents.values()):
            await document.drain()

    def stop(self) -> None:
        """No more timers, no more reading."""
        for document in self.documents.values():
            document.stop()
        self._counters.documents -= len(self.documents)
        if self.rounds is not None:
            self.rounds.stop()

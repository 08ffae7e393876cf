"""Snapshots of a live document: the journal becomes one full state, now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.shared import spawn
from mosaic.store.interface import Store
from mosaic.workspace.versions import Reason

if TYPE_CHECKING:
    from mosaic.services.drcp.document import LiveDocument

_log = Logger()


class Snapshots:
    """When a live document is saved whole: after a while of edits, when it is left.

    after_s: from the first edit since the last snapshot. is_due: the journal
    holds updates that no snapshot does.
    """

    def __init__(
        self,
        document: LiveDocument,
        *,
        store: Store,
        reactor: IReactorTime,
        counters: Counters,
        after_s: float,
    ) -> None:
        self.is_due = False
        self._document = document
        self._store = store
        self._reactor = reactor
        self._counters = counters
        self._after_s = after_s
        self._call: IDelayedCall | None = None

    def edited(self) -> None:
        """There is something to save; it is, after a while."""
        self.is_due = True
        if self._call is None:
            self._call = self._reactor.callLater(self._after_s, self._time_has_come)

    def left(self) -> None:
        """The last member has gone: save at once."""
        spawn(self._keep(Reason.EMPTY), "the version of a document that was left")

    def _time_has_come(self) -> None:
        self._call = None
        spawn(self._keep(Reason.AUTO), "a snapshot")

    async def _keep(self, reason: Reason) -> None:
        await self.take()
        await self._document.versions.keep_by_itself(reason)

    async def take(self) -> bool:
        """Replace the journal by one full state, if all of it is in there.

        False if not: an update waits for another that has not come, is not
        committed, or nothing changed.
        """
        document = self._document
        if not document.is_loaded:
            return False
        document.flush()
        await document.settled()
        if not self.is_due:
            return False
        whole = document.committed_state()
        if whole is None:
            return False
        state, through_seq = whole
        self.is_due = False
        saved = maybeDeferred(
            self._store.save_snapshot,
            document.hub_id,
            document.name,
            state,
            through_seq=through_seq,
        )
        return await saved.addCallbacks(self._saved, self._failed)

    def _saved(self, _: None) -> bool:
        self._counters.snapshots += 1
        return True

    def _failed(self, failure: Failure) -> bool:
        self.is_due = True
        _log.warn(
            "no snapshot of {name} in {hub_id}: {reason}",
            name=self._document.name,
            hub_id=self._document.hub_id,
            reason=failure.getErrorMessage(),
        )
        return False

    def stop(self) -> None:
        """No more timers."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

"""Versions of a live document: kept by the clock, by leaving, by name; restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.config.settings import History
from mosaic.services.drcp.apart import Apart
from mosaic.services.drcp.replica import CrdtError
from mosaic.store.interface import Store, StoreError, StoreFull
from mosaic.workspace.documents import EMPTY_UPDATE
from mosaic.workspace.prune import has_tombstones
from mosaic.workspace.tasks import Pruning, Restoring
from mosaic.workspace.versions import Author, NotRestored, Reason, Thinning, Version

if TYPE_CHECKING:
    from mosaic.services.drcp.document import LiveDocument

_log = Logger()

SERVER = Author(id="server", name="", account=None)
"""In whose name old tombstones go."""


class Receipt:
    """Stands for the author of an edit that the server makes.

    done: fires when the edit is committed; fails with StoreFull when it is not
    saved for now (it is tried again), with NotRestored when it was refused.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def acknowledge(self, saved: bool, count: int) -> None:
        """The journal's answer; only the first one counts."""
        if self.done.called:
            return
        if saved:
            self.done.callback(None)
        else:
            self.done.errback(StoreFull("the edit is not saved yet"))

    def refuse(self, code: int, message: str) -> None:
        """It will never be taken."""
        if not self.done.called:
            self.done.errback(NotRestored(message))


def thinning(settings: History) -> Thinning:
    """The rule that the settings describe."""
    return Thinning(
        all_s=settings.keep_all_s,
        daily_s=settings.keep_daily_s,
        forget_s=settings.keep_weekly_s,
        room_bytes=settings.room_bytes,
    )


class Versions:
    """What a live document has to do with its versions.

    newest_seq: how far the newest one reaches. wall_clock: Unix seconds. apart:
    computes on whole states. is_busy: an edit is being computed, which would be
    lost to those who see the document if it left memory now.
    """

    def __init__(
        self,
        document: LiveDocument,
        *,
        store: Store,
        settings: History,
        wall_clock: Callable[[], float],
        apart: Apart,
    ) -> None:
        self.newest_seq = 0
        self._apart = apart
        self._restores = 0
        self._document = document
        self._store = store
        self._settings = settings
        self._wall_clock = wall_clock

    @property
    def is_busy(self) -> bool:
        """See above."""
        return self._restores > 0

    async def keep(
        self, reason: Reason, *, label: str | None = None, by: str = ""
    ) -> Version | None:
        """Save the present state; None if there is nothing new and no label.

        Raises StoreFull when edits are not saved, StoreError, CrdtError.
        """
        document = self._document
        document.flush()
        await document.settled()
        if not document.is_saved:
            raise StoreFull("edits of this document are not saved yet")
        through_seq = document.last_seq
        if label is None and through_seq <= self.newest_seq:
            return None
        version = await self._store.save_version(
            document.hub_id,
            document.name,
            document.state(),
            through_seq=through_seq,
            reason=reason,
            label=label,
            by=by,
        )
        self.newest_seq = max(self.newest_seq, through_seq)
        await self._store.thin_versions(document.hub_id, thinning(self._settings))
        return version

    async def keep_by_itself(self, reason: Reason) -> None:
        """The same; that it cannot be now is only logged."""
        try:
            await self.keep(reason)
        except (StoreError, CrdtError) as error:
            _log.warn(
                "no version of {name} in {hub_id}: {reason}",
                name=self._document.name,
                hub_id=self._document.hub_id,
                reason=str(error),
            )

    async def restore(self, then: bytes, author: Author) -> bool:
        """Make the content what it was, as an edit of the author's.

        The state before it is kept as a version first, so that the restore can
        be undone in the same way. False if there was nothing to change.

        Raises NotRestored, StoreFull, StoreError.
        """
        self._restores += 1
        try:
            return await self._restore(then, author)
        except CrdtError as error:
            raise NotRestored(str(error)) from error
        finally:
            self._restores -= 1

    async def _restore(self, then: bytes, author: Author) -> bool:
        document = self._document
        await self.keep(Reason.RESTORE, by=author.id)
        task = Restoring(document=document.name, at_ms=self._wall_clock() * 1000)
        # What is edited meanwhile merges with it, as with anybody's edit.
        outcome = await self._apart(task, (document.state(), then))
        if outcome.update == EMPTY_UPDATE:
            return False
        await document.edit(outcome, author)
        return True

    async def prune(self) -> int:
        """Take tombstones of drawn elements out that are old enough.

        Only while nobody is here. The number of bytes that the edit has.
        """
        document = self._document
        if document.name != "board" or not self._may_prune():
            return 0
        before_ms = (self._wall_clock() - self._settings.prune_after_s) * 1000
        try:
            state = document.state()
            if not has_tombstones(state):
                return 0
            outcome = await self._apart(Pruning(before_ms=before_ms), (state,))
        except (CrdtError, NotRestored) as error:
            _log.warn("cannot prune {hub_id}: {why}", hub_id=document.hub_id, why=error)
            return 0
        if outcome.update == EMPTY_UPDATE or not self._may_prune():
            return 0
        try:
            await document.edit(outcome, SERVER)
        except (StoreFull, NotRestored) as error:
            _log.warn("not pruned: {hub_id}: {why}", hub_id=document.hub_id, why=error)
        return len(outcome.update)

    def _may_prune(self) -> bool:
        return not self._document.attachments and self._document.is_saved

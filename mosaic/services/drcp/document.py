"""One live document: batches in, one set of bytes out, a journal beside it."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mosaic.config.settings import Drcp, History
from mosaic.services.drcp.apart import Apart
from mosaic.services.drcp.audience import Audience
from mosaic.services.drcp.awareness import AwarenessTable
from mosaic.services.drcp.batch import PendingEdit, apply_batch
from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.journal import Edit, Journal
from mosaic.services.drcp.member import Attachment
from mosaic.services.drcp.pace import MIN_TICK_S, Pace
from mosaic.services.drcp.replica import CrdtError, Replica, rebuild
from mosaic.services.drcp.shared import Shared, spawn
from mosaic.services.drcp.signing import Signatures
from mosaic.services.drcp.snapshots import Snapshots
from mosaic.services.drcp.versions import Receipt, Versions
from mosaic.store.interface import Store, StoreError
from mosaic.wire.drcp.framing import websocket_frames
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.yprotocols import Step, decode_awareness
from mosaic.workspace.documents import MalformedUpdate, check_update
from mosaic.workspace.plain import summarise
from mosaic.workspace.tasks import Outcome
from mosaic.workspace.versions import Author, NotRestored

_log = Logger()


class LiveDocument:
    """A document while somebody has it open.

    Updates and awareness wait in a batch. The first after a quiet tick is
    flushed on the same reactor turn, so that a lone typist waits for nobody.
    A flush merges, applies once, frames once for each kind of framing and
    writes the same bytes to every member. gather: reads what has come; called
    before a flush that was waited for.
    """

    def __init__(
        self,
        *,
        hub_id: str,
        name: str,
        store: Store,
        settings: Drcp,
        reactor: IReactorTime,
        pace: Pace,
        counters: Counters,
        history: History,
        wall_clock: Callable[[], float],
        gather: Callable[[], None],
        apart: Apart,
    ) -> None:
        self.hub_id = hub_id
        self.name = name
        self.epoch = ""
        self.audience = Audience(counters)
        self.attachments = self.audience.attachments
        self.awareness: AwarenessTable[Attachment] = AwarenessTable(
            _stamp, lambda a, b: a.member.participant_id == b.member.participant_id
        )
        self.versions = Versions(
            self, store=store, settings=history, wall_clock=wall_clock, apart=apart
        )
        self.snapshots = Snapshots(
            self,
            store=store,
            reactor=reactor,
            counters=counters,
            after_s=settings.snapshot_after_s,
        )
        self._signatures = Signatures()
        self._store = store
        self._settings = settings
        self._reactor = reactor
        self._pace = pace
        self._gather = gather
        self._counters = counters
        self._replica = Replica()
        self._journal = self._new_journal(0)
        self._pending: list[PendingEdit] = []
        self._pending_bytes = 0
        self._flush_call: IDelayedCall | None = None
        self._last_flush = reactor.seconds() - 1
        self._cost_s = 0.0
        self._culprits: set[bytes] = set()
        self._ready = Shared(self._load)

    # Loading --------------------------------------------------------------
    def ready(self) -> Deferred[None]:
        """Fires when it is loaded; one load, any number of waiters."""
        return self._ready.get()

    @property
    def is_loaded(self) -> bool:
        """Whether ready() has fired."""
        return self._ready.done

    async def _load(self) -> None:
        stored = await self._store.load_document(self.hub_id, self.name)
        self.audience.forget_frames()
        self._replica, poison = rebuild(stored, self._culprits)
        self.epoch = stored.epoch
        self.versions.newest_seq = stored.versioned_seq
        unsaved = self._journal.unsaved
        self._journal.stop()
        self._journal = self._new_journal(stored.last_seq)
        for edit in unsaved:
            self._replica.apply([(edit.update, check_update(edit.update))], edit.update)
        if unsaved:
            self._journal.append(unsaved)
        if stored.updates:
            self.snapshots.is_due = True
        for seq, reason in poison.items():
            self._counters.quarantined += 1
            _log.error(
                "update {seq} of {name} in {hub_id} is set aside: {reason}",
                seq=seq, name=self.name, hub_id=self.hub_id, reason=reason,
            )  # fmt: skip
            try:
                await self._store.quarantine_update(self.hub_id, self.name, seq, reason)
            except StoreError as error:
                # It is met again at the next opening; the room opens all the same.
                _log.warn("not set aside: {reason}", reason=str(error))

    def _new_journal(self, last_seq: int) -> Journal:
        return Journal(
            self._store,
            hub_id=self.hub_id,
            name=self.name,
            last_seq=last_seq,
            reactor=self._reactor,
            counters=self._counters,
        )

    async def _rebuild(self) -> None:
        """After a panic: from the journal, never from the CRDT's memory."""
        await self._journal.settled()
        self._ready = Shared(self._load)
        await self._ready.get()
        self.flush()

    # Members --------------------------------------------------------------
    def attach(self, attachment: Attachment) -> None:
        """A member joins; call after flush() and encoding its diff."""
        self.attachments[attachment] = None

    def detach(self, attachment: Attachment) -> None:
        """A member leaves; the last one leaves a snapshot behind."""
        self.attachments.pop(attachment, None)
        self.awareness.leave(attachment)
        if self.attachments:
            if self.awareness.pending:
                self._schedule()
        else:
            self.snapshots.left()

    def diff(self, state_vector: bytes) -> bytes:
        """Everything that a holder of the state vector lacks, batch included.

        Raises ProtocolError: 4413 too long, 4400 malformed.
        """
        if len(state_vector) > self._settings.max_state_vector_bytes:
            raise ProtocolError("the state vector is too long", code=4413)
        self.flush()
        try:
            return self._replica.diff(state_vector)
        except MalformedUpdate as error:
            raise ProtocolError(str(error)) from None
        except CrdtError as failure:
            self._failed(failure)
            raise ProtocolError("the document cannot be read", code=4500) from None

    def framed_diff(
        self,
        attachment: Attachment,
        state_vector: bytes,
        frame: Callable[[bytes], list[bytes]],
        *,
        kind: Hashable,
    ) -> bytes:
        """WebSocket frames with a diff; frame and kind as Audience.framed has it.

        Raises ProtocolError, as diff.
        """
        update = self.diff(state_vector)
        if update is not self._replica.encoded:
            return websocket_frames(frame(update))
        return self.audience.framed(attachment, update, frame, kind=kind)

    def state_vector(self) -> bytes:
        """Raises ProtocolError (4500)."""
        try:
            return self._replica.state_vector()
        except CrdtError as failure:
            self._failed(failure)
            raise ProtocolError("the document cannot be read", code=4500) from None

    # Incoming -------------------------------------------------------------
    def receive_update(self, attachment: Attachment, update: bytes) -> None:
        """Check and queue one update; refusals are told to the sender."""
        self._counters.updates_in += 1
        refusal = self._queue(attachment, update)
        if refusal is not None:
            self._counters.updates_refused += 1
            attachment.refuse(*refusal)

    def _queue(self, attachment: Attachment, update: bytes) -> tuple[int, str] | None:
        member = attachment.member
        try:
            summary = summarise(update)
        except MalformedUpdate as error:
            return 4400, str(error)
        if summary.is_empty:
            # Hocuspocus counts the answer to its step 1, empty or not.
            if not member.native:
                attachment.status(True)
            return None
        if not member.role.may_edit:
            return 4403, "viewers do not edit"
        if not self._has_room(len(update)):
            return 4413, "the document is full"
        if not self._replica.accepts(summary):
            return 4413, "too many updates wait for others"
        who = member.participant_id
        writer = self._signatures.of(who, member.name, member.account, summary)
        self._pending.append((Edit(update, who, attachment, writer), summary))
        self._pending_bytes += len(update)
        self._schedule()
        return None

    def edit(self, outcome: Outcome, author: Author) -> Deferred[None]:
        """An edit that the server makes in somebody's name.

        Fires when it is committed; see Receipt. Raises NotRestored.
        """
        update, summary = outcome.update, outcome.summary
        if not self._has_room(len(update)):
            raise NotRestored("the document is full")
        receipt = Receipt()
        writer = self._signatures.of(author.id, author.name, author.account, summary)
        self._pending.append((Edit(update, author.id, receipt, writer), summary))
        self._pending_bytes += len(update)
        self.flush()
        return receipt.done

    def receive_awareness(self, attachment: Attachment, data: bytes) -> None:
        """Stamp and queue awareness states; refusals are told to the sender."""
        self._counters.awareness_in += 1
        if len(data) > self._settings.max_awareness_bytes:
            attachment.error(4413, "the awareness update is too large")
            return
        try:
            refused = self.awareness.receive(attachment, decode_awareness(data))
        except ProtocolError as error:
            attachment.error(error.code, str(error))
            return
        if refused:
            self._counters.awareness_refused += len(refused)
            attachment.error(4403, "an awareness state of somebody else")
        if self.awareness.pending:
            self._schedule()

    def _has_room(self, size: int) -> bool:
        limit = self._settings.max_document_bytes
        if self._replica.size_bytes + self._pending_bytes + size <= limit:
            return True
        try:
            # The sum of updates is an over-estimate: ask for the true size.
            self._replica.full()
        except CrdtError as failure:
            self._failed(failure)
            return False
        return self._replica.size_bytes + self._pending_bytes + size <= limit

    # The batch ------------------------------------------------------------
    @property
    def tick_s(self) -> float:
        """The time between two flushes."""
        return self._pace.tick_s(self._cost_s) if self._cost_s else MIN_TICK_S

    def _schedule(self) -> None:
        if self._flush_call is not None:
            return
        since = self._reactor.seconds() - self._last_flush
        wait = max(0.0, self.tick_s - since)
        self._pace.due += 1
        self._flush_call = self._reactor.callLater(wait, self._due)

    def _due(self) -> None:
        self._gather()
        self.flush()

    def _disarm(self) -> None:
        call, self._flush_call = self._flush_call, None
        if call is not None:
            self._pace.due -= 1
            if call.active():
                call.cancel()

    def flush(self) -> None:
        """Apply the batch, send it to everybody, and append it to the journal."""
        self._disarm()
        if not self._ready.done or not (self._pending or self.awareness.pending):
            return
        started = self._reactor.seconds()
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if pending:
            self.audience.mark_behind(self.state_vector)
            self.audience.forget_frames()
        updates, edits = apply_batch(
            self._replica, pending, counters=self._counters, failed=self._failed
        )
        self.audience.send(updates, self.awareness.take_pending())
        if edits:
            self._journal.append(edits)
            self.snapshots.edited()
        self._counters.flushes += 1
        self._last_flush = self._reactor.seconds()
        # Smoothed: one flush that the machine interrupted says little.
        self._cost_s += (self._last_flush - started - self._cost_s) / 4

    def _failed(self, failure: CrdtError) -> None:
        """After a panic the document is built anew from the journal."""
        if failure.panicked and self._ready.done:
            self._counters.crdt_panics += 1
            if failure.culprit is not None:
                self._culprits.add(failure.culprit)
            _log.error(
                "the CRDT panicked in {name} of {hub_id}: {reason}",
                name=self.name, hub_id=self.hub_id, reason=str(failure),
            )  # fmt: skip
            self._reactor.callLater(0, self._start_rebuild)

    def _start_rebuild(self) -> None:
        if self._ready.done:
            spawn(self._rebuild(), "the rebuild of a document")

    # Outgoing -------------------------------------------------------------
    def catch_up(self, attachment: Attachment) -> None:
        """The member drained: one diff from where it was, and all awareness."""
        framing, channel = attachment.member.framing, attachment.channel
        if attachment.behind is not None:
            behind, attachment.behind = attachment.behind, None
            self._counters.slow_diffs += 1
            update = self.diff(behind)
            attachment.member.send(framing.sync(channel, Step.UPDATE, update))
        if attachment.awareness_stale:
            attachment.awareness_stale = False
            # Null states too: what left meanwhile must go from the screen.
            entries = self.awareness.everything()
            attachment.member.send(framing.batch(channel, b"", entries))

    # Keeping --------------------------------------------------------------
    async def snapshot(self) -> bool:
        """Replace the journal by one full state; see Snapshots.take."""
        return await self.snapshots.take()

    def committed_state(self) -> tuple[bytes, int] | None:
        """The whole state and the number of the last update in it.

        None while it cannot be had: it is not loaded, an update waits for
        another that has not come, is not committed, or the CRDT failed.
        """
        if not self._replica.is_complete:
            return None
        if not self._journal.is_quiet or not self._ready.done:
            return None
        try:
            return self._replica.full(), self._journal.last_seq
        except CrdtError as failure:
            self._failed(failure)
            return None

    def state(self) -> bytes:
        """The whole document as one update. Raises CrdtError."""
        self.flush()
        try:
            return self._replica.full()
        except CrdtError as failure:
            self._failed(failure)
            raise

    def settled(self) -> Deferred[None]:
        """Fires when nothing is on its way to the disk."""
        return self._journal.settled()

    @property
    def last_seq(self) -> int:
        """The number of the newest committed update."""
        return self._journal.last_seq

    @property
    def is_saved(self) -> bool:
        """Nothing would be lost if the process ended now."""
        return not self._pending and self._journal.is_quiet

    async def drain(self) -> None:
        """Flush, commit, snapshot; what is unsaved is tried once more."""
        self.flush()
        await self._journal.settled()
        self._journal.retry_now()
        await self.snapshot()

    def stop(self) -> None:
        """No more timers."""
        self._journal.stop()
        self.snapshots.stop()
        self._disarm()


def _stamp(attachment: Attachment, state: object) -> object:
    """The server owns user.name and user.id."""
    stamped = state if isinstance(state, dict) else {"value": state}
    user = stamped.get("user")
    member = attachment.member
    stamped["user"] = {
        **(user if isinstance(user, dict) else {}),
        "name": member.name,
        "id": member.participant_id,
    }
    return stamped

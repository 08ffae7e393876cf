"""One connection's way out: bounded, and a slow reader costs nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from mosaic.config.settings import Drcp
from mosaic.services.drcp.counters import Counters


class Wire(Protocol):
    """The socket's side of a connection."""

    def write(self, data: bytes) -> None:
        """Write WebSocket frames."""

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket close code."""

    def pause_reading(self, why: str) -> None:
        """Stop reading until every reason has gone."""

    def resume_reading(self, why: str) -> None:
        """This reason has gone."""


@implementer(IPushProducer)
class Outbound:
    """Queues while the transport's buffer is full.

    The transport calls pauseProducing and resumeProducing. Past queue_bytes
    documents stop queueing (is_full) and the connection is behind: `drained`
    is called once it can take a diff. Past max_behind_bytes, or max_behind_s
    after it fell behind, it is closed with 4408.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        settings: Drcp,
        reactor: IReactorTime,
        counters: Counters,
        drained: Callable[[], None],
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._reactor = reactor
        self._counters = counters
        self._drained = drained
        self._queue: deque[bytes] = deque()
        self._waiters: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None
        self.queued_bytes = 0
        self.paused = False
        self.closed = False

    @property
    def is_full(self) -> bool:
        """Nothing that can be caught up with later should be queued."""
        return self.paused and self.queued_bytes >= self._settings.queue_bytes

    @property
    def is_behind(self) -> bool:
        """It missed updates and waits for a diff."""
        return self._deadline is not None

    def write(self, data: bytes) -> None:
        """Send now, or queue; never dropped."""
        if self.closed:
            return
        self._counters.bytes_out += len(data)
        if not self.paused and not self._queue:
            self._wire.write(data)
            return
        self._queue.append(data)
        self.queued_bytes += len(data)
        if self.queued_bytes > self._settings.max_behind_bytes:
            self._too_slow()

    def fall_behind(self) -> None:
        """Updates are no longer queued: it must drain before the deadline."""
        if self._deadline is None and not self.closed:
            self._deadline = self._reactor.callLater(
                self._settings.max_behind_s, self._too_slow
            )

    def can_write(self) -> Deferred[None]:
        """Fires when the transport takes more (answers may be large)."""
        waiter: Deferred[None] = Deferred()
        if self.paused and not self.closed:
            self._waiters.append(waiter)
        else:
            waiter.callback(None)
        return waiter

    def stop(self) -> None:
        """The connection is over."""
        self._has_room()
        self.closed = True
        self._queue.clear()
        self.queued_bytes = 0
        self._settle_deadline()
        self._release()

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if not self.paused and not self.closed:
            self.paused = True
            self._counters.full += 1

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._has_room()
        while self._queue and not self.paused:
            data = self._queue.popleft()
            self.queued_bytes -= len(data)
            self._wire.write(data)
        if not self.paused and not self.closed:
            self._settle_deadline()
            self._drained()
            self._release()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.stop()

    def _has_room(self) -> None:
        if self.paused:
            self.paused = False
            self._counters.full -= 1

    def _too_slow(self) -> None:
        self._counters.slow_closed += 1
        self.stop()
        self._wire.close(4408, "too slow")

    def _settle_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

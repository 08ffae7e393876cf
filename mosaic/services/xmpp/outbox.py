"""What waits to be written to one client: joined, bounded, never blocking."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer, IReactorTime, ITransport
from twisted.logger import Logger
from zope.interface import implementer

_log = Logger()


class Turn:
    """What has something to write when the reactor's turn ends: one timer for
    all of them, whoever wrote to whom."""

    __slots__ = ("_clock", "_waiting")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """It wants to be told."""
        if not self._waiting:
            self._clock.callLater(0, self._ended)
        self._waiting.append(outbox)

    def call_later(self, call: Callable[[], None]) -> None:
        """Call something when the turn has ended."""
        self._clock.callLater(0, call)

    def _ended(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outbox in waiting:
            try:
                outbox.turn_ended()
            except Exception:  # of one transport; the others are not to blame
                _log.failure("writing to a client failed")


@implementer(IPushProducer)
class Outbox:
    """Stanzas of one reactor turn leave as one write (one TLS record).

    While the transport says stop, they wait here; past limit_bytes the reader
    is too slow and `overflow` is called, once.
    """

    __slots__ = (
        "_closed", "_collecting", "_limit_bytes", "_overflow", "_paused",
        "_scheduled", "_transport", "_turn", "_waiting", "_waiting_bytes",
    )  # fmt: skip

    def __init__(
        self,
        transport: ITransport,
        turn: Turn,
        *,
        limit_bytes: int,
        overflow: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._turn = turn
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._scheduled = False
        self._collecting = False
        self._closed = False

    def write(self, data: bytes) -> None:
        """Queue bytes for the end of this reactor turn."""
        if self._closed:
            return
        self._waiting.append(data)
        if self._paused:
            self._waiting_bytes += len(data)
            if self._waiting_bytes > self._limit_bytes:
                self.close()
                # Later: dropping one tells others, who may overflow in turn.
                self._turn.call_later(self._overflow)
        elif not (self._scheduled or self._collecting):
            self._scheduled = True
            self._turn.add(self)

    def collect(self) -> None:
        """What is written from here to send() leaves there, as one write: cheaper
        than a timer for who knows that nobody else writes in between."""
        self._collecting = True

    def send(self) -> None:
        """Let go of what was collected."""
        self._collecting = False
        if not self._paused:
            self.flush()

    def turn_ended(self) -> None:
        """Now is the time."""
        self._scheduled = False
        if not self._paused:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the transport now."""
        if self._waiting and not self._closed:
            waiting = self._waiting
            data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            self._waiting_bytes = 0
            self._transport.write(data)

    def close(self) -> None:
        """Forget what waits and take no more."""
        self._closed = True
        self._waiting.clear()
        self._waiting_bytes = 0

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._paused = True
        self._waiting_bytes = sum(map(len, self._waiting))

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        self._paused = False
        self.flush()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()

"""What waits to be written to one client: joined, bounded, never blocking."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer, IReactorTime, ITransport
from zope.interface import implementer


@implementer(IPushProducer)
class Outbox:
    """Stanzas of one reactor turn leave as one write (one TLS record).

    While the transport says stop, they wait here; past limit_bytes the reader
    is too slow and `overflow` is called, once.
    """

    def __init__(
        self,
        transport: ITransport,
        clock: IReactorTime,
        *,
        limit_bytes: int,
        overflow: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._scheduled = False
        self._closed = False

    def write(self, data: bytes) -> None:
        """Queue bytes for the end of this reactor turn."""
        if self._closed:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._paused:
            if self._waiting_bytes > self._limit_bytes:
                self.close()
                # Later: dropping one tells others, who may overflow in turn.
                self._clock.callLater(0, self._overflow)
        elif not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._turn_ended)

    def _turn_ended(self) -> None:
        self._scheduled = False
        if not self._paused:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the transport now."""
        if self._waiting and not self._closed:
            data = b"".join(self._waiting)
            self._waiting.clear()
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

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        self._paused = False
        self.flush()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()

"""Sends a file as fast as the peer reads it."""

from __future__ import annotations

from typing import IO, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

CHUNK_BYTES = 65536


@implementer(IPushProducer)
class FileStream:
    """A push producer from an open file to a request.

    It stops reading the disk while the transport's buffer is full, and needs
    no timer in between.
    """

    def __init__(self, file: IO[bytes], consumer: Any) -> None:
        self._file = file
        self._consumer = consumer
        self._paused = False
        self._done: Deferred[bool] = Deferred()

    def send(self) -> Deferred[bool]:
        """Fires with True when all is written, False if the peer has gone."""
        self._consumer.registerProducer(self, True)
        self._consumer.notifyFinish().addErrback(self._gone)
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """The peer is slower than the disk."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Write until paused or done."""
        self._paused = False
        while not self._paused and not self._done.called:
            chunk = self._file.read(CHUNK_BYTES)
            if chunk:
                self._consumer.write(chunk)
            else:
                self._consumer.unregisterProducer()
                self._done.callback(True)

    def stopProducing(self) -> None:
        """The connection is being lost; notifyFinish tells when it is."""
        self._paused = True

    def _gone(self, reason: object) -> None:
        self._paused = True
        if not self._done.called:
            self._done.callback(False)

# mypy: disable-error-code="no-untyped-call"
# (Twisted's web client has few annotations)
"""TUF's blocking downloads over the hub's own HTTP client and its proxies."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient import FetcherInterface
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

LEAST_BYTES_PER_S = 8192
PATIENCE_S = 60.0
SILENCE_S = 30.0


class Download(Protocol):
    """Blocking: writes what is at a URL to a file, at most max_bytes of it.

    Raises DownloadError and what derives from it.
    """

    def __call__(self, url: str, file: IO[bytes], max_bytes: int) -> None: ...


class BoundedFetcher(FetcherInterface):
    """What TUF wants of a network, over one function that knows its bound: more
    than was signed is never stored."""

    def __init__(self, download: Download) -> None:
        self._download = download

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """A temporary file with what is there."""
        with tempfile.TemporaryFile() as file:
            self._download(url, file, max_length)
            file.seek(0)
            yield file

    def _fetch(self, url: str) -> Iterator[bytes]:
        raise NotImplementedError  # download_file() does it all


class HttpDownload:
    """Called in a thread, works in the reactor's.

    client: treq's, as mosaic.proxy.client.http_client makes it. It gives up when
    nothing comes for a while, and when the whole takes longer than a slow line
    would: so a server can hold up an update, but not for ever.
    """

    def __init__(self, reactor: Any, client: Any) -> None:
        self._reactor = reactor
        self._client = client

    def __call__(self, url: str, file: IO[bytes], max_bytes: int) -> None:
        """See Download."""
        ended = threading.Event()
        outcome: list[object] = []

        def begin() -> None:
            fetching = Deferred.fromCoroutine(self.fetch(url, file, max_bytes))
            fetching.addTimeout(
                PATIENCE_S + max_bytes / LEAST_BYTES_PER_S, self._reactor
            )
            fetching.addBoth(outcome.append)
            fetching.addBoth(lambda _: ended.set())

        self._reactor.callFromThread(begin)
        while not ended.wait(1.0):
            if not self._reactor.running:
                raise DownloadError("the hub stops")
        if isinstance(outcome[0], Failure):
            error = outcome[0].value
            if isinstance(error, DownloadError):
                raise error
            if isinstance(error, TimeoutError):
                raise SlowRetrievalError(f"{url} comes too slowly") from error
            raise DownloadError(str(error)) from error

    async def fetch(self, url: str, file: IO[bytes], max_bytes: int) -> None:
        """In the reactor's thread. Raises DownloadError or a network error."""
        asked: Deferred[Any] = self._client.get(url, unbuffered=True)
        response = await asked.addTimeout(SILENCE_S, self._reactor)
        body = _Body(self._reactor, url, file, max_bytes)
        response.deliverBody(body)
        if response.code != 200:
            body.give_up(DownloadHTTPError(f"HTTP {response.code}", response.code))
        await body.done


class _Body(TwistedProtocol):
    """Writes to the file, and ends the connection when it is enough."""

    transport: Any

    def __init__(self, reactor: Any, url: str, file: IO[bytes], left: int) -> None:
        self._reactor = reactor
        self._url = url
        self._file = file
        self._left = left
        self._silence: Any = None
        self._over = False
        self.done: Deferred[None] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        """The clock runs from here."""
        if not self._over:
            self._silence = self._reactor.callLater(SILENCE_S, self._silent)

    def dataReceived(self, data: bytes) -> None:
        """Keep it, up to the bound."""
        if self._over:
            return
        self._left -= len(data)
        if self._left < 0:
            self.give_up(DownloadLengthMismatchError(f"{self._url} does not end"))
            return
        self._file.write(data)
        self._silence.reset(SILENCE_S)

    def connectionLost(self, reason: Failure = ConnectionDone) -> None:  # type: ignore[assignment]
        """All of it, or not."""
        if reason.check(ResponseDone, PotentialDataLoss):
            self._end(None)
        else:
            self._end(DownloadError(f"{self._url}: {reason.getErrorMessage()}"))

    def give_up(self, error: Exception) -> None:
        """Read no more."""
        self._end(error)
        self._abort()

    def _silent(self) -> None:
        self._silence = None
        self.give_up(SlowRetrievalError(f"{self._url}: nothing for {SILENCE_S:.0f} s"))

    def _abort(self) -> None:
        self._over = True
        abort = getattr(self.transport, "abortConnection", None)
        (abort or self.transport.loseConnection)()

    def _end(self, error: Exception | None) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        over, self._over = self._over, True
        if over or self.done.called:
            return
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(error)

"""Downloads in the reactor's thread: bounded in size, in silence and in time."""

from __future__ import annotations

import io
from typing import Any

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from mosaic.hub.updates.fetching import HttpDownload

URL = "https://server/updates/targets/x"


class Answer:
    """A response whose body the test sends."""

    def __init__(self, code: int = 200) -> None:
        self.code = code
        self.body: Any = None
        self.aborted = False

    def deliverBody(self, body: Any) -> None:
        """The body begins."""
        self.body = body
        body.makeConnection(self)

    def abortConnection(self) -> None:
        """Nobody reads on."""
        self.aborted = True

    def end(self, reason: Exception | None = None) -> None:
        """All of it, or the line broke."""
        self.body.connectionLost(Failure(reason or ResponseDone()))


class DownloadTests(SynchronousTestCase):
    """One request."""

    def setUp(self) -> None:
        """It is answered at once."""
        self.clock = Clock()
        self.answer = Answer()
        self.file = io.BytesIO()
        self.answered: Deferred[Any] = succeed(self.answer)

    def get(self, url: str, *, unbuffered: bool) -> Deferred[Any]:
        """As treq does."""
        self.assertTrue(unbuffered)
        return self.answered

    def fetch(self, max_bytes: int = 10) -> Deferred[None]:
        """Begin."""
        download = HttpDownload(self.clock, self)
        return Deferred.fromCoroutine(download.fetch(URL, self.file, max_bytes))

    def test_all_of_it(self) -> None:
        """In pieces."""
        fetching = self.fetch()
        self.answer.body.dataReceived(b"hello")
        self.answer.body.dataReceived(b"world")
        self.answer.end()
        self.successResultOf(fetching)
        self.assertEqual(self.file.getvalue(), b"helloworld")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_more_than_was_signed(self) -> None:
        """Nothing past the bound is written, and the line is cut."""
        fetching = self.fetch()
        self.answer.body.dataReceived(b"x" * 8)
        self.answer.body.dataReceived(b"x" * 8)
        self.failureResultOf(fetching, DownloadLengthMismatchError)
        self.answer.body.dataReceived(b"x" * 8)
        self.assertEqual(len(self.file.getvalue()), 8)
        self.assertTrue(self.answer.aborted)
        self.answer.end(ConnectionLost())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """Half a minute after the last byte."""
        fetching = self.fetch()
        for _ in range(5):
            self.clock.advance(29)
            self.answer.body.dataReceived(b"x")
        self.assertNoResult(fetching)
        self.clock.advance(31)
        self.failureResultOf(fetching, SlowRetrievalError)
        self.assertTrue(self.answer.aborted)

    def test_no_answer(self) -> None:
        """Nor is one waited for any longer."""
        self.answered = Deferred()
        fetching = self.fetch()
        self.clock.advance(31)
        self.failureResultOf(fetching)

    def test_a_status(self) -> None:
        """TUF looks for the next root until there is none."""
        self.answer = Answer(404)
        self.answered = succeed(self.answer)
        error = self.failureResultOf(self.fetch(), DownloadHTTPError).value
        self.assertEqual(error.status_code, 404)
        self.assertTrue(self.answer.aborted)

    def test_a_broken_line(self) -> None:
        """Half a wheel is none."""
        fetching = self.fetch()
        self.answer.body.dataReceived(b"hello")
        self.answer.end(ConnectionLost())
        self.failureResultOf(fetching, DownloadError)

    def test_no_connection(self) -> None:
        """The network's own word."""
        self.answered = fail(ConnectionLost())
        self.failureResultOf(self.fetch(), ConnectionLost)

    def test_given_up(self) -> None:
        """The whole took too long: the line is cut."""
        fetching = self.fetch()
        fetching.cancel()
        self.failureResultOf(fetching)
        self.assertTrue(self.answer.aborted)

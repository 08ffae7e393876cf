# Twisted's web client has few annotations.
# mypy: allow-untyped-calls
"""One REST call of the hub: JSON out, JSON in, and what can go wrong on the way."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from mosaic.wire.hops import HopError, NoAnswer

MAX_ANSWER_BYTES = 4 * 1024 * 1024
CALL_S = 20.0
PROBLEM = "urn:mosaic:problem:"


class CallRefused(Exception):
    """The server answered, and not with what was asked.

    status: HTTP. kind: the problem's type without its prefix, or "".
    retry_after_s: what it asked for. extra: the whole problem document.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"the server answers {status}: {detail}")
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.extra = extra or {}


class _Body(Protocol):
    """A body of bounded length."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(self._cancel)
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def _cancel(self, done: Deferred[bytes]) -> None:
        self._abort()

    def _abort(self) -> None:
        # Twisted gives a body a proxy of the connection that can only be closed in
        # good order: over TLS, the rest would be taken for as long as it is sent.
        transport: Any = getattr(self.transport, "_producer", self.transport)
        if transport is not None:
            transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """A piece of it."""
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
            self._abort()
        else:
            self._pieces.append(data)

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        """All of it, or what went wrong."""
        if self.done.called:
            return
        if self._size > self._limit:
            self.done.errback(ValueError("the answer is too large"))
        elif reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(reason)


def read_body(response: Any, limit: int = MAX_ANSWER_BYTES) -> Deferred[bytes]:
    """The whole body; fails with ValueError past the limit."""
    body = _Body(limit)
    response.deliverBody(body)
    return body.done


class Calls:
    """Calls to one server. http: a treq client. url: `https://host[:port]`."""

    def __init__(self, reactor: Any, http: Any, url: str) -> None:
        self._reactor = reactor
        self._http = http
        self._url = url
        self._hop = f"server {url.partition('://')[2]}"

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        raw: tuple[bytes, str] | None = None,
        within_s: float = CALL_S,
    ) -> bytes:
        """The body of a 2xx answer. path: below /api/v1. raw: content and type
        in place of JSON.

        Raises CallRefused for another answer and HopError for none.
        """
        headers: dict[str, list[str]] = {"Accept": ["application/json"]}
        data: bytes | None = None
        if raw is not None:
            data, headers["Content-Type"] = raw[0], [raw[1]]
        elif body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = ["application/json"]
        if token is not None:
            headers["Authorization"] = [f"Bearer {token}"]
        work: Deferred[tuple[int, Any, bytes]] = Deferred.fromCoroutine(
            self._exchange(method, path, data, headers)
        )
        work.addTimeout(within_s, self._reactor)
        try:
            status, answer, content = await work
        except (HopError, CancelledError):
            raise
        except TimeoutError:
            raise NoAnswer(
                self._hop, "no answer in time", stage="application"
            ) from None
        except Exception as error:
            raise explained(error, self._hop) from error
        if 200 <= status < 300:
            return content
        raise _refusal(status, answer, content)

    async def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, list[str]]
    ) -> tuple[int, Any, bytes]:
        response = await self._http.request(
            method,
            f"{self._url}/api/v1{path}",
            data=data,
            headers=headers,
            allow_redirects=False,
        )
        return response.code, response.headers, await read_body(response)


def explained(error: Exception, hop: str) -> Exception:
    """What Twisted says of a connection that broke, as a HopError."""
    cause: BaseException = error
    if isinstance(error, ResponseFailed):
        for reason in error.reasons:
            cause = reason.value
            if isinstance(cause, HopError):
                return cause
    what = str(cause) or type(cause).__name__
    return NoAnswer(hop, f"the connection broke ({what[:200]})", stage="application")


def _refusal(status: int, headers: Any, content: bytes) -> CallRefused:
    """A problem document, or whatever else there is."""
    extra: dict[str, Any] = {}
    try:
        decoded = msgspec.json.decode(content)
        if isinstance(decoded, dict):
            extra = decoded
    except (msgspec.DecodeError, RecursionError):
        pass
    kind = str(extra.get("type", ""))
    detail = extra.get("detail") or extra.get("title") or "no reason given"
    return CallRefused(
        status,
        kind.removeprefix(PROBLEM) if kind.startswith(PROBLEM) else "",
        str(detail)[:300],
        retry_after_s=retry_after(headers),
        extra=extra,
    )


def retry_after(headers: Any) -> float | None:
    """Seconds (RFC 9110 section 10.2.3); a date is taken as a minute."""
    values = headers.getRawHeaders("Retry-After") or []
    if not values:
        return None
    try:
        return min(3600.0, max(0.0, float(int(values[0]))))
    except ValueError:
        try:
            parsedate_to_datetime(values[0])
        except ValueError:
            return None
        return 60.0

# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""The web site: requests with bounded bodies, and headers on every answer."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Coroutine
from typing import IO, Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from mosaic.services.rest.channel import DeadlineChannel, Deadlines
from mosaic.services.rest.problems import MEDIA_TYPE, Refusal, problem_for
from mosaic.services.rest.security import security_headers

HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
MAX_BODY_BYTES = 1048576

_log = Logger()


class BodyRule(Protocol):
    """Says where the body of a request goes before its first byte arrives."""

    def body_for(
        self, request: BoundedRequest, method: bytes, path: bytes, length: int | None
    ) -> IO[bytes]:
        """A file to write the body to; it enforces its own limit on write().

        length: None for a chunked body. Raises Refusal.
        """


class MemoryBody(io.BytesIO):
    """A small body in memory; write() raises Refusal(413) past the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._limit = limit_bytes

    def write(self, data: Any, /) -> int:
        """Keep the data if all of it is within the limit."""
        if self.tell() + len(data) > self._limit:
            raise Refusal(413, f"the body may have {self._limit} bytes")
        return super().write(data)


class SmallBodies:
    """Every body goes to memory, up to one limit."""

    def __init__(self, limit_bytes: int = MAX_BODY_BYTES) -> None:
        self._limit = limit_bytes

    def body_for(
        self, request: BoundedRequest, method: bytes, path: bytes, length: int | None
    ) -> IO[bytes]:
        """Refuse a declared length past the limit at once."""
        if length is not None and length > self._limit:
            raise Refusal(413, f"the body may have {self._limit} bytes")
        return MemoryBody(self._limit)


class BoundedRequest(Request):
    """A request whose head is checked, whose body is bounded while it arrives.

    request_id: 16 hex digits, in the answer's X-Request-Id and in the log.
    """

    is_upload = False
    channel: Any
    content: Any

    def __init__(self, channel: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self.request_id = secrets.token_hex(8)

    def gotLength(self, length: int | None) -> None:
        """The head is here. Raises Refusal, which the channel answers."""
        self._check_head()
        path = self.channel._path.partition(b"?")[0]
        rule: BodyRule = self.channel.site.bodies
        self.content = rule.body_for(self, self.channel._command, path, length)

    def handleContentChunk(self, data: bytes) -> None:
        """Write to the body, or refuse what it refuses."""
        if self.content.closed:
            return
        try:
            self.content.write(data)
        except Exception as error:
            self.channel.refuse(error)

    def hold_until(self, permission: Coroutine[Deferred[Any], Any, object]) -> None:
        """Read no more of the body before the permission is given; if it is
        refused, so is the request, unless it is already being answered."""
        channel = self.channel
        channel.hold()

        def refused(failure: Failure) -> None:
            if not self._disconnected:
                channel.refuse(failure.value)

        Deferred.fromCoroutine(permission).addCallbacks(
            lambda _: None if self._disconnected else channel.release(), refused
        )

    def process(self) -> None:
        """Set the headers that every answer has, then find the resource."""
        for name, value in security_headers(secure=self.isSecure()):
            self.setHeader(name, value)
        self.setHeader("X-Request-Id", self.request_id)
        super().process()

    def render(self, resrc: IResource) -> None:
        """Render, without telling strangers which software answers."""
        self.responseHeaders.removeHeader("Server")
        super().render(resrc)

    def processingFailed(self, reason: Failure) -> None:
        """A 500 that says nothing but its id; the log says the rest."""
        _log.failure("request {id} failed", reason, id=self.request_id)
        if self._disconnected or self.finished or self.channel.transport is None:
            return  # nobody is there, or a websocket has taken the transport
        if self.startedWriting:
            self.loseConnection()
            return
        answer_problem(self, reason.value or Exception())
        self.finish()

    def _check_head(self) -> None:
        """RFC 9112 section 3.2: one Host, and one that can be a host."""
        hosts = self.requestHeaders.getRawHeaders(b"Host") or []
        wanted = 1 if self.channel._version == b"HTTP/1.1" else len(hosts[:1])
        if len(hosts) != wanted or not all(HOST.fullmatch(host) for host in hosts):
            raise Refusal(400, "the Host header is missing or malformed")
        if self.channel._version not in {b"HTTP/1.1", b"HTTP/1.0"}:
            raise Refusal(505)


def answer_problem(request: IRequest, error: BaseException) -> None:
    """Set status and headers for an error and write its problem document."""
    problem, headers = problem_for(
        error, request_id=getattr(request, "request_id", None)
    )
    body = msgspec.json.encode(problem)
    request.setResponseCode(problem.status)
    for name, value in headers.items():
        request.setHeader(name, value)
    request.setHeader("Content-Type", MEDIA_TYPE)
    request.setHeader("Content-Length", str(len(body)))
    request.setHeader("Cache-Control", "no-store")
    request.write(body)


class MosaicSite(Site):
    """An HTTP/1.1 site with deadlines, limits and no access log.

    There is no access log because a request line is the peer's text; the
    log holds our own events. There is no HTTP/2, because websockets are here.
    """

    requestFactory = BoundedRequest

    noisy = False

    def __init__(
        self,
        root: IResource,
        *,
        reactor: IReactorTime,
        bodies: BodyRule | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        super().__init__(root, reactor=reactor, parsePOSTFormSubmission=False)
        self.bodies: BodyRule = bodies or SmallBodies()
        self._deadlines = deadlines or Deadlines()
        self.timeOut = None  # the channel has its own
        self.live: set[DeadlineChannel] = set()

    def protocol(self) -> DeadlineChannel:  # type: ignore[override]  # a factory, as in twisted.web.http
        """A channel for one connection."""
        channel = DeadlineChannel()
        channel.deadlines = self._deadlines
        channel.live = self.live
        return channel

    def drain(self) -> None:
        """Close every connection as soon as its request is answered.

        Call it after the port has stopped listening; `live` is empty when the
        last one has gone. Websockets belong to their services.
        """
        for channel in tuple(self.live):
            channel.drain()

    def startFactory(self) -> None:
        """Twisted starts its access log's clock here; we have none."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Any) -> None:
        """No access log."""

    def acceptableProtocols(self) -> list[bytes]:
        """ALPN: HTTP/1.1 only."""
        return [b"http/1.1"]

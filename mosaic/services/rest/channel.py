# mypy: disable-error-code="no-untyped-call"
# (twisted.web.http has few annotations)
"""One HTTP/1.1 connection with absolute deadlines.

Twisted's own timer starts again at every line, so a sender of one header a
second is never cut off. Here each phase of a connection has its own end:
head, body, silence between requests, and an answer that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from mosaic.services.rest.problems import MEDIA_TYPE, Refusal, problem_for
from mosaic.services.rest.security import security_headers

LINGER_BYTES = 1048576
LINGER_S = 2.0
"""How much of a refused body is read and dropped, so that the answer arrives
before the connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that each phase of a connection may take; none is extended.

    body_s is for small bodies. An upload gets upload_s, and every body must
    also keep min_bytes_per_s on average, judged every pace_check_s.
    """

    headers_s: float = 10.0
    body_s: float = 60.0
    upload_s: float = 600.0
    min_bytes_per_s: float = 1024.0
    pace_check_s: float = 10.0
    idle_s: float = 60.0
    stalled_s: float = 60.0


class Alarm:
    """One timer that is set anew or silenced."""

    def __init__(self, call_later: Callable[..., IDelayedCall]) -> None:
        self._call_later = call_later
        self._call: IDelayedCall | None = None

    def set(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do the action in delay_s seconds, instead of what was planned."""
        self.silence()
        self._call = self._call_later(delay_s, self._ring, action)

    def silence(self) -> None:
        """Nothing is planned any more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _ring(self, action: Callable[[], object]) -> None:
        self._call = None
        action()


class DeadlineChannel(HTTPChannel):
    """HTTPChannel with deadlines, and refusals while a request arrives.

    deadlines, live: set by the site before the connection is made; the channel
    is in `live` as long as it has the connection. After a websocket upgrade
    `transport` is None (autobahn took it) and no alarm runs.
    """

    deadlines = Deadlines()
    live: set[DeadlineChannel]
    transport: Any
    _networkProducer: Any
    _refused = False
    _dropped = 0
    _body_bytes = 0
    _between_requests = False
    _phase: Alarm
    _pace: Alarm
    _stall: Alarm

    def connectionMade(self) -> None:
        """Start the clock of the first head."""
        self._phase = Alarm(self.callLater)
        self._pace = Alarm(self.callLater)
        self._stall = Alarm(self.callLater)
        super().connectionMade()
        self.live.add(self)
        self._phase.set(self.deadlines.headers_s, self._expire)

    def dataReceived(self, data: bytes) -> None:
        """Count what came for the phase it belongs to, then parse it."""
        if self._refused:
            self._drop(data)
            return
        if self._between_requests:
            self._between_requests = False
            self._phase.set(self.deadlines.headers_s, self._expire)
        self._body_bytes += len(data)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """One line of a head."""
        if not self._refused:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """RFC 9110 15.5: 414 or 431; nothing more is read from this peer."""
        self.refuse(Refusal(431))

    def rawDataReceived(self, data: bytes) -> None:
        """A piece of a body, or of requests that wait for their turn."""
        if not self._refused:
            super().rawDataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        """Refuse every transfer coding but chunked (RFC 9112 section 6.1)."""
        name, _, value = line.partition(b":")
        if name.lower() == b"transfer-encoding" and (
            value.strip(b" \t").lower() != b"chunked"
        ):
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """The head is whole: the request says where its body goes, or refuses."""
        if self._refused:
            return
        self._phase.silence()
        try:
            super().allHeadersReceived()
        except Exception as error:
            self.refuse(error)
            return
        if self.length != 0:
            self._body_bytes = 0
            limit = self.deadlines.body_s
            if getattr(self.requests[-1], "is_upload", False):
                limit = self.deadlines.upload_s
            self._phase.set(limit, self._expire)
            self._watch_pace(0.0)

    def allContentReceived(self) -> None:
        """The request is whole; from here on the server is at work."""
        if self._refused:
            return
        self._phase.silence()
        self._pace.silence()
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """The answer is written: wait for the next request, but not for long."""
        self._between_requests = True
        self._phase.set(self.deadlines.idle_s, self._expire)
        super().requestDone(request)

    def pauseProducing(self) -> None:
        """The peer does not read fast enough."""
        super().pauseProducing()
        if self.transport is not None:
            self._stall.set(self.deadlines.stalled_s, self._expire)

    def resumeProducing(self) -> None:
        """The peer reads again."""
        self._stall.silence()
        super().resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing runs on after the end."""
        self.live.discard(self)
        for alarm in (self._phase, self._pace, self._stall):
            alarm.silence()
        super().connectionLost(reason)

    def hold(self) -> None:
        """Read no more until release()."""
        self._networkProducer.pauseProducing()

    def release(self) -> None:
        """Read on."""
        if self.transport is not None and not self._waitingForTransport:
            self._networkProducer.resumeProducing()

    def drain(self) -> None:
        """Answer the request that is under way, then close; at once if none is."""
        if self._between_requests or not self.requests:
            self._part()
        else:
            self.persistent = 0

    def hand_over(self) -> None:
        """Leave the transport to another protocol: a websocket's."""
        self.live.discard(self)
        for alarm in (self._phase, self._pace, self._stall):
            alarm.silence()
        self._networkProducer.unregisterProducer()

    def refuse(self, error: BaseException) -> None:
        """Answer a request that has not arrived whole, and close.

        Nothing of its body is kept. What the peer still sends is dropped, at
        most LINGER_BYTES or LINGER_S, so that the answer is not lost to a reset.
        """
        if self._refused or self.transport is None or self._handlingRequest:
            return
        self._refused = True
        body_expected = self.length != 0
        self.length = None
        self.persistent = 0
        self._pace.silence()
        self.transport.write(_refusal_bytes(error, secure=self.isSecure()))
        for request in self.requests:
            if request.content is not None:
                request.content.close()
        self.release()
        if body_expected:
            self._phase.set(LINGER_S, self._part)
        else:
            self._part()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted's parser calls this for whatever is not HTTP."""
        self.length = 0
        self.refuse(Refusal(400))

    def _drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > LINGER_BYTES:
            self._part()

    def _part(self) -> None:
        """Close in peace; if the peer does not take even that, abort."""
        self._phase.set(LINGER_S, self._expire)
        self.loseConnection()

    def _watch_pace(self, elapsed_s: float) -> None:
        if self._body_bytes < elapsed_s * self.deadlines.min_bytes_per_s:
            self._expire()
            return
        step = self.deadlines.pace_check_s
        self._pace.set(step, lambda: self._watch_pace(elapsed_s + step))

    def _expire(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


def _refusal_bytes(error: BaseException, *, secure: bool) -> bytes:
    """A whole answer for a request that has no Request to write it."""
    problem, extra = problem_for(error)
    body = msgspec.json.encode(problem)
    headers = {
        **dict(security_headers(secure=secure)),
        **extra,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode("ascii") + body

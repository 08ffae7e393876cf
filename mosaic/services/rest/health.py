# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""For load balancers and monitoring: /livez, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mosaic.services.rest.pages import finish, plain

CHECK_TIMEOUT_S = 2.0
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class NotReady(Exception):
    """Raised by a check; the message is shown on /readyz."""


Check = Callable[[], Awaitable[object] | None]
"""Passes by returning (and by its awaitable ending) without an exception."""


Warn = Callable[[], str | None]
"""What an administrator should look at, although the server works."""


class Livez(Resource):
    """200 as long as the reactor turns."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Nothing is asked of anybody."""
        return plain(request, 200, "ok\n")


class Readyz(Resource):
    """200 if every check passes within two seconds, else 503 with the reasons.

    warnings: shown by name when there are any; they change no status.
    """

    isLeaf = True

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        clock: IReactorTime,
        warnings: Mapping[str, Warn] | None = None,
    ) -> None:
        super().__init__()
        self._checks = dict(checks)
        self._warnings = dict(warnings or {})
        self._clock = clock

    def render_GET(self, request: Any) -> int:
        """Ask all of them at once; answer when the last has spoken."""
        asked = {name: self._ask(check) for name, check in self._checks.items()}
        Deferred.fromCoroutine(self._answer(request, asked)).addErrback(
            request.processingFailed
        )
        return NOT_DONE_YET

    def _ask(self, check: Check) -> Deferred[object]:
        async def run() -> None:
            waiting = check()
            if waiting is not None:
                await waiting

        asked: Deferred[object] = Deferred.fromCoroutine(run())
        asked.addErrback(lambda failure: failure)
        return asked.addTimeout(CHECK_TIMEOUT_S, self._clock)

    async def _answer(self, request: Any, asked: dict[str, Deferred[object]]) -> None:
        reasons: dict[str, str] = {}
        for name, result in asked.items():
            try:
                await result
            except NotReady as error:
                reasons[name] = str(error)
            except Exception as error:
                # The class says enough to a stranger; the rest is in the log.
                reasons[name] = type(error).__name__
        said: dict[str, Any] = {"ready": not reasons, "reasons": reasons}
        warnings = {name: text for name, w in self._warnings.items() if (text := w())}
        if warnings:
            said["warnings"] = warnings
        body = msgspec.json.encode(said)
        request.setResponseCode(503 if reasons else 200)
        request.setHeader("Content-Type", "application/json")
        request.setHeader("Content-Length", str(len(body)))
        request.setHeader("Cache-Control", "no-store")
        finish(request, body)


class Metrics(Resource):
    """Prometheus text; put only on the listener of this machine."""

    isLeaf = True

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def render_GET(self, request: Any) -> bytes:
        """The numbers of now."""
        body = plain(request, 200, self._text())
        request.setHeader("Content-Type", PROMETHEUS)
        return body

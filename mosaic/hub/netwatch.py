# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Checks the network by itself: when the server cannot be reached, once at a new
server, once a day, and when somebody asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.hub.calls import CallRefused
from mosaic.hub.netfound import Found, FoundFile
from mosaic.hub.server import HubUnknown
from mosaic.netcheck.result import Report
from mosaic.wire.hops import HopError

PATIENCE_S = 20.0
"""A server that is away for less is restarting; up to twice as long, by chance."""
APART_S = 900.0
"""Between two checks while it stays away; up to a third more."""
SOON_S = 30.0
"""The first at a server, after it was reached; up to twice as long."""
AGAIN_S = 1800.0
"""After the server was away, what was found then is old; up to three times as long."""
DAY_S = 86400.0
LIMITED = "this network's address has checked too often; try again in a minute"
LIMIT_S = 300.0
"""A check that takes longer has lost its way."""

_log = Logger()

CheckNow = Callable[[Callable[[], bool]], Coroutine[Any, Any, Report]]


class CheckFailed(Exception):
    """There is no result; one line for people."""


class NetworkChecks(Protocol):
    """NetworkWatch, or nothing in its place."""

    @property
    def latest(self) -> Found | None:
        """What was found last at this server."""

    @property
    def running(self) -> bool:
        """One is under way."""

    def reached(self) -> None:
        """The server answered."""

    def lost(self) -> None:
        """It cannot be reached, or does not answer as it should."""

    def stop(self) -> None:
        """No more of it."""

    async def check(self, reason: str) -> Found:
        """Now, or as it comes if one is under way. Raises CheckFailed."""


class NoNetworkChecks:
    """Where nobody checks."""

    latest: Found | None = None
    running = False

    def reached(self) -> None:
        """Nothing follows from it."""

    def lost(self) -> None:
        """Nothing follows from it."""

    def stop(self) -> None:
        """Nothing was going on."""

    async def check(self, reason: str) -> Found:
        """There is nobody to ask."""
        raise CheckFailed("this hub does not check its network")


class NetworkWatch:
    """One hub's checks, one at a time.

    check: makes one; it asks a function before each measurement whether to leave
    it out. hush: whether a meeting is on. wall: Unix seconds. random: from 0 to
    1, spreads the checks of many. tell: brings a result to the server; raises
    what its calls raise.
    """

    def __init__(
        self,
        reactor: Any,
        server: str,
        file: FoundFile,
        *,
        check: CheckNow,
        hush: Callable[[], bool],
        wall: Callable[[], float],
        random: Callable[[], float],
        tell: Callable[[Found], Awaitable[None]],
    ) -> None:
        self.latest = file.load(server)
        self._reactor = reactor
        self._server = server
        self._file = file
        self._check = check
        self._hush = hush
        self._wall = wall
        self._random = random
        self._tell = tell
        self._up: bool | None = None
        self._since = 0.0
        self._checked_at, self._outage_at = self._ages()
        self._failed_at: float | None = None
        self._timer: IDelayedCall | None = None
        self._work: Deferred[Any] | None = None
        self._waiting: list[Deferred[Found]] = []
        self._telling = self._stopped = False

    def _ages(self) -> tuple[float | None, float | None]:
        """When the check of before this start was made, on our clock."""
        if self.latest is None:
            return None, None
        age = min(max(self._wall() - self.latest.at, 0.0), DAY_S)
        at = self._reactor.seconds() - age
        return at, at if self.latest.reason == "unreachable" else None

    @property
    def running(self) -> bool:
        """One is under way."""
        return self._work is not None

    def reached(self) -> None:
        """The server answered: what it does not know yet is told now."""
        if self._up is not True:
            self._up, self._since = True, self._reactor.seconds()
            self._plan()
        found = self.latest
        if found is not None and not found.told and not self._telling:
            Deferred.fromCoroutine(self._bring(found)).addErrback(_fault)

    def lost(self) -> None:
        """It cannot be reached."""
        if self._up is not False:
            self._up, self._since = False, self._reactor.seconds()
            self._plan()

    def stop(self) -> None:
        """No more of it; who waits is told so."""
        self._stopped = True
        self._unplan()
        if self._work is not None:
            self._work.cancel()

    async def check(self, reason: str) -> Found:
        """See NetworkChecks."""
        if self._stopped:
            raise CheckFailed("the hub is about to stop")
        waiting: Deferred[Found] = Deferred()
        self._waiting.append(waiting)
        self._begin(reason)
        return await waiting

    # When -------------------------------------------------------------------
    def _plan(self) -> None:
        self._unplan()
        if self._stopped or self._up is None:
            return
        reason, due = self._next(self._random())
        delay = max(0.0, due - self._reactor.seconds())
        self._timer = self._reactor.callLater(delay, self._begin, reason)

    def _unplan(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _next(self, luck: float) -> tuple[str, float]:
        """Why and when the next one is made by itself. luck: from 0 to 1."""
        if not self._up:
            due = self._since + PATIENCE_S * (1 + luck)
            if self._outage_at is not None:
                due = max(due, self._outage_at + APART_S * (1 + luck / 3))
            return "unreachable", due
        soon = self._since + SOON_S * (1 + luck)
        reason = "enrolled" if self.latest is None else "daily"
        if self._failed_at is not None:
            return reason, max(soon, self._failed_at + APART_S * (1 + luck / 3))
        if self.latest is None or self._checked_at is None:
            return reason, soon
        if self.latest.over:
            return "daily", self._since + AGAIN_S * (1 + 2 * luck)
        return "daily", max(soon, self._checked_at + DAY_S * (1 - luck / 10))

    # What -------------------------------------------------------------------
    def _begin(self, reason: str) -> None:
        self._unplan()
        if self._work is not None or self._stopped:
            return
        if reason == "unreachable":
            self._outage_at = self._reactor.seconds()
        work = Deferred.fromCoroutine(self._found(reason))
        work.addTimeout(LIMIT_S, self._reactor)
        self._work = work
        work.addCallbacks(self._keep, self._broken).addErrback(_fault)

    async def _found(self, reason: str) -> Found:
        hushed: list[bool] = []

        def hush() -> bool:
            hushed.append(self._hush())
            return hushed[-1]

        report = await self._check(hush)
        return Found(
            server=self._server,
            at=round(self._wall(), 3),
            reason=reason,
            quick=any(hushed),
            report=report,
        )

    def _keep(self, found: Found) -> Deferred[None]:
        return Deferred.fromCoroutine(self._done(found))

    async def _done(self, found: Found) -> None:
        _log.info(
            "network check ({reason}): {words}", reason=found.reason, words=found.words
        )
        if found.limited:
            # It says nothing of the network: what was found before stays.
            self._over(CheckFailed(LIMITED))
            return
        self.latest, self._work, self._failed_at = found, None, None
        self._checked_at = self._reactor.seconds()
        self._save(found)
        if self._up:
            await self._bring(found)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(found)
        self._plan()

    def _broken(self, failure: Failure) -> None:
        """Cancelled, out of time, or a fault of ours."""
        if not self._stopped:
            _log.failure("the network check failed", failure)
        self._over(CheckFailed("the check failed; the hub's log says why"))

    def _over(self, error: CheckFailed) -> None:
        self._work, self._failed_at = None, self._reactor.seconds()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.errback(error)
        self._plan()

    async def _bring(self, found: Found) -> None:
        """What cannot be told now is told when the server is next reached."""
        self._telling = True
        try:
            await self._tell(found)
        except (HopError, HubUnknown) as error:
            _log.info("network check not told: {why}", why=str(error))
            return
        except CallRefused as error:
            _log.info("network check not told: {why}", why=str(error))
            if error.status in (401, 429) or error.status >= 500:
                return
            # A server that knows no such thing will not learn it.
        finally:
            self._telling = False
        if self.latest is found:
            self.latest = replace(found, told=True)
            self._save(self.latest)

    def _save(self, found: Found) -> None:
        try:
            self._file.save(found)
        except OSError as error:
            _log.error("cannot keep the network check: {why}", why=error.strerror)


def _fault(failure: Failure) -> None:
    _log.failure("fault in the network check", failure)

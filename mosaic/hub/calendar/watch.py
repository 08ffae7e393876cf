# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Reads the calendar every five minutes, and says when a meeting begins."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.hub.calendar.ics import CalendarEntry, CalendarError
from mosaic.hub.calendar.reading import Reading
from mosaic.hub.calendar.source import (
    CalendarRefused,
    CalendarSource,
    Fetched,
    LoginRefusedThere,
)
from mosaic.hub.calls import explained
from mosaic.wire.hops import HopError

_log = Logger()

EVERY_S = 300.0
REFUSED_S = 600.0
"""After a login that was refused, doubled each time: accounts are locked by less."""
MOST_S = 3600.0
FETCH_S = 30.0
LOOK_S = 5.0
LATE_S = 300.0
"""A meeting that began longer ago is not joined by itself."""
SURE_S = 60.0
"""Before a meeting begins, what is known of it is no older than this."""
ANEW_S = 3600.0
"""What has not changed is read anew after this: the days to come are others."""


class CalendarWatch:
    """source: asks the server. read: makes entries of its answer. begins: called
    with each entry's key and room as it begins, again and again while it has just
    begun. changed: the entries or the problem have."""

    def __init__(
        self,
        reactor: Any,
        source: CalendarSource,
        read: Reading,
        *,
        server: str,
        wall: Callable[[], float],
        begins: Callable[[str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._source = source
        self._reading = read
        self._server = server
        self._wall = wall
        self._begins = begins
        self._changed = changed
        self._url: str | None = None
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._asked_at = 0.0
        self._refusals = 0
        self._answers = True
        self._known = b""
        self._known_at: float | None = None
        self._known_problem: str | None = None
        self.entries: list[CalendarEntry] | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Say when meetings begin."""
        self._looking.start(LOOK_S, now=False)

    def stop(self) -> None:
        """Neither read nor say anything."""
        self.watch(None)
        if self._looking.running:
            self._looking.stop()

    def watch(self, url: str | None) -> None:
        """Read this calendar from now on; None: none."""
        if url == self._url:
            return
        self._url, self._refusals, self._known_at = url, 0, None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        if url is None:
            self._say([] if self.entries else self.entries, None)
        else:
            self._read()

    def as_reported(self) -> list[dict[str, Any]] | None:
        """For the status; None before the first one was read."""
        if self.entries is None:
            return None
        return [entry.as_reported() for entry in self.entries]

    # ------------------------------------------------------------------------
    def _read(self) -> None:
        url = self._url
        if url is None:
            return
        self._asked_at = self._reactor.seconds()
        self._again(EVERY_S)
        self._work = work = Deferred.fromCoroutine(self._ask(url))

        def done(result: Any) -> None:
            if self._work is work:
                self._work = None

        work.addBoth(done)

    def _again(self, after_s: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(after_s, self._read)

    async def _ask(self, url: str) -> None:
        try:
            entries, problem = await self._entries(url)
        except CancelledError:
            return  # another calendar, or none any more
        except (CalendarError, HopError) as error:
            why, refused = str(error), isinstance(error, LoginRefusedThere)
            wait_s = error.retry_after_s if isinstance(error, CalendarRefused) else None
        except Exception as error:
            why, refused, wait_s = str(explained(error, "its server")), False, None
            if self._reactor.seconds() - self._asked_at >= FETCH_S:
                why = f"no answer within {FETCH_S:.0f} s"  # what was cancelled then
        else:
            if url == self._url:
                self._refusals, self._answers = 0, True
                self._say(entries, problem)
            return
        if url != self._url:
            return
        self._answers = False
        self._refusals = self._refusals + 1 if refused else 0
        if refused:
            wait_s = max(wait_s or 0.0, REFUSED_S * 2 ** min(self._refusals - 1, 6))
            why += f"; it is asked again in {min(MOST_S, wait_s) / 60:.0f} minutes"
        if wait_s is not None:
            self._again(min(MOST_S, max(EVERY_S, wait_s)))
        # What was read before stays: meetings do not end because a server did.
        known = None if self.entries is None else self._to_come()
        self._say(known, f"calendar: {why}"[:300])

    async def _entries(self, url: str) -> tuple[list[CalendarEntry], str | None]:
        """The entries, and what is wrong with some. They are told anew only if the
        content is another, or an hour has gone."""
        known_at = self._known_at
        anew = known_at is None or self._reactor.seconds() - known_at >= ANEW_S
        work: Deferred[Fetched | None] = Deferred.fromCoroutine(
            self._source.fetch(url, anew=anew)
        )
        work.addTimeout(FETCH_S, self._reactor)
        fetched = await work
        if fetched is None:
            return self._standing()
        digest = sha256(fetched.content).digest()
        if digest == self._known and not anew:
            return self._standing()
        asked_at = self._reactor.seconds()
        found = await self._reading(
            fetched.content, dav=fetched.dav, now=self._wall(), server=self._server
        )
        self._known, self._known_at, self._known_problem = digest, asked_at, None
        if found.left_out:
            self._known_problem = (
                f"calendar: {found.left_out} of its events cannot be told, or take"
                " too long, and are left out"
            )
        return found.entries, self._known_problem

    def _standing(self) -> tuple[list[CalendarEntry], str | None]:
        return self._to_come(), self._known_problem

    def _to_come(self) -> list[CalendarEntry]:
        """What is known, without what is over."""
        now = self._wall()
        return [entry for entry in self.entries or [] if entry.end > now]

    def _say(self, entries: list[CalendarEntry] | None, problem: str | None) -> None:
        if (entries, problem) != (self.entries, self.problem):
            if problem and problem != self.problem:
                _log.warn("{problem}", problem=problem)
            self.entries, self.problem = entries, problem
            self._changed()

    def _look(self) -> None:
        now = self._wall()
        for entry in self.entries or []:
            if entry.room is None:
                continue
            if entry.start <= now < min(entry.end, entry.start + LATE_S):
                self._begins(entry.key, entry.room)
            elif 0 < entry.start - now <= SURE_S / 2:
                self._make_sure()

    def _make_sure(self) -> None:
        """It may have been moved or cancelled since; a server that refuses us, or is
        away, is not asked more often for that."""
        fresh = self._reactor.seconds() - self._asked_at < SURE_S
        if self._work is None and self._answers and not fresh:
            self._read()

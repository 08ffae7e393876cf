# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Reads the calendar every five minutes, and says when a meeting begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.hub.calendar.caldav import calendars_in, query
from mosaic.hub.calendar.ics import (
    MAX_BYTES,
    CalendarEntry,
    CalendarError,
    entries_in,
)
from mosaic.hub.calls import read_body
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import HopError

_log = Logger()

EVERY_S = 300.0
FETCH_S = 30.0
LOOK_S = 5.0
LATE_S = 300.0
"""A meeting that began longer ago is not joined by itself."""

MAX_REDIRECTS = 3


class CalendarWatch:
    """http: a treq client. logins: users and passwords by host, where the URL
    holds none. run_in_thread: deferToThread, or a function in its place.
    begins: called with each entry's key and room as it begins, again and again
    while it has just begun. changed: the entries or the problem have."""

    def __init__(
        self,
        reactor: Any,
        http: Any,
        *,
        server: str,
        logins: Logins,
        wall: Callable[[], float],
        run_in_thread: Callable[..., Awaitable[Any]],
        begins: Callable[[str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._http = http
        self._server = server
        self._logins = logins
        self._wall = wall
        self._run_in_thread = run_in_thread
        self._begins = begins
        self._changed = changed
        self._url: str | None = None
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
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
        self._url = url
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
        self._timer = self._reactor.callLater(EVERY_S, self._read)
        self._work = work = Deferred.fromCoroutine(self._reading(url))
        work.addTimeout(FETCH_S, self._reactor)
        work.addErrback(
            lambda failure: self._failed(url, failure.getErrorMessage() or "no answer")
        )

    async def _reading(self, url: str) -> None:
        try:
            content, is_dav = await self._fetch(url)
            texts = calendars_in(content) if is_dav else [content]
            entries = await self._run_in_thread(
                entries_in, texts, now=self._wall(), server=self._server
            )
        except CancelledError:
            raise
        except (CalendarError, HopError) as error:
            self._failed(url, str(error))
            return
        if url == self._url:
            self._say(entries, None)

    def _failed(self, url: str, why: str) -> None:
        """What was read before stays: meetings do not end because a server did."""
        if url == self._url:
            self._say(self.entries, f"calendar: {why}"[:300])

    def _say(self, entries: list[CalendarEntry] | None, problem: str | None) -> None:
        if (entries, problem) != (self.entries, self.problem):
            if problem and problem != self.problem:
                _log.warn("{problem}", problem=problem)
            self.entries, self.problem = entries, problem
            self._changed()

    async def _fetch(self, url: str) -> tuple[bytes, bool]:
        """The content, and whether it is CalDAV's: addresses of collections end
        with a slash. Raises CalendarError and HopError."""
        for _ in range(MAX_REDIRECTS + 1):
            bare, auth = self._split(url)
            is_dav = urlsplit(bare).path.endswith("/")
            headers = {"Accept": ["text/calendar"]}
            data = None
            if is_dav:
                headers = {"Depth": ["1"], "Content-Type": ["application/xml"]}
                data = query(self._wall())
            response = await self._http.request(
                "REPORT" if is_dav else "GET",
                bare,
                data=data,
                headers=headers,
                auth=auth,
                allow_redirects=False,
            )
            content = await read_body(response, MAX_BYTES)
            if response.code in (301, 302, 303, 307, 308):
                places = response.headers.getRawHeaders("Location") or [""]
                url = urljoin(bare, places[0])
                continue
            if response.code == 401:
                raise CalendarError("its server wants another user and password")
            if response.code not in (200, 207):
                raise CalendarError(f"its server answers {response.code}")
            return content, is_dav
        raise CalendarError("its server sends from one address to the next")

    def _split(self, url: str) -> tuple[str, tuple[str, str] | None]:
        """The URL without its login, and the login. Passwords go over TLS alone."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise CalendarError("its address is no URL") from None
        if parts.scheme != "https" and host not in ("127.0.0.1", "localhost"):
            raise CalendarError("its address must begin with https://")
        netloc = parts.netloc.rpartition("@")[2]
        bare = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
        if parts.username:
            return bare, (parts.username, parts.password or "")
        as_kept = Proxy("https", host, port or 443)
        login = self._logins.for_proxy(as_kept)
        return bare, None if login is None else (login.username, login.password)

    def _look(self) -> None:
        now = self._wall()
        for entry in self.entries or []:
            if entry.room is not None and entry.start <= now < min(
                entry.end, entry.start + LATE_S
            ):
                self._begins(entry.key, entry.room)

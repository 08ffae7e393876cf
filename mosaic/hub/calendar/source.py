# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Asks a calendar's server: ICS by GET, CalDAV by REPORT; Basic and Digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from mosaic.hub.calendar.caldav import WHAT_IS_THERE, collections_in, query
from mosaic.hub.calendar.ics import MAX_BYTES, CalendarError
from mosaic.hub.calls import read_body, retry_after
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import Login
from mosaic.wire.httpauth import Challenge, Digest, parse_challenges

MAX_REDIRECTS = 3
_WORDS = {
    403: "its server does not let this user read it (403)",
    404: "its server has no calendar at this address (404)",
    405: "its address is no CalDAV calendar (405); one that is no collection has no"
    " slash at its end",
    410: "its server has no calendar at this address any more (410)",
}


class CalendarRefused(CalendarError):
    """The server answered with something else. retry_after_s: what it asked for."""

    def __init__(self, words: str, retry_after_s: float | None = None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class LoginRefusedThere(CalendarRefused):
    """Asking again and again with the same password locks accounts."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """dav: the content is a multistatus."""

    content: bytes
    dav: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A URL without its login, and the login that is for it."""

    url: str
    origin: tuple[str, str, int]
    login: Login | None

    @property
    def dav(self) -> bool:
        """Addresses of collections end with a slash."""
        return urlsplit(self.url).path.endswith("/")


class CalendarSource:
    """http: a treq client. logins: users and passwords by host, where the URL
    holds none. wall: Unix seconds."""

    def __init__(self, http: Any, *, logins: Logins, wall: Callable[[], float]) -> None:
        self._http = http
        self._logins = logins
        self._wall = wall
        self._url = ""
        self._validators: dict[str, list[str]] = {}
        self._digests: set[tuple[str, str, int]] = set()

    async def fetch(self, url: str, *, anew: bool = True) -> Fetched | None:
        """The content; None if it is the same as the last time (unless anew).

        Raises CalendarError and HopError, and what the client raises.
        """
        place = self._place(url, None)
        if anew or url != self._url:
            self._url, self._validators = url, {}
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._asked(place)
            if response.code == 304 and self._validators:
                return None
            content = await _body(response)
            if response.code in (301, 302, 303, 307, 308):
                places = response.headers.getRawHeaders("Location") or [""]
                place = self._place(urljoin(place.url, places[0]), place)
                continue
            if response.code not in (200, 207):
                raise _refusal(response, place)
            if not place.dav:
                self._remember(response.headers)
            elif anew and b"BEGIN:VCALENDAR" not in content:
                await self._make_sure(place)
            return Fetched(content, place.dav)
        raise CalendarError("its server sends from one address to the next")

    async def _make_sure(self, place: _Place) -> None:
        """Nothing there may mean that this is no calendar: servers answer a query
        of an account, or of a folder of calendars, with nothing as well."""
        found: list[str] = []
        for depth in ("0", "1"):
            response = await self._asked(place, "PROPFIND", WHAT_IS_THERE, depth)
            content = await _body(response)
            if response.code != 207:
                return
            found = [urljoin(place.url, path) for path in collections_in(content)]
            if found and depth == "0":
                return
        there = ", ".join(found[:3])
        raise CalendarError(
            f"its address is no calendar; there is {there}"
            if found
            else "its address is no calendar, and none is in it"
        )

    def _remember(self, headers: Any) -> None:
        """For RFC 9110 section 13.1: the server says whether it has changed."""
        self._validators = {
            name: values[:1]
            for name, field in (
                ("If-None-Match", "ETag"),
                ("If-Modified-Since", "Last-Modified"),
            )
            if (values := headers.getRawHeaders(field))
        }

    async def _asked(
        self,
        place: _Place,
        method: str = "",
        body: bytes | None = None,
        depth: str = "1",
    ) -> Any:
        """The answer; with Digest where the server asks for that."""
        if not method:
            method = "REPORT" if place.dav else "GET"
            body = query(self._wall()) if place.dav else None
        login = place.login
        basic = login is not None and place.origin not in self._digests
        response = await self._request(place, method, body, depth, basic=basic)
        if response.code != 401 or login is None:
            return response
        values = response.headers.getRawHeaders("WWW-Authenticate") or []
        offered = [c for c in parse_challenges(values) if c.scheme == "digest"]
        offered.sort(key=Digest.strength, reverse=True)
        if not offered:
            return response
        await _body(response)
        self._digests.add(place.origin)
        return await self._request(place, method, body, depth, digest=offered[0])

    async def _request(
        self,
        place: _Place,
        method: str,
        body: bytes | None,
        depth: str,
        *,
        basic: bool = False,
        digest: Challenge | None = None,
    ) -> Any:
        headers = {"Accept": ["text/calendar"], **self._validators}
        if place.dav:
            headers = {"Depth": [depth], "Content-Type": ["application/xml"]}
        if digest is not None and place.login is not None:
            parts = urlsplit(place.url)
            uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            scheme = Digest(
                place.login, method=method, uri=uri, cnonce=lambda: token_urlsafe(18)
            )
            headers["Authorization"] = [scheme.respond(digest) or ""]
        auth = None
        if basic and place.login is not None:
            auth = (place.login.username, place.login.password)
        return await self._http.request(
            method,
            place.url,
            data=body,
            headers=headers,
            auth=auth,
            allow_redirects=False,
            unbuffered=True,
        )

    def _place(self, url: str, before: _Place | None) -> _Place:
        """Passwords go over TLS alone, and after a redirect to the same server alone.
        before: whence we were sent."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise CalendarError("its address is no URL") from None
        # On this machine in the clear, but nobody shall send us there.
        here = host in ("127.0.0.1", "localhost") and before is None
        if parts.scheme != "https" and not here:
            raise CalendarError("its address must begin with https://")
        port = port or (443 if parts.scheme == "https" else 80)
        origin = (parts.scheme, host, port)
        netloc = parts.netloc.rpartition("@")[2]
        bare = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
        login = self._logins.for_proxy(Proxy("https", host, port))
        if before is not None and before.origin == origin:
            login = before.login
        elif before is None and parts.username:
            login = Login(unquote(parts.username), unquote(parts.password or ""))
        return _Place(bare, origin, login)


async def _body(response: Any) -> bytes:
    try:
        return await read_body(response, MAX_BYTES)
    except ValueError:
        words = f"the calendar is larger than {MAX_BYTES // 2**20} MiB"
        raise CalendarError(words) from None


def _refusal(response: Any, place: _Place) -> CalendarRefused:
    wait_s = retry_after(response.headers)
    if response.code == 401:
        values = response.headers.getRawHeaders("WWW-Authenticate") or []
        offered = [each.scheme for each in parse_challenges(values)]
        if place.login is None:
            return LoginRefusedThere(
                "its server wants a user and password: name a file with"
                " --calendar-login",
                wait_s,
            )
        if offered and not {"basic", "digest"} & set(offered):
            names = ", ".join(name.capitalize() for name in dict.fromkeys(offered))
            return LoginRefusedThere(
                f"its server wants a login by {names}; Basic and Digest are there",
                wait_s,
            )
        return LoginRefusedThere(
            f"its server refuses the user and password of {place.login.username}",
            wait_s,
        )
    if response.code == 403:
        return LoginRefusedThere(_WORDS[403], wait_s)
    words = _WORDS.get(response.code, f"its server answers {response.code}")
    return CalendarRefused(words, wait_s)

# Twisted's web server has few annotations.
# mypy: allow-untyped-calls
"""`http://127.0.0.1:PORT/KEY/`: for the screens of this box and nobody else.

Whoever does not know KEY (random for each start) gets 404, as does a request
for another host's name (a page elsewhere that had its name point here).
"""

from __future__ import annotations

import hmac
import importlib.resources
import re
from collections.abc import Callable, Coroutine
from secrets import token_urlsafe
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mosaic.hub.local.page import Wall, enrol_form, proxy_form, state_page
from mosaic.hub.netfound import Found
from mosaic.hub.netwatch import CheckFailed
from mosaic.hub.participant import MEETING, PRESENTING
from mosaic.hub.proxylogin import LoginTextError
from mosaic.proxy.logins import LoginFileError
from mosaic.workspace.hubcodes import parse_code

_log = Logger()

MAX_BODY_BYTES = 16384
JSON = "application/json"
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_SCREEN = re.compile(r"([1-9]\d?)(?:/|\Z)")
_PROXY = re.compile(r"proxy [a-z0-9]+://([^\s/:\[]+|\[[^\]]+\])(:\d+)?:")


class Shown(Struct, kw_only=True):
    """What a screen tells: `idle`, `meeting`, `dark` or `no connection`. screen:
    from 1; without it the address says which. presenting: of a meeting, it draws
    what somebody presents."""

    shown: str
    screen: int = 0
    presenting: bool = False


class Owner(Protocol):
    """What the page asks of the agent."""

    def wall(self) -> Wall:
        """As it is now."""

    def set_proxy_login(self, host: str, user: str, password: str) -> None:
        """Keep it and try again. Raises LoginTextError and OSError."""

    def enrol(self, code: str) -> None:
        """A normalised activation code."""

    screens: int

    async def check_network(self) -> Found:
        """Now. Raises CheckFailed."""

    async def ticket(self) -> str:
        """For one screen. Raises what the server's calls raise."""

    def screen_shows(self, screen: int, shown: str) -> None:
        """A screen draws."""


class LocalPage(Resource):
    """The whole site. server: whose origin may read the state."""

    isLeaf = True

    def __init__(self, owner: Owner, server: str) -> None:
        super().__init__()
        self.key = token_urlsafe(24)
        self.port = 0
        self._owner = owner
        self._server = server
        folder = importlib.resources.files("mosaic.hub.local")
        self._css = (folder / "hub.css").read_bytes()

    @property
    def url(self) -> str:
        """With the key, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}/{self.key}"

    def listen(self, reactor: Any, port: int) -> IListeningPort:
        """On loopback. Raises CannotListenError."""
        site: Any = Site(self, timeout=30)
        site.noisy = site.displayTracebacks = False
        # Its access log would hold the key.
        site.log = lambda request: None
        listening = reactor.listenTCP(port, site, interface="127.0.0.1")
        self.port = listening.getHost().port
        return listening  # type: ignore[no-any-return]

    def render(self, request: Any) -> Any:
        """Every request: `/KEY/…`, or `/KEY/N/…` for screen N."""
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Referrer-Policy", "no-referrer")
        request.setHeader("X-Content-Type-Options", "nosniff")
        request.setHeader("Content-Security-Policy", POLICY)
        path = request.path.decode(errors="replace")
        key, _, rest = path.removeprefix("/").partition("/")
        here = f"127.0.0.1:{self.port}"
        if request.getHeader("host") != here or not hmac.compare_digest(
            key.encode(), self.key.encode()
        ):
            return self._answer(request, 404, "text/plain", b"Not found\n")
        match = _SCREEN.match(rest)
        request.screen = int(match[1]) if match else 0
        rest = rest[match.end() :] if match else rest
        if request.method == b"GET" and not rest and not path.endswith("/"):
            request.setResponseCode(303)
            request.setHeader("Location", f"{path}/")
            return b""
        route = self._ROUTES.get((request.method, rest))
        if route is None:
            return self._answer(request, 404, "text/plain", b"Not found\n")
        return route(self, request)

    # ------------------------------------------------------------------------
    def _first(self, request: Any) -> Any:
        """A screen goes on to the server as soon as that is there."""
        wall = self._owner.wall()
        over = wall.state in ("removed", "unenrolled")
        if not request.screen or not wall.reached or over:
            return self._html(request, state_page(wall))
        self._later(request, self._go_on(request, request.screen))
        return NOT_DONE_YET

    async def _go_on(self, request: Any, screen: int) -> None:
        try:
            ticket = await self._owner.ticket()
        except Exception as error:
            _log.warn("no ticket for a screen: {reason}", reason=str(error))
            request.write(self._html(request, state_page(self._owner.wall())))
        else:
            local = quote(f"{self.url}/{screen}", safe=":/")
            request.setResponseCode(303)
            request.setHeader(
                "Location",
                f"{self._server}/hub#ticket={quote(ticket)}&local={local}"
                f"&screen={screen}&screens={self._owner.screens}",
            )
        request.finish()

    def _later(self, request: Any, work: Coroutine[Any, Any, None]) -> None:
        done = Deferred.fromCoroutine(work)
        request.notifyFinish().addErrback(lambda _: done.cancel())

        def failed(failure: Failure) -> None:
            if not request._disconnected:
                _log.failure("fault in the local page", failure)
                request.setResponseCode(500)
                request.finish()

        done.addErrback(failed)

    def _style(self, request: Any) -> bytes:
        return self._answer(request, 200, "text/css; charset=utf-8", self._css)

    def _state(self, request: Any) -> bytes:
        self._cors(request)
        content = msgspec.json.encode(self._owner.wall().as_json())
        return self._answer(request, 200, JSON, content)

    def _screen(self, request: Any) -> bytes:
        self._cors(request)
        if request.getHeader("origin") not in (self._server, None):
            return self._answer(request, 403, "text/plain", b"Not for this origin\n")
        try:
            said = msgspec.json.decode(self._body(request), type=Shown)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._answer(request, 400, "text/plain", b"screen and shown\n")
        screen = said.screen or request.screen or 1
        presenting = said.presenting and said.shown == MEETING
        self._owner.screen_shows(screen, PRESENTING if presenting else said.shown[:40])
        request.setResponseCode(204)
        return b""

    def _preflight(self, request: Any) -> bytes:
        self._cors(request)
        request.setHeader("Access-Control-Allow-Methods", "GET, POST")
        request.setHeader("Access-Control-Allow-Headers", "content-type")
        request.setHeader("Access-Control-Allow-Private-Network", "true")
        request.setResponseCode(204)
        return b""

    def _cors(self, request: Any) -> None:
        request.setHeader("Vary", "Origin")
        if request.getHeader("origin") == self._server:
            request.setHeader("Access-Control-Allow-Origin", self._server)

    def _proxy_page(self, request: Any) -> bytes:
        wall = self._owner.wall()
        return self._html(request, proxy_form(wall, host=proxy_in(wall.problem or "")))

    def _proxy_set(self, request: Any) -> bytes:
        if not self._own_form(request):
            return self._answer(request, 403, "text/plain", b"Not from this page\n")
        host = _field(request, b"host")
        try:
            self._owner.set_proxy_login(
                host, _field(request, b"user"), _field(request, b"password")
            )
        except (LoginTextError, LoginFileError, OSError) as error:
            page = proxy_form(self._owner.wall(), host=host, said=str(error))
            return self._html(request, page, status=422)
        return self._back(request)

    def _enrol_page(self, request: Any) -> bytes:
        return self._html(request, enrol_form(self._owner.wall()))

    def _enrol(self, request: Any) -> bytes:
        if not self._own_form(request):
            return self._answer(request, 403, "text/plain", b"Not from this page\n")
        try:
            code = parse_code(_field(request, b"code"))
        except ValueError as error:
            page = enrol_form(self._owner.wall(), said=str(error))
            return self._html(request, page, status=422)
        self._owner.enrol(code)
        return self._back(request)

    def _check(self, request: Any) -> Any:
        """From a form: it goes on behind the page. A program waits for the result."""
        if not self._own_form(request):
            return self._answer(request, 403, "text/plain", b"Not from this page\n")
        if request.getHeader("accept") == JSON:
            self._later(request, self._checked(request))
            return NOT_DONE_YET
        checked = Deferred.fromCoroutine(self._owner.check_network())
        checked.addErrback(lambda failure: failure.trap(CheckFailed))
        return self._back(request)

    async def _checked(self, request: Any) -> None:
        try:
            found = await self._owner.check_network()
        except CheckFailed as error:
            content = self._answer(request, 503, "text/plain", f"{error}\n".encode())
        else:
            content = self._answer(request, 200, JSON, msgspec.json.encode(found))
        request.setHeader("Content-Length", str(len(content)))
        request.write(content)
        request.finish()

    def _own_form(self, request: Any) -> bool:
        """no-referrer makes a form's Origin `null`; another site's says its own,
        and does not know the key."""
        here = f"http://127.0.0.1:{self.port}"
        return request.getHeader("origin") in (None, "null", here)

    def _back(self, request: Any) -> bytes:
        request.setResponseCode(303)
        screen = f"{request.screen}/" if request.screen else ""
        request.setHeader("Location", f"/{self.key}/{screen}")
        return b""

    def _body(self, request: Any) -> bytes:
        content: bytes = request.content.read(MAX_BODY_BYTES + 1)
        if len(content) > MAX_BODY_BYTES:
            raise ValueError("too long")
        return content

    def _html(self, request: Any, page: str, *, status: int = 200) -> bytes:
        return self._answer(request, status, "text/html; charset=utf-8", page.encode())

    def _answer(
        self, request: Any, status: int, media_type: str, content: bytes
    ) -> bytes:
        request.setResponseCode(status)
        request.setHeader("Content-Type", media_type)
        return content

    _ROUTES: dict[tuple[bytes, str], Callable[[LocalPage, Any], Any]] = {
        (b"GET", ""): _first,
        (b"GET", "hub.css"): _style,
        (b"GET", "state"): _state,
        (b"OPTIONS", "state"): _preflight,
        (b"OPTIONS", "screen"): _preflight,
        (b"POST", "screen"): _screen,
        (b"GET", "proxy"): _proxy_page,
        (b"POST", "proxy"): _proxy_set,
        (b"POST", "check"): _check,
        (b"GET", "enrol"): _enrol_page,
        (b"POST", "enrol"): _enrol,
    }


def proxy_in(problem: str) -> str:
    """The proxy that a problem names, as its login is filed: `host:port`."""
    match = _PROXY.search(problem + ":")
    return "" if match is None else f"{match[1].strip('[]')}{match[2] or ''}"


def _field(request: Any, name: bytes) -> str:
    return str(request.args.get(name, [b""])[0][:512].decode(errors="replace"))

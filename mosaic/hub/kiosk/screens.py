# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""The screens of the box: who sits in the meeting where there is a wall."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mosaic.hub.kiosk.browser import Browser
from mosaic.hub.kiosk.devtools import DevToolsError
from mosaic.hub.kiosk.flags import kiosk_command, leash
from mosaic.hub.kiosk.ways import Ways
from mosaic.hub.options import HubOptions, Screen
from mosaic.hub.participant import MEETING, PRESENTING, Seat

_log = Logger()

LOOK_S = 2.0
SILENT_S = 45.0
"""A page says what it shows every 20 seconds."""

LOST_S = 30.0
"""A window that shows neither our page nor the server's is brought back."""


class Screens:
    """One browser for each screen. It is sitting.Sitter too: the screens follow
    the feed by themselves, so that all there is to do is to look whether they
    are there, and to wipe them after a meeting.

    local: the agent's own page, without a slash at its end. changed: what
    describe() says has.
    """

    def __init__(
        self,
        reactor: Any,
        options: HubOptions,
        *,
        local: Callable[[], str],
        ways: Ways,
        told: Callable[[str, Seat], None],
        random: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._server = options.server
        self._local = local
        self._told = told
        self._changed = changed
        self._room: str | None = None
        self._used = self._inside = False
        self._said: dict[int, tuple[str, float]] = {}
        self._lost_since: dict[int, float] = {}
        self._sizes = {
            number: (screen.width, screen.height)
            for number, screen in enumerate(options.screens, 1)
        }
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._reported: list[dict[str, Any]] = []
        self.screens = options.screens
        self.browsers = {
            number: self._browser(number, screen, options, ways, random)
            for number, screen in enumerate(options.screens, 1)
        }

    def _browser(
        self,
        number: int,
        screen: Screen,
        options: HubOptions,
        ways: Ways,
        random: Callable[[], float],
    ) -> Browser:
        profile = options.state / "kiosk" / str(number)

        def command() -> list[str]:
            return leash() + kiosk_command(
                options.chromium,
                profile=_absolute(profile),
                url=f"{self._local()}/{number}/",
                screen=screen,
                proxy_flags=ways.flags,
                pins=ways.pins,
                more=options.chromium_flags,
            )

        return Browser(
            self._reactor,
            command,
            profile=_absolute(profile),
            random=random,
            changed=self._changed,
        )

    def start(self) -> None:
        """All windows."""
        for browser in self.browsers.values():
            browser.start()
        self._looking.start(LOOK_S, now=False)

    async def stop(self) -> None:
        """None of them."""
        if self._looking.running:
            self._looking.stop()
        await gatherResults([b.stop() for b in self.browsers.values()])

    @property
    def problem(self) -> str | None:
        """Of the first that has one."""
        return next((b.problem for b in self.browsers.values() if b.problem), None)

    def describe(self) -> list[dict[str, Any]]:
        """As the status has it."""
        return [
            {
                "name": f"screen {number}",
                "width": width,
                "height": height,
                "shown": self.shown(number) not in (None, "no connection"),
            }
            for number, (width, height) in self._sizes.items()
        ]

    def screen_shows(self, screen: int, shown: str) -> None:
        """The page on it says so, again and again while it is there: MEETING and
        PRESENTING, or another word."""
        if screen in self.browsers:
            self._said[screen] = (shown, self._reactor.seconds())
            self._tell()

    def shown(self, screen: int) -> str | None:
        """What it draws; None if its page says nothing (any more)."""
        what, at = self._said.get(screen, ("", 0.0))
        fresh = what and self._reactor.seconds() - at < SILENT_S
        return what if fresh and self.browsers[screen].running else None

    async def start_anew(self) -> None:
        """With other flags."""
        for browser in self.browsers.values():
            if browser.running:
                await browser.stop()
                browser.start()

    async def screenshot(self) -> bytes:
        """Of the first screen. Raises DevToolsError."""
        return await self.browsers[1].screenshot()

    async def clear(self) -> None:
        """After a meeting: nothing of it stays in any browser."""
        if not self._used:
            return
        self._used = False
        for number, browser in self.browsers.items():
            try:
                await browser.clear(self._server, f"{self._local()}/{number}/")
            except DevToolsError as error:
                # What cannot be cleared is thrown away, with its profile.
                _log.warn("a screen is started anew: {reason}", reason=str(error))
                await browser.stop()
                browser.start()

    # sitting.Sitter ---------------------------------------------------------
    async def enter(self, hub_id: str, room: str) -> None:
        """The screens go there by themselves."""
        self._room = room
        self._used, self._inside = True, False
        self._tell()

    async def leave(self) -> None:
        """So they do from there; clear() follows."""
        self._room = None

    # ------------------------------------------------------------------------
    def _tell(self) -> None:
        """The room's state is that of the screen which is furthest in it; a dark
        one is as far as it was."""
        now = self.describe()
        if now != self._reported:
            self._reported = now
            self._changed()
        if self._room is None:
            return
        said = {self.shown(number) for number in self.browsers}
        presenting = PRESENTING in said
        if presenting or MEETING in said:
            self._inside = True
        elif "dark" not in said:
            self._inside = False
        state = "live" if self._inside else "joining"
        if presenting:
            state = "presenting"
        self._told(self._room, Seat(state=state, problem=self.problem))

    def _look(self) -> None:
        for number, browser in self.browsers.items():
            if browser.running:
                Deferred.fromCoroutine(self._look_at(number, browser)).addErrback(
                    lambda failure: failure.trap(DevToolsError)
                )
        self._tell()

    async def _look_at(self, number: int, browser: Browser) -> None:
        """A page of ours, or one of the server's that says what it shows; else a
        crash, an error of the browser's, or whatever somebody clicked."""
        address = await browser.address()
        if not self.screens[number - 1].width:
            self._sizes[number] = await browser.fill()
        if address.startswith(self._local()) or self.shown(number) is not None:
            self._lost_since.pop(number, None)
            return
        now = self._reactor.seconds()
        if now - self._lost_since.setdefault(number, now) < LOST_S:
            return
        self._lost_since.pop(number)
        _log.warn("screen {number} is brought back", number=number)
        try:
            await browser.go(f"{self._local()}/{number}/")
        except DevToolsError:
            await browser.stop()
            browser.start()


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else Path.cwd() / path

# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""One Chromium: kept running, with pauses that grow where it keeps dying."""

from __future__ import annotations

import os
import shutil
import signal
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.hub.backoff import Backoff
from mosaic.hub.kiosk.devtools import DevTools, DevToolsError

_log = Logger()

STEADY_S = 30.0
"""Who lived that long is started again without a long pause."""

CALL_S = 10.0
SIZES = "[innerWidth, innerHeight, screen.width, screen.height]"
KILL_S = 3.0


class _Process(ProcessProtocol):
    """Its descriptors: 3 is what it reads, 4 what it writes."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self.tools = DevTools(lambda data: self.transport.writeToChild(3, data))
        self._ended = ended
        self.transport: Any

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """4: answers; 1 and 2: what Chromium has to say, which is much."""
        if childFD != 4:
            return
        try:
            self.tools.received(data)
        except DevToolsError as error:
            _log.warn("kiosk: {reason}", reason=str(error))
            self.transport.signalProcess("KILL")

    def processEnded(self, reason: Failure) -> None:
        """It is gone."""
        self.tools.lost()
        self._ended()


class Browser:
    """command: makes the command line for each start. profile: its folder, of
    which nothing is kept from one start to the next."""

    def __init__(
        self,
        reactor: Any,
        command: Callable[[], Sequence[str]],
        *,
        profile: Path,
        random: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._command = command
        self._profile = profile
        self._changed = changed
        self._backoff = Backoff(random)
        self._process: _Process | None = None
        self._retry: IDelayedCall | None = None
        self._wanted = False
        self._gone: Deferred[None] | None = None
        self._began = 0.0
        self.problem: str | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def start(self) -> None:
        """Be there from now on."""
        self._wanted = True
        if self._process is None and self._retry is None:
            self._spawn()

    def stop(self) -> Deferred[None]:
        """Gone, with its profile."""
        self._wanted = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        gone: Deferred[None] = Deferred()
        if self._process is None:
            gone.callback(None)
            return gone
        self._gone = gone
        self._signal("TERM")
        late = self._reactor.callLater(KILL_S, self._signal, "KILL")

        def over(result: None) -> None:
            if late.active():
                late.cancel()

        return gone.addCallback(over)

    async def screenshot(self) -> bytes:
        """PNG of what the window draws. Raises DevToolsError."""
        session = await self._session()
        result = await self._call(
            "Page.captureScreenshot", {"format": "png"}, session=session
        )
        return b64decode(str(result.get("data", "")))

    async def address(self) -> str:
        """What the window shows. Raises DevToolsError."""
        return str((await self._page()).get("url", ""))

    async def fill(self) -> tuple[int, int]:
        """Make the window as large as the screen, where no window manager did;
        the screen's width and height. Raises DevToolsError."""
        page = await self._page()
        session = await self._session()
        params = {"expression": SIZES, "returnByValue": True}
        found = await self._call("Runtime.evaluate", params, session=session)
        inner_w, inner_h, width, height = map(int, found["result"]["value"])
        if inner_w < width or inner_h < height:
            of = {"targetId": page["targetId"]}
            window = (await self._call("Browser.getWindowForTarget", of))["windowId"]
            for bounds in (
                {"windowState": "normal"},
                {"left": 0, "top": 0, "width": width, "height": height},
            ):
                await self._call(
                    "Browser.setWindowBounds", {"windowId": window, "bounds": bounds}
                )
        return width, height

    async def go(self, url: str) -> None:
        """Another page. Raises DevToolsError."""
        session = await self._session()
        await self._call("Page.navigate", {"url": url}, session=session)

    async def clear(self, origin: str, url: str) -> None:
        """Away from the page, forget all that the origin kept in this browser,
        then on to the URL. Raises DevToolsError."""
        session = await self._session()
        await self._call("Page.navigate", {"url": "about:blank"}, session=session)
        await self._call(
            "Storage.clearDataForOrigin",
            {"origin": origin, "storageTypes": "all"},
            session=session,
        )
        await self._call("Network.clearBrowserCache", session=session)
        await self._call("Network.clearBrowserCookies", session=session)
        await self._call("Page.navigate", {"url": url}, session=session)

    # ------------------------------------------------------------------------
    def _spawn(self) -> None:
        self._retry = None
        end_leftover(self._profile)
        shutil.rmtree(self._profile, ignore_errors=True)
        command = list(self._command())
        process = _Process(self._ended)
        self._began = self._reactor.seconds()
        try:
            self._profile.mkdir(parents=True, mode=0o700)
            self._reactor.spawnProcess(
                process,
                command[0],
                command,
                env=dict(os.environ),
                childFDs={0: "w", 1: "r", 2: "r", 3: "w", 4: "r"},
            )
        except OSError as error:
            self.problem = f"{command[0]} does not start: {error.strerror}"
            _log.error("{problem}", problem=self.problem)
            self._again()
            return
        self._process = process
        self._changed()

    def _ended(self) -> None:
        self._process = None
        shutil.rmtree(self._profile, ignore_errors=True)
        self._changed()
        if self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)  # who waited may start it again
        elif self._wanted:
            _log.warn("the kiosk's browser ended")
            if self._reactor.seconds() - self._began >= STEADY_S:
                self._backoff.worked()
            else:
                self.problem = "the kiosk's browser keeps ending"
            self._again()

    def _again(self) -> None:
        if self._wanted:
            self._retry = self._reactor.callLater(self._backoff.next_s(), self._spawn)

    def _signal(self, name: str) -> None:
        if self._process is not None:
            with suppress(ProcessExitedAlready):
                self._process.transport.signalProcess(name)

    async def _page(self) -> dict[str, Any]:
        found = await self._call("Target.getTargets")
        for target in found.get("targetInfos", []):
            if target.get("type") == "page":
                self.problem = None
                return dict(target)
        raise DevToolsError("the browser has no window")

    async def _session(self) -> str:
        page = await self._page()
        params = {"targetId": page["targetId"], "flatten": True}
        result = await self._call("Target.attachToTarget", params)
        return str(result.get("sessionId", ""))

    def _call(
        self, method: str, params: dict[str, Any] | None = None, *, session: str = ""
    ) -> Deferred[dict[str, Any]]:
        if self._process is None:
            raise DevToolsError("the browser is not running")
        done = self._process.tools.call(method, params, session=session)
        done.addTimeout(
            CALL_S, self._reactor, lambda _, s: Failure(DevToolsError("no answer"))
        )
        return done


def end_leftover(profile: Path) -> None:
    """A browser of an agent that was killed without a leash still has the
    profile: its lock names host and process."""
    try:
        pid = int(os.readlink(profile / "SingletonLock").rpartition("-")[2])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if f"--user-data-dir={profile}".encode() in words:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)

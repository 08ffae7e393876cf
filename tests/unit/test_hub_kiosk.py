# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""The kiosk: Chromium's pipe, its command line, its relay, and what screens say."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.kiosk.browser import STEADY_S, Browser, end_leftover
from mosaic.hub.kiosk.devtools import DevTools, DevToolsError
from mosaic.hub.kiosk.flags import kiosk_command, leash
from mosaic.hub.kiosk.relay import allowed, parse_connect
from mosaic.hub.kiosk.screens import LOOK_S, LOST_S, SILENT_S, Screens
from mosaic.hub.kiosk.ways import Ways
from mosaic.hub.options import (
    HubOptions,
    OptionError,
    Screen,
    parse_screen,
    parse_server,
)
from mosaic.hub.participant import Seat
from mosaic.proxy.client import direct_dialler

SERVER = "https://hub.example.org"
LOCAL = "http://127.0.0.1:4711/KEY"


class DevToolsTests(SynchronousTestCase):
    """NUL-ended JSON, both ways."""

    def setUp(self) -> None:
        self.sent: list[bytes] = []
        self.tools = DevTools(self.sent.append)

    def test_answers_find_their_calls_in_any_order_and_pieces(self) -> None:
        """Events in between are passed over."""
        first, second = self.tools.call("A"), self.tools.call("B", session="s")
        self.assertEqual(json.loads(self.sent[1][:-1])["sessionId"], "s")
        answer = b'{"method":"x"}\0{"id":2,"result":{"b":1}}\0'
        answer += b'{"id":1,"error":{"message":"no"}}\0'
        for place in range(len(answer)):
            self.tools.received(answer[place : place + 1])
        self.assertEqual(self.successResultOf(second), {"b": 1})
        self.failureResultOf(first, DevToolsError)

    def test_whoever_waits_is_told_that_it_is_gone(self) -> None:
        """And whoever asks later."""
        waiting = self.tools.call("A")
        self.tools.lost()
        self.failureResultOf(waiting, DevToolsError)
        self.failureResultOf(self.tools.call("B"), DevToolsError)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_answers_or_an_error(self, data: bytes) -> None:
        """A browser that has lost its mind is ended, not followed."""
        tools = DevTools(lambda data: None)
        tools.call("A").addErrback(lambda _: None)
        try:
            tools.received(data + b"\0")
        except DevToolsError:
            pass


class OptionTests(SynchronousTestCase):
    """What the command line says."""

    def test_screens_and_servers(self) -> None:
        """One line says what is wrong."""
        self.assertEqual(
            parse_screen("1920,-10,1280x720"), Screen(1920, -10, 1280, 720)
        )
        self.assertEqual(parse_server("Hub.example.org"), "https://hub.example.org")
        self.assertEqual(parse_server("http://[::1]:8080/"), "http://[::1]:8080")
        for wrong in ("http://hub.example.org", "https://h/x", "ftp://h", "h:99999"):
            self.assertRaises(OptionError, parse_server, wrong)
        self.assertRaises(OptionError, parse_screen, "1920x1080")

    @given(st.text(max_size=40))
    def test_any_text_is_a_server_or_an_option_error(self, text: str) -> None:
        """Nothing else is raised."""
        for parse in (parse_server, parse_screen):
            try:
                parse(text)
            except OptionError:
                pass

    def test_command_line_of_the_browser(self) -> None:
        """Its place, its proxy, whose key it believes."""
        words = kiosk_command(
            "chromium",
            profile=Path("/p"),
            url=f"{LOCAL}/1/",
            screen=Screen(1920, 0, 1280, 720),
            proxy_flags=["--no-proxy-server"],
            pins=["a=", "b="],
            more=["--x"],
        )
        self.assertEqual(words[0], "chromium")
        for flag in (
            "--kiosk",
            "--user-data-dir=/p",
            "--window-position=1920,0",
            "--window-size=1280,720",
            "--ignore-certificate-errors-spki-list=a=,b=",
            "--no-proxy-server",
        ):
            self.assertIn(flag, words)
        self.assertNotIn("--no-sandbox", words)
        self.assertEqual(words[-1], f"--app={LOCAL}/1/")
        self.assertEqual(leash(lambda name: None), [])


class RelayTests(SynchronousTestCase):
    """Where the browser's proxy leads."""

    def test_to_the_server_and_beside_it(self) -> None:
        """Nobody on the box shall use the hub's login to go elsewhere."""
        for target, server, yes in (
            ("hub.example.org", "hub.example.org", True),
            ("turn.example.org", "hub.example.org", True),
            ("example.org", "hub.example.org", True),
            ("evil.example", "hub.example.org", False),
            ("notexample.org", "hub.example.org", False),
            ("other.org", "example.org", False),
            ("localhost", "localhost", True),
            ("10.0.0.2", "10.0.0.1", False),
        ):
            self.assertIs(allowed(target, server), yes, target)

    @given(st.binary(max_size=100))
    def test_any_bytes_are_a_target_or_a_value_error(self, head: bytes) -> None:
        """CONNECT alone."""
        for text in (head, b"CONNECT " + head + b" HTTP/1.1"):
            try:
                _, port = parse_connect(text)
            except ValueError:
                continue
            self.assertTrue(0 < port < 65536)
        self.assertEqual(parse_connect(b"CONNECT [::1]:443 HTTP/1.1\r\n"), ("::1", 443))


class FakeProcess:
    """A Chromium that answers at once."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.signals: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.url = f"{LOCAL}/1/"
        self.deaf = False
        protocol.transport = self

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)
        self.die()

    def die(self) -> None:
        self.protocol.processEnded(None)

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        message = json.loads(data[:-1])
        self.calls.append((message["method"], message["params"]))
        if self.deaf:
            return
        result: dict[str, Any] = {}
        match message["method"]:
            case "Target.getTargets":
                page = {"type": "page", "targetId": "t", "url": self.url}
                result = {"targetInfos": [{"type": "other"}, page]}
            case "Target.attachToTarget":
                result = {"sessionId": "s"}
            case "Page.captureScreenshot":
                result = {"data": b64encode(b"png").decode()}
            case "Page.navigate":
                self.url = message["params"]["url"]
            case "Runtime.evaluate":
                result = {"result": {"value": [900, 700, 1920, 1080]}}
            case "Browser.getWindowForTarget":
                result = {"windowId": 1}
        answer = json.dumps({"id": message["id"], "result": result}).encode()
        self.protocol.childDataReceived(4, answer + b"\0")


class KioskReactor(MemoryReactorClock):
    """Starts FakeProcesses."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[FakeProcess] = []
        self.refuse: OSError | None = None

    def spawnProcess(self, protocol: Any, *args: Any, **named: Any) -> FakeProcess:
        if self.refuse is not None:
            raise self.refuse
        self.started.append(FakeProcess(protocol))
        return self.started[-1]


class BrowserTests(SynchronousTestCase):
    """One window, on a Clock."""

    def setUp(self) -> None:
        self.reactor = KioskReactor()
        self.folder = Path(self.mktemp()).absolute()
        self.browser = Browser(
            self.reactor,
            lambda: ["chromium"],
            profile=self.folder / "profile",
            random=lambda: 1.0,
        )

    def result(self, work: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def test_dead_one_is_started_again_later_and_later(self) -> None:
        """And after a long life soon."""
        self.browser.start()
        pauses = []
        for _ in range(4):
            before = len(self.reactor.started)
            self.reactor.started[-1].die()
            began = self.reactor.seconds()
            while len(self.reactor.started) == before:
                self.reactor.advance(0.25)
            pauses.append(self.reactor.seconds() - began)
        self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0])
        self.assertIn("keeps ending", self.browser.problem or "")
        self.reactor.advance(STEADY_S)
        self.reactor.started[-1].die()
        self.reactor.advance(0.5)
        self.assertEqual(len(self.reactor.started), 6)

    def test_missing_program_is_a_problem(self) -> None:
        """With its name, tried again."""
        self.reactor.refuse = FileNotFoundError(2, "No such file or directory")
        self.browser.start()
        self.assertIn("chromium does not start", self.browser.problem or "")
        self.reactor.refuse = None
        self.reactor.advance(1)
        self.assertTrue(self.browser.running)

    def test_stopped_and_started_is_one_process(self) -> None:
        """Two would fight for the profile."""
        self.browser.start()
        self.browser.stop().addCallback(lambda _: self.browser.start())
        self.reactor.advance(60)
        self.assertEqual(len(self.reactor.started), 2)
        self.assertEqual(self.reactor.started[0].signals, ["TERM"])

    def test_pictures_and_windows(self) -> None:
        """Whatever display server there is."""
        self.browser.start()
        self.assertEqual(self.result(self.browser.screenshot()), b"png")
        self.assertEqual(self.result(self.browser.fill()), (1920, 1080))
        bounds = {"left": 0, "top": 0, "width": 1920, "height": 1080}
        self.assertEqual(self.reactor.started[0].calls[-1][1]["bounds"], bounds)

    def test_meeting_is_cleared_while_the_page_is_elsewhere(self) -> None:
        """A page that is still there would write it again."""
        self.browser.start()
        self.result(self.browser.clear(SERVER, f"{LOCAL}/1/"))
        calls = self.reactor.started[0].calls
        names = [n for n, _ in calls if not n.startswith("Target")]
        self.assertEqual(
            names,
            [
                "Page.navigate",
                "Storage.clearDataForOrigin",
                "Network.clearBrowserCache",
                "Network.clearBrowserCookies",
                "Page.navigate",
            ],
        )
        self.assertIn(
            (
                "Storage.clearDataForOrigin",
                {"origin": SERVER, "storageTypes": "all"},
            ),
            calls,
        )

    def test_leftover_of_another_program_is_left_alone(self) -> None:
        """Process numbers are used again."""
        profile = self.folder / "profile"
        profile.mkdir(parents=True)
        (profile / "SingletonLock").symlink_to(f"host-{os.getpid()}")
        end_leftover(profile)  # we are still here
        (profile / "SingletonLock").unlink()
        (profile / "SingletonLock").symlink_to("nonsense")
        end_leftover(profile)


class ScreensTests(SynchronousTestCase):
    """What the wall says, and what follows from it."""

    def setUp(self) -> None:
        self.reactor = KioskReactor()
        state = Path(self.mktemp()).absolute()
        options = HubOptions(server=SERVER, state=state, kiosk=True)
        self.seats: list[tuple[str, Seat]] = []
        self.changes: list[None] = []
        ways = Ways(
            direct_dialler(self.reactor),
            SERVER,
            state=state,
            private=False,
            changed=lambda: None,
        )
        self.screens = Screens(
            self.reactor,
            options,
            local=lambda: LOCAL,
            ways=ways,
            told=lambda room, seat: self.seats.append((room, seat)),
            random=lambda: 1.0,
            changed=lambda: self.changes.append(None),
        )
        self.screens.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.screens.stop()))
        self.chromium = self.reactor.started[0]

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK_S)):
            self.reactor.advance(LOOK_S)

    def enter(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.screens.enter("h", "1")))

    def test_in_the_meeting_once_a_screen_says_so(self) -> None:
        """Not because a browser runs."""
        self.enter()
        self.assertEqual(self.seats[-1][1].state, "joining")
        self.screens.screen_shows(1, "meeting")
        self.assertEqual(self.seats[-1], ("1", Seat(state="live")))
        self.screens.screen_shows(1, "presenting")
        self.assertEqual(self.seats[-1], ("1", Seat(state="presenting")))
        self.screens.screen_shows(1, "dark")
        self.assertEqual(self.seats[-1][1].state, "live")
        self.screens.screen_shows(1, "no connection")
        self.assertEqual(self.seats[-1][1].state, "joining")
        self.screens.screen_shows(9, "meeting")  # there is no such screen
        self.assertEqual(self.seats[-1][1].state, "joining")

    def test_silent_screen_is_not_shown(self) -> None:
        """The status says what is true."""
        self.screens.screen_shows(1, "idle")
        self.assertTrue(self.screens.describe()[0]["shown"])
        self.pass_time(SILENT_S + LOOK_S)
        self.assertFalse(self.screens.describe()[0]["shown"])
        self.assertEqual(self.screens.describe()[0]["width"], 1920)

    def test_lost_window_is_brought_back(self) -> None:
        """An error page of the browser's has the server's address."""
        self.chromium.url = f"{SERVER}/hub"
        self.pass_time(LOST_S + 2 * LOOK_S)
        self.assertEqual(self.chromium.url, f"{LOCAL}/1/")

    def test_deaf_browser_is_started_anew_to_be_cleared(self) -> None:
        """What a meeting left shall not stay because the browser hangs."""
        self.enter()
        self.chromium.deaf = True
        work = Deferred.fromCoroutine(self.screens.clear())
        self.pass_time(20)
        self.successResultOf(work)
        self.assertEqual(self.chromium.signals, ["TERM"])
        self.assertEqual(len(self.reactor.started), 2)

    def test_nothing_is_cleared_where_nobody_met(self) -> None:
        """The wall does not flicker for nothing."""
        self.successResultOf(Deferred.fromCoroutine(self.screens.clear()))
        self.assertEqual(self.chromium.calls, [])
        self.assertIsNone(self.successResultOf(succeed(None)))

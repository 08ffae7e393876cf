"""A box with two screens: each window where it should be, each showing its part."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.browser import CHROMIUM, BrowserTestCase, keep_screenshot
from tests.support.hub_process import RunningHub
from tests.support.hubwall import PASSWORD
from tests.support.xvfb import Xvfb

INNER = "() => [innerWidth, innerHeight]"
LEFT, RIGHT = (0, 0, 1280, 720), (1280, 0, 1024, 600)
"""As on a desktop of two screens of different sizes, side by side."""


class TwoScreensTests(BrowserTestCase):
    """The agent's own Chromium, twice, on one desktop."""

    def setUp(self) -> None:
        """The hub is enrolled and both of its screens show something."""
        super().setUp()
        xvfb = Xvfb("2304x720")
        self.addCleanup(xvfb.stop)
        self.patch(os, "environ", {**os.environ, "DISPLAY": xvfb.display})
        self.server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        body = {"name": "ada", "password": PASSWORD}
        self.token = self.server.call("POST", "/sessions", body)[1]["token"]
        code = self.server.command_json("hub", "enrol-code")["code"]
        self.state = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        flags = ["--kiosk", "--chromium", CHROMIUM, "--enrol-code", code]
        for x, y, width, height in (LEFT, RIGHT):
            flags += ["--screen", f"{x},{y},{width}x{height}"]
        for flag in ("--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"):
            flags.append(f"--chromium-flag={flag}")
        for flag in ("use-fake-device-for-media-stream", "disable-quic"):
            flags.append(f"--chromium-flag=--{flag}")
        self.hub = RunningHub(self.server, self.state, *flags).start()
        self.addCleanup(self.hub.stop)
        self.hub.wait_for(lambda: self.all_hubs(), "enrolled")
        self.hub_id = self.all_hubs()[0]["hub_id"]
        self.hub.wait_for(self.shown, "on both screens")

    def all_hubs(self) -> Any:
        """As the administrator sees them."""
        return self.server.call("GET", "/hubs", token=self.token)[1]["hubs"]

    def shown(self) -> bool:
        """Whether both draw."""
        status = self.all_hubs()[0]["status"]
        return bool(status) and all(one["shown"] for one in status["screens"])

    def desire(self, **desired: Any) -> None:
        """As the administrator."""
        body = {"desired": desired}
        path = f"/hubs/{self.hub_id}"
        status, answer = self.server.call("PATCH", path, body, token=self.token)
        self.assertEqual(status, 200, answer)

    def screen(self, number: int) -> Page:
        """What one shows."""
        port = self.state / "kiosk" / str(number) / "DevToolsActivePort"
        address = f"http://127.0.0.1:{port.read_text().split()[0]}"
        browser = self.playwright.chromium.connect_over_cdp(address)
        return browser.contexts[0].pages[0]

    def bounds(self, page: Page) -> tuple[int, int, int, int]:
        """Where its window is on the desktop, and how large, as the browser says."""
        devtools = page.context.new_cdp_session(page)
        found = devtools.send("Browser.getWindowForTarget")["bounds"]
        devtools.detach()
        return found["left"], found["top"], found["width"], found["height"]

    def shows(self, page: Page, view: str) -> None:
        """What its canvas is now."""
        expect(page.locator(".wall.meeting")).to_have_class(
            re.compile(f"showing-{view}")
        )

    def doing(self) -> str:
        """What everybody sees that it does."""
        return str(self.all_hubs()[0]["doing"])

    def test_two_windows(self) -> None:
        """Where the options say; the work on the first, the people on the second,
        until the host chooses."""
        first, second = self.screen(1), self.screen(2)
        for page, bounds in ((first, LEFT), (second, RIGHT)):
            expect(page.get_by_text("Join at")).to_be_visible()
            self.assertEqual(self.bounds(page), bounds)
            self.assertEqual(tuple(page.evaluate(INNER)), bounds[2:])

        self.desire(room=self.hub_id)
        self.shows(first, "board")
        self.shows(second, "people")
        self.hub.wait_for(lambda: self.doing() == "meeting", "in the meeting")
        ada = self.page()
        pin = first.get_by_role("definition").last.inner_text()
        self.join(ada, {"hub_id": self.hub_id, "pin": pin}, "Ada")
        ada.get_by_role("button", name="Share screen").click()
        self.shows(first, "screen")
        self.shows(second, "people")
        # The room's own camera is nobody's face on its own wall.
        faces = second.get_by_role("complementary", name="People").locator(".tile")
        expect(faces).to_have_count(1)
        expect(faces).to_contain_text("Ada")
        # And the box is one face to everybody else.
        expect(ada.locator(".strip .tile")).to_have_count(2)
        self.hub.wait_for(lambda: self.doing() == "presenting", "presenting")
        keep_screenshot(first, "hub-two-screens-1")
        keep_screenshot(second, "hub-two-screens-2")

        for layout in ("people", "screen", "board"):
            self.desire(layout=layout)
            self.shows(first, layout)
            self.shows(second, layout)
        self.hub.wait_for(lambda: self.doing() == "meeting", "presenting no more")
        self.desire(layout="auto")
        self.shows(first, "screen")
        self.shows(second, "people")
        ada.get_by_role("button", name="Stop sharing").first.click()
        self.shows(first, "board")
        self.assertEqual([self.bounds(page) for page in (first, second)], [LEFT, RIGHT])

"""Chromium with a fake camera, driven by Playwright, against a real server."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import ROOT, RunningMosaic

CHROMIUM = os.environ.get("MOSAIC_CHROMIUM") or shutil.which("chromium") or ""
ARTEFACTS = ROOT / "artefacts"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WAIT_MS = 60_000
"""A busy machine takes its own time; nobody waits for what is there."""

expect.set_options(timeout=WAIT_MS)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
    "--allow-loopback-in-peer-connection",
    "--ignore-certificate-errors",
    "--autoplay-policy=no-user-gesture-required",
]


# What the whiteboard library draws inside its own root is its own; ours is
# the shell around it.
RUN_AXE = """async () => {
  const found = await axe.run({ exclude: [['.excalidraw']] })
  return found.violations
    .filter(it => ['critical', 'serious'].includes(it.impact))
    .map(it => it.id + ': ' + it.nodes.map(node => node.target.join(' ')).join(', '))
}"""


class BrowserTestCase(SynchronousTestCase):
    """A server, a Chromium and fresh contexts for each test."""

    server_flags: tuple[str, ...] = ()

    def setUp(self) -> None:
        """Start them; a machine without Chromium fails here."""
        if not CHROMIUM:
            raise RuntimeError("chromium is not installed: apt-get install chromium")
        self.server = self.make_server()
        self.addCleanup(self.server.stop)
        self.server.start()
        self.playwright = playwright = sync_playwright().start()
        self.addCleanup(playwright.stop)
        self.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        self.addCleanup(self.browser.close)

    def make_server(self) -> RunningMosaic:
        """The server, not yet started."""
        return RunningMosaic(*self.server_flags)

    def room(self, name: str = "Design review") -> dict[str, str]:
        """A new room: hub_id, pin, join_url, token."""
        made: dict[str, str] = self.server.command_json("room", "create", name)
        return made

    def context(self, **options: Any) -> BrowserContext:
        """An isolated browser profile with camera and microphone allowed."""
        options.setdefault("viewport", DESKTOP)
        context = self.browser.new_context(
            permissions=["camera", "microphone"], ignore_https_errors=True, **options
        )
        context.set_default_timeout(WAIT_MS)
        self.addCleanup(context.close)
        return context

    def page(self, **options: Any) -> Page:
        """A page in a context of its own, which notes what goes wrong in it."""
        page = self.context(**options).new_page()
        problems: list[str] = []
        foreign: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda line: (
                problems.append(line.text)
                if "Content Security Policy" in line.text
                else None
            ),
        )
        page.on("request", lambda request: self._note_foreign(request.url, foreign))
        self.addCleanup(lambda: self.assertEqual(problems, []))
        self.addCleanup(lambda: self.assertEqual(foreign, []))
        return page

    def _note_foreign(self, url: str, foreign: list[str]) -> None:
        ours = (self.server.url, self.server.tls_url, "data:", "blob:")
        if not url.startswith(ours):
            foreign.append(url)

    def join(
        self, page: Page, room: dict[str, str], name: str, *, query: str = ""
    ) -> None:
        """Join as a person does: type name, Hub ID and PIN, press Join."""
        page.goto(f"{self.server.url}/{query}")
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Hub ID").fill(room["hub_id"])
        page.get_by_label("PIN").fill(room["pin"])
        page.get_by_role("button", name="Join", exact=True).click()
        page.get_by_role("button", name="Leave").wait_for()

    def assert_accessible(self, page: Page, name: str) -> None:
        """axe finds nothing critical or serious in what is ours."""
        if not AXE.exists():
            raise RuntimeError("run `npm --prefix web ci` first: axe-core is missing")
        page.evaluate(Path(AXE).read_text())
        found: list[str] = page.evaluate(RUN_AXE)
        self.assertEqual(found, [], f"{name}: {json.dumps(found, indent=1)}")

    def assert_no_sideways_scroll(self, page: Page) -> None:
        """A phone shows the whole width."""
        over: Any = page.evaluate(
            "() => document.documentElement.scrollWidth - window.innerWidth"
        )
        self.assertLessEqual(over, 0)

    def press_by_tab(self, page: Page, name: str) -> None:
        """Go on with Tab until the control of that name has the focus; press it."""
        for _ in range(120):
            page.keyboard.press("Tab")
            label: str = page.evaluate(
                "() => { const it = document.activeElement;"
                " return it.getAttribute('aria-label') || it.innerText || '' }"
            )
            if label.strip().startswith(name):
                page.keyboard.press("Enter")
                return
        self.fail(f"Tab never reached {name}")


def keep_screenshot(page: Page, name: str) -> Path:
    """A picture among the artefacts of the run."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=str(path))
    return path

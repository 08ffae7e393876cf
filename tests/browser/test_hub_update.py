"""An update of a real hub, from the administration and by touch on its wall: to the
next release, and back from one that cannot start.

The releases are small; with MOSAIC_RELEASE_RUN=1 the one that works is a whole
build of this project, with all that a hub needs (test_hub_release).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    BrowserTestCase,
    keep_screenshot,
)
from tests.support.hubwall import PASSWORD
from tests.support.supervised import (
    REAL_RELEASES,
    Supervisor,
    begin_feed,
    build_release,
    release,
)
from tests.support.xvfb import Xvfb

NOTES = "Less echo.\nThe whiteboard opens faster."
UNDER_WAY = re.compile("Version 7.0 is (being installed|installed. The hub starts)")


class UpdateCase(BrowserTestCase):
    """A server with a feed, an administrator, and a hub to be started."""

    def setUp(self) -> None:
        """Nothing is released yet."""
        super().setUp()
        self.server.command(
            "user", "add", "ada", "--admin", "--password-stdin", text=PASSWORD
        )
        body = {"name": "ada", "password": PASSWORD}
        self.token = self.server.call("POST", "/sessions", body)[1]["token"]
        # Chromium's sockets want a short path.
        folder = Path(tempfile.mkdtemp(prefix="mosaic-hub-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.hub = Supervisor(folder / "hub")
        self.publisher = begin_feed(self.server, folder / "publisher")

    def release(self, version: str) -> None:
        """One that works: small, or the whole of this project."""
        if REAL_RELEASES:
            tree = self.hub.state.with_name(f"tree-{version}")
            build_release(self.publisher, tree, version)
        else:
            release(self.publisher, version, notes=NOTES)

    def start_hub(self, *flags: str) -> None:
        """Enrolled and reporting."""
        self.hub.start_hub(self.server, *flags)
        self.addCleanup(lambda: self.assertEqual(self.hub.stop(), 0))
        self.hub.wait_for("there", lambda: self.status() is not None)

    def status(self) -> Any:
        """What the hub says of itself."""
        hubs = self.server.call("GET", "/hubs", token=self.token)[1]["hubs"]
        return hubs[0]["status"] if hubs else None


class FromAdministrationTests(UpdateCase):
    """A hub without a screen, and its administrator somewhere else."""

    def log_in(self, **look: Any) -> tuple[Page, Locator]:
        """The page, and the hub's card on it, open."""
        page = self.page(**look)
        page.goto(f"{self.server.url}/admin")
        page.get_by_label("Name", exact=True).fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        card = page.get_by_role("listitem", name="Hub Lisbon")
        card.get_by_role("button", name="Manage").click()
        return page, card

    def picture(self, page: Page, card: Locator, name: str) -> None:
        """Kept, and looked at by axe."""
        card.get_by_role("heading", name="Updates").scroll_into_view_if_needed()
        keep_screenshot(page, f"hub-update-{name}")
        self.assert_accessible(page, name)
        self.assert_no_sideways_scroll(page)

    def press_install(self, card: Locator, word: str = "Install update") -> None:
        """And say that it is meant."""
        card.get_by_role("button", name=f"{word}: Lisbon").click()
        card.get_by_role("button", name="Really install").click()

    def test_to_the_next_release_and_back(self) -> None:
        """Each step is on the page by itself, in plain words."""
        self.start_hub("--headless")
        before = self.status()["version"]
        page, card = self.log_in(viewport=DESKTOP, color_scheme="light")
        expect(card.get_by_text("No newer one is known.")).to_be_visible()

        self.release("7.0")
        card.get_by_role("button", name="Check for updates").click()
        expect(card.get_by_text("Version 7.0 is available.").last).to_be_visible()
        if not REAL_RELEASES:
            expect(card.get_by_text("The whiteboard opens faster.")).to_be_visible()
        self.picture(page, card, "available-desktop-light")
        self.press_install(card)
        expect(card.get_by_text("updating", exact=True)).to_be_visible()
        expect(card.get_by_text(UNDER_WAY)).to_be_visible()
        self.picture(page, card, "installing-desktop-light")
        expect(card.get_by_text("Version 7.0 runs.")).to_be_visible()
        expect(card.get_by_text("idle", exact=True)).to_be_visible()
        self.assertNotEqual(before, "7.0")
        self.assertTrue(self.hub.report_on("7.0").ok)
        self.picture(page, card, "runs-desktop-light")

        release(self.publisher, "8.0", broken=True)
        self.press_install_of_the_broken_one(card)
        back = "Version 8.0 did not work on this hub and was taken back."
        expect(card.get_by_text(f"{back} Version 7.0 runs again.")).to_be_visible()
        why = card.get_by_text("8.0 ended with status 1")
        expect(why).to_contain_text("7.0 runs again")
        self.picture(page, card, "taken-back-desktop-light")
        self.assertEqual(self.status()["version"], "7.0")
        self.assertFalse(self.hub.report_on("8.0").ok)

        # The code that it came in by is out of the way.
        page.get_by_text("Show 1 code that is used up or expired").click()
        expect(page.get_by_text("used up: 1 hub came in with it")).to_be_visible()
        keep_screenshot(page, "hub-codes-spent")
        self.assert_accessible(page, "codes that are used up")

        page, card = self.log_in(viewport=PHONE, color_scheme="dark")
        expect(card.get_by_text(back)).to_be_visible()
        self.picture(page, card, "taken-back-phone-dark")

    def press_install_of_the_broken_one(self, card: Locator) -> None:
        """It looks like any other."""
        card.get_by_role("button", name="Check for updates").click()
        expect(card.get_by_text("Version 8.0 is available.").last).to_be_visible()
        self.press_install(card)


class ByTouchTests(UpdateCase):
    """A hub with a wall, and somebody who stands there."""

    def setUp(self) -> None:
        """Its Chromium can be touched from here, beside the agent's own pipe."""
        super().setUp()
        xvfb = Xvfb()
        self.addCleanup(xvfb.stop)
        self.patch(os, "environ", {**os.environ, "DISPLAY": xvfb.display})

    def wall(self) -> Page:
        """What the hub's Chromium shows now."""
        self.hub.wait_for("shown", lambda: self.status()["screens"][0]["shown"])
        port = self.hub.state / "kiosk" / "1" / "DevToolsActivePort"
        number = port.read_text().split()[0]
        chromium = self.playwright.chromium
        browser = chromium.connect_over_cdp(f"http://127.0.0.1:{number}")
        return browser.contexts[0].pages[0]

    def command(self, word: str) -> None:
        """As the administrator."""
        hubs = self.server.call("GET", "/hubs", token=self.token)[1]["hubs"]
        path = f"/hubs/{hubs[0]['hub_id']}/commands"
        self.server.call("POST", path, {"command": word}, token=self.token)

    def test_to_the_next_release_and_back(self) -> None:
        """The wall comes back by itself, with the new version or with the old."""
        flags = ["--kiosk", "--chromium", CHROMIUM]
        for flag in ("--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"):
            flags.append(f"--chromium-flag={flag}")
        self.release("7.0")
        self.start_hub(*flags)
        wall = self.wall()
        expect(wall.get_by_text("Connected")).to_be_visible()
        self.command("update-check")
        wall.get_by_role("button", name="Update 7.0 is available").click()
        if not REAL_RELEASES:
            expect(wall.get_by_text("The whiteboard opens faster.")).to_be_visible()
        expect(wall.get_by_text("to fetch")).to_be_visible()
        keep_screenshot(wall, "hub-update-wall-available")
        wall.get_by_role("button", name="Install").click()
        expect(wall.get_by_text("is being installed")).to_be_visible()
        keep_screenshot(wall, "hub-update-wall-installing")
        self.hub.wait_for("7.0", lambda: self.status()["version"] == "7.0")
        self.assertTrue(self.hub.report_on("7.0").ok)

        release(self.publisher, "8.0", broken=True)
        wall = self.wall()
        expect(wall.get_by_text("Connected")).to_be_visible()
        self.command("update-check")
        wall.get_by_role("button", name="Update 8.0 is available").click()
        wall.get_by_role("button", name="Install").click()
        self.assertFalse(self.hub.report_on("8.0").ok)
        self.hub.wait_for("back", lambda: "8.0" in (self.status()["problem"] or ""))
        wall = self.wall()
        wall.get_by_role("button", name="Update 8.0 did not work").click()
        expect(
            wall.get_by_text("was taken back. Version 7.0 runs again.")
        ).to_be_visible()
        keep_screenshot(wall, "hub-update-wall-taken-back")

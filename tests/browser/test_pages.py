"""Every page at desktop and phone size, light and dark: seen, and accessible."""

from __future__ import annotations

import itertools
import re

from playwright.sync_api import expect

from tests.browser.test_meeting import open_panel
from tests.support.browser import (
    DESKTOP,
    PHONE,
    BrowserTestCase,
    keep_screenshot,
)

SIZES = {"desktop": DESKTOP, "phone": PHONE}
WORKS = re.compile("Everything works|Meetings work")
"""A loaded machine may call its own round trips uneven."""
LOOKS = tuple(itertools.product(SIZES, ("light", "dark")))


class PageTests(BrowserTestCase):
    """Join, present, administration, hub and the workspace."""

    def look_at(self, name: str, path: str, ready: str) -> None:
        """One page in all four looks."""
        for size, scheme in LOOKS:
            page = self.page(viewport=SIZES[size], color_scheme=scheme)
            page.goto(f"{self.server.url}{path}")
            page.get_by_role("heading", name=ready).first.wait_for()
            keep_screenshot(page, f"page-{name}-{size}-{scheme}")
            self.assert_no_sideways_scroll(page)
            self.assert_accessible(page, f"{name} {size} {scheme}")
            page.close()

    def test_join(self) -> None:
        """The door."""
        self.look_at("join", "/", "Join")

    def test_present(self) -> None:
        """A laptop's screen on the wall."""
        self.look_at("present", "/present", "Present")

    def test_admin(self) -> None:
        """The administrator's door."""
        self.look_at("admin", "/admin", "")

    def test_hub(self) -> None:
        """The box on the wall, idle."""
        self.look_at("hub", "/hub", "")

    def test_netcheck(self) -> None:
        """The network check, done: every way of the relay answers on loopback."""
        for size, scheme in LOOKS:
            page = self.page(viewport=SIZES[size], color_scheme=scheme)
            page.goto(f"{self.server.url}/netcheck")
            expect(page.get_by_role("status")).to_contain_text(WORKS)
            for way in ("UDP", "TCP", "TLS"):
                row = page.get_by_role("listitem").filter(has_text=f"voice by {way}")
                expect(row).to_contain_text("ms")
            keep_screenshot(page, f"page-netcheck-{size}-{scheme}")
            self.assert_no_sideways_scroll(page)
            self.assert_accessible(page, f"netcheck {size} {scheme}")
            page.close()

    def test_a_result_of_the_network_check_is_passed_on_by_keyboard(self) -> None:
        """Its link opens elsewhere without checking anything there."""
        context = self.context()
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(f"{self.server.url}/netcheck")
        expect(page.get_by_role("status")).to_contain_text(WORKS)
        self.press_by_tab(page, "Copy link")
        expect(page.get_by_text("Copied")).to_be_visible()
        link: str = page.evaluate("() => navigator.clipboard.readText()")
        self.assertRegex(link, r"/netcheck#r=[\d.-]+$")
        other = self.page()
        asked: list[str] = []
        other.on("request", lambda request: asked.append(request.url))
        other.goto(link)
        expect(other.get_by_text("Somebody's result")).to_be_visible()
        expect(other.get_by_role("status")).to_contain_text(WORKS)
        self.assertFalse([url for url in asked if "/api/" in url], asked)
        self.press_by_tab(other, "Check from here")
        expect(other.get_by_role("button", name="Check again")).to_be_visible()

    def test_workspace(self) -> None:
        """The meeting with each of its panels."""
        room = self.room()
        for size, scheme in LOOKS:
            page = self.page(viewport=SIZES[size], color_scheme=scheme)
            self.join(page, room, "Ada")
            page.locator("canvas.interactive").first.wait_for()
            keep_screenshot(page, f"page-whiteboard-{size}-{scheme}")
            self.assert_no_sideways_scroll(page)
            self.assert_accessible(page, f"whiteboard {size} {scheme}")
            for panel in ("Chat", "People", "Notes"):
                open_panel(page, panel)
                page.wait_for_timeout(300)
                keep_screenshot(page, f"page-{panel.lower()}-{size}-{scheme}")
                self.assert_accessible(page, f"{panel} {size} {scheme}")
                if panel != "Notes":
                    page.keyboard.press("Escape")
            page.get_by_role("button", name="Leave").click()
            page.close()

    def test_the_keyboard_alone_can_hold_a_meeting(self) -> None:
        """Join, chat, mute, raise a hand and leave without a mouse."""
        room = self.room()
        page = self.page()
        page.goto(f"{self.server.url}/")
        page.get_by_label("Your name").wait_for()
        page.get_by_label("Your name").focus()
        page.keyboard.type("Ada")
        page.keyboard.press("Tab")
        page.keyboard.type(room["hub_id"])
        page.keyboard.press("Tab")
        page.keyboard.type(room["pin"])
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Leave").wait_for()
        self.press_by_tab(page, "Chat")
        message = page.get_by_label("Message")
        message.wait_for()
        message.focus()
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
        expect(page.get_by_text("hello", exact=True).first).to_be_visible()
        self.press_by_tab(page, "Mute")
        page.get_by_role("button", name="Unmute", exact=True).wait_for()
        self.press_by_tab(page, "Leave")
        expect(page.get_by_role("button", name="Leave")).to_have_count(0)

    def test_first_administrator_makes_a_room(self) -> None:
        """The one-time link, a name and password, and the first room."""
        code = self.setup_code()
        page = self.page()
        page.goto(f"{self.server.url}/admin#setup={code}")
        page.get_by_label("Name", exact=True).fill("ada")
        page.get_by_label("Password", exact=True).fill("correct horse")
        page.get_by_label("Password again").fill("correct horse")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Meeting room").first).to_be_visible()
        page.get_by_label("Room name").fill("Lisbon")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_text("Lisbon").first).to_be_visible()
        keep_screenshot(page, "admin-first-room")
        self.assert_accessible(page, "admin, logged in")
        rooms = self.server.command_json("room", "list")
        self.assertEqual({room["name"] for room in rooms}, {"Meeting room", "Lisbon"})

    def setup_code(self) -> str:
        """The code of the one-time link that the server printed."""
        text = self.server.output()
        return text.partition("#setup=")[2].split()[0]

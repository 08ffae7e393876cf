"""Versions in real browsers: named, looked at, restored for everybody."""

from __future__ import annotations

import re
import resource

from playwright.sync_api import Page, expect

from tests.browser.test_meeting import (
    INK,
    draw_rectangle,
    open_panel,
    saved,
    wait_for,
    write_note,
)
from tests.browser.test_pages import LOOKS, SIZES
from tests.support.browser import BrowserTestCase, keep_screenshot


def open_versions(page: Page) -> None:
    """By the room's menu."""
    page.get_by_role("button", name=re.compile("Design review")).click()
    page.get_by_role("button", name="Versions").click()
    page.get_by_role("region", name="Versions").wait_for()


def name_version(page: Page, name: str) -> None:
    """In the panel."""
    page.get_by_label("Name this version").fill(name)
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_text(f"Kept as “{name}”.")).to_be_visible()


def restore(page: Page, name: str) -> None:
    """Look, ask, confirm."""
    page.get_by_role("button", name=re.compile(name)).click()
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_role("button", name="Restore for everyone").click()
    expect(page.get_by_text("Restored. Everyone sees it.")).to_be_visible()


class VersionTests(BrowserTestCase):
    """Two people in isolated contexts."""

    def test_notes_and_board_come_back_for_everybody(self) -> None:
        """Name, change, restore: both pages show it, and it can be taken back."""
        room = self.room()
        ada, ben = self.page(), self.page()
        self.join(ada, room, "Ada")
        self.join(ben, room, "Ben")
        write_note(ada, "Decided in Lisbon")
        open_panel(ben, "Notes")
        expect(ben.get_by_text("Decided in Lisbon")).to_be_visible()
        saved(ada)
        open_versions(ada)
        name_version(ada, "Decision")
        write_note(ben, " and forgotten")
        gone = ben.get_by_text("Decided in Lisbon and forgotten")
        expect(ada.get_by_text("Decided in Lisbon and forgotten")).to_be_visible()
        saved(ben)
        restore(ada, "Decision")
        for page in (ada, ben):
            note = page.get_by_text("Decided in Lisbon")  # carets bear names
            expect(note.first).not_to_contain_text("forgotten")
        write_note(ben, "!")
        expect(ada.get_by_text("Decided in Lisbon!")).to_be_visible()
        restore(ada, "Before going back")
        expect(gone).to_be_visible()
        self.board_comes_back(ada, ben)

    def board_comes_back(self, ada: Page, ben: Page) -> None:
        """A drawing is wiped by one and restored by the other."""
        for page in (ada, ben):
            open_panel(page, "Whiteboard")
        empty = ben.evaluate(INK)
        draw_rectangle(ada)
        wait_for(ben, INK, empty + 200)
        saved(ada)
        name_version(ada, "Drawn")
        drawn = ben.evaluate(INK)
        canvas = ben.locator("canvas.interactive").first
        canvas.click(position={"x": 700, "y": 250})
        ben.keyboard.press("Control+a")
        ben.keyboard.press("Delete")
        less = f"(most) => ({INK})() <= most"
        ada.wait_for_function(less, arg=(empty + drawn) // 2)
        saved(ben)
        ada.get_by_role("button", name=re.compile("Drawn")).click()
        picture = ada.get_by_role("img", name="The whiteboard as it was")
        expect(picture).to_be_visible()
        ada.keyboard.press("Escape")
        restore(ada, "Drawn")
        for page in (ada, ben):
            wait_for(page, INK, empty + 200)

    def test_every_look(self) -> None:
        """Panel, preview and question: desktop and phone, light and dark."""
        room = self.room()
        first = self.page()
        self.join(first, room, "Ada")
        draw_rectangle(first)
        saved(first)
        open_versions(first)
        name_version(first, "Before the workshop")
        write_note(first, "Decided in Lisbon")
        saved(first)
        name_version(first, "Minutes")
        first.close()
        for size, scheme in LOOKS:
            page = self.page(viewport=SIZES[size], color_scheme=scheme)
            self.join(page, room, "Ben")
            page.locator("canvas.interactive").first.wait_for()
            open_versions(page)
            row = page.get_by_role("button", name=re.compile("Before the workshop"))
            row.wait_for()
            page.wait_for_timeout(300)
            self.look(page, f"versions-{size}-{scheme}")
            row.click()
            page.get_by_role("img", name="The whiteboard as it was").wait_for()
            self.look(page, f"versions-preview-{size}-{scheme}")
            page.get_by_role("button", name="Rename").click()
            expect(page.get_by_label("Name of this version")).to_be_focused()
            self.look(page, f"versions-rename-{size}-{scheme}")
            page.get_by_role("button", name="Not now").click()
            page.get_by_role("button", name="Restore", exact=True).click()
            page.get_by_role("button", name="Restore for everyone").wait_for()
            self.look(page, f"versions-restore-{size}-{scheme}")
            page.keyboard.press("Escape")
            page.close()

    def look(self, page: Page, name: str) -> None:
        """A picture, and nothing that axe finds critical or serious."""
        keep_screenshot(page, name)
        self.assert_accessible(page, name)
        self.assert_no_sideways_scroll(page)

    def test_the_keyboard_alone(self) -> None:
        """From the room's menu to a restored document."""
        room = self.room()
        page = self.page()
        self.join(page, room, "Ada")
        write_note(page, "Kept")
        saved(page)
        menu = page.get_by_role("button", name=re.compile("Design review"))
        menu.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Versions").focus()
        page.keyboard.press("Enter")
        field = page.get_by_label("Name this version")
        field.focus()
        page.keyboard.type("By keys")
        page.keyboard.press("Enter")
        row = page.get_by_role("button", name=re.compile("By keys"))
        row.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Rename").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Name of this version")).to_be_focused()
        page.keyboard.press("End")
        page.keyboard.type(" alone")
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is called “By keys alone” now.")).to_be_visible()
        row = page.get_by_role("button", name=re.compile("By keys alone"))
        row.wait_for()
        write_note(page, " lost")
        saved(page)
        row.focus()
        page.keyboard.press("Enter")
        question = page.get_by_role("button", name="Restore", exact=True)
        expect(question).to_be_enabled()
        question.focus()
        page.keyboard.press("Enter")
        confirm = page.get_by_role("button", name="Restore for everyone")
        confirm.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Restored. Everyone sees it.")).to_be_visible()
        expect(page.get_by_text("Kept lost")).to_have_count(0)


class FullDiskTests(BrowserTestCase):
    """The state line on a full disk."""

    def test_the_line_says_so_and_recovers_by_itself(self) -> None:
        """Nothing to press."""
        room = self.room()
        ada = self.page()
        self.join(ada, room, "Ada")
        write_note(ada, "before")
        saved(ada)
        assert self.server.process is not None
        pid = self.server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1000, hard))
        write_note(ada, " while full")
        line = ada.get_by_text("Cannot save: the server's disk is full")
        expect(line.first).to_be_visible()
        keep_screenshot(ada, "disk-full")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        saved(ada)

"""A room leaves as an archive and comes back as a new room, all by the page."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect
from pypdf import PdfReader

from tests.browser.test_meeting import (
    INK,
    draw_rectangle,
    open_panel,
    saved,
    say,
    wait_for,
    write_note,
)
from tests.support.browser import PHONE, BrowserTestCase, keep_screenshot

WORKER_MS = 60_000
"""A worker process yields to everything else on a busy machine."""


def archive_file(data: bytes) -> FilePayload:
    """A file as somebody would choose it."""
    return FilePayload(name="room.zip", mimeType="application/zip", buffer=data)


class ExportTests(BrowserTestCase):
    """Draw, write, chat; export, import, and see it all again."""

    def export_dialog(self, page: Page) -> None:
        page.get_by_role("button", name=re.compile("^Design review")).click()
        page.get_by_role("button", name="Export room…").click()
        expect(page.get_by_role("dialog", name="Export")).to_be_visible()

    def download(self, page: Page, button: str) -> tuple[str, bytes]:
        with page.expect_download(timeout=WORKER_MS) as caught:
            page.get_by_role("button", name=button).click()
        found = caught.value
        return found.suggested_filename, Path(found.path()).read_bytes()

    def test_out_and_in_again(self) -> None:
        """Everything is in the archive, and in the room made of it."""
        room = self.room()
        page = self.page()
        self.join(page, room, "Ada")
        draw_rectangle(page)
        page.keyboard.press("t")
        page.mouse.click(470, 520)
        page.keyboard.type("Ship it")
        page.keyboard.press("Escape")
        say(page, "well done")
        open_panel(page, "Notes")
        write_note(page, "Minutes")
        page.get_by_role("button", name="Heading", exact=True).click()
        saved(page)

        self.export_dialog(page)
        self.assert_accessible(page, "export")
        keep_screenshot(page, "export-dialog")
        name, data = self.download(page, "Export room")
        self.assertEqual(name, "Design review.zip")
        expect(page.get_by_text("Downloaded: Design review.zip")).to_be_visible()
        keep_screenshot(page, "export-done")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            self.assertIn("Ship it", archive.read("board.svg").decode())
            pdf = PdfReader(io.BytesIO(archive.read("board.pdf")))
            self.assertIn("Ship it", pdf.pages[0].extract_text())
            self.assertEqual(archive.read("notes/main.md"), b"## Minutes\n")
            self.assertIn(b"well done", archive.read("chat.jsonl"))
            scene = json.loads(archive.read("board.excalidraw"))
            kinds = {one["type"] for one in scene["elements"]}
            self.assertEqual(kinds, {"rectangle", "text"})

        name, word = self.download(page, "Notes as DOCX")
        self.assertEqual(word[:2], b"PK")
        self.assertTrue(name.endswith(".docx"), name)
        name, picture = self.download(page, "Whiteboard as PNG")
        self.assertEqual(picture[:4], b"\x89PNG")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

        self.import_and_look(data)

    def import_and_look(self, data: bytes) -> None:
        """As the administrator: import, enter, and find what was there."""
        admin = self.page()
        code = self.server.output().partition("#setup=")[2].split()[0]
        admin.goto(f"{self.server.url}/admin#setup={code}")
        admin.get_by_label("Name", exact=True).fill("ada")
        admin.get_by_label("Password", exact=True).fill("engine no. 1")
        admin.get_by_label("Password again").fill("engine no. 1")
        admin.get_by_role("button", name="Make administrator").click()
        admin.get_by_text("Import a room").click()
        bad = archive_file(b"PK bad")
        admin.get_by_label("Archive").set_input_files(bad)
        admin.get_by_role("button", name="Import", exact=True).click()
        refusal = admin.get_by_text(re.compile("no whole ZIP archive"))
        expect(refusal).to_be_visible(timeout=WORKER_MS)
        good = archive_file(data)
        admin.get_by_label("Archive").set_input_files(good)
        admin.get_by_role("button", name="Import", exact=True).click()
        done = admin.get_by_text("Imported: Design review")
        expect(done).to_be_visible(timeout=WORKER_MS)
        cards = admin.get_by_role("listitem").filter(has_text="Design review")
        expect(cards).to_have_count(2)
        self.assert_accessible(admin, "import")
        keep_screenshot(admin, "import-done")
        with admin.context.expect_page() as opened:
            cards.last.get_by_role("button", name="Enter").click()
        page = opened.value
        page.get_by_role("button", name="Leave").wait_for()
        wait_for(page, INK, 200)
        open_panel(page, "Chat")
        expect(page.get_by_text("well done")).to_be_visible()
        keep_screenshot(page, "imported-board")
        open_panel(page, "Notes")
        expect(page.get_by_role("heading", name="Minutes")).to_be_visible()

    def test_on_a_phone_and_in_the_dark(self) -> None:
        """The same dialog, a thumb wide."""
        room = self.room()
        page = self.page(
            viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark"
        )
        self.join(page, room, "Cleo")
        self.export_dialog(page)
        self.assert_accessible(page, "export")
        keep_screenshot(page, "export-phone-dark")
        for name in ("Export room", "Whiteboard as PNG", "Notes as DOCX"):
            box = page.get_by_role("button", name=name).bounding_box()
            assert box
            self.assertGreaterEqual(box["height"], 44)
            self.assertLessEqual(box["x"] + box["width"], PHONE["width"])

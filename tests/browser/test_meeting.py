"""The first meeting: two people in isolated browsers, and nothing is lost."""

from __future__ import annotations

import re
import signal

from playwright.sync_api import Page, expect

from tests.support.browser import WAIT_MS, BrowserTestCase, keep_screenshot

PLAYING = """() => [...document.querySelectorAll('video')]
  .filter(video => video.videoWidth > 0 && !video.paused && video.currentTime > 0)
  .length"""
HEARING = """() => [...document.querySelectorAll('audio, video')]
  .filter(it => !it.muted && it.srcObject)
  .flatMap(it => it.srcObject.getAudioTracks())
  .filter(track => track.readyState === 'live' && !track.muted).length"""
INK = """() => [...document.querySelectorAll('canvas')].reduce((ink, canvas) => {
  if (!canvas.width || !canvas.height) return ink
  const pixels = canvas.getContext('2d')
    .getImageData(0, 0, canvas.width, canvas.height).data
  const first = [pixels[0], pixels[1], pixels[2], pixels[3]]
  for (let at = 0; at < pixels.length; at += 4)
    if (Math.abs(pixels[at] - first[0]) + Math.abs(pixels[at + 3] - first[3]) > 40)
      ink += 1
  return ink
}, 0)"""


def wait_for(page: Page, script: str, least: int) -> None:
    """Until a script that counts something gives at least so many."""
    page.wait_for_function(f"(least) => ({script})() >= least", arg=least)


def draw_rectangle(page: Page, left: int = 420, top: int = 300) -> None:
    """Take the rectangle tool by its key and drag."""
    canvas = page.locator("canvas.interactive").first
    canvas.wait_for()
    box = canvas.bounding_box()
    assert box
    page.mouse.click(box["x"] + left - 60, box["y"] + top - 60)
    page.keyboard.press("r")
    page.mouse.move(box["x"] + left, box["y"] + top)
    page.mouse.down()
    page.mouse.move(box["x"] + left + 160, box["y"] + top + 110, steps=6)
    page.mouse.up()
    page.keyboard.press("Escape")


def saved(page: Page) -> None:
    """Until the state line says that all is on disk."""
    expect(page.get_by_text(re.compile(r"Live · saved"))).to_be_visible(timeout=WAIT_MS)


def open_panel(page: Page, name: str) -> None:
    """Show "Notes", "Chat" or "People" unless it shows already."""
    button = page.get_by_role("button", name=re.compile(f"^{name}")).or_(
        page.get_by_role("tab", name=re.compile(f"^{name}"))
    )
    shown = button.first.get_attribute("aria-pressed") or button.first.get_attribute(
        "aria-selected"
    )
    if shown != "true":
        button.first.click()


def write_note(page: Page, text: str) -> None:
    """Type at the end of the document."""
    open_panel(page, "Notes")
    editor = page.locator("[contenteditable=true]").first
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def say(page: Page, text: str) -> None:
    """Send one line of chat."""
    open_panel(page, "Chat")
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


class MeetingTests(BrowserTestCase):
    """Two isolated contexts hold a whole meeting."""

    def test_a_whole_meeting_and_a_restart(self) -> None:
        """See, hear, draw, write, chat, present; then restart and find it all."""
        room = self.room()
        ada, ben = self.page(), self.page()
        self.join(ada, room, "Ada")
        self.join(ben, room, "Ben")
        for page, other in ((ada, "Ben"), (ben, "Ada")):
            expect(page.get_by_text(other).first).to_be_visible()
            wait_for(page, PLAYING, 2)
            wait_for(page, HEARING, 1)
        expect(ada.get_by_text(re.compile("Direct")).first).to_be_visible()

        before = ben.evaluate(INK)
        draw_rectangle(ada)
        wait_for(ben, INK, before + 200)
        keep_screenshot(ada, "meeting-board-ada")
        keep_screenshot(ben, "meeting-board-ben")

        write_note(ada, "Decided in Lisbon")
        open_panel(ben, "Notes")
        expect(ben.get_by_text("Decided in Lisbon")).to_be_visible()
        write_note(ben, " on Monday")
        expect(ada.get_by_text("Decided in Lisbon on Monday")).to_be_visible()
        keep_screenshot(ada, "meeting-notes-ada")

        say(ada, "Can you see it?")
        open_panel(ben, "Chat")
        expect(ben.get_by_text("Can you see it?")).to_be_visible()
        say(ben, "Very well")
        expect(ada.get_by_text("Very well")).to_be_visible()

        ada.get_by_role("button", name="Share screen").click()
        wait_for(ben, PLAYING, 3)
        keep_screenshot(ben, "meeting-present-ben")
        ada.get_by_role("button", name="Stop sharing").first.click()
        for page in (ada, ben):
            saved(page)
        self.restart_and_find_it_all(ada, ben, room)

    def restart_and_find_it_all(
        self, ada: Page, ben: Page, room: dict[str, str]
    ) -> None:
        """Edits made while the server is away arrive; a newcomer sees all."""
        ink = ben.evaluate(INK)
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0, self.server.output())
        expect(ada.get_by_text(re.compile("Offline")).first).to_be_visible()
        write_note(ada, " (kept while offline)")
        expect(
            ada.get_by_text(re.compile(r"Offline · \d+ changes? kept")).first
        ).to_be_visible()
        keep_screenshot(ada, "meeting-offline-ada")
        self.server.start()
        for page in (ada, ben):
            saved(page)
        open_panel(ben, "Notes")
        text = "Decided in Lisbon on Monday (kept while offline)"
        expect(ben.get_by_text(text)).to_be_visible()
        cleo = self.page()
        self.join(cleo, room, "Cleo")
        wait_for(cleo, INK, min(ink, 200))
        open_panel(cleo, "Notes")
        expect(cleo.get_by_text(text)).to_be_visible()
        open_panel(cleo, "Chat")
        expect(cleo.get_by_text("Very well")).to_be_visible()

    def test_offline_edits_of_both_sides_merge(self) -> None:
        """The network of one drops; both go on; then both have both."""
        room = self.room()
        ada, ben = self.page(), self.page()
        self.join(ada, room, "Ada")
        self.join(ben, room, "Ben")
        write_note(ada, "one.")
        open_panel(ben, "Notes")
        expect(ben.get_by_text("one.")).to_be_visible()
        ada.context.set_offline(True)
        expect(ada.get_by_text(re.compile("Offline")).first).to_be_visible(
            timeout=60_000
        )
        write_note(ada, " from ada.")
        write_note(ben, " from ben.")
        ada.context.set_offline(False)
        for page in (ada, ben):
            expect(page.get_by_text("from ada.")).to_be_visible()
            expect(page.get_by_text("from ben.")).to_be_visible()
            saved(page)

    def test_mute_camera_hand_and_leave(self) -> None:
        """What one does to oneself, the other sees."""
        room = self.room()
        ada, ben = self.page(), self.page()
        self.join(ada, room, "Ada")
        self.join(ben, room, "Ben")
        wait_for(ben, PLAYING, 2)
        for press, after in (("Mute", "Unmute"), ("Stop camera", "Start camera")):
            button = ada.get_by_role("button", name=after, exact=True)
            if not button.count():
                ada.get_by_role("button", name=press, exact=True).click()
            button.wait_for()
        wait_for(ben, "() => 3 - document.querySelectorAll('video').length", 2)
        ada.get_by_role("button", name="Leave").click()
        expect(ada.get_by_role("button", name="Leave")).to_have_count(0)
        open_panel(ben, "People")
        expect(ben.get_by_role("listitem").filter(has_text="Ada")).to_have_count(0)

    def test_wrong_pin_and_closed_room(self) -> None:
        """A clear sentence, and no way in."""
        room = self.room()
        page = self.page()
        page.goto(f"{self.server.url}/")
        page.get_by_label("Your name").fill("Eve")
        page.get_by_label("Hub ID").fill(room["hub_id"])
        page.get_by_label("PIN").fill("000000")
        page.get_by_role("button", name="Join", exact=True).click()
        expect(page.get_by_role("alert").first).to_be_visible()
        keep_screenshot(page, "join-wrong-pin")
        self.server.command("room", "close", room["hub_id"])
        page.get_by_label("PIN").fill(room["pin"])
        page.get_by_role("button", name="Join", exact=True).click()
        expect(page.get_by_text(re.compile("closed")).first).to_be_visible()


class RelayTests(BrowserTestCase):
    """A call that may use nothing but our relay."""

    def relay_call(self, leg: str, line: str) -> None:
        """Both sides forced to the relay by one transport."""
        room = self.room()
        pages = [self.page() for _ in range(2)]
        for page, name in zip(pages, ("Ada", "Ben"), strict=True):
            self.join(page, room, name, query=f"?relay={leg}")
        for page in pages:
            wait_for(page, PLAYING, 2)
            expect(page.get_by_text(re.compile(line)).first).to_be_visible()
        keep_screenshot(pages[0], f"relay-{leg}")

    def test_udp(self) -> None:
        """TURN over UDP."""
        self.relay_call("udp", "Relay UDP")

    def test_tcp(self) -> None:
        """TURN over TCP."""
        self.relay_call("tcp", "Relay TCP")

    def test_tls_on_the_shared_port(self) -> None:
        """TURN over TLS beside HTTPS; Chromium sends no ALPN there."""
        self.relay_call("tls", f"Relay {self.server.port}")

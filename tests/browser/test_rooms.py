"""What hosts decide, how a screen is presented, and coming back."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.test_meeting import PLAYING, open_panel, saved, wait_for, write_note
from tests.support.browser import PHONE, BrowserTestCase, keep_screenshot


class HostTests(BrowserTestCase):
    """A host by token; guests by PIN."""

    def setUp(self) -> None:
        super().setUp()
        self.made = self.room()
        self.host = self.enter("host")
        open_panel(self.host, "People")

    def enter(self, role: str) -> Page:
        """A page that came by an invitation with that role."""
        token = self.server.command_json(
            "room", "token", self.made["hub_id"], "--role", role, "--name", role.title()
        )["token"]
        page = self.page()
        page.goto(f"{self.server.url}/join/{self.made['hub_id']}#token={token}")
        page.get_by_role("button", name="Leave").wait_for()
        return page

    def knock(self, name: str) -> Page:
        """A guest who has pressed Join; whether the room lets them in is open."""
        page = self.page()
        page.goto(f"{self.server.url}/")
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Hub ID").fill(self.made["hub_id"])
        page.get_by_label("PIN").fill(self.made["pin"])
        page.get_by_role("button", name="Join", exact=True).click()
        return page

    def test_lobby_admit_refuse_and_kick(self) -> None:
        """Waiting, let in, refused, taken out: each is told to the one."""
        self.host.get_by_label("Ask before letting in").click()
        ben = self.knock("Ben")
        expect(ben.get_by_text("You will be let in soon")).to_be_visible()
        keep_screenshot(ben, "lobby-waiting")
        self.host.get_by_role("button", name="Let in: Ben").first.click()
        ben.get_by_role("button", name="Leave").wait_for()
        eve = self.knock("Eve")
        self.host.get_by_role("button", name="Refuse: Eve").first.click()
        expect(eve.get_by_text("The hosts did not let you in")).to_be_visible()
        self.host.get_by_role("button", name="Take Ben out of the room").click()
        self.host.get_by_role("button", name=re.compile("^Take")).last.click()
        expect(ben.get_by_text("A host took you out of the room")).to_be_visible()
        keep_screenshot(ben, "kicked")

    def test_lock(self) -> None:
        """Nobody new comes in; who is inside stays."""
        ben = self.knock("Ben")
        ben.get_by_role("button", name="Leave").wait_for()
        self.host.get_by_label("Lock the room").click()
        late = self.knock("Late")
        expect(late.get_by_text(re.compile("locked")).first).to_be_visible()
        expect(ben.get_by_role("button", name="Leave")).to_be_visible()

    def test_a_viewer_reads_and_cannot_write(self) -> None:
        """The state line says so, and the page has no pen."""
        write_note(self.host, "for your eyes")
        saved(self.host)
        viewer = self.enter("viewer")
        open_panel(viewer, "Notes")
        expect(viewer.get_by_text("for your eyes")).to_be_visible()
        expect(viewer.get_by_text("Read only").first).to_be_visible()
        expect(viewer.locator("[contenteditable=true]")).to_have_count(0)

    def test_a_reload_comes_back_as_the_same_person(self) -> None:
        """The tab keeps its place; nobody is there twice."""
        ben = self.knock("Ben")
        ben.get_by_role("button", name="Leave").wait_for()
        ben.reload()
        ben.get_by_role("button", name="Leave").wait_for()
        people = self.host.get_by_role("listitem").filter(has_text="Ben")
        expect(people.first).to_be_visible()
        panel = self.host.get_by_role("region", name="People")
        expect(panel.get_by_role("listitem").filter(has_text="Ben")).to_have_count(1)


class PresentTests(BrowserTestCase):
    """Nine digits, a PIN and one button."""

    def test_present_from_a_laptop(self) -> None:
        """The room sees the screen; stopping ends it."""
        room = self.room()
        wall = self.page()
        self.join(wall, room, "Wall")
        laptop = self.page()
        laptop.goto(f"{self.server.url}/present")
        laptop.get_by_label("Hub ID").fill(room["hub_id"])
        laptop.get_by_label("PIN").fill(room["pin"])
        laptop.get_by_role("button", name="Present", exact=True).click()
        expect(laptop.get_by_text("You are presenting")).to_be_visible()
        expect(wall.get_by_text("Screen of Presenter").first).to_be_visible()
        wait_for(wall, PLAYING, 2)
        keep_screenshot(wall, "present-on-the-wall")
        laptop.get_by_role("button", name="Stop sharing").click()
        expect(wall.get_by_text("Screen of Presenter")).to_have_count(0)


class PhoneTests(BrowserTestCase):
    """Somebody at home joins from a phone."""

    def test_join_by_link_and_chat(self) -> None:
        """The link fills in Hub ID and PIN; one name is enough."""
        room = self.room()
        page = self.page(viewport=PHONE, has_touch=True, is_mobile=True)
        page.goto(room["join_url"])
        page.get_by_label("Your name").fill("Cleo")
        page.get_by_role("button", name="Join", exact=True).tap()
        page.get_by_role("button", name="Leave").wait_for()
        page.get_by_role("button", name="Chat").tap()
        page.get_by_label("Message").fill("on my way")
        page.keyboard.press("Enter")
        expect(page.get_by_text("on my way")).to_be_visible()
        keep_screenshot(page, "phone-chat")

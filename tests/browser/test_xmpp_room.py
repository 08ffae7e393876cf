"""One room, two doors: a browser and an XMPP client."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.test_meeting import open_panel
from tests.support.browser import BrowserTestCase, keep_screenshot
from tests.support.slixmpp_room import RoomTalker

PASSWORD = "correct horse battery"


class XmppRoomTests(BrowserTestCase):
    """Ada hosts in Chromium; Bob has slixmpp."""

    def setUp(self) -> None:
        super().setUp()
        self.made = self.room()
        self.room_jid = f"{self.made['hub_id']}@rooms.localhost"
        for name in ("bob", "olga"):
            self.server.command(
                "user", "add", name, "--password-stdin", text=f"{PASSWORD}\n"
            )
        self.host = self.enter("host", "Ada")

    def enter(self, role: str, name: str) -> Page:
        """A page that came by an invitation with that role."""
        token = self.server.command_json(
            "room", "token", self.made["hub_id"], "--role", role, "--name", name
        )["token"]
        page = self.page()
        page.goto(f"{self.server.url}/join/{self.made['hub_id']}#token={token}")
        page.get_by_role("button", name="Leave").wait_for()
        return page

    def talker(self, name: str) -> RoomTalker:
        """Somebody with slixmpp who has logged in."""
        ca_file = str(self.server.state / "tls" / "ca.pem")
        talker = RoomTalker(
            f"{name}@localhost/test", PASSWORD, ca_file, self.server.port
        )
        self.addCleanup(talker.close)
        return talker

    def person(self, page: Page, name: str) -> object:
        """The row of somebody in the list of people."""
        panel = page.get_by_role("region", name="People")
        return panel.get_by_role("listitem").filter(has_text=name)

    def test_chat_people_roles_and_a_kick(self) -> None:
        """Each door shows what happens at the other."""
        bob = self.talker("bob")
        bob.join(self.room_jid, "Bob", self.made["pin"])
        bob.until(lambda: bob.people.keys() >= {"Ada", "Bob"}, "Bob sees both")
        self.assertEqual(bob.people["Ada"], "moderator")
        open_panel(self.host, "People")
        row = self.host.get_by_role("listitem").filter(has_text="Bob").last
        expect(row).to_contain_text("chat by XMPP")
        keep_screenshot(self.host, "xmpp-people")
        open_panel(self.host, "Chat")
        bob.say(self.room_jid, "hello from slixmpp")
        expect(self.host.get_by_role("log")).to_contain_text("hello from slixmpp")
        self.host.get_by_label("Message").fill("hello from the browser")
        self.host.keyboard.press("Enter")
        both = [("Bob", "hello from slixmpp"), ("Ada", "hello from the browser")]
        bob.until(lambda: bob.lines == both, "Bob hears both once, in order")
        expect(self.host.get_by_role("log").get_by_role("listitem")).to_have_count(2)
        keep_screenshot(self.host, "xmpp-chat")
        # A guest with a browser comes, and a late client has the history.
        guest = self.page()
        self.join(guest, self.made, "Gil")
        bob.until(lambda: bob.people.get("Gil") == "participant", "Bob sees Gil")
        olga = self.talker("olga")
        olga.join(self.room_jid, "Olga", self.made["pin"])
        olga.until(lambda: olga.lines == both, "Olga has the history")
        # The host takes Bob out by the browser.
        open_panel(self.host, "People")
        self.host.get_by_role("button", name="Take Bob out of the room").click()
        self.host.get_by_role("button", name=re.compile("^Take Bob out")).last.click()
        bob.until(lambda: bob.gone is not None, "Bob is told")
        self.assertIn(307, bob.gone or set())
        olga.until(lambda: "Bob" not in olga.people, "Olga sees him go")

    def test_a_standing_host_rules_by_xmpp(self) -> None:
        """Roles and kicks reach the page."""
        made = self.talker("bob")
        made.join("plans@rooms.localhost", "Bob", None)
        made.until(lambda: made.people.get("Bob") == "moderator", "Bob made a room")
        listed = self.server.command_json("room", "list")
        plans = next(room for room in listed if room["name"] == "plans")
        guest = self.page()
        self.join(guest, plans, "Gil")
        made.until(lambda: "Gil" in made.people, "Bob sees Gil")
        made.give_role("plans@rooms.localhost", "Gil", "visitor")
        expect(guest.get_by_text("Read only").first).to_be_visible()
        made.until(lambda: made.people["Gil"] == "visitor", "Bob sees it")
        made.give_role("plans@rooms.localhost", "Gil", "none")
        expect(guest.get_by_text("A host took you out of the room")).to_be_visible()
        made.until(lambda: "Gil" not in made.people, "Bob sees Gil go")

    def test_the_lobby(self) -> None:
        """The host's page lets a client in, or does not."""
        open_panel(self.host, "People")
        self.host.get_by_label("Ask before letting in").click()
        bob = self.talker("bob")
        bob.join(self.room_jid, "Bob", self.made["pin"])
        bob.until(lambda: bob.told, "Bob is told that he waits")
        self.assertIn("lobby", bob.told[0])
        keep_screenshot(self.host, "xmpp-lobby")
        self.host.get_by_role("button", name="Let in: Bob").first.click()
        bob.until(lambda: "Bob" in bob.people, "Bob is in")
        olga = self.talker("olga")
        olga.join(self.room_jid, "Olga", self.made["pin"])
        self.host.get_by_role("button", name="Refuse: Olga").first.click()
        olga.until(lambda: olga.errors == ["forbidden"], "Olga is refused")

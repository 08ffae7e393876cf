"""A hub's screen and its administration, in Chromium against a real server."""

from __future__ import annotations

import re
import time
from importlib.resources import files
from urllib.parse import quote

from playwright.sync_api import Page, expect

from mosaic.hub.local.page import Wall, state_page
from mosaic.hub.netfound import Found
from mosaic.netcheck.result import Report, Verdict
from tests.browser.test_meeting import (
    HEARING,
    INK,
    PLAYING,
    draw_rectangle,
    open_panel,
    wait_for,
)
from tests.support.browser import DESKTOP, PHONE, BrowserTestCase, keep_screenshot
from tests.support.hubwall import NO_UDP, PASSWORD, AgentPage, EnrolledBox

TCP = "ask for TCP port 443 of hub.example.org to be opened"
NO_WAY = Found(
    server="https://hub.example.org",
    at=1790000000.0,
    reason="unreachable",
    quick=False,
    report=Report(
        server="https://hub.example.org",
        via="environment",
        outcome="blocked",
        verdicts=(
            Verdict(capability="signalling", outcome="blocked", advice=TCP),
            Verdict(capability="presence", outcome="blocked", advice=TCP),
            Verdict(capability="media", outcome="degraded", advice=NO_UDP),
            Verdict(capability="quality", outcome="ok", advice="round trip 12 ms"),
        ),
        checks=(),
        took_s=9.5,
    ),
)
WALL = {"width": 1920, "height": 1080}
BIG_WALL = {"width": 3840, "height": 2160}
FOUND = {
    "state": "available",
    "available": "1.3.0",
    "notes": "Less echo.",
    "size": 18_400_000,
}
CONTRAST = """async () => {
  const found = await axe.run({ exclude: [['.excalidraw']] },
    { runOnly: ['color-contrast-enhanced'],
      rules: { 'color-contrast-enhanced': { enabled: true } } })
  return found.violations.flatMap(it => it.nodes.map(node => node.target.join(' ')))
}"""
SMALL = """() => [...document.querySelectorAll('.wall button')]
  .filter(it => !it.closest('.excalidraw'))
  .filter(it => Math.min(it.offsetWidth, it.offsetHeight) < LEAST)
  .map(it => it.textContent)"""
LEAVE_TRACES = """() => new Promise(resolve => {
  localStorage.setItem('mosaic.name', 'Ada')
  localStorage.setItem('mosaic.theme', 'dark')
  const opening = indexedDB.open('mosaic-unsaved-edits', 1)
  opening.onupgradeneeded = () =>
    opening.result.createObjectStore('edits', { keyPath: 'key' })
  opening.onsuccess = () => {
    const work = opening.result.transaction('edits', 'readwrite')
    work.objectStore('edits').put({ key: '1/board/x', savedAt: 1 })
    work.oncomplete = () => { opening.result.close(); resolve() }
  }
})"""
TRACES = """() => new Promise(resolve => {
  const opening = indexedDB.open('mosaic-unsaved-edits', 1)
  opening.onsuccess = () => {
    const count = opening.result.transaction('edits').objectStore('edits').count()
    count.onsuccess = () => {
      opening.result.close()
      const kept = [Object.keys(localStorage).sort(), Object.keys(sessionStorage)]
      resolve([count.result, ...kept])
    }
  }
})"""


class HubCase(BrowserTestCase):
    """A server with one enrolled box."""

    def setUp(self) -> None:
        """Its agent has reported."""
        super().setUp()
        self.box = EnrolledBox(self.server)

    def wall(self, page: Page, more: str = "") -> None:
        """Open the screen as the agent does."""
        page.goto(f"{self.server.url}/hub#ticket={self.box.ticket()}{more}")
        expect(page.get_by_role("heading", name="Lisbon")).to_be_visible()

    def assert_wall(self, page: Page, name: str, least_px: int) -> None:
        """Accessible, with contrast AAA, and large enough for a thumb."""
        self.assert_accessible(page, name)
        self.assertEqual(page.evaluate(CONTRAST), [], name)
        small = page.evaluate(SMALL.replace("LEAST", str(least_px)))
        self.assertEqual(small, [], name)
        self.assert_no_sideways_scroll(page)


class WallTests(HubCase):
    """What the people in the room see."""

    def test_from_idle_to_a_meeting_and_nothing_of_it_stays(self) -> None:
        """Sent from afar; seen, heard and drawn on; left by touch; wiped."""
        agent = AgentPage()
        self.addCleanup(agent.close)
        page = self.context(viewport=WALL).new_page()
        self.wall(page, f"&local={quote(agent.url)}&screen=1")
        self.assertNotIn("ticket", page.url)
        agent.heard("idle")
        page.evaluate(LEAVE_TRACES)
        self.box.desire(room=self.box.hub_id)
        leave = page.get_by_role("button", name="Leave")
        expect(leave).to_be_visible()
        room = {"hub_id": self.box.hub_id, "pin": self.box.feed()["hub"]["pin"]}
        ada = self.page()
        self.join(ada, room, "Ada")
        for each in (page, ada):
            wait_for(each, PLAYING, 1)
            wait_for(each, HEARING, 1)
        expect(page.get_by_role("complementary", name="People")).to_contain_text("Ada")
        keep_screenshot(page, "hub-meeting-people")
        draw_rectangle(ada)
        wait_for(page, INK, 200)
        agent.heard("meeting")
        keep_screenshot(page, "hub-meeting-board")
        self.assert_wall(page, "wall in a meeting", 44)
        ada.get_by_role("button", name="Share screen").click()
        agent.heard("meeting", ',"presenting":true')
        ada.get_by_role("button", name="Stop sharing").first.click()
        agent.told.clear()
        agent.heard("meeting")
        self.box.desire(screen_on=False)
        expect(page.get_by_role("img", name="The screen is off")).to_be_visible()
        expect(ada.get_by_label("muted").first).to_be_visible()
        self.box.desire(screen_on=True)
        leave.click()
        expect(page.get_by_text("Join at")).to_be_visible()
        self.assertIsNone(self.box.feed()["desired"]["room"])
        page.wait_for_function(f"async () => (await ({TRACES})())[0] === 0")
        self.assertEqual(
            page.evaluate(TRACES)[1:],
            [["mosaic.theme"], ["mosaic.hub"]],
        )
        page.reload()
        expect(page.get_by_text("Connected")).to_be_visible()

    def test_idle_in_every_look_and_by_keyboard(self) -> None:
        """Two sizes of wall, light and dark; keys as large as a thumb."""
        now = int(time.time())
        self.box.report(
            update=FOUND,
            calendar=[
                {
                    "start": now - 60,
                    "end": now + 900,
                    "title": "Design review",
                    "room": self.box.hub_id,
                },
                {
                    "start": now + 3600,
                    "end": now + 7200,
                    "title": "Visit of the auditors",
                },
            ],
        )
        self.box.report_network()
        looks = (("hd", WALL, "light", 44), ("4k", BIG_WALL, "dark", 88))
        for name, size, scheme, least in looks:
            page = self.page(viewport=size, color_scheme=scheme)
            self.wall(page)
            expect(
                page.get_by_role("button", name="Join: Design review")
            ).to_be_visible()
            limited = page.get_by_text(f"The network is limited. {NO_UDP}")
            expect(limited).to_be_visible()
            keep_screenshot(page, f"hub-idle-{name}-{scheme}")
            self.assert_wall(page, f"idle wall {name}", least)
            page.get_by_role("button", name="Join another room").click()
            keep_screenshot(page, f"hub-pad-{name}-{scheme}")
            self.assert_wall(page, f"keys {name}", least)
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Update 1.3.0").click()
        expect(page.get_by_text("18 MB")).to_be_visible()
        page.get_by_role("button", name="Install").click()
        expect(page.get_by_text("is being installed")).to_be_visible()
        self.assertEqual(self.box.answer_commands(), ["update-install"])
        keep_screenshot(page, "hub-idle-4k-installing")
        self.box.report(update={**FOUND, "state": "taken-back"})
        page.get_by_role("button", name="Update 1.3.0 did not work").click()
        expect(page.get_by_text("Version 1.2.0 runs again.")).to_be_visible()
        keep_screenshot(page, "hub-idle-4k-taken-back")
        self.assert_wall(page, "an update that was taken back", 88)
        page.get_by_role("button", name="Later").click()

        self.any_room_by_keyboard_alone(page)
        self.the_boxes_own_page_says_why()

    def the_boxes_own_page_says_why(self) -> None:
        """Without a server: each capability in a word, advice in a line."""
        wall = Wall(
            state="offline",
            name="Lisbon",
            hub_id=self.box.hub_id,
            offline_id="9178260581",
            address="10.1.2.3",
            server="https://hub.example.org",
            problem="server hub.example.org:443: no TCP connection (timeout)",
            advice="ask for TCP port 443 of hub.example.org to be opened",
            version="1.2.0",
            network=NO_WAY,
        )
        css = (files("mosaic.hub.local") / "hub.css").read_text()
        for name, size in (("wall", WALL), ("phone", PHONE)):
            page = self.page(viewport=size)
            # A wall asks again by itself; here it holds still to be looked at.
            page.set_content(state_page(wall).replace("http-equiv", "data-was"))
            page.add_style_tag(content=css)
            keep_screenshot(page, f"hub-local-network-{name}")
            self.assert_accessible(page, f"the box's own page {name}")
            self.assert_no_sideways_scroll(page)

    def any_room_by_keyboard_alone(self, page: Page) -> None:
        """Wrong PIN, right PIN, and out again."""
        room = self.room("Porto")
        self.press_by_tab(page, "Join another room")
        page.keyboard.type(room["hub_id"] + "000000")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
        page.keyboard.type(room["pin"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Leave")).to_be_visible()
        self.press_by_tab(page, "Leave")
        expect(page.get_by_text("Join at")).to_be_visible()

    def test_without_its_server_it_goes_to_the_box(self) -> None:
        """After fifteen seconds, to the address that the agent gave."""
        agent = AgentPage()
        self.addCleanup(agent.close)
        page = self.context(viewport=WALL).new_page()
        page.clock.install()
        self.wall(page, f"&local={quote(agent.url)}")
        expect(page.get_by_text("Connected")).to_be_visible()
        self.server.stop()
        expect(page.get_by_text("No connection to the server")).to_be_visible()
        keep_screenshot(page, "hub-no-server")
        page.clock.fast_forward(20_000)
        expect(page.get_by_role("heading", name="This is the box")).to_be_visible()


class LookingAfterHubsTests(HubCase):
    """What administrators and hosts do from their own browsers."""

    def log_in(self, page: Page) -> None:
        """As ada."""
        page.goto(f"{self.server.url}/admin")
        page.get_by_label("Name", exact=True).fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Hubs", exact=True)).to_be_visible()

    def a_host_controls_the_hub_in_the_room(self) -> None:
        """From its row in People: quieter, and out."""
        hub_id = self.box.hub_id
        self.box.desire(room=hub_id)
        made = self.server.command_json("room", "token", hub_id, "--role", "host")
        wall, page = self.page(viewport=WALL), self.page()
        self.wall(wall)
        page.goto(f"{self.server.url}/join/{hub_id}#token={quote(made['token'])}")
        page.get_by_role("button", name="Leave").wait_for()
        room = {"hub_id": hub_id, "pin": self.box.feed()["hub"]["pin"]}
        namesake = self.page()
        self.join(namesake, room, "Lisbon")
        open_panel(page, "People")
        rows = page.locator(".person").filter(has_text="Lisbon")
        expect(rows).to_have_count(2)
        row = rows.filter(has_text="hub")
        expect(rows.get_by_role("button", name=re.compile("^Control"))).to_have_count(1)
        row.get_by_role("button", name="Control the hub: Lisbon").click()
        row.get_by_label("Volume").fill("20")
        row.get_by_label("Volume").dispatch_event("change")
        row.get_by_role("button", name="People").click()
        wall.wait_for_function(
            "() => [...document.querySelectorAll('audio')].every(it => it.volume < 0.3)"
        )
        keep_screenshot(page, "people-control-hub")
        self.assert_accessible(page, "controls of a hub")
        row.get_by_role("button", name="Leave the room").click()
        row.get_by_role("button", name="Really leave").click()
        expect(wall.get_by_text("Join at")).to_be_visible()
        namesake.close()
        desired = self.box.feed()["desired"]
        self.assertEqual(
            (desired["volume"], desired["layout"], desired["room"]),
            (20, "people", None),
        )

    def test_from_people_and_from_administration(self) -> None:
        """A host's control; listed, followed live, commanded, and removed."""
        self.a_host_controls_the_hub_in_the_room()
        self.box.report(update=FOUND, problem="UDP is blocked here.")
        self.box.report_network()
        for name, size, scheme in (
            ("phone", PHONE, "light"),
            ("phone", PHONE, "dark"),
            ("desktop", DESKTOP, "dark"),
            ("desktop", DESKTOP, "light"),
        ):
            page = self.page(viewport=size, color_scheme=scheme)
            self.log_in(page)
            page.get_by_role("button", name="Make code").click()
            expect(page.get_by_text(re.compile("--enrol-code"))).to_be_visible()
            card = page.get_by_role("listitem", name="Hub Lisbon")
            card.get_by_role("button", name="Manage").click()
            expect(card.get_by_text("UDP is blocked here.")).to_be_visible()
            card.get_by_text("Everything that was tried").click()
            expect(card.get_by_text("no answer over UDP")).to_be_visible()
            expect(card.get_by_text(NO_UDP)).to_be_visible()
            heading = page.get_by_role("heading", name="Network", exact=True)
            heading.scroll_into_view_if_needed()
            keep_screenshot(page, f"admin-hub-network-{name}-{scheme}")
            page.get_by_role(
                "heading", name="Hubs", exact=True
            ).scroll_into_view_if_needed()
            keep_screenshot(page, f"admin-hubs-{name}-{scheme}")
            self.assert_no_sideways_scroll(page)
            self.assert_accessible(page, f"hubs {name}")
        card.get_by_label("Sound off").check()
        card.get_by_role("button", name="Whiteboard").click()
        card.get_by_role("button", name="Screenshot").click()
        expect(card.get_by_text("Waiting for its answer")).to_be_visible()
        self.assertEqual(self.box.answer_commands(), ["screenshot"])
        expect(card.get_by_role("img", name="Screenshot of Lisbon")).to_be_visible()
        card.get_by_role("button", name="Check now").click()
        self.box.report_network(outcome="ok", reason="asked", verdicts=[])
        self.assertEqual(self.box.answer_commands(), ["check-network"])
        expect(card.get_by_text("asked for here")).to_be_visible()
        expect(card.get_by_text("Network limited")).to_have_count(0)
        desired = self.box.feed()["desired"]
        self.assertEqual((desired["muted"], desired["layout"]), (True, "board"))
        self.box.report(doing="updating")
        expect(card.get_by_text("updating")).to_be_visible()
        card.get_by_role("button", name="Remove hub").click()
        card.get_by_role("button", name="Really remove").click()
        expect(page.get_by_text("A hub is the box")).to_be_visible()

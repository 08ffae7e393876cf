"""Relays in several places: calls use the nearest, and the check names it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.test_meeting import PLAYING, wait_for
from tests.browser.test_pages import LOOKS, SIZES, WORKS
from tests.support.browser import BrowserTestCase, keep_screenshot
from tests.support.delay import DelayedDatagrams
from tests.support.hubs import HubProcess
from tests.support.running import RunningMosaic

HOME = "127.0.0.2"
"""The server as the browser knows it: its relay is a slow way off."""
HOME_AWAY_S, FAR_AWAY_S, NEAR_AWAY_S = 0.06, 0.15, 0.001
"""One way."""
CONFIG = """
region = "Lisbon"
[[regions]]
name = "Mumbai"
urls = ["turn:127.0.0.1:{far}?transport=udp"]
[[regions]]
name = "Porto"
urls = ["turn:127.0.0.1:{near}?transport=udp"]
[[regions]]
name = "Atlantis"
urls = ["turns:127.0.0.1:1?transport=tcp"]
[endpoints]
turn_tls = []
turn_tcp = []
"""
WATCH_CALLS = """() => {
  const all = window.allCalls = []
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); all.push(this) }
  }
}"""
USES_RELAY = """async (url) => {
  for (const call of window.allCalls) {
    if (call.connectionState !== 'connected') continue
    const stats = new Map([...(await call.getStats()).values()].map(it => [it.id, it]))
    for (const it of stats.values()) {
      const pair = it.type === 'transport' && stats.get(it.selectedCandidatePairId)
      if (pair && stats.get(pair.localCandidateId).url === url) return true
    }
  }
  return false
}"""
SERVERS = """() => window.allCalls.filter(it => it.connectionState === 'connected')
  .map(it => it.getConfiguration().iceServers.map(server => server.urls))"""


class FarServer(RunningMosaic):
    """Opened by an address whose relay is far away."""

    @property
    def url(self) -> str:
        """A secure context all the same."""
        return f"http://{HOME}:{self.http_port}"


class RegionTests(BrowserTestCase):
    """A server whose own relay is 120 ms away, another at 300, one that is not there,
    and one beside the browser."""

    def make_server(self) -> RunningMosaic:
        """All regions are ways to its one relay."""
        server = FarServer()
        relay = ("127.0.0.1", server.turn_port)
        at = (HOME, server.turn_port)
        home = DelayedDatagrams(relay, delay_s=HOME_AWAY_S, at=at)
        far = DelayedDatagrams(relay, delay_s=FAR_AWAY_S)
        self.near = DelayedDatagrams(relay, delay_s=NEAR_AWAY_S)
        for slow in (home, far, self.near):
            self.addCleanup(slow.close)
        config = Path(self.mktemp()).absolute()
        config.write_text(CONFIG.format(far=far.port, near=self.near.port))
        server.flags += ("--config", str(config))
        server.flags += ("--turn-udp", f"udp:{server.turn_port}:interface=127.0.0.1")
        server.flags += ("--http", f"tcp:{server.http_port}:interface={HOME}")
        return server

    def test_calls_use_the_nearest_and_the_check_names_it(self) -> None:
        """Not the relay of the server that the page came from; that stays behind it,
        and has its turn when the nearest dies."""
        pages = self.calls_use_the_nearest()
        self.the_check_names_it()
        self.the_nearest_dies(pages)

    def calls_use_the_nearest(self) -> list[Page]:
        """Seen in what the connected call really uses, on both sides."""
        room = self.room()
        near = f"turn:127.0.0.1:{self.near.port}?transport=udp"
        home = f"turn:{HOME}:{self.server.turn_port}?transport=udp"
        pages = [self.watched() for _ in range(2)]
        for page, name in zip(pages, ("Ada", "Ben"), strict=True):
            self.join(page, room, name, query="?relay=udp")
        for page in pages:
            wait_for(page, PLAYING, 2)
            page.wait_for_function(
                "() => window.allCalls.some(it => it.connectionState === 'connected')"
            )
            self.assertEqual(page.evaluate(SERVERS), [[[near], [home]]])
            # The first pair that works is replaced by a better one at once.
            page.wait_for_function(USES_RELAY, arg=near)
            line = page.get_by_text(re.compile(r"Relay UDP · (\d+) ms")).first
            expect(line).to_be_visible()

        self.a_hubs_media_use_it_too(room, pages[0])
        return pages

    def a_hubs_media_use_it_too(self, room: dict[str, str], page: Page) -> None:
        """Without a screen: measured by STUN, as the network check does."""
        ca = self.server.state / "tls" / "ca.pem"
        url = self.server.url.replace("http:", "ws:")
        hub = HubProcess(url, ca, "--small", "--relay-only")
        self.addCleanup(hub.stop)
        body = {"name": "Box", "pin": room["pin"]}
        status, joined = self.server.call("POST", f"/rooms/{room['hub_id']}/join", body)
        self.assertEqual(status, 200, joined)
        hub.ready().do("join", room=room["hub_id"], token=joined["token"])
        wait_for(page, PLAYING, 3)
        calls = hub.facts()["calls"].values()
        near = f"relay 127.0.0.1:{self.near.port} over UDP"
        self.assertEqual([call["relay"] for call in calls], [near, near])
        self.assertIn('nearest relays: {"Porto": ', hub.log())
        hub.stop()

    def the_nearest_dies(self, pages: list[Page]) -> None:
        """Calls restart by themselves, on the server's own relay."""
        self.near.close()
        home = f"turn:{HOME}:{self.server.turn_port}?transport=udp"
        for page in pages:
            page.wait_for_function(USES_RELAY, arg=home)
            wait_for(page, PLAYING, 2)

    def watched(self) -> Page:
        """A page whose connections can be looked at."""
        page = self.page()
        page.add_init_script(f"({WATCH_CALLS})()")
        return page

    def the_check_names_it(self) -> None:
        """Each place: whether it can be reached, by which way, how far."""
        page = self.page()
        page.goto(f"{self.server.url}/netcheck")
        expect(page.get_by_role("status")).to_contain_text(WORKS)
        places = page.get_by_role("region", name="Places with relays")
        rows = places.get_by_role("listitem")
        expect(rows).to_have_count(4)
        trips: dict[str, Any] = {}
        for text in rows.all_inner_texts():
            name, *rest = text.split()
            trips[name] = " ".join(rest).lower()
        self.assertRegex(trips["Porto"], r"^nearest \d+ ms by udp$")
        self.assertRegex(trips["Mumbai"], r"^\d{3} ms by udp$")
        self.assertEqual(trips["Atlantis"], "does not get through")
        self.assertRegex(trips["Lisbon"], r"^\d{3} ms by udp$")
        for size, scheme in LOOKS:
            wide, high = SIZES[size]["width"], SIZES[size]["height"]
            page.set_viewport_size({"width": wide, "height": high})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            keep_screenshot(page, f"page-netcheck-places-{size}-{scheme}")
            self.assert_no_sideways_scroll(page)
            self.assert_accessible(page, f"netcheck with places {size} {scheme}")

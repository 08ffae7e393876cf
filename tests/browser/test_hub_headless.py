"""A hub without a screen and people in browsers: they see, hear and write to each
other, and show each other things."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.test_meeting import (
    INK,
    draw_rectangle,
    open_panel,
    say,
    wait_for,
)
from tests.support.browser import BrowserTestCase, keep_screenshot
from tests.support.hubs import HubProcess

FRAMES = """(height) => Math.max(0, ...[...document.querySelectorAll('video')]
  .filter(video => video.videoHeight === height)
  .map(video => video.getVideoPlaybackQuality().totalVideoFrames))"""
"""Pictures decoded of the hub, told by its height from all others."""
TONE = """async (hertz) => {
  const context = new AudioContext()
  const ears = new Map()
  const bins = new Float32Array(2048)
  const wanted = hertz * 4096 / context.sampleRate
  let level = -Infinity
  for (let at = 0; at < 150 && level < -60; at += 1) {
    for (const {muted, srcObject} of document.querySelectorAll('audio, video')) {
      if (muted || ears.has(srcObject) || !srcObject?.getAudioTracks().length) continue
      const ear = context.createAnalyser()
      ear.fftSize = 4096
      context.createMediaStreamSource(srcObject).connect(ear)
      ears.set(srcObject, ear)
    }
    await new Promise(done => setTimeout(done, 100))
    for (const ear of ears.values()) {
      ear.getFloatFrequencyData(bins)
      const loudest = bins.indexOf(Math.max(...bins))
      if (Math.abs(loudest - wanted) <= 1) level = Math.max(level, bins[loudest])
    }
  }
  await context.close()
  return level
}"""
"""How loud a pitch is in a stream in which it is the loudest, in dB; waits for it."""
WITH_CHROMIUM = ["DTLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "SRTP_AEAD_AES_256_GCM"]
"""The hub answers as the DTLS server, and so its order counts (docs/security.md)."""
CAMERA, SCREEN, TONE_HZ = 164, 226, 440


class HeadlessHubTests(BrowserTestCase):
    """One room with two browsers and a hub."""

    def hub(self, room: dict[str, str]) -> HubProcess:
        """A hub that has joined."""
        ca = self.server.state / "tls" / "ca.pem"
        hub = HubProcess(f"wss://localhost:{self.server.port}", ca, "--small")
        self.addCleanup(hub.stop)
        body = {"name": "Lisbon", "pin": room["pin"]}
        status, joined = self.server.call("POST", f"/rooms/{room['hub_id']}/join", body)
        self.assertEqual(status, 200, joined)
        hub.ready()
        hub.do("join", room=room["hub_id"], token=joined["token"])
        return hub

    def test_a_hub_takes_part(self) -> None:
        """Video and sound both ways, board, chat, and a screen each way."""
        room = self.room()
        ada, ben = self.page(), self.page()
        self.join(ada, room, "Ada")
        self.join(ben, room, "Ben")
        hub = self.hub(room)
        for page in (ada, ben):
            expect(page.get_by_text("Lisbon").first).to_be_visible()
            self.counts(page, CAMERA, 10)
            self.assertGreater(page.evaluate(TONE, TONE_HZ), -60)
        facts = hub.until(lambda it: len(seen(it, "camera", 10)) == 2)
        self.assertEqual(len(facts["calls"]), 2)
        for call in facts["calls"].values():
            self.assertEqual(call["secured"], WITH_CHROMIUM)

        self.draws_and_talks(hub, ada, ben)
        self.presents(hub, ada, ben)

    def draws_and_talks(self, hub: HubProcess, ada: Page, ben: Page) -> None:
        """The board and the chat, both ways."""
        before = ben.evaluate(INK)
        hub.do("draw")
        wait_for(ben, INK, before + 200)
        draw_rectangle(ada, top=420)
        hub.until(lambda it: len(it["board"]) == 2)
        hub.do("say", text="Lisbon is here")
        open_panel(ada, "Chat")
        expect(ada.get_by_text("Lisbon is here")).to_be_visible()
        say(ada, "Good morning, Lisbon")
        hub.until(lambda it: "Good morning, Lisbon" in it["chat"])

    def presents(self, hub: HubProcess, ada: Page, ben: Page) -> None:
        """First the hub, then Ben, both at once for a while."""
        hub.do("present")
        for page in (ada, ben):
            self.counts(page, SCREEN, 5)
        keep_screenshot(ada, "hub-presents-ada")
        ben.get_by_role("button", name="Share screen").click()
        hub.until(lambda it: seen(it, "screen", 3), 40)
        hub.do("unpresent")
        ada.wait_for_function(
            f"() => ![...document.querySelectorAll('video')]"
            f".some(video => video.videoHeight === {SCREEN})"
        )
        ben.get_by_role("button", name="Stop sharing").first.click()
        hub.until(
            lambda it: all("screen" not in c["sending"] for c in it["calls"].values())
        )
        # On a busy machine one may be making sure of its path just now.
        hub.until(
            lambda it: [c["connected"] for c in it["calls"].values()] == [True] * 2
        )

    def counts(self, page: Page, height: int, least: int) -> None:
        """Until so many pictures of that height were decoded."""
        page.wait_for_function(
            f"([height, least]) => ({FRAMES})(height) >= least", arg=[height, least]
        )


def seen(facts: dict[str, Any], kind: str, frames: int) -> list[str]:
    """Whose stream of that kind arrives; a camera's with its sound."""
    return [
        it["person"]
        for it in facts["heard"]
        if it["kind"] == kind
        and it["video"] >= frames
        and (kind == "screen" or (it["audio"] >= frames and it["level"] > -50))
    ]

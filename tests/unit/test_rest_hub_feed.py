"""What a room box is told, and what it says."""

from __future__ import annotations

from typing import Any

from tests.support.hub_rest import API, HubCase


class FeedTests(HubCase):
    """What it shall do, and how soon it knows."""

    def following(self, hub_id: str, token: str, query: str) -> tuple[Any, Any]:
        """A request that waits: its channel's transport, and how to end it."""
        transport = self.raw(
            f"GET {API}/hubs/{hub_id}/feed?{query} HTTP/1.1\r\n"
            f"Host: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        return transport, self.channel

    def test_it_says_what_the_wall_needs(self) -> None:
        """And to the agent what is its own."""
        _, hub_id, token = self.newcomer(name="Lisbon")
        pin = self.run_steps(self.store.room(hub_id)).pin
        told = self.feed(hub_id, token)
        self.assertEqual(
            told["hub"],
            {
                "hub_id": hub_id,
                "name": "Lisbon",
                "pin": pin,
                "join_url": f"https://meet.example.org/join/{hub_id}#pin={pin}",
                "join_host": "meet.example.org",
            },
        )
        self.assertEqual(
            told["desired"],
            {
                "room": None,
                "volume": 60,
                "muted": False,
                "screen_on": True,
                "layout": "auto",
                "locale": "en",
            },
        )
        self.assertEqual(told["update"], {"channel": "stable", "window": None})
        self.assertEqual((told["report"], told["commands"]), (True, []))

    def test_news_come_at_once(self) -> None:
        """To the agent and to each screen."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        waiting = [
            self.following(hub_id, one, f"after={seq}&wait=25")[0]
            for one in (token, self.screen(hub_id, token))
        ]
        self.assertEqual([one.value() for one in waiting], [b"", b""])
        self.assertEqual(
            self.change(hub_id, self.ada, desired={"volume": 7}).status, 200
        )
        for one in waiting:
            self.assertIn(b'"volume":7', one.value())
            self.assertIn(f'"seq":{seq + 1}'.encode(), one.value())

    def test_what_was_found_comes_at_once_to_screens_alone(self) -> None:
        """Under the same seq: the agent knows it already."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token, version="2.0")
        seq = self.feed(hub_id, token)["seq"]
        wall = self.screen(hub_id, token)
        agent, screen = [
            self.following(hub_id, one, f"after={seq}&wait=25")[0]
            for one in (token, wall)
        ]
        found = {"state": "available", "available": "2.1"}
        self.report(hub_id, token, version="2.0", update=found)
        self.assertEqual(agent.value(), b"")
        self.assertIn(b'"available":"2.1"', screen.value())
        self.assertIn(b'"runs":"2.0"', screen.value())
        screen = self.following(hub_id, wall, f"after={seq}&wait=25")[0]
        self.report(hub_id, token, version="2.0", update=found)
        self.assertEqual(screen.value(), b"")

    def test_no_news_is_told_in_the_end(self) -> None:
        """With the same seq, after the time that was asked for."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=9")
        self.clock.advance(8.9)
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0.2)
        self.assertIn(f'"seq":{seq}'.encode(), transport.value())

    def test_another_seq_is_news_whichever_is_larger(self) -> None:
        """A server that was restored from a backup has smaller ones."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        for after in (0, 99):
            self.feed(hub_id, token, f"?after={after}&wait=25")

    def test_who_hangs_up_waits_no_more(self) -> None:
        """Nothing of a waiter stays."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        _, channel = self.following(hub_id, token, f"after={seq}&wait=25")
        self.assertEqual(self.door.hubs.fleet.counters.waiting, 1)
        channel.connectionLost()
        self.assertEqual(self.door.hubs.fleet.counters.waiting, 0)

    def test_few_wait_for_one_hub(self) -> None:
        """The oldest is answered when there are too many."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        waiting = [
            self.following(hub_id, token, f"after={seq}&wait=25")[0] for _ in range(9)
        ]
        self.assertEqual([bool(one.value()) for one in waiting], [True] + 8 * [False])

    def test_a_stop_sends_everybody_away_for_a_while(self) -> None:
        """Each for another while."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token)
        seq = self.feed(hub_id, token)["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=25")
        self.door.hubs.fleet.begin_stop()
        self.assertIn(b" 503 ", transport.value())
        self.assertIn(b"Retry-After: ", transport.value())
        reply = self.ask("GET", f"{API}/hubs/{hub_id}/feed?after={seq}", token)
        self.problem(reply, 503)
        self.assertIn(int(reply.header("Retry-After") or 0), range(1, 11))

    def test_it_asks_for_a_report_once(self) -> None:
        """An agent that gives none does not run in circles."""
        _, hub_id, token = self.newcomer()
        told = self.feed(hub_id, token)
        self.assertTrue(told["report"])
        seq = told["seq"]
        transport, _ = self.following(hub_id, token, f"after={seq}&wait=25")
        self.assertEqual(transport.value(), b"")
        self.report(hub_id, token)
        self.assertFalse(self.feed(hub_id, token)["report"])
        self.assertFalse(self.feed(hub_id, self.screen(hub_id, token))["report"])

    def test_the_wall_shows_a_new_pin(self) -> None:
        """A host gave the room another."""
        _, hub_id, token = self.newcomer()
        before = self.feed(hub_id, token)
        self.ask("POST", f"{API}/rooms/{hub_id}/pin", self.ada)
        self.clock.advance(0)
        after = self.feed(hub_id, token)
        self.assertNotEqual(before["hub"]["pin"], after["hub"]["pin"])
        self.assertNotEqual(before["seq"], after["seq"])

    def test_the_calendar_goes_round(self) -> None:
        """The agent reads it, the screen shows it, nobody sees its PINs."""
        _, hub_id, token = self.newcomer()
        url = "https://calendar.example.org/secret.ics"
        self.change(hub_id, self.ada, calendar_url=url)
        self.assertEqual(self.feed(hub_id, token)["calendar_url"], url)
        screen = self.screen(hub_id, token)
        self.assertIsNone(self.feed(hub_id, screen)["calendar_url"])
        meeting = {"start": 1, "end": 2, "title": "Review", "room": self.room.hub_id}
        given = {**meeting, "pin": self.room.pin}
        self.assertEqual(self.report(hub_id, token, calendar=[given]).status, 204)
        told = self.feed(hub_id, screen)
        self.assertEqual(told["calendar"], [meeting])
        self.assertIsInstance(told["calendar"][0]["start"], int)  # the contract's
        self.report(hub_id, token)
        self.assertEqual(self.feed(hub_id, screen), told)
        self.change(hub_id, self.ada, calendar_url=None)
        self.assertEqual(self.feed(hub_id, screen)["calendar"], [])


class StatusTests(HubCase):
    """What others know of it."""

    def shown(self, hub_id: str) -> Any:
        """As an administrator sees it."""
        return self.ask("GET", f"{API}/hubs/{hub_id}", self.ada).json()

    def test_a_report_is_shown_without_secrets(self) -> None:
        """All that the agent said, but its calendar."""
        _, hub_id, token = self.newcomer()
        reply = self.report(
            hub_id,
            token,
            doing="meeting",
            version="2.0",
            screens=[{"name": "HDMI-1", "width": 1920, "height": 1080, "shown": True}],
            update={"state": "available", "available": "2.1", "size": 5},
            calendar=[{"start": 1, "end": 2, "title": "x", "pin": "615823"}],
        )
        self.assertEqual(reply.status, 204)
        reply = self.ask("GET", f"{API}/hubs/{hub_id}", self.ada)
        for secret in (b"615823", b"public_key", b"code"):
            self.assertNotIn(secret, reply.body)
        told = reply.json()
        self.assertEqual((told["doing"], told["version"]), ("meeting", "2.0"))
        self.assertEqual(told["status"]["update"]["available"], "2.1")
        self.assertEqual(told["status"]["at"], self.wall)

    def test_silence_is_absence(self) -> None:
        """A minute after its last word, and its next word ends it."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token, doing="presenting")
        self.clock.advance(55)
        self.wall += 55
        self.assertTrue(self.shown(hub_id)["online"])
        self.feed(hub_id, token)
        for _ in range(13):
            self.clock.advance(5)
            self.wall += 5
        told = self.shown(hub_id)
        self.assertEqual((told["online"], told["doing"]), (False, "offline"))
        self.assertEqual(told["last_seen"], self.wall - 65)
        self.feed(hub_id, token)
        self.assertEqual(self.shown(hub_id)["doing"], "presenting")

    def test_a_screen_is_not_the_hub(self) -> None:
        """It may be open while the agent is down."""
        _, hub_id, token = self.newcomer()
        screen = self.screen(hub_id, token)
        self.clock.advance(70)
        self.feed(hub_id, screen)
        self.assertFalse(self.shown(hub_id)["online"])

    def test_what_lasts_is_kept(self) -> None:
        """Another process, or the next start, reads it from the store."""
        _, hub_id, token = self.newcomer()
        self.report(hub_id, token, version="3.0")
        self.run_steps(self.door.hubs.stop())
        (hub,) = self.run_steps(self.store.hubs())
        self.assertEqual((hub.version, hub.last_seen), ("3.0", self.wall))
        self.run_steps(self.door.hubs.start())
        self.assertEqual(self.shown(hub_id)["version"], "3.0")

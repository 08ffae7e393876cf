"""What a room box found when it checked its network: kept and shown."""

from __future__ import annotations

from typing import Any

from tests.support.hub_rest import API, HubCase
from tests.support.rest import Reply

ADVICE = "UDP is blocked: video and voice use TLS. Ask for UDP port 53 to be opened."
FOUND: dict[str, Any] = {
    "outcome": "degraded",
    "reason": "daily",
    "age_s": 40,
    "via": "direct",
    "took_s": 9.5,
    "verdicts": [
        {"capability": "signalling", "outcome": "ok", "advice": "Good."},
        {"capability": "media", "outcome": "degraded", "advice": ADVICE},
    ],
    "checks": [
        {"name": "rest", "outcome": "ok", "ms": 12.0},
        {
            "name": "udp-53",
            "outcome": "blocked",
            "ms": 2104.0,
            "stage": "application",
            "detail": "no answer over UDP",
            "advice": "ask for UDP port 53",
        },
    ],
}


class NetworkTests(HubCase):
    """One hub, and the latest that it found."""

    def setUp(self) -> None:
        """It is enrolled and has found nothing yet."""
        super().setUp()
        self.box, self.hub_id, self.mine = self.newcomer()
        self.path = f"{API}/hubs/{self.hub_id}/network-check"

    def tell(self, token: str | None = None, **changes: Any) -> Reply:
        """The agent's result."""
        body = {**FOUND, **changes}
        return self.ask("PUT", self.path, token or self.mine, json=body)

    def shown(self) -> Any:
        """With the hub."""
        return self.ask("GET", f"{API}/hubs/{self.hub_id}", self.ada).json()["network"]

    def test_it_is_shown_in_short_and_in_whole(self) -> None:
        """When, by the server's clock: the box's own may be wrong."""
        self.assertIsNone(self.shown())
        self.problem(self.ask("GET", self.path, self.ada), 404)
        self.assertEqual(self.tell().status, 204)
        told = self.shown()
        self.assertEqual((told["outcome"], told["reason"]), ("degraded", "daily"))
        self.assertEqual(told["at"], self.wall - 40)
        self.assertEqual(told["verdicts"][1]["advice"], ADVICE)
        self.assertNotIn("checks", told)
        whole = self.ask("GET", self.path, self.ada).json()
        self.assertEqual(whole["checks"][1]["detail"], "no answer over UDP")
        self.assertEqual({**whole, "checks": None}, {**told, "checks": None})

    def test_the_latest_is_kept_over_a_restart(self) -> None:
        """The one before it is not."""
        self.tell()
        self.tell(outcome="ok", reason="asked", verdicts=[], checks=[])
        self.run_steps(self.door.hubs.stop())
        self.run_steps(self.door.hubs.start())
        self.assertEqual(self.shown()["outcome"], "ok")

    def test_how_many_are_in_the_way_is_counted(self) -> None:
        """Levels: a good one takes it back."""
        fleet = self.door.hubs.fleet
        self.tell()
        self.assertEqual(fleet.counters.network_degraded, 1)
        self.tell(outcome="blocked")
        counters = fleet.counters
        self.assertEqual((counters.network_degraded, counters.network_blocked), (0, 1))
        self.feed(self.hub_id, self.mine)
        self.tell(outcome="blocked", reason="unreachable")  # and it is here again
        self.assertEqual(fleet.counters.network_blocked, 0)
        self.tell(outcome="ok")
        self.assertEqual(fleet.counters.network_blocked, 0)

    def test_it_is_no_news_to_the_feed(self) -> None:
        """5,000 walls shall not ask again because of it; they show it all the same,
        and the agent knows it already."""
        seq = self.feed(self.hub_id, self.mine)["seq"]
        self.tell()
        self.assertEqual(self.feed(self.hub_id, self.mine)["seq"], seq)
        screen = self.screen(self.hub_id, self.mine)
        told = self.feed(self.hub_id, screen)["network"]
        self.assertEqual(told["verdicts"][1]["advice"], ADVICE)
        self.assertIsNone(self.feed(self.hub_id, self.mine)["network"])

    def test_only_the_agent_tells_and_only_who_commands_sees(self) -> None:
        """It names proxies and addresses of somebody's network."""
        screen = self.screen(self.hub_id, self.mine)
        for token in (self.ada, self.bob, screen):
            self.assertIn(self.tell(token).status, (401, 403, 404))
        self.tell()
        self.problem(self.ask("GET", self.path, self.bob), 404)
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        host = self.room_token("host")
        self.assertEqual(self.ask("GET", self.path, host).status, 200)

    def test_its_size_is_bounded(self) -> None:
        """What is longer is refused, and nothing of it is kept."""
        verdict, check = FOUND["verdicts"][0], FOUND["checks"][0]
        for wrong in (
            {"outcome": "splendid"},
            {"reason": "boredom"},
            {"age_s": -1},
            {"via": "x" * 301},
            {"verdicts": [verdict] * 17},
            {"checks": [check] * 65},
            {"checks": [{**check, "detail": "x" * 301}]},
            {"checks": [{**check, "data": {}}]},
            {"password": "x"},
        ):
            self.problem(self.tell(**wrong), 422)
        self.assertIsNone(self.shown())

    def test_an_administrator_asks_for_one(self) -> None:
        """By the machinery of all commands; a host may not."""
        path = f"{API}/hubs/{self.hub_id}/commands"
        body = {"command": "check-network"}
        self.assertEqual(self.ask("POST", path, self.ada, json=body).status, 201)
        (waiting,) = self.feed(self.hub_id, self.mine)["commands"]
        self.assertEqual(waiting["command"], "check-network")
        self.change(self.hub_id, self.ada, desired={"room": self.room.hub_id})
        host = self.room_token("host")
        self.problem(self.ask("POST", path, host, json=body), 403)

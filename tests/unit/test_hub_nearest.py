"""A hub's media take the nearest place with relays, and wait for none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.media import nearest
from mosaic.hub.media.nearest import NearestRegion, Place, TurnAnswer
from mosaic.hub.media.servers import Servers


def urls(host: str) -> tuple[str, ...]:
    """Of one place."""
    return (f"stun:{host}:53", f"turn:{host}:53?transport=udp", f"turns:{host}:443")


ANSWER = TurnAnswer(
    urls=urls("home"),
    username="u",
    credential="c",
    regions=(
        Place(name="Mumbai", urls=urls("mumbai")),
        Place(name="Porto", urls=urls("porto")),
    ),
)


class NearestTests(SynchronousTestCase):
    """Scores are given; time is ours."""

    def setUp(self) -> None:
        self.scores: dict[str, float | None] = {"": 80, "Mumbai": 200, "Porto": 9}
        self.asked: list[str] = []
        self.now = 0.0
        self.held: asyncio.Event | None = None

    def make(self) -> NearestRegion:
        """As a participant has it."""

        async def ping(place: Place) -> float | None:
            self.asked.append(place.name)
            if self.held is not None:
                await self.held.wait()
            score = self.scores[place.name]
            if score == -1:
                raise OSError("no network")
            return score

        return NearestRegion(ping, lambda: self.now)

    def run_steps(self, work: Coroutine[Any, Any, None]) -> None:
        """To its end."""
        asyncio.run(work)

    def hosts(self, servers: Servers) -> list[str]:
        """Of its relays, in their order."""
        return list(dict.fromkeys(relay.host for relay in servers.relays))

    def test_the_nearest_comes_first_and_the_server_behind_it(self) -> None:
        """And STUN too: how we are seen is asked of the first."""

        async def steps() -> None:
            servers = await self.make().servers(ANSWER)
            self.assertEqual(self.hosts(servers), ["porto", "home"])
            self.assertEqual(servers.stun, (("porto", 53), ("home", 53)))
            self.assertEqual(servers.relays[0].username, "u")

        self.run_steps(steps())

    def test_the_server_alone_where_it_is_the_nearest(self) -> None:
        """Or where nobody answers, or there is no other place."""

        async def steps() -> None:
            for scores in (
                {"": 1, "Mumbai": 2, "Porto": 3},
                {"": None, "Mumbai": None, "Porto": None},
                {"": -1, "Mumbai": -1, "Porto": None},
            ):
                self.scores = dict(scores)
                self.assertEqual(
                    self.hosts(await self.make().servers(ANSWER)), ["home"]
                )
            self.asked.clear()
            alone = TurnAnswer(urls=urls("home"), username="u", credential="c")
            self.assertEqual(self.hosts(await self.make().servers(alone)), ["home"])
            self.assertEqual(self.asked, [])

        self.run_steps(steps())

    def test_it_is_measured_once_and_again_after_a_while(self) -> None:
        """Each call asks; and at once where the network is another one."""

        async def steps() -> None:
            region = self.make()
            await asyncio.gather(*(region.servers(ANSWER) for _ in range(5)))
            self.assertEqual(len(self.asked), 3)
            self.now += nearest.REMEMBERED_S - 1
            await region.servers(ANSWER)
            self.assertEqual(len(self.asked), 3)
            self.scores["Porto"] = 500
            self.now += 1
            self.assertEqual(self.hosts(await region.servers(ANSWER)), ["home"])
            self.assertEqual(len(self.asked), 6)
            region.forget()
            await region.servers(ANSWER)
            self.assertEqual(len(self.asked), 9)

        self.run_steps(steps())

    def test_a_call_does_not_wait_for_long_and_the_next_knows(self) -> None:
        """Where UDP is shut, each place costs its timeouts."""
        self.patch(nearest, "PATIENCE_S", 0)

        async def steps() -> None:
            self.held = asyncio.Event()
            region = self.make()
            self.assertEqual(self.hosts(await region.servers(ANSWER)), ["home"])
            self.held.set()
            for _ in range(10):
                await asyncio.sleep(0)
            servers = await region.servers(ANSWER)
            self.assertEqual(self.hosts(servers), ["porto", "home"])
            self.assertEqual(len(self.asked), 3)

        self.run_steps(steps())

    def test_where_nobody_answered_the_next_call_asks_again(self) -> None:
        """A cable that was out is in again."""

        async def steps() -> None:
            region = self.make()
            good, self.scores = self.scores, dict.fromkeys(self.scores, None)
            await region.servers(ANSWER)
            self.scores = good
            servers = await region.servers(ANSWER)
            self.assertEqual(self.hosts(servers), ["porto", "home"])

        self.run_steps(steps())

    def test_whoever_leaves_waits_for_no_answer(self) -> None:
        """What is known stays; what is under way ends."""
        self.patch(nearest, "PATIENCE_S", 0)

        async def steps() -> None:
            self.held = asyncio.Event()
            region = self.make()
            await region.servers(ANSWER)
            self.assertGreater(len(asyncio.all_tasks()), 1)
            region.stop()
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertEqual(len(asyncio.all_tasks()), 1)

        self.run_steps(steps())

"""Networks that fail at any moment: nothing acknowledged is lost, nothing doubled.

Four clients of two accounts chat over XEP-0198; their connections end inside
stanzas, before acknowledgements, noticed or not. They resume, or log in anew and
read the archive (XEP-0313). MOSAIC_CUTS=1000 for the long way.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from unittest import SkipTest, TestCase

from tests.support.dialogue_stage import mosaic_with_accounts
from tests.support.prosody import PROSODY, RunningProsody
from tests.support.running import RunningMosaic
from tests.support.xmpp_client import Address
from tests.support.xmpp_device import (
    PASSWORD,
    Device,
    Ledger,
    complaints,
    read_archive,
)

CUTS = int(os.environ.get("MOSAIC_CUTS", "60"))
SEED = int(os.environ.get("MOSAIC_SEED", "7"))
PEOPLE = (("ann", "bob"), ("bob", "ann"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was lost or doubled (nothing, one hopes), and how much there was."""

    complaints: list[str]
    summary: str


async def chaos(
    address: Address, cuts: int, seed: int, kill: Callable[[], None] | None = None
) -> Outcome:
    """What happened in so many cuts. kill: the server dies and is started
    again, twice on the way."""
    rng, ledger = random.Random(seed), Ledger()
    devices = [
        Device(address, account, resource, peer, ledger, random.Random(rng.random()))
        for account, peer in PEOPLE
        for resource in ("phone", "desk")
    ]
    left = cuts

    async def one(device: Device) -> None:
        nonlocal left
        await device.arrive()
        while left > 0:
            left -= 1
            await device.chat(device_rng.randrange(1, 8))
            device.fail()
            await device.arrive()

    device_rng = random.Random(rng.random())
    tasks = [asyncio.create_task(one(device)) for device in devices]
    for part in (2, 1) if kill else ():
        while left > cuts * part // 3:
            await asyncio.sleep(0.01)
        assert kill is not None
        await asyncio.to_thread(kill)
    await asyncio.gather(*tasks)
    for device in devices:
        await device.settle()
    for device in devices:
        await device.settle()  # what the others said last
    archives = {account: await read_archive(address, account) for account, _ in PEOPLE}
    found = list(complaints(ledger, devices, archives))
    resumed = sum(device.resumed for device in devices)
    fresh = sum(device.fresh for device in devices)
    if not (resumed and fresh > len(devices) and len(ledger.acknowledged) > cuts):
        found.append(f"{resumed} resumed, {fresh} anew, {len(ledger.acknowledged)}")
    summary = (
        f"{cuts} cuts, {resumed} resumed, {fresh} new sessions, "
        f"{len(ledger.sent)} messages, {len(ledger.acknowledged)} acknowledged"
    )
    return Outcome(found, summary)


class ChaosTests(TestCase):
    """Against Mosaic, and the checker itself against Prosody."""

    def mosaic(self) -> RunningMosaic:
        """One that knows both."""
        server = mosaic_with_accounts(["ann", "bob"])
        self.addCleanup(server.stop)
        return server.start()

    def run_chaos(
        self, port: int, cuts: int, kill: Callable[[], None] | None = None
    ) -> None:
        """No complaints."""
        outcome = asyncio.run(chaos(Address(port), cuts, SEED, kill))
        self.assertEqual(outcome.complaints, [], outcome.summary)

    def test_mosaic(self) -> None:
        """Cuts alone."""
        self.run_chaos(self.mosaic().port, CUTS)

    def test_mosaic_killed(self) -> None:
        """And the server dies in between: what it acknowledged is in the archive."""
        server = self.mosaic()

        def kill() -> None:
            assert server.process is not None
            server.process.kill()
            server.process.wait()
            server.start()

        self.run_chaos(server.port, max(30, CUTS // 4), kill)

    def test_prosody(self) -> None:
        """The checker asks for nothing that others do not keep."""
        if not PROSODY.exists():
            if os.environ.get("CI") == "true":
                self.fail("prosody is not installed: apt-get install prosody")
            raise SkipTest("prosody is not installed")
        names = [account for account, _ in PEOPLE]
        for silent_before in (False, True):
            server = RunningProsody(dict.fromkeys(names, PASSWORD), contacts=[names])
            self.addCleanup(server.stop)
            server.start()
            try:
                self.run_chaos(server.port, min(CUTS, 60))
            except TimeoutError:
                # Very seldom it never answers a question: that is its own affair,
                # and says nothing of what the checker asks for.
                if silent_before:
                    raise
                server.stop()
            else:
                return

# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Announces a hub on loopback and looks for it: both ends of mDNS in one process.

It prints what was found, and what was found once the hub had gone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

ADDRESS = "127.0.0.1"


def main() -> None:
    """Wants asyncio's reactor, as the agent has it."""
    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor as _reactor
    from twisted.internet.defer import Deferred

    reactor: Any = _reactor

    def start() -> None:
        work = Deferred.fromCoroutine(walk(reactor)).addErrback(complain)
        work.addBoth(lambda _: reactor.stop())

    reactor.callLater(0, start)
    reactor.run()


def complain(failure: Any) -> None:
    """For the test that reads it."""
    sys.stdout.write(failure.getTraceback())


async def walk(reactor: Any) -> None:
    """There, found; gone, not found."""
    from twisted.internet.defer import Deferred

    from mosaic.hub.announce import Announcement, find_by_offline_id
    from mosaic.hub.local.page import Wall
    from mosaic.workspace.ids import offline_hub_id

    digits = offline_hub_id("192.168.1.10")
    wall = Wall(
        state="idle",
        name="Lisbon",
        offline_id=digits,
        address=ADDRESS,
        server="https://hub.example.org",
    )

    async def find(within_s: float) -> dict[str, str]:
        asked = find_by_offline_id(digits, within_s=within_s, interfaces=[ADDRESS])
        found: dict[str, str] = await Deferred.fromFuture(asyncio.ensure_future(asked))
        return found

    announcement = Announcement(reactor, lambda: wall, 443)
    announcement.start()
    found = await find(8)
    await announcement.stop()
    try:
        gone = str(await find(1))
    except LookupError as error:
        gone = str(error)
    sys.stdout.write(json.dumps([found, gone]) + "\n")


if __name__ == "__main__":
    main()

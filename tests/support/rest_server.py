"""A REST server of its own process, for tests with real peers.

Run as a module with a state folder: it listens on a free loopback port, prints
one line of JSON ({"port", "token", "hub_id"}) and serves until SIGTERM. The
store is in memory, rate limits are out of the way.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from mosaic.auth.door import HouseDoor
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Auth, Http, Settings
from mosaic.services.rest.root import build_rest, join_url_at
from mosaic.store.memory import MemoryStore
from tests.support.live import live_versions
from tests.support.rest import PASSWORD, FixedCredentials

HTTP = Http(requests_per_s=1e6, request_burst=1_000_000)
AUTH = Auth(scram_iterations=1, tries=1_000_000)


async def serve(reactor: object, state: str) -> None:
    """Serve until the reactor stops."""
    clock: object = reactor
    store, bus = MemoryStore(), MemoryBus(clock)  # type: ignore[arg-type]  # react() gives no type
    door = HouseDoor(
        store,
        bus,
        clock=clock,  # type: ignore[arg-type]  # as above
        wall=time.time,
        settings=AUTH,
        server_key=b"k" * 32,
        run_in_thread=deferToThread,  # type: ignore[arg-type]  # differs in its first argument's name
        credentials=FixedCredentials(),
        credential_ttl_s=600,
        turn_urls=lambda host: (f"turn:{host}:3478",),
    )
    rest = build_rest(
        settings=Settings(http=HTTP),
        door=door,
        store=store,
        bus=bus,
        reactor=clock,  # type: ignore[arg-type]  # as above
        now=time.time,
        run_in_thread=deferToThread,
        state=Path(state),
        static=Path(state) / "static",
        join_url=join_url_at("https://localhost"),
        live=live_versions(clock, door, store, bus, time.time),  # type: ignore[arg-type]  # as above
    )
    await door.hubs.start()
    await door.add_account("ada", PASSWORD, admin=True)
    issued = await door.log_in("ada", PASSWORD, address="127.0.0.1")
    room = await door.create_room("Blue", owner="ada")
    port = reactor.listenTCP(0, rest.site(), interface="127.0.0.1")  # type: ignore[attr-defined]  # as above
    ready = {"port": port.getHost().port, "token": issued.token, "hub_id": room.hub_id}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    react(
        lambda reactor, *args: Deferred.fromCoroutine(serve(reactor, *args)),
        sys.argv[1:],
    )

"""Opens relays as a hub does, and says how it went: JSON in, JSON out.

Input: a list of {"host", "port", "way", "username", "password", "proxy"?, "ca"?}.
Output: one {"failure", "stage", "echo"} for each. `echo`: a datagram from the relayed
address of a second allocation arrived at the first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

if __name__ == "__main__":
    asyncioreactor.install()

from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import react

from mosaic.hub.media.ice import ANSWER_S, NoRelay, Relays
from mosaic.hub.media.servers import Relay
from mosaic.proxy.client import Dialler
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import FixedRoutes, parse_proxy


class Ear(asyncio.DatagramProtocol):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A datagram through the relay."""
        self.heard.put_nowait(data)


async def one(reactor: Any, wish: dict[str, Any]) -> dict[str, Any]:
    """Open, and if it opens, send a datagram from one allocation to another."""
    trust = None
    if wish.get("ca"):
        pem = Path(wish["ca"]).read_bytes()
        trust = trustRootFromCertificates([Certificate.loadPEM(pem)])
    proxy = parse_proxy(wish.get("proxy", "direct"))
    routes = FixedRoutes([proxy], clock=reactor.seconds, source="the test")
    relays = Relays(
        Dialler(reactor=reactor, routes=routes, logins=Logins(), trust=trust)
    )
    relay = Relay(
        host=wish["host"],
        port=wish["port"],
        way=wish["way"],
        username=wish["username"],
        password=wish["password"],
    )
    try:
        first, mouth, _ = await relays.open(Ear, (relay,))
        second, ear, _ = await relays.open(Ear, (relay,))
    except NoRelay as error:
        failure = error.failures[0]
        return {"failure": str(failure), "stage": failure.stage, "echo": False}
    # Both are asked to bind a channel: each lets the other's datagrams in.
    first.sendto(b"there", second.get_extra_info("sockname"))
    second.sendto(b"back", first.get_extra_info("sockname"))
    data = await asyncio.wait_for(mouth.heard.get(), 5)
    for transport in (first, second):
        transport.close()
    await asyncio.sleep(0.1)
    return {"failure": None, "stage": None, "echo": data == b"back" and bool(ear)}


async def main(reactor: Any) -> None:
    """All that is asked for."""
    wishes = json.loads(sys.stdin.read())
    ANSWER_S["udp"] = 1.5

    async def every() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(one(reactor, wish) for wish in wishes)))

    answers = await Deferred.fromFuture(asyncio.ensure_future(every()))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    react(main)

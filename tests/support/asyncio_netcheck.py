# mypy: disable-error-code="no-untyped-call"
"""The network check on the asyncio reactor, awaited by a task, as in the hub.

Arguments: the server's URL, the proxy, the CA file. Prints the report.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import asyncioreactor


async def main(url: str, dialler: Any) -> None:
    """One quick run."""
    from twisted.internet.defer import Deferred

    from mosaic.netcheck.engine import check_network

    running = Deferred.fromCoroutine(check_network(url, dialler, quick=True))
    report = await running.asFuture(asyncio.get_running_loop())
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


def run(url: str, proxy: str, ca: str) -> None:
    """On a reactor of its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor as _reactor
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    from mosaic.proxy.client import Dialler
    from mosaic.proxy.discover import routes_for
    from mosaic.proxy.logins import Logins

    reactor: Any = _reactor
    pem = Certificate.loadPEM(Path(ca).read_bytes())
    dialler = Dialler(
        reactor=reactor,
        routes=routes_for(proxy, reactor=reactor, logins=Logins()),
        logins=Logins(),
        trust=trustRootFromCertificates([pem]),
    )

    def start() -> None:
        task = loop.create_task(main(url, dialler))
        task.add_done_callback(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()


if __name__ == "__main__":
    run(*sys.argv[1:])

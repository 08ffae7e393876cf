# mypy: disable-error-code="no-untyped-call"
"""A program on the asyncio reactor that goes through a proxy, as the hub does.

Arguments: the proxy, the target's port, its CA file. Prints what came back.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

from twisted.internet import asyncioreactor

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Gather(asyncio.Protocol):
    """Asks once and keeps everything until the end."""

    def __init__(self, done: asyncio.Future[bytes]) -> None:
        self._done = done
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """A piece."""
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:
        """All of it."""
        self._done.set_result(self._received)


def say(line: str) -> None:
    """One line for the test."""
    sys.stdout.write(line + "\n")


async def main(dialler: Any, port: int, ca: str) -> None:
    """By a stream, by a protocol, and to a port where nobody listens."""
    context = ssl.create_default_context(cafile=ca)
    reader, writer = await dialler.stream("localhost", port, ssl=context)
    writer.write(REQUEST)
    say((await reader.read()).rpartition(b"\n")[2].decode())
    writer.close()
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    await dialler.connection(lambda: Gather(done), "localhost", port, ssl=context)
    say((await done).rpartition(b"\n")[2].decode())
    try:
        await dialler.stream("localhost", 1)
    except Exception as error:
        say(f"{type(error).__name__} {error}")


def run(proxy: str, port: str, ca: str) -> None:
    """On a reactor of its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor as _reactor

    from mosaic.proxy.client import Dialler
    from mosaic.proxy.discover import routes_for
    from mosaic.proxy.logins import Logins
    from mosaic.wire.hops import Login
    from tests.support.proxies import PASSWORD, USER

    reactor: Any = _reactor
    logins = Logins({"127.0.0.1": Login(USER, PASSWORD)})
    dialler = Dialler(
        reactor=reactor,
        routes=routes_for(proxy, reactor=reactor, logins=logins),
        logins=logins,
    )

    def start() -> None:
        task = loop.create_task(main(dialler, int(port), ca))
        task.add_done_callback(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()


if __name__ == "__main__":
    run(*sys.argv[1:])

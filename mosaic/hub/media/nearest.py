# Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""Which place with relays is nearest, measured as the network check does it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.hub.media.servers import Servers, read_servers
from mosaic.hub.participant import IceServer
from mosaic.netcheck.around import Around, Server
from mosaic.netcheck.quality import score
from mosaic.netcheck.regions import ping_place
from mosaic.netcheck.urls import relay_urls
from mosaic.proxy.client import Dialler

MEASURE_S = 6.0
"""How long a place may take to answer: by UDP in vain, then through a proxy."""
PATIENCE_S = 1.5
"""How long a call waits for that; what comes later is for the next one."""
REMEMBERED_S = 600.0

_log = Logger()


class Place(Struct, frozen=True, kw_only=True):
    """Relays in one place; the name is "" for the server that was asked."""

    name: str = ""
    urls: tuple[str, ...] = ()


class TurnAnswer(Struct, frozen=True, kw_only=True):
    """What the server answers to whom asks for relays (REST's TurnView)."""

    urls: tuple[str, ...]
    username: str
    credential: str
    regions: tuple[Place, ...] = ()

    def servers(self, place: Place) -> Servers:
        """Of one place; the login is the same for all."""
        server = IceServer(
            urls=place.urls, username=self.username, credential=self.credential
        )
        return read_servers([server])


Ping = Callable[[Place], Awaitable[float | None]]
"""The score of a place, less is nearer; None without an answer."""


class NearestRegion:
    """Measures once, remembers for ten minutes. ping: of pings_by."""

    def __init__(self, ping: Ping, seconds: Callable[[], float]) -> None:
        self._ping = ping
        self._seconds = seconds
        self._places: tuple[Place, ...] = ()
        self._until = 0.0
        self._task: asyncio.Task[str] | None = None

    def forget(self) -> None:
        """The network is another one."""
        if self._task is not None:
            self._task.cancel()
        self._task = None

    def stop(self) -> None:
        """Wait for no answer any more; what is known stays."""
        if self._task is not None and not self._task.done():
            self.forget()

    async def servers(self, answer: TurnAnswer) -> Servers:
        """The nearest region's, and behind them those of the server that was asked;
        these alone where they are the nearest, or nothing is known yet."""
        home = answer.servers(Place(urls=answer.urls))
        if not answer.regions:
            return home
        name = await self._name((Place(urls=answer.urls), *answer.regions))
        for region in answer.regions:
            near = answer.servers(region)
            if name and region.name == name and near.relays:
                return Servers(near.stun + home.stun, near.relays + home.relays)
        return home

    async def _name(self, places: tuple[Place, ...]) -> str:
        now = self._seconds()
        if self._task is None or places != self._places or now >= self._until:
            self.forget()
            self._places, self._until = places, now + REMEMBERED_S
            self._task = asyncio.create_task(self._measure(places))
        # One call that is hung up does not end it for the others.
        done, _ = await asyncio.wait({self._task}, timeout=PATIENCE_S)
        return "" if not done or self._task.cancelled() else self._task.result()

    async def _measure(self, places: Sequence[Place]) -> str:
        async def one(place: Place) -> float | None:
            try:
                return await asyncio.wait_for(self._ping(place), MEASURE_S)
            except Exception as error:  # the network's, of any kind
                _log.info(
                    "no answer from {name}: {error!r}", name=place.name, error=error
                )
                return None

        scores = await asyncio.gather(*(one(place) for place in places))
        found = [
            (near, place.name)
            for near, place in zip(scores, places, strict=True)
            if near is not None
        ]
        if not found:
            self._until = 0.0  # the next call may have more luck
            return ""
        _log.info(
            "nearest relays: {order}",
            order=json.dumps({name or "server": round(s) for s, name in sorted(found)}),
        )
        return min(found)[1]


def pings_by(dialler: Dialler, url: str) -> Ping:
    """By STUN over UDP, else over TLS or TCP on the dialler's ways. url: of the
    server that was asked."""
    around = Around(server=Server.parse(url), dialler=dialler)

    async def ping(place: Place) -> float | None:
        work = Deferred.fromCoroutine(ping_place(around, list(relay_urls(place.urls))))
        even, _ = await work.asFuture(asyncio.get_running_loop())
        return None if even is None else score(even)

    return ping

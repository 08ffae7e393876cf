"""The hub on its LAN: `_mosaic._tcp` by mDNS and DNS-SD (RFC 6762, RFC 6763).

Its name is the offline Hub ID, so that ten digits typed elsewhere on the LAN
find the box though no server outside is reached. What is announced is what the
wall shows anyway: no PIN, no key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.hub.local.page import Wall
from mosaic.workspace.ids import parse_offline_hub_id

_log = Logger()

SERVICE = "_mosaic._tcp.local."
LOOK_S = 30.0
MAX_VALUE_BYTES = 200


def text_record(wall: Wall) -> dict[str, str]:
    """The TXT record: `server`, `hub`, `name`, `v`; each key with its value is
    well below 255 octets."""
    pairs = {"v": "1", "server": wall.server, "hub": wall.hub_id or ""}
    pairs["name"] = wall.name
    return {key: _short(value) for key, value in pairs.items() if value}


def _short(value: str) -> str:
    return value.encode()[:MAX_VALUE_BYTES].decode(errors="ignore")


class Announcement:
    """wall: what there is to say now. port: of the server, where meetings are."""

    def __init__(self, reactor: Any, wall: Callable[[], Wall], port: int) -> None:
        self._reactor = reactor
        self._wall = wall
        self._port = port
        self._zeroconf: Any = None
        self._info: Any = None
        self._said: tuple[Any, ...] | None = None
        self._timer: Any = None
        self._work: Deferred[None] | None = None

    def start(self) -> None:
        """Answer from now on; a machine without multicast says so in the log."""
        self._look()

    async def stop(self) -> None:
        """Say goodbye (RFC 6762 section 10.1)."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await _of_asyncio(zeroconf.async_close())

    def _look(self) -> None:
        """The address may have changed, or the name."""
        self._timer = self._reactor.callLater(LOOK_S, self._look)
        if self._work is None:
            self._work = Deferred.fromCoroutine(self._say())
            self._work.addErrback(self._failed).addBoth(self._done)

    def _done(self, result: Any) -> None:
        self._work = None

    def _failed(self, failure: Any) -> None:
        _log.info("not announced on the LAN: {why}", why=failure.getErrorMessage())

    async def _say(self) -> None:
        from zeroconf import ServiceInfo
        from zeroconf.asyncio import AsyncZeroconf

        wall = self._wall()
        if wall.offline_id is None or wall.address is None:
            return
        record = text_record(wall)
        said = (wall.offline_id, tuple(record.items()))
        if said == self._said:
            return
        if self._zeroconf is None:
            self._zeroconf = AsyncZeroconf(interfaces=[wall.address])
        info = ServiceInfo(
            SERVICE,
            f"{wall.offline_id}.{SERVICE}",
            parsed_addresses=[wall.address],
            port=self._port,
            properties=record,
            server=f"mosaic-{wall.offline_id}.local.",
        )
        if self._info is not None and self._info.name == info.name:
            await _of_asyncio(self._zeroconf.async_update_service(info))
        else:
            if self._info is not None:
                await _of_asyncio(self._zeroconf.async_unregister_service(self._info))
            await _of_asyncio(self._zeroconf.async_register_service(info))
        self._info, self._said = info, said


async def find_by_offline_id(
    text: str, *, within_s: float = 3.0, interfaces: Sequence[str] | None = None
) -> dict[str, str]:
    """Ask the LAN for the hub with these ten digits: its TXT record.

    interfaces: addresses to ask from; all by default. Raises ValueError for digits
    that are none, and LookupError if no hub answers. A coroutine of asyncio's.
    """
    from zeroconf import InterfaceChoice
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    parse_offline_hub_id(text)
    digits = "".join(char for char in text if char.isdigit())
    zeroconf = AsyncZeroconf(interfaces=interfaces or InterfaceChoice.All)
    try:
        info = AsyncServiceInfo(SERVICE, f"{digits}.{SERVICE}")
        found = await info.async_request(zeroconf.zeroconf, within_s * 1000)
        if not found:
            raise LookupError(f"no hub with the number {digits} answers on this LAN")
        return {
            key: value or ""
            for key, value in info.decoded_properties.items()
            if isinstance(key, str)
        }
    finally:
        await zeroconf.async_close()


def _of_asyncio(work: Any) -> Deferred[Any]:
    return Deferred.fromFuture(asyncio.ensure_future(work))

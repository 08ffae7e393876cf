"""Thousands of hubs that come back at once: what it costs the server, and whom it
hurts. Run as `python -m tests.bench.hub.storm --hubs 5000`.

Each hub connects over TLS, signs for a token, reads its feed, reports, and follows
the feed, with the waits that docs/protocols/hub.md asks for. The second storm is
a restart: SIGTERM, and all of them again, by the tokens that they have. Beside
them somebody asks for /livez ten times a second.

Loopback only; one server process of its own, on free ports and a fresh state.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import signal
import ssl
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from mosaic.store import rooms
from mosaic.store.direct import open_direct
from mosaic.store.hubs_schema import hubs as hubs_table
from mosaic.store.sql_hubs import values_of
from mosaic.workspace.hubs import Hub
from mosaic.workspace.ids import luhn_digit
from mosaic.workspace.model import Room
from tests.bench.benchlib import cpu_seconds, rss_kb
from tests.support.hubbox import HubBox
from tests.support.running import RunningMosaic


@dataclass
class Fleet:
    """The boxes and what happened to them. shaking: bounds the TLS handshakes that
    are under way, for each box has a processor of its own and they have one."""

    boxes: dict[str, HubBox]
    port: int
    tls: ssl.SSLContext
    shaking: asyncio.Semaphore
    tokens: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    inside: set[str] = field(default_factory=set)


class Sent(Exception):
    """The server said to come back later. wait_s: when."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


async def ask(
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    method: str,
    path: str,
    *,
    token: str = "",
    body: Any = None,
) -> tuple[int, Any]:
    """One request on an open connection."""
    reader, writer = link
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    writer.write(head.encode() + b"\r\n" + data)
    status = int((await reader.readline()).split()[1])
    size, wait_s = 0, 0.0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif name.lower() == b"retry-after":
            wait_s = float(value)
    content = await reader.readexactly(size)
    if status in (429, 503):
        raise Sent(wait_s)
    return status, json.loads(content) if content else None


async def live(fleet: Fleet, hub_id: str, begin: float) -> None:
    """One hub, until it is cancelled."""
    pause_s = 1.0
    await asyncio.sleep(begin)
    while True:
        try:
            await once(fleet, hub_id)
        except Sent as sent:
            wait_s = sent.wait_s * (1 + random.random())
        except (OSError, ValueError, IndexError, EOFError, ssl.SSLError):
            wait_s = random.random() * pause_s
            pause_s = min(60.0, pause_s * 2)
        fleet.retries += 1
        fleet.inside.discard(hub_id)
        await asyncio.sleep(wait_s)


async def once(fleet: Fleet, hub_id: str) -> None:
    """One connection, as long as it lasts."""
    async with fleet.shaking:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", fleet.port, ssl=fleet.tls, server_hostname="localhost"
        )
    link = reader, writer
    hub = f"/hubs/{hub_id}"
    try:
        if hub_id not in fleet.tokens:
            proof = fleet.boxes[hub_id].proof(hub_id, int(time.time()))
            status, told = await ask(link, "POST", f"{hub}/tokens", body=proof)
            if status != 200:
                raise ValueError(told)
            fleet.tokens[hub_id] = told["token"]
        token, after = fleet.tokens[hub_id], ""
        while True:
            path = f"{hub}/feed?wait=50{after}"
            status, told = await ask(link, "GET", path, token=token)
            if status != 200:
                raise ValueError(told)
            if told["report"]:
                body = {"doing": "idle", "version": "1.0"}
                await ask(link, "PUT", f"{hub}/status", token=token, body=body)
            fleet.inside.add(hub_id)
            after = f"&after={told['seq']}"
    finally:
        writer.transport.abort()


async def bystander(server: RunningMosaic, took_ms: list[float]) -> None:
    """Asks for /livez, again and again."""
    while True:
        began = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.http_port
            )
            writer.write(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
            if await reader.readline():
                took_ms.append((time.perf_counter() - began) * 1000)
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.1)


async def storm(
    name: str, server: RunningMosaic, fleet: Fleet, limit_s: float
) -> dict[str, Any]:
    """Until all are inside; what it cost."""
    assert server.process is not None
    pids = [server.process.pid]
    before, began = cpu_seconds(pids), time.perf_counter()
    took_ms: list[float] = []
    watching = asyncio.create_task(bystander(server, took_ms))
    while len(fleet.inside) < len(fleet.boxes):
        if time.perf_counter() - began > limit_s:
            break
        await asyncio.sleep(0.05)
    wall_s = time.perf_counter() - began
    watching.cancel()
    count = len(fleet.boxes)
    return {
        "storm": name,
        "hubs": count,
        "inside": len(fleet.inside),
        "wall_s": round(wall_s, 1),
        "retries": fleet.retries,
        "server_cpu_ms_per_hub": round((cpu_seconds(pids) - before) * 1e3 / count, 2),
        "server_rss_mb": rss_kb(pids) // 1024,
        "livez_ms_median": round(statistics.median(took_ms or [0]), 1),
        "livez_ms_worst": round(max(took_ms or [0]), 1),
    }


def furnish(state: Path, count: int) -> dict[str, HubBox]:
    """A database with so many hubs, and their boxes."""
    boxes: dict[str, HubBox] = {}
    with (
        open_direct(state / "mosaic.db") as direct,
        direct._engine.begin() as connection,
    ):
        for number in range(count):
            body = f"{40_000_000 + number}"
            hub_id, box = body + luhn_digit(body), HubBox()
            room = Room(hub_id=hub_id, name=hub_id, pin="000000", created_at=1.0)
            hub = Hub(
                hub_id=hub_id,
                name=f"Hub {number}",
                public_key=box.public_key,
                code=secrets.token_bytes(32),
                enrolled_at=1.0,
            )
            rooms.add(connection, room)
            connection.execute(insert(hubs_table).values(values_of(hub)))
            boxes[hub_id] = box
    return boxes


async def run(
    server: RunningMosaic, fleet: Fleet, spread_s: float, limit_s: float
) -> None:
    """Both storms; a line of JSON each."""
    tasks = [
        asyncio.create_task(live(fleet, hub_id, random.random() * spread_s))
        for hub_id in fleet.boxes
    ]
    print(json.dumps(await storm("first", server, fleet, limit_s)), flush=True)
    fleet.retries = 0
    server.signal(signal.SIGTERM)
    code = await asyncio.to_thread(server.wait)
    await asyncio.to_thread(server.start)
    fleet.inside.clear()
    told = await storm("restart", server, fleet, limit_s)
    print(json.dumps({**told, "exit_code": code}), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Furnish, start, storm, stop."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hubs", type=int, default=5000)
    options.add_argument("--spread", type=float, default=0.0, metavar="SECONDS")
    options.add_argument("--in-flight", type=int, default=200, metavar="HANDSHAKES")
    options.add_argument("--limit", type=float, default=50.0, metavar="SECONDS")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mosaic-storm-") as folder:
        state = Path(folder) / "state"
        state.mkdir()
        boxes = furnish(state, given.hubs)
        server = RunningMosaic(state=state)
        server.start()
        try:
            tls = ssl.create_default_context(cafile=str(state / "tls" / "ca.pem"))
            shaking = asyncio.Semaphore(given.in_flight)
            fleet = Fleet(boxes, server.port, tls, shaking)
            asyncio.run(run(server, fleet, given.spread, given.limit))
        finally:
            server.stop()


if __name__ == "__main__":
    main()

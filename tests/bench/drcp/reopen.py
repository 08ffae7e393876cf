#!/usr/bin/env python3
"""How long a room takes to come back after it was unloaded.

    python tests/bench/drcp/reopen.py

Milliseconds from the token to the document, without a network: room, chat and
document are read from SQLite, and the document is built again. Three documents:
an empty one, the editing trace, and the board of 3.75 MB (as snapshots).
"""

import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import compare
from pycrdt import Doc
from twisted.internet import defer, reactor, task

from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.service import DrcpService
from mosaic.store.sql import SqlStore
from mosaic.workspace.model import Principal, Role, Room

HUB = "123456782"


def trace():
    """The trace's document as one update."""
    doc, data, at = Doc(), compare.TRACE.read_bytes(), 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        doc.apply_update(data[at + 4 : at + 4 + size])
        at += 4 + size
    return doc.get_update()


class Door:
    """Knows one token."""

    async def principal(self, token):
        """An editor."""
        return Principal(
            name="Ann", account=None, admin=False, hub_id=HUB, role=Role.EDITOR,
            participant_id="a" * 16, expires_at=time.time() + 3600,
        )  # fmt: skip


def service_over(store):
    """A service that has nothing in memory."""
    service = DrcpService(
        reactor, Drcp(), door=Door(), store=store, bus=MemoryBus(reactor),
        origin_allowed=lambda origin, host: True, wall_clock=time.time,
    )  # fmt: skip
    service.startService()
    return service


async def measure(_):
    """Ten times each, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(pathlib.Path(folder) / "mosaic.db", reactor)
        await store.start()
        await store.add_room(Room(hub_id=HUB, name="R", pin="123456", created_at=0.0))
        documents = {"room": b"", "notes/trace": trace()}
        documents["board"] = compare.BOARD.read_bytes()
        for name, state in documents.items():
            await store.load_document(HUB, name)
            if state:
                await store.save_snapshot(HUB, name, state, through_seq=0)
        times = {name: [] for name in documents}
        for _ in range(10):
            for name in documents:
                service = service_over(store)
                began = time.perf_counter()
                _, room = await service.admit("token")
                document = await room.document(name)
                document.diff(b"\0")
                times[name].append((time.perf_counter() - began) * 1000)
                await service.stopService()
        for name, taken in times.items():
            size = len(documents[name]) / 1024
            print(f"{name}: {size:.0f} KiB, {statistics.median(taken):.1f} ms")
        await store.stop()


if __name__ == "__main__":
    subprocess.run(["make", "-s", "-C", HERE], check=True)
    compare.make_loads(["board", "trace"])
    task.react(lambda _: defer.Deferred.fromCoroutine(measure(_)))

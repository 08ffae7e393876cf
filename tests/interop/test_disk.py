"""A whole server whose disk is full, and one whose journal holds rubbish."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, connectWS
from pycrdt import Doc, Text
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mosaic.store.interface import JournalEntry
from mosaic.store.sql import SqlStore
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Type
from tests.interop.test_drcp import NativeClient
from tests.support.pumped import PumpedReactor
from tests.support.running import RunningMosaic

# The reactor of the test run; mypy sees a module.
reactor: Any = _reactor


class DiskCase(TestCase):
    """A server in a process of its own, a room, and clients over real sockets."""

    timeout = 300

    def setUp(self) -> None:
        self.server = RunningMosaic()
        self.addCleanup(self.server.stop)
        self.clients: list[NativeClient] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self._leave()))

    async def _leave(self) -> None:
        for one in self.clients:
            one.sendClose()
        await self.until(lambda: all(c.closed for c in self.clients), "goodbyes")
        await self.until(
            lambda: not any("_Batched" in repr(c) for c in reactor.getDelayedCalls()),
            "end of timers",
        )

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, at most 30 s."""
        for _ in range(1500):
            if condition():
                return
            await deferLater(reactor, 0.02)
        self.fail(f"no {what}")

    def make_room(self) -> None:
        """With a token for an editor."""
        self.hub_id = self.server.command_json("room", "create", "Full")["hub_id"]
        made = self.server.command_json("room", "token", self.hub_id)
        self.token = made["token"]

    async def join(self, name: str = "notes/a") -> NativeClient:
        """Somebody who has the document open."""
        token = self.server.command_json("room", "token", self.hub_id)["token"]
        factory: Any = WebSocketClientFactory(
            f"ws://127.0.0.1:{self.server.http_port}/drcp", protocols=["drcp.1"]
        )
        factory.protocol = NativeClient
        factory.arrived = Deferred()
        connectWS(factory)
        peer: NativeClient = await factory.arrived
        self.clients.append(peer)
        peer.say(client.hello(token, client="test"))
        peer.open(name)
        await self.until(lambda: peer.has(Type.OPENED), "document")
        return peer

    def values(self, peer: NativeClient, kind: int) -> list[Any]:
        """Of the messages of a type, oldest first."""
        return [message.value for message in peer.seen if message.type == kind]

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One REST call as the editor."""
        call = self.server.call
        return await deferToThread(call, method, path, body, token=self.token)

    async def ready(self) -> tuple[int, Any]:
        """What /readyz says."""

        def get() -> tuple[int, Any]:
            try:
                with urllib.request.urlopen(f"{self.server.url}/readyz") as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        return await deferToThread(get)

    async def upload(self, data: bytes) -> int:
        """The status of an upload."""

        def post() -> int:
            url = f"{self.server.url}/api/v1/rooms/{self.hub_id}/blobs"
            request = urllib.request.Request(url, data, method="POST")
            request.add_header("Authorization", f"Bearer {self.token}")
            request.add_header("Content-Type", "image/png")
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        return await deferToThread(post)

    async def metric(self, name: str) -> float:
        """One number of /metrics."""

        def get() -> str:
            with urllib.request.urlopen(f"{self.server.url}/metrics") as answer:
                return str(answer.read().decode())

        lines = (await deferToThread(get)).splitlines()
        [value] = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
        return float(value)


class FullDiskTests(DiskCase):
    """No file of the server may grow (RLIMIT_FSIZE, set from outside)."""

    async def test_meetings_go_on_and_all_is_saved_when_space_returns(self) -> None:
        """Live goes on; nothing is acknowledged that is not kept; and afterwards
        everything is committed without anybody doing anything."""
        self.server.start()
        self.make_room()
        ada, eve = await self.join(), await self.join()
        ada.type("before ")
        await self.until(lambda: True in self.values(ada, Type.SYNC_STATUS), "save")
        hard = self.limit(400_000)
        unsaved = 0
        while not any(e["code"] == 507 for e in self.values(ada, Type.ERROR)):
            ada.type("x" * 20_000)
            unsaved += 1
            self.assertLess(unsaved, 300)
            await deferLater(reactor, 0.05)
        ada.type(" after")
        await self.until(lambda: str(eve.text).endswith(" after"), "live edit")
        statuses = self.values(ada, Type.SYNC_STATUS)
        self.assertIn(False, statuses)
        saved_while_full = statuses.count(True)
        ada.say(client.event("chat", {"text": "hello " * 600, "message_id": "m1"}))
        await self.fill()
        errors = self.values(ada, Type.ERROR)
        ada.say(client.event("chat", {"text": "hello", "message_id": "m2"}))
        await self.until(
            lambda: any(
                e.get("message_id") == "m2" for e in self.values(ada, Type.ERROR)
            ),
            "refusal of a message",
        )
        self.assertTrue(all(e["code"] == 507 for e in errors))
        self.assertEqual(await self.upload(b"p" * 600_000), 507)
        status, problem = await self.ask(
            "POST",
            f"/rooms/{self.hub_id}/versions",
            {"document": "notes/a", "label": "x"},
        )
        self.assertEqual((status, problem["status"]), (507, 507))
        status, reasons = await self.ready()
        self.assertEqual((status, reasons["reasons"]), (503, {"store": "StoreFull"}))
        self.limit(hard)
        await self.until(
            lambda: self.values(ada, Type.SYNC_STATUS).count(True) == unsaved + 2,
            "acknowledgement of everything",
        )
        self.assertGreater(unsaved + 2, saved_while_full)
        await self.until_ready()
        ada.say(client.event("chat", {"text": "hello", "message_id": "m2"}))
        await self.until(
            lambda: any(e["type"] == "chat" for e in self.values(eve, Type.EVENT)),
            "message",
        )
        self.assertEqual(await self.upload(b"p" * 600_000), 201)
        text = str(ada.text)
        assert self.server.process is not None
        self.server.process.kill()
        self.server.process.wait()
        self.assertEqual(self.stored("notes/a"), text)

    def limit(self, size: int) -> int:
        """No file may grow past this; the limit that was."""
        assert self.server.process is not None
        largest = max(f.stat().st_size for f in self.server.state.glob("mosaic.db*"))
        _, hard = resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE)
        wanted = hard if size == hard else max(size, largest + 100_000)
        new = (wanted, hard)
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, new)
        return hard

    async def fill(self) -> None:
        """Until not even a small row fits."""
        for _ in range(200):
            status, _ = await self.ready()
            if status == 503:
                return
        self.fail("there is still room")

    async def until_ready(self) -> None:
        """Until the server says that it is."""
        for _ in range(100):
            status, _ = await self.ready()
            if status == 200:
                return
            await deferLater(reactor, 0.1)
        self.fail("never ready")

    def stored(self, name: str) -> str:
        """The text of a document as the next process finds it."""
        pumped = PumpedReactor()
        store = SqlStore(self.server.state / "mosaic.db", pumped)
        pumped.result(store.start())
        found = pumped.result(store.load_document(self.hub_id, name))
        pumped.result(store.stop())
        doc: Doc[Any] = Doc()
        for update in (found.snapshot, *found.updates):
            if update:
                doc.apply_update(update)
        return str(doc.get("t", type=Text))


class PoisonTests(DiskCase):
    """Rows of the journal that are no updates, in a real database file."""

    async def test_the_room_opens_without_them(self) -> None:
        """Counted, listed by `mosaic check`, and the rest is all there."""
        self.server.start()
        self.make_room()
        self.server.signal(signal.SIGTERM)
        self.assertEqual(await deferToThread(self.server.wait), 0)
        self.poison(self.server.state / "mosaic.db")
        again = RunningMosaic(state=self.server.state)
        self.addCleanup(again.stop)
        self.server = again
        await deferToThread(again.start)
        ada = await self.join()
        self.assertEqual(str(ada.text), "one two ")
        ada.type("three")
        await self.until(lambda: True in self.values(ada, Type.SYNC_STATUS), "save")
        self.assertEqual(
            await self.metric("mosaic_drcp_quarantined_total"), len(RUBBISH)
        )
        listed = [
            one["problem"]
            for one in self.check()
            if "set aside" in one["problem"] and self.hub_id in one["problem"]
        ]
        self.assertEqual(len(listed), len(RUBBISH))
        self.assertIn("notes/a", listed[0])

    def check(self) -> Any:
        """What `mosaic check --json` says; it fails, since a server runs."""
        return json.loads(self.server.command("check", "--json").stdout)

    def poison(self, database: Path) -> None:
        """Two good updates, and rubbish before, between and after."""
        doc: Doc[Any] = Doc()
        text = doc.get("t", type=Text)
        good = []
        for word in ("one ", "two "):
            before = doc.get_state()
            text += word
            good.append(doc.get_update(before))
        updates = [RUBBISH[0], good[0], *RUBBISH[1:-1], good[1], RUBBISH[-1]]
        pumped = PumpedReactor()
        store = SqlStore(database, pumped)
        pumped.result(store.start())
        entries = [JournalEntry(update=update, author="aa") for update in updates]
        pumped.result(store.append_updates(self.hub_id, "notes/a", entries))
        pumped.result(store.stop())
        with sqlite3.connect(database) as raw:
            (count,) = raw.execute("SELECT count(*) FROM journal").fetchone()
        raw.close()
        self.assertEqual(count, len(updates))


RUBBISH = [
    b"",
    b"\xff" * 50,
    bytes.fromhex("fea69968"),
    hashlib.sha512(b"rubbish").digest() * 100,
    b"Dear diary",
]
"""Empty, endless numbers, what once took half a gigabyte, noise, text."""

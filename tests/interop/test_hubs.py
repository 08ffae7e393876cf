"""A room box's life against a whole server: code, key, feed, XMPP, DRCP, the end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp.client import hello
from tests.support.hubbox import HubBox
from tests.support.running import RunningMosaic
from tests.support.slixmpp_asker import Asker, Refused
from tests.support.websocket import BINARY, frame, read_outcome

PASSWORD = "correct horse"
SOON_S = 5.0
PING = "<ping xmlns='urn:xmpp:ping'/>"
ROSTER = "<query xmlns='jabber:iq:roster'/>"


class Rest:
    """REST over TLS, with the server's own CA."""

    def __init__(self, server: RunningMosaic) -> None:
        self._base = f"{server.tls_url}/api/v1"
        self.tls = ssl.create_default_context(
            cafile=str(server.state / "tls" / "ca.pem")
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        data: bytes | None = None,
        kind: str = "application/json",
    ) -> tuple[int, Any]:
        """Status and decoded body."""
        request = urllib.request.Request(f"{self._base}{path}", method=method)
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            request.add_header("Content-Type", kind)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            opened = urllib.request.urlopen(request, data, timeout=40, context=self.tls)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
        with opened as answer:
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(content or b"null") if is_json else content


class Sitting(threading.Thread):
    """A participant of a room over DRCP, until the server ends it."""

    def __init__(self, port: int, tls: ssl.SSLContext, token: str) -> None:
        super().__init__(daemon=True)
        self.closed: int | None = None
        self.welcomed = threading.Event()
        raw = socket.create_connection(("localhost", port), 10)
        raw.settimeout(30)
        self._link = tls.wrap_socket(raw, server_hostname="localhost")
        self._link.sendall(
            f"GET /drcp HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: drcp.1\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self._reader = self._link.makefile("rb")
        assert b" 101 " in self._reader.readline()
        while self._reader.readline() != b"\r\n":
            pass
        self._link.sendall(frame(BINARY, hello(token, client="test")))
        self.start()

    def run(self) -> None:
        """Read to the end."""
        self.closed = read_outcome(self._reader).closed
        self._link.close()


class HubLifeTests(SynchronousTestCase):
    """One server, one box."""

    def setUp(self) -> None:
        """Start it, with an administrator."""
        self.server = RunningMosaic()
        self.addCleanup(self.server.stop)
        for name, flags in (("ada", ["--admin"]), ("bob", [])):
            made = self.server.command(
                "user", "add", name, "--password-stdin", *flags, text=f"{PASSWORD}\n"
            )
            self.assertEqual(made.returncode, 0, made.stderr)
        self.server.start()
        self.rest = Rest(self.server)
        self.admin = self.ok(
            "POST", "/sessions", {"name": "ada", "password": PASSWORD}
        )["token"]

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The body of a success."""
        status, told = self.rest.call(method, path, body, **more)
        self.assertIn(status, (200, 201, 204), told)
        return told

    def enrol(self) -> tuple[HubBox, str, str]:
        """A box that comes by a code of the command line; its token."""
        code = self.server.command_json("hub", "enrol-code", "--name", "third floor")
        box = HubBox()
        told = self.ok("POST", "/hubs", box.enrolment(code["code"], name="Lisbon"))
        hub_id = told["hub_id"]
        self.assertEqual(told["jid"], f"hub-{hub_id}@localhost")
        self.login = self.ok(
            "POST", f"/hubs/{hub_id}/tokens", box.proof(hub_id, int(time.time()))
        )
        return box, hub_id, self.login["token"]

    def test_from_its_code_to_its_removal(self) -> None:
        """Everything works, and at the end all of it ends at once."""
        asyncio.run(asyncio.wait_for(self.life(), 60))

    async def life(self) -> None:
        """See above."""
        box, hub_id, token = await asyncio.to_thread(self.enrol)
        hub = f"/hubs/{hub_id}"
        xmpp = self.login["xmpp"]
        agent = await self.come(xmpp["jid"], xmpp["password"])
        bob = await self.come("bob@localhost", PASSWORD)

        def follow(seq: int) -> asyncio.Task[Any]:
            path = f"{hub}/feed?after={seq}&wait=30"
            return asyncio.create_task(
                asyncio.to_thread(self.rest.call, "GET", path, token=token)
            )

        def ask(method: str, path: str, body: Any = None, by: str = "") -> Any:
            return asyncio.to_thread(self.ok, method, path, body, token=by or token)

        # what it shall do comes by both ways
        seq = (await ask("GET", f"{hub}/feed"))["seq"]
        await ask("PUT", f"{hub}/status", {"doing": "idle", "version": "1.0"})
        waiting = follow(seq)
        await asyncio.sleep(0.2)
        self.assertFalse(waiting.done())
        desired = {"desired": {"room": hub_id}}
        await ask("PATCH", hub, desired, by=self.admin)
        status, feed = await asyncio.wait_for(waiting, SOON_S)
        self.assertEqual((status, feed["desired"]["room"]), (200, hub_id))
        look = await agent.next_message()
        self.assertEqual(look["type"], "headline")
        self.assertIsNotNone(look.xml.find("{urn:mosaic:hub:1}look"))

        # people see what it does, as a contact
        await ask("PUT", f"{hub}/status", {"doing": "meeting", "room": hub_id})
        await bob.until_seen(f"{hub_id}@hubs.localhost", "dnd")
        roster = await bob.ask("bob@localhost", ROSTER)
        jids = {item.get("jid") for item in roster}
        self.assertIn(f"{hub_id}@hubs.localhost", jids)
        self.assertNotIn(f"hub-{hub_id}@localhost", jids)
        listed = self.server.command_json("hub", "list")
        self.assertEqual(
            [(one["hub_id"], one["doing"]) for one in listed], [(hub_id, "meeting")]
        )

        # its account may little
        await agent.ask("localhost", PING)
        with self.assertRaises(Refused):
            await agent.ask("bob@localhost", PING)

        # in the room
        seat = await ask("POST", f"{hub}/room-token", {})
        sitting = await asyncio.to_thread(
            Sitting, self.server.port, self.rest.tls, seat["token"]
        )
        await asyncio.sleep(0.3)
        self.assertTrue(sitting.is_alive())

        # a screenshot for the administrator
        body = {"command": "screenshot"}
        asked = await ask("POST", f"{hub}/commands", body, by=self.admin)
        feed = await ask("GET", f"{hub}/feed")
        self.assertEqual([one["id"] for one in feed["commands"]], [asked["id"]])
        picture = b"\x89PNG\r\n\x1a\n" + bytes(3_000_000)
        one = f"{hub}/commands/{asked['id']}"
        await asyncio.to_thread(
            self.ok, "PUT", f"{one}/file", token=token, data=picture, kind="image/png"
        )
        await ask("POST", f"{one}/result", {"ok": True})
        shown = await ask("GET", one, by=self.admin)
        self.assertEqual(shown["state"], "done")
        path = shown["file"].removeprefix("/api/v1")
        got = await asyncio.to_thread(self.ok, "GET", path, token=self.admin)
        self.assertEqual(got, picture)

        # the end
        waiting = follow(feed["seq"])
        await asyncio.sleep(0.2)
        removed = await asyncio.to_thread(self.server.command, "hub", "remove", hub_id)
        self.assertEqual(removed.returncode, 0, removed.stderr)
        status, told = await asyncio.wait_for(waiting, 2)
        self.assertEqual(status, 401, told)
        await asyncio.wait_for(agent.ended, 2)
        await bob.until_seen(f"{hub_id}@hubs.localhost", "unavailable")
        await asyncio.to_thread(sitting.join, 2)
        self.assertEqual(sitting.closed, 4403)
        for dead, path in ((token, f"{hub}/feed"), (seat["token"], "/me")):
            status, _ = await asyncio.to_thread(self.rest.call, "GET", path, token=dead)
            self.assertEqual(status, 401)
        proof = box.proof(hub_id, int(time.time()))
        status, told = await asyncio.to_thread(
            self.rest.call, "POST", f"{hub}/tokens", proof
        )
        self.assertEqual(status, 401)
        self.assertEqual(told["type"], "urn:mosaic:problem:hub-unknown")
        await ask("GET", f"/rooms/{hub_id}", by=self.admin)
        await bob.disconnect()

    async def come(self, jid: str, password: str) -> Watcher:
        """Logged in over direct TLS, with our CA."""
        ca = Path(self.server.state) / "tls" / "ca.pem"
        client = Watcher(jid, password, ca_file=str(ca))
        await client.log_in(self.server.port)
        return client

    def test_the_store_knows_hubs_while_no_server_runs(self) -> None:
        """A token is good after a restart; removed meanwhile, it is not."""
        _, hub_id, token = self.enrol()
        self.ok("PUT", f"/hubs/{hub_id}/status", {"doing": "idle"}, token=token)
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0)
        [shown] = self.server.command_json("hub", "list")
        self.assertEqual((shown["hub_id"], shown["doing"]), (hub_id, "offline"))
        self.assertGreater(shown["last_seen"], time.time() - 60)
        self.server.start()
        feed = self.ok("GET", f"/hubs/{hub_id}/feed", token=token)
        self.assertTrue(feed["report"])
        self.server.signal(signal.SIGTERM)
        self.server.wait()
        done = self.server.command("hub", "remove", hub_id)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = self.server.command("hub", "remove", hub_id)
        self.assertEqual((again.returncode, len(again.stderr.splitlines())), (1, 1))
        self.server.start()
        status, _ = self.rest.call("GET", f"/hubs/{hub_id}/feed", token=token)
        self.assertEqual(status, 401)


class Watcher(Asker):
    """Notes who is seen, and keeps messages."""

    def __init__(self, jid: str, password: str, *, ca_file: str) -> None:
        super().__init__(jid, password, ca_file=ca_file)
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._seen: dict[str, str] = {}
        self._changed = asyncio.Event()
        every = MatchXPath("{jabber:client}message")
        self.register_handler(Callback("all", every, self._messages.put_nowait))
        self.add_event_handler("presence", self._presence)
        self.add_event_handler("disconnected", self._ended)

    def _presence(self, presence: Any) -> None:
        kind = presence["type"]
        self._seen[presence["from"].bare] = kind
        self._changed.set()

    def _ended(self, _: object) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def next_message(self) -> Any:
        """The next one."""
        return await asyncio.wait_for(self._messages.get(), SOON_S)

    async def until_seen(self, jid: str, kind: str) -> None:
        """Until somebody's presence is of that type or show."""
        async with asyncio.timeout(SOON_S):
            while self._seen.get(jid) != kind:
                self._changed.clear()
                await self._changed.wait()

"""The site over real sockets: what memory transports cannot show."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import treq
from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool

from mosaic.auth.door import HouseDoor
from mosaic.bus.memory import MemoryBus
from mosaic.config.settings import Auth, Http, Settings
from mosaic.services.rest.root import build_rest, join_url_at
from mosaic.store.memory import MemoryStore
from mosaic.tls.websocket import WebSocketOverTls
from tests.support.live import live_versions
from tests.support.rest import PASSWORD, FixedCredentials

reactor: Any = installed
HTTP = Http(headers_timeout_s=0.5, max_upload_bytes=4_000_000)

UPGRADE = (
    b"GET /drcp HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo(WebSocketOverTls):
    """Says everything again."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Echo."""
        self.sendMessage(payload, isBinary)


class SocketTests(TestCase):
    """One site on a loopback port, the reactor's own timers and threads."""

    timeout = 120

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Listen."""
        store, bus = MemoryStore(), MemoryBus(reactor)
        door = HouseDoor(
            store,
            bus,
            clock=reactor,
            wall=time.time,
            settings=Auth(scram_iterations=1),
            server_key=b"k" * 32,
            run_in_thread=deferToThread,  # type: ignore[arg-type]  # differs in its first argument's name
            credentials=FixedCredentials(),
            credential_ttl_s=600,
            turn_urls=lambda host: (f"turn:{host}:3478",),
        )
        factory = WebSocketServerFactory()
        factory.protocol = Echo
        self.state = Path(self.mktemp())
        rest = build_rest(
            settings=Settings(http=HTTP),
            door=door,
            store=store,
            bus=bus,
            reactor=reactor,
            now=time.time,
            run_in_thread=deferToThread,
            state=self.state,
            static=self.state / "static",
            join_url=join_url_at("https://localhost"),
            live=live_versions(reactor, door, store, bus, time.time),
            children={"drcp": WebSocketResource(factory)},
        )
        await door.add_account("ada", PASSWORD, admin=True)
        issued = await door.log_in("ada", PASSWORD, address="127.0.0.1")
        room = await door.create_room("Blue", owner="ada")
        self.bearer = {"Authorization": f"Bearer {issued.token}"}
        port = reactor.listenTCP(0, rest.site(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.blobs = f"/api/v1/rooms/{room.hub_id}/blobs"
        pool = HTTPConnectionPool(reactor, persistent=False)
        self.agent = Agent(reactor, pool=pool)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """One request on a connection of its own."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return await treq.request(method, url, agent=self.agent, **more)

    def raw(self, head: bytes, filler: int = 0) -> Deferred[bytes]:
        """In a thread: send, then read until the server closes."""

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
                sock.settimeout(30)
                sock.sendall(head)
                try:
                    sock.sendall(b"x" * filler)
                except OSError:
                    pass  # it had enough; is its answer here all the same?
                got = b""
                while chunk := sock.recv(65536):
                    got += chunk
                return got

        return deferToThread(talk)

    async def test_megabytes_there_and_back(self) -> None:
        """Through the thread that syncs, and a transport that pushes back."""
        data = secrets.token_bytes(3_000_000)
        sent = await self.ask("POST", self.blobs, data=data, headers=self.bearer)
        self.assertEqual(sent.code, 201)
        digest = hashlib.sha256(data).hexdigest()
        path = f"{self.blobs}/{digest}"
        got = await self.ask("GET", path, headers=self.bearer)
        self.assertEqual(await got.content(), data)

    async def test_the_answer_to_a_body_too_long_is_not_lost(self) -> None:
        """A reset while the peer still sends would take the 413 with it."""
        head = (
            "POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\n"
            "Content-Length: 700000000\r\n\r\n"
        )
        got = await self.raw(head.encode(), 800_000)
        self.assertIn(b"HTTP/1.1 413 ", got)
        problem = json.loads(got.partition(b"\r\n\r\n")[2])
        self.assertEqual(problem["status"], 413)

    async def test_silent_peers_are_cut_off(self) -> None:
        """By the reactor's clock, not a test's."""
        started = time.monotonic()
        got = await self.raw(b"GET / HTTP/1.1\r\nHost: a\r\n").addErrback(lambda _: b"")
        self.assertEqual(got, b"")
        self.assertLess(time.monotonic() - started, 5)

    async def test_websocket_outlives_the_deadlines(self) -> None:
        """After the upgrade a connection is the service's, however long."""
        pause_s = 2 * HTTP.headers_timeout_s

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
                sock.sendall(UPGRADE)
                got = b""
                while b"\r\n\r\n" not in got:
                    got += sock.recv(4096)
                time.sleep(pause_s)
                sock.sendall(b"\x82\x83\x00\x00\x00\x00two")
                return got + sock.recv(4096)

        got = await deferToThread(talk)
        self.assertIn(b"HTTP/1.1 101 ", got)
        self.assertTrue(got.endswith(b"\x82\x03two"))

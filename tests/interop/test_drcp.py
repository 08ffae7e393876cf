"""DRCP over real sockets: native clients, and stock ones where Node is."""

from __future__ import annotations

import json
import os
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    connectWS,
)
from pycrdt import Doc, Text
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from mosaic.config.settings import Drcp
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Step, Type
from mosaic.workspace.model import Role
from tests.support.drcp import HUB
from tests.support.drcp_served import ServedCase, reactor
from tests.support.node import PEERS, node_with


class NativeClient(WebSocketClientProtocol):
    """A small native client with one document on channel 1."""

    transport: Any
    factory: Any

    def onOpen(self) -> None:
        """Greet."""
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("t", type=Text)
        self.seen: list[client.Message] = []
        self.closed: tuple[int, str] | None = None
        self.factory.arrived.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Apply what arrives."""
        for message in client.read_frame(payload):
            self.seen.append(message)
            if message.type == Type.OPENED:
                self.doc.apply_update(message.value.update)
            elif message.type == Type.SYNC and message.value[0] != 0:
                self.doc.apply_update(message.value[1])

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """Remember why."""
        self.closed = (code, reason)

    def say(self, frame: bytes) -> None:
        """Send a frame."""
        self.sendMessage(frame, isBinary=True)

    def open(self, name: str) -> None:
        """Open a document with what is known already."""
        self.say(client.open_document(1, name, self.doc.get_state()))

    def type(self, text: str) -> None:
        """Edit and send."""
        before = self.doc.get_state()
        self.text += text
        self.say(client.sync(1, Step.UPDATE, self.doc.get_update(before)))

    def has(self, kind: int) -> bool:
        """Whether a message of the type has arrived."""
        return any(message.type == kind for message in self.seen)


class SocketTests(ServedCase):
    """A real port with the memory store behind it."""

    timeout = 180
    # A busy machine must not make a slow reader too slow.
    settings = Drcp(unload_after_s=1.0, bytes_per_s=2.0**24, max_behind_s=60.0)

    def setUp(self) -> None:
        """And its clients."""
        super().setUp()
        self.clients: list[NativeClient] = []

    async def _stop(self) -> None:
        """They hear of it, too."""
        await super()._stop()
        await self.until(lambda: all(c.closed for c in self.clients), "goodbyes")

    async def connect(self, **options: Any) -> NativeClient:
        """A socket to /drcp."""
        factory: Any = WebSocketClientFactory(
            f"ws://127.0.0.1:{self.number}/drcp", protocols=["drcp.1"], **options
        )
        factory.protocol = NativeClient
        factory.arrived = Deferred()
        connectWS(factory)
        peer: NativeClient = await factory.arrived
        self.clients.append(peer)
        return peer

    async def enter(
        self, who: str, role: Role = Role.EDITOR, name: str = "board"
    ) -> NativeClient:
        """A client with the document open."""
        peer = await self.connect()
        peer.say(client.hello(self.token(who, role), client="test"))
        peer.open(name)
        await self.until(lambda: peer.has(Type.OPENED), "opened")
        return peer

    async def test_native_clients(self) -> None:
        """Converge, join late, merge offline edits, refuse viewers."""
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.type("hello ")
        await self.until(lambda: str(bob.text) == "hello ", "the edit")
        await self.until(lambda: ann.has(Type.SYNC_STATUS), "the acknowledgement")
        late = await self.enter("cid", Role.VIEWER)
        self.assertEqual(str(late.text), "hello ")
        late.type("no")
        await self.until(lambda: late.has(Type.ERROR), "the refusal")
        bob.sendClose(1000)
        await self.until(lambda: bob.closed, "the close")
        bob.text += "offline"
        again = await self.connect()
        again.doc, again.text = bob.doc, bob.text
        again.say(client.hello(self.token("bob"), client="test"))
        again.open("board")
        await self.until(lambda: again.has(Type.OPENED), "opened")
        (opened,) = [m.value for m in again.seen if m.type == Type.OPENED]
        missing = again.doc.get_update(opened.state_vector)
        again.say(client.sync(1, Step.ANSWER, missing))
        await self.until(lambda: str(ann.text) == "hello offline", "the merge")

    async def test_a_killed_client_disappears(self) -> None:
        """Its awareness is taken back at once."""
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.say(client.awareness(1, 7, 1, "{}"))
        await self.until(lambda: bob.has(Type.AWARENESS), "the state")
        ann.transport.abortConnection()

        def gone() -> bool:
            last = [m.value for m in bob.seen if m.type == Type.AWARENESS][-1]
            return bool(last[0].state == "null")

        await self.until(gone, "the null state")

    async def test_foreign_pages_are_refused(self) -> None:
        """A page of another origin gets no socket, ours does."""
        ours = await self.connect(origin=f"http://127.0.0.1:{self.number}")
        self.assertIsNone(ours.closed)
        self.assertEqual(await self._upgrade(b"Origin: http://evil.test\r\n"), b"403")
        # Autobahn answers to this one by itself.
        self.assertEqual(await self._upgrade(b"Origin: null\r\n"), b"400")

    async def test_a_slow_reader_costs_nobody(self) -> None:
        """It stops reading, the others go on, it catches up by a diff."""
        ann, bob, cid = [await self.enter(who) for who in ("ann", "bob", "cid")]
        bob.transport.pauseProducing()
        slow = self.service.counters
        for number in range(100):
            ann.type(f"{number}:" + "x" * 100_000)
            await deferLater(reactor, 0.02)
            if any(c.outbound.is_behind for c in self.service.connections):
                break
        else:
            self.fail("never behind")
        await self.until(lambda: str(cid.text) == str(ann.text), "the others")
        bob.transport.resumeProducing()
        await self.until(lambda: str(bob.text) == str(ann.text), "the diff")
        self.assertGreaterEqual(slow.slow_diffs, 1)
        self.assertIsNone(bob.closed)

    async def test_large_frames_before_hello(self) -> None:
        """Nobody fills our memory before saying who they are."""
        peer = await self.connect()
        peer.say(bytes(2**21))
        await self.until(lambda: peer.closed, "the close")
        self.assertEqual(peer.closed and peer.closed[0], 1009)

    async def test_the_subprotocol_is_needed(self) -> None:
        """Without drcp.1 there is no native socket."""
        self.assertEqual(await self._upgrade(b"", protocol=b""), b"400")

    async def test_y_websocket_is_refused_at_the_handshake(self) -> None:
        """After a socket that opened, the stock client comes back at once."""
        good = self.token("ann").encode()
        hub = HUB.encode()
        for target, status in (
            (b"/y/%b/board?token=bad" % hub, b"401"),
            (b"/y/%b/board" % hub, b"401"),
            (b"/y/987654321/board?token=%b" % good, b"403"),
            (b"/y/%b/nothing?token=%b" % (hub, good), b"404"),
            (b"/y/%b/notes%%2Fa?token=%b" % (hub, good), b"101"),
        ):
            self.assertEqual(await self._upgrade(b"", b"", target), status, target)

    async def _upgrade(
        self,
        headers: bytes,
        protocol: bytes = b"Sec-WebSocket-Protocol: drcp.1\r\n",
        target: bytes = b"/drcp",
    ) -> bytes:
        """The status of a handshake written by hand."""
        from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
        from twisted.internet.protocol import Protocol

        answer: Deferred[bytes] = Deferred()

        class Raw(Protocol):
            """Reads the status line."""

            def dataReceived(self, data: bytes) -> None:
                if not answer.called:
                    answer.callback(data.split()[1])
                    self.transport.loseConnection()  # type: ignore[union-attr]  # it is connected

        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)
        raw = await connectProtocol(endpoint, Raw())
        raw.transport.write(
            b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            % (target, self.number)
            + protocol
            + headers
            + b"\r\n"
        )
        return await answer

    async def test_stock_clients(self) -> None:
        """y-websocket and Hocuspocus converge with a native client."""
        node = await deferToThread(node_with, "yjs")
        ann = await self.enter("ann", name="notes/minutes")
        ann.type("native")
        tokens = [self.token(who) for who in ("yone", "ytwo", "hocthree", "hocfour")]
        out, err, code = await getProcessOutputAndValue(
            node,
            [str(PEERS / "converge.mjs"), str(self.number), HUB, *tokens],
            env=os.environ,
        )
        report = json.loads(out or b"{}")
        self.assertEqual(code, 0, (report, err[-2000:]))
        await self.until(lambda: str(ann.text) == report["text"], "the same text")
        self.assertEqual(report["scope"], "read-write")
        self.assertIn("Yone", report["names"])
        self.assertNotIn("Mallory", report["names"])

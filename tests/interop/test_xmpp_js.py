"""The stock @xmpp/client under Node: over direct TLS and over the websocket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import Any
from unittest import TestCase

from mosaic.wire.xmpp.xml import read_node
from tests.support.node import PEERS, node_with
from tests.support.running import RunningMosaic
from tests.support.xmpp_client import Address, XmppClient

PASSWORD = "correct horse"
SETTINGS = "[xmpp]\nscram_sha_1 = true\n"
"""The client knows SCRAM-SHA-1 and no better."""


async def converse(node: str, service: str, address: Address) -> dict[str, Any]:
    """What the client reports, while bob answers whatever it says."""
    bob = XmppClient(address)
    await bob.log_in("bob", PASSWORD)
    await bob.bind("desk")
    bob.send("<presence/>")

    async def answer() -> None:
        while True:
            said = await bob.take(lambda it: it.name == "message", 60)
            body = read_node(said).child("jabber:client", "body")
            if body is not None:
                sender = said.attributes["from"]
                bob.send(
                    f"<message to='{sender}' type='chat'>"
                    f"<body>re: {body.text}</body></message>"
                )

    answering = asyncio.create_task(answer())
    process = await asyncio.create_subprocess_exec(
        node,
        "xmppjs.mjs",
        *(service, "localhost", "ann", PASSWORD, "bob@localhost/desk"),
        cwd=PEERS,
        env={**os.environ, "NODE_TLS_REJECT_UNAUTHORIZED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    answering.cancel()
    await bob.close()
    assert out, err.decode()[-2000:]
    report: dict[str, Any] = json.loads(out)
    return report


class XmppJsTests(TestCase):
    """Login, ping, chat; the socket is lost with a message under way; resumption."""

    def setUp(self) -> None:
        """A Mosaic that offers what the client needs."""
        self.node = node_with("@xmpp/client")
        self.server = RunningMosaic()
        config = self.server.state / "mosaic.toml"
        config.write_text(SETTINGS)
        self.server.flags = ("--config", str(config))
        for name in ("ann", "bob"):
            words = ("--config", str(config), "user", "add", name, "--password-stdin")
            done = self.server.command(*words, text=PASSWORD)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.server.stop)
        self.server.start()

    def check(self, service: str) -> None:
        """All of it happened; the message under way came once."""
        address = Address(self.server.port)
        report = asyncio.run(converse(self.node, service, address))
        self.assertEqual(report["heard"], ["re: one", "re: two", "re: three"], report)
        self.assertTrue(report["resumed"], report)
        self.assertTrue(report["pong"], report)

    def test_direct_tls(self) -> None:
        """XEP-0368."""
        self.check(f"xmpps://localhost:{self.server.port}")

    def test_websocket(self) -> None:
        """RFC 7395, on the same port."""
        self.check(f"wss://localhost:{self.server.port}/xmpp-websocket")

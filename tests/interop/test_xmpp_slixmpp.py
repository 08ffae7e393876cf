"""A day with slixmpp: every feature that a stock client library uses."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any
from unittest import SkipTest, TestCase

from mosaic.wire.stun.message import Class
from tests.support.dialogue_stage import mosaic_with_accounts
from tests.support.prosody import PROSODY, RunningProsody
from tests.support.slixmpp_day import spend_the_day
from tests.support.turn_client import UdpClient

PASSWORD = "secret"
DAY: dict[str, Any] = {
    "roster": ["bob@localhost"],
    "carbons": ["to bob", "to ann"],
    "archive": ["to bob", "to ann"],
    "blocked": ["bob@localhost", "service-unavailable"],
    "mood": "happy",
    "bookmarks": ["tea@rooms.localhost Tea"],
    "room": ["Ann", "Ann", "Bob", "tea?"],
    "upload": "hello",
    "resumed": ["are you there?", "yes"],
}


class SlixmppTests(TestCase):
    """Roster, carbons, archive, blocking, PEP, bookmarks, rooms, upload, relays,
    resumption."""

    maxDiff = None

    def test_mosaic(self) -> None:
        """All of it; and the relay that is named gives an address."""
        server = mosaic_with_accounts(["ann", "bob"])
        self.addCleanup(server.stop)
        server.start()
        seen = asyncio.run(spend_the_day(server.port, PASSWORD))
        services = seen.pop("services")
        self.assertEqual(seen, DAY)
        self.assertIn("stun", {service["type"] for service in services})
        relay = next(
            service
            for service in services
            if (service["type"], service["transport"]) == ("turn", "udp")
        )
        self.allocate(relay)

    def allocate(self, relay: dict[str, str]) -> None:
        """XEP-0215's credential is good."""
        host = socket.gethostbyname(relay["host"])
        login = relay["username"], relay["password"]
        client = UdpClient((host, int(relay["port"])), login)
        self.addCleanup(client.sock.close)
        answer = client.allocate()
        self.assertEqual(answer.cls, Class.SUCCESS)
        client.end()

    def test_prosody(self) -> None:
        """The same day elsewhere: what is asked of Mosaic is nothing special."""
        if not PROSODY.exists():
            if os.environ.get("CI") == "true":
                self.fail("prosody is not installed: apt-get install prosody")
            raise SkipTest("prosody is not installed")
        names = ["ann", "bob"]
        server = RunningProsody(dict.fromkeys(names, PASSWORD), contacts=[names])
        self.addCleanup(server.stop)
        server.start()
        seen = asyncio.run(spend_the_day(server.port, PASSWORD))
        seen.pop("services")
        self.assertEqual(seen, DAY)

"""A call's servers, fetched over XMPP (XEP-0215), and really used."""

from __future__ import annotations

import asyncio
import os
from unittest import IsolatedAsyncioTestCase
from unittest.mock import patch

from aioice import Connection, TransportPolicy

from tests.support.running import RunningMosaic
from tests.support.slixmpp_asker import Asker

WITHIN_S = 40.0
NS = "urn:xmpp:extdisco:2"


class TurnOverXmppTests(IsolatedAsyncioTestCase):
    """slixmpp asks a whole Mosaic, aioice allocates there."""

    def setUp(self) -> None:
        """A server with one account."""
        self.mosaic = RunningMosaic().start()
        self.addCleanup(self.mosaic.stop)
        added = self.mosaic.command(
            "user", "add", "ann", "--password-stdin", text="secret\n"
        )
        self.assertEqual(added.returncode, 0, added.stderr)
        self.ca_file = self.mosaic.state / "tls" / "ca.pem"

    async def fetch(self) -> list[dict[str, str]]:
        """The services that ann is told of."""
        ann = Asker("ann@localhost/t", "secret", ca_file=str(self.ca_file))
        await ann.log_in(self.mosaic.port)
        answer = await ann.ask("localhost", f"<services xmlns='{NS}'/>")
        await ann.disconnect()
        return [dict(service.attrib) for service in answer]

    async def allocate(self, service: dict[str, str]) -> str:
        """The relayed address that the server gives."""
        ice = Connection(
            ice_controlling=True,
            turn_server=(service["host"], int(service["port"])),
            turn_username=service["username"],
            turn_password=service["password"],
            turn_transport=service["transport"],
            turn_ssl=service["type"] == "turns",
            transport_policy=TransportPolicy.RELAY,
        )
        try:
            await ice.gather_candidates()
            kinds = {candidate.type for candidate in ice.local_candidates}
            self.assertEqual(kinds, {"relay"}, service)
            return str(ice.local_candidates[0].host)
        finally:
            await ice.close()

    async def test_every_server_that_is_told_allocates(self) -> None:
        """UDP, TCP and TLS; a wrong password does not."""
        services = await asyncio.wait_for(self.fetch(), WITHIN_S)
        relays = [one for one in services if one["type"].startswith("turn")]
        ways = sorted((one["type"], one["transport"]) for one in relays)
        self.assertEqual(ways, [("turn", "tcp"), ("turn", "udp"), ("turns", "tcp")])
        with patch.dict(os.environ, SSL_CERT_FILE=str(self.ca_file)):
            for service in relays:
                await asyncio.wait_for(self.allocate(service), WITHIN_S)
        with self.assertRaises(Exception):  # noqa: B017 - aioice's own, per transport
            wrong = relays[0] | {"password": "wrong"}
            await asyncio.wait_for(self.allocate(wrong), WITHIN_S)

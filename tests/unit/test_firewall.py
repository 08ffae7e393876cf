"""Firewall rules from the configuration, in each form."""

from __future__ import annotations

import json
import re

from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Endpoints, Region, Settings, Turn
from mosaic.netcheck.firewall import FORMATS, Opening, elsewhere, openings, render

MISSION = Settings(
    endpoints=Endpoints(
        rest=("mosaic-tls:443",),
        drcp=("mosaic-tls:443",),
        xmpp=("mosaic-tls:443",),
        turn_tls=("mosaic-tls:443",),
        http=("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=\\:\\:1"),
        redirect=("tcp:80",),
        turn_tcp=(),
        turn_udp=("udp:53",),
    )
)


def ports(rows: list[Opening]) -> list[str]:
    """`tcp 443` and so on."""
    return [f"{row.transport} {row.ports}" for row in rows]


class FirewallTests(SynchronousTestCase):
    """What must be open, and nothing else."""

    def test_the_shortest_list(self) -> None:
        """TCP 80 and 443, UDP 53; what is for this machine alone is left out."""
        self.assertEqual(ports(openings(MISSION)), ["tcp 80", "tcp 443", "udp 53"])

    def test_shared_port_names_every_service(self) -> None:
        """One rule, all its purposes and layer-7 protocols."""
        (row,) = [row for row in openings(MISSION) if row.ports == "443"]
        self.assertEqual(len(row.purposes), 4)
        for protocol in ("HTTP", "XMPP", "TURN", "TLS", "SRTP"):
            self.assertIn(protocol, row.protocols)

    def test_relay_ports_discovery_and_moved_ports(self) -> None:
        """What else listens, and flags of the running server."""
        turn = Turn(
            relay_ports=(50000, 50100),
            nat_discovery=("192.0.2.1:3478", "192.0.2.2:3479"),
        )
        settings = structs.replace(MISSION, turn=turn)
        moved = {("tcp", 443): 9443}
        found = ports(openings(settings, moved=moved, relay_ports=True))
        self.assertEqual(
            found,
            ["tcp 80", "tcp 9443", "udp 53", "udp 3478", "udp 3479", "udp 50000-50100"],
        )

    def test_names_and_protocols_are_listed_for_people(self) -> None:
        """The mission's list of layer-7 protocols, our name and the regions'."""
        region = Region(name="Mumbai", urls=("turn:in.example.org:5349?transport=udp",))
        settings = structs.replace(
            MISSION, public_host="meet.example.org", regions=(region,)
        )
        far = elsewhere(settings)
        self.assertEqual(ports(far), ["udp 5349"])
        text = render([*openings(settings), *far], "text")
        web, media = ("HTTP", "HTTPS", "XMPP", "DNS"), ("DTLS", "SRTP", "STUN")
        for word in (*web, *media, "TURN", "ICE"):
            self.assertRegex(text, rf"\b{word}\b")
        for words in ("meet.example.org", "in.example.org (Mumbai)", "updates"):
            self.assertIn(words, text)
        for form in FORMATS[1:]:  # no rules here for what is elsewhere
            rules = render([*openings(settings), *far], form)
            self.assertEqual(rules, render(openings(settings), form))

    def test_every_form_has_every_port(self) -> None:
        """And what a machine reads can be read."""
        rows = openings(MISSION, relay_ports=True)
        for form in FORMATS:
            text = render(rows, form)
            for row in rows:
                self.assertTrue(re.search(rf"\b{row.first}\b", text), (form, row))
        rules = json.loads(render(rows, "aws"))
        self.assertEqual({rule["IpProtocol"] for rule in rules}, {"tcp", "udp"})
        self.assertEqual(render(rows, "azure").count("az network nsg"), len(rows))
        for rule in rules:  # what EC2 allows in a description
            words = rule["IpRanges"][0]["Description"]
            self.assertTrue(
                re.fullmatch(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+", words)
            )
            self.assertLess(len(words), 128)  # nft's limit for a comment

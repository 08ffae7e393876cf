"""STUN and TURN over XMPP (XEP-0215)."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.addresses import Addresses
from mosaic.app.credentials import CredentialDesk
from mosaic.app.revocation import revoke_with_the_door
from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.services.xmpp.extras.services import NAMESPACES, read_url
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import condition
from tests.support.xmpp_house import XmppCase

NS = NAMESPACES[0]
HOST = "meet.example.org"


class UrlTests(SynchronousTestCase):
    """What the rest of the house calls a server, in the words of the XEP."""

    def test_every_url_of_ours_is_understood(self) -> None:
        """IPv6 loses its brackets."""
        urls = Addresses(public_host="x", turn_port=3478, turn_tls_port=443).turn_urls(
            "2001:db8::7"
        )
        found = [read_url(url) for url in urls]
        self.assertEqual(
            [(one.kind, one.port, one.transport) for one in found],
            [
                ("stun", "3478", "udp"),
                ("turn", "3478", "udp"),
                ("turn", "3478", "tcp"),
                ("turns", "443", "tcp"),
            ],
        )
        self.assertEqual({one.host for one in found}, {"2001:db8::7"})

    @given(st.text())
    def test_anything_else_is_a_value_error(self, text: str) -> None:
        """Never another exception."""
        try:
            read_url(text)
        except ValueError as error:
            self.assertIn(text, str(error))


class FakeRelay:
    """Has no allocations."""

    def drop(self, matches: object) -> None:
        """Nothing to end."""


class ServicesTests(XmppCase):
    """What accounts are told."""

    def services(self, attributes: str = "") -> list[Node]:
        """The list, as bob sees it."""
        asked = f"<services xmlns='{NS}'{attributes}/>"
        return self.result(self.bob, asked, "localhost").children

    def test_every_transport_with_credentials(self) -> None:
        """Section 3.1; STUN needs none."""
        told = self.services()
        self.assertEqual(
            [
                (n.attributes["type"], n.attributes["port"], n.attributes["transport"])
                for n in told
            ],
            [
                ("stun", "3478", "udp"),
                ("turn", "3478", "udp"),
                ("turn", "3478", "tcp"),
                ("turns", "8443", "tcp"),
            ],
        )
        self.assertEqual({n.attributes["host"] for n in told}, {HOST})
        self.assertNotIn("username", told[0].attributes)
        for node in told[1:]:
            self.assertEqual(node.attributes["restricted"], "true")
            self.assertEqual(node.attributes["expires"], "2023-11-14T22:23:20Z")
            self.assertRegex(node.attributes["username"], r"^\d+:bob/[0-9a-f]{6}$")
            self.assertEqual(node.attributes["password"], "secret")

    def test_one_type(self) -> None:
        """Section 3.2."""
        kinds = [n.attributes["type"] for n in self.services(" type='turns'")]
        self.assertEqual(kinds, ["turns"])
        self.assertEqual(self.services(" type='ftp'"), [])

    def test_credentials_of_one_server(self) -> None:
        """Section 3.3, with and without the port."""
        for port, expected in (("", 2), (" port='3478'", 2), (" port='1'", 0)):
            wanted = f"<service host='{HOST}' type='turn'{port}/>"
            asked = f"<credentials xmlns='{NS}'>{wanted}</credentials>"
            answer = self.ask(self.bob, asked, "localhost")
            if expected:
                [credentials] = answer.children
                self.assertEqual(len(credentials.children), expected)
                for one in credentials.children:
                    self.assertIn("password", one.attributes)
            else:
                self.assertEqual(condition(answer), "item-not-found")
        answer = self.ask(self.bob, f"<credentials xmlns='{NS}'/>", "localhost")
        self.assertEqual(condition(answer), "bad-request")

    def test_announced(self) -> None:
        """So that clients ask."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        features = {
            n.attributes.get("var")
            for n in self.result(self.bob, info, "localhost").children
        }
        self.assertLessEqual(set(NAMESPACES), features)

    def test_they_pass_and_end_with_the_account(self) -> None:
        """Real ones: the relay takes them until the account is removed."""
        secrets = TurnSecrets([b"k" * 32], ttl_s=600)
        revoke_with_the_door(
            self.bus, secrets=secrets, relay=FakeRelay(), now=lambda: self.wall
        )
        self.door._credentials = CredentialDesk(secrets)
        told = self.services()[1].attributes
        username, password = told["username"], told["password"]
        self.assertTrue(re.fullmatch(r"\d+:bob/\w+", username))
        self.assertTrue(secrets.check(username, password, self.wall))
        self.run_steps(self.door.remove_account("bob"))
        self.house.clock.advance(0)
        self.assertFalse(secrets.check(username, password, self.wall))

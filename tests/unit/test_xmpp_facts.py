"""Discovery and the small answers: version, time, last presence, contacts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

import mosaic
from mosaic.config.errors import ConfigError
from mosaic.config.load import load_settings
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.asked import Asked
from mosaic.services.xmpp.extras.desk import Desk
from mosaic.services.xmpp.extras.disco import Facts, Form, Identity
from mosaic.services.xmpp.extras.seen import WRITE_EVERY_S
from mosaic.wire.xmpp.jid import Jid, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import Node, read_node
from tests.support.xmpp import HEADER, condition
from tests.support.xmpp_house import XmppCase

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
LAST = "<query xmlns='jabber:iq:last'/>"


def stanza(text: str) -> Stanza:
    """As the stream parser cuts it."""
    found = StreamParser(max_stanza_bytes=1 << 16).feed((HEADER + text).encode())[-1]
    assert isinstance(found, Stanza)
    return found


def form_values(query: Node) -> dict[str, dict[str, list[str]]]:
    """FORM_TYPE -> fields of the forms in an answer."""
    found: dict[str, dict[str, list[str]]] = {}
    for form in query.children:
        if form.name == "x":
            fields = {
                field.attributes["var"]: [value.text for value in field.children]
                for field in form.children
            }
            found[fields.pop("FORM_TYPE")[0]] = fields
    return found


class HashTests(SynchronousTestCase):
    """XEP-0115 section 5."""

    def test_the_example_of_the_xep(self) -> None:
        """Section 5.2."""
        facts = Facts(
            (Identity("client", "pc", "Exodus 0.9.1"),),
            (
                "http://jabber.org/protocol/muc",
                INFO,
                ITEMS,
                "http://jabber.org/protocol/caps",
            ),
        )
        self.assertEqual(facts.ver(), "QgayPKawpkPSDYmwT/WM94uAlu0=")

    def test_the_example_with_a_form(self) -> None:
        """Section 5.3: two languages, a form with many values."""
        facts = Facts(
            (
                Identity("client", "pc", "Psi 0.11", "en"),
                Identity("client", "pc", "\u03a8 0.11", "el"),
            ),
            (
                "http://jabber.org/protocol/caps",
                INFO,
                ITEMS,
                "http://jabber.org/protocol/muc",
            ),
            (
                Form(
                    "urn:xmpp:dataforms:softwareinfo",
                    (
                        ("ip_version", ("ipv6", "ipv4")),
                        ("os", ("Mac",)),
                        ("os_version", ("10.5.1",)),
                        ("software", ("Psi",)),
                        ("software_version", ("0.11",)),
                    ),
                ),
            ),
        )
        self.assertEqual(facts.ver(), "q07IKJEyjvHSyhy//CH0CxmKi8w=")

    @given(st.permutations(["a", "b", "Z", "ä", "\U0001f40e", "zz"]))
    def test_order_does_not_matter(self, names: list[str]) -> None:
        """What is told in another order is the same."""
        forms = tuple(Form(name, ((name, tuple(names)),)) for name in names)
        facts = Facts((Identity("a", "b"),), tuple(names), forms)
        other = Facts(
            facts.identities,
            tuple(sorted(names)),
            tuple(Form(n, ((n, tuple(sorted(names))),)) for n in sorted(names)),
        )
        self.assertEqual(facts.ver(), other.ver())


class FactsTests(XmppCase):
    """What the server says of itself."""

    xmpp: dict[str, Any] = {
        "contact_addresses": (
            "admin mailto:ops@example.org",
            "admin xmpp:ann@localhost",
            "abuse mailto:abuse@example.org",
        )
    }

    def test_version(self) -> None:
        """XEP-0092, of the domain and of the component; no operating system."""
        for to in ("localhost", "mosaic.localhost"):
            query = self.result(self.ann, "<query xmlns='jabber:iq:version'/>", to)
            told = {node.name: node.text for node in query.children}
            self.assertEqual(told, {"name": "Mosaic", "version": mosaic.__version__})

    def test_time(self) -> None:
        """XEP-0202, in UTC."""
        for to in ("localhost", "mosaic.localhost"):
            answer = self.result(self.ann, "<time xmlns='urn:xmpp:time'/>", to)
            told = {node.name: node.text for node in answer.children}
            self.assertEqual(told, {"tzo": "+00:00", "utc": "2023-11-14T22:13:20Z"})

    def test_uptime(self) -> None:
        """XEP-0012 section 5."""
        self.wall += 77.9
        answer = self.result(self.ann, LAST, "localhost")
        self.assertEqual(answer.attributes["seconds"], "77")

    def test_contacts_and_software_are_forms(self) -> None:
        """XEP-0157 and XEP-0232, as XEP-0128 has them."""
        query = self.result(self.ann, f"<query xmlns='{INFO}'/>", "localhost")
        self.assertEqual(
            form_values(query),
            {
                "urn:xmpp:dataforms:softwareinfo": {
                    "software": ["Mosaic"],
                    "software_version": [mosaic.__version__],
                },
                "http://jabber.org/network/serverinfo": {
                    "abuse-addresses": ["mailto:abuse@example.org"],
                    "admin-addresses": [
                        "mailto:ops@example.org",
                        "xmpp:ann@localhost",
                    ],
                },
            },
        )

    def test_contacts_that_nobody_could_write_to(self) -> None:
        """Are refused at the start, with the key."""
        for line in ("boss mailto:a@b", "admin", "admin ops"):
            with self.assertRaises(ConfigError) as caught:
                load_settings(None, {"xmpp": {"contact_addresses": (line,)}})
            self.assertIn("xmpp.contact_addresses", str(caught.exception))

    def test_components_have_names(self) -> None:
        """So that a client can show them."""
        query = self.result(self.ann, f"<query xmlns='{ITEMS}'/>", "localhost")
        told = {n.attributes["jid"]: n.attributes["name"] for n in query.children}
        self.assertEqual(told["mosaic.localhost"], "Mosaic")

    def test_the_hash_in_the_features_is_that_of_the_answer(self) -> None:
        """XEP-0115 section 6.3: the node with it is answered the same."""
        client = self.house.connect()
        client.start()
        client.auth("eve", "wicked")
        [caps] = [one for one in client.start().children if one.name == "c"]
        ver, node = caps.attributes["ver"], caps.attributes["node"]
        plain = self.result(self.ann, f"<query xmlns='{INFO}'/>", "localhost")
        asked = f"<query xmlns='{INFO}' node='{node}#{ver}'/>"
        query = self.result(self.ann, asked, "localhost")
        self.assertEqual(query.attributes.pop("node"), f"{node}#{ver}")
        self.assertEqual(query, plain)
        forms = form_values(plain)
        facts = Facts(
            (Identity("server", "im", "Mosaic"),),
            tuple(n.attributes["var"] for n in plain.children if n.name == "feature"),
            tuple(
                Form(kind, tuple((var, tuple(vs)) for var, vs in fields.items()))
                for kind, fields in forms.items()
            ),
        )
        self.assertEqual(facts.ver(), ver)

    def test_unknown_nodes(self) -> None:
        """XEP-0030 section 3.2."""
        for ns in (INFO, ITEMS):
            for to in ("localhost", "mosaic.localhost"):
                asked = f"<query xmlns='{ns}' node='x'/>"
                answer = self.ask(self.ann, asked, to)
                self.assertEqual(condition(answer), "item-not-found")


class LastTests(XmppCase):
    """XEP-0012 about accounts."""

    def seconds(self, about: str) -> str:
        """What ann is told."""
        return self.result(self.ann, LAST, about).attributes["seconds"]

    def test_whoever_is_here_was_seen_now(self) -> None:
        """Section 4: zero."""
        self.assertEqual(self.seconds("bob@localhost"), "0")
        self.assertEqual(self.seconds("ann@localhost"), "0")

    def test_the_last_session_counts(self) -> None:
        """A second one that stays open keeps the account here."""
        second = self.client("bob", "second")
        self.bob.drop()
        self.wall += 10
        self.assertEqual(self.seconds("bob@localhost"), "0")
        second.drop()
        self.wall += 5
        self.assertEqual(self.seconds("bob@localhost"), "5")

    def test_never_here(self) -> None:
        """And names that nobody has cannot be told apart from the forbidden."""
        never = self.ask(self.ann, LAST, "eve@localhost")
        self.assertEqual(condition(never), "item-not-found")
        unknown = self.ask(self.ann, LAST, "nobody@localhost")
        self.assertEqual(condition(unknown), "forbidden")

    def test_while_it_is_being_written(self) -> None:
        """Whoever asks at once is told all the same; afterwards the store is."""
        committed: Deferred[None] = Deferred()
        self.patch(self.store, "note_seen", lambda seen: committed)
        self.bob.drop()
        self.wall += 3
        self.assertEqual(self.seconds("bob@localhost"), "3")
        self.house.clock.advance(WRITE_EVERY_S)
        self.assertEqual(self.seconds("bob@localhost"), "3")
        committed.callback(None)
        answer = self.ask(self.ann, LAST, "bob@localhost")
        self.assertEqual(condition(answer), "item-not-found")

    def test_those_who_leave_together_are_written_together(self) -> None:
        """A commit for each would cost as much as a login."""
        noted: list[list[str]] = []

        def note(seen: dict[str, float]) -> Deferred[None]:
            noted.append(sorted(seen))
            return succeed(None)

        self.patch(self.store, "note_seen", note)
        for name in ("bob", "eve"):
            self.client(name, "x").drop()
        self.bob.drop()
        self.assertEqual(noted, [])
        self.house.clock.advance(WRITE_EVERY_S)
        self.assertEqual(noted, [["bob", "eve"]])

    def test_it_is_written_before_the_service_has_stopped(self) -> None:
        """What was noted while everybody was sent away is kept."""
        self.successResultOf(self.house.service.stopService())
        self.assertEqual(self.run_steps(self.store.last_seen("bob")), self.wall)


class KeptOutlet:
    """Remembers what a component said."""

    def __init__(self) -> None:
        self.sent: list[Node] = []

    def send(self, to: Jid, data: bytes) -> bool:
        """As a tree, and the addresses fit."""
        node = read_node(stanza(data.decode()))
        assert node.attributes["to"] == str(to)
        self.sent.append(node)
        return True

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """A desk only answers."""
        raise AssertionError


class DeskTests(SynchronousTestCase):
    """A component's desk, whatever is asked of it."""

    def setUp(self) -> None:
        self.desk = Desk("part.example.org", Identity("component", "generic", "Part"))
        self.outlet = KeptOutlet()
        self.desk.outlet = self.outlet

    def hear(self, text: str, to: str = "part.example.org") -> list[Node]:
        """What it answers."""
        self.desk.receive(stanza(text), parse_jid("ann@example.org/a"), parse_jid(to))
        sent, self.outlet.sent = self.outlet.sent, []
        return sent

    def test_answers_come_from_where_the_question_went(self) -> None:
        """And go to who asked."""
        [answer] = self.hear("<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(
            answer.attributes,
            {
                "type": "result",
                "id": "1",
                "from": "part.example.org",
                "to": "ann@example.org/a",
            },
        )

    def test_what_is_refused(self) -> None:
        """With the condition that says why."""
        ping = "<ping xmlns='urn:xmpp:ping'/>"
        for text, to, why in (
            (f"<iq type='get'>{ping}</iq>", "", "bad-request"),
            ("<iq id='1' type='get'/>", "", "bad-request"),
            ("<iq id='1' type='get'><a xmlns='u'/></iq>", "", "service-unavailable"),
            (f"<iq id='1' type='set'>{ping}</iq>", "", "service-unavailable"),
            (f"<iq id='1' type='get'>{ping}</iq>", "x@", "service-unavailable"),
            ("<message><body>hi</body></message>", "", "service-unavailable"),
        ):
            [answer] = self.hear(text, to + "part.example.org")
            self.assertEqual(condition(answer), why, text)

    def test_what_is_not_answered(self) -> None:
        """Answers, errors and presence (RFC 6120 section 8.3)."""
        for text in (
            "<iq id='1' type='result'/>",
            "<iq id='1' type='error'/>",
            "<message type='error'/>",
            "<presence/>",
            "<presence type='unavailable'/>",
        ):
            self.assertEqual(self.hear(text), [], text)

    def test_a_fault_of_ours_is_an_error_and_logged(self) -> None:
        """The asker does not wait for ever."""

        async def broken(asked: Asked) -> str:
            raise RuntimeError

        async def refused(asked: Asked) -> str:
            raise Undeliverable("forbidden", text="no")

        self.desk.add("get", "u", "broken", broken)
        self.desk.add("get", "u", "refused", refused)
        [answer] = self.hear("<iq id='1' type='get'><broken xmlns='u'/></iq>")
        self.assertEqual(condition(answer), "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        [answer] = self.hear("<iq id='1' type='get'><refused xmlns='u'/></iq>")
        self.assertEqual(condition(answer), "forbidden")

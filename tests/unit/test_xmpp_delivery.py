"""Stanzas between people, to the server and to the component."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given, settings
from hypothesis.strategies import builds, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp import exchange
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import MemoryClient, MemoryXmpp, condition

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


NAMES = sampled_from(["message", "presence", "iq", "iq", "other"])
ADDRESSES = sampled_from(
    [
        "",
        "@",
        "localhost",
        "mosaic.localhost",
        "mosaic.localhost/x",
        "x@y@z",
        "ann@localhost",
        "bob@localhost",
        "bob@localhost/b",
        "eve@localhost",
        "a@b.c",
    ]
)
TYPES = sampled_from(
    [
        "",
        "get",
        "set",
        "result",
        "error",
        "chat",
        "groupchat",
        "headline",
        "probe",
        "subscribe",
        "unsubscribed",
        "unavailable",
        "odd",
    ]
)
INNER = sampled_from(
    [
        "",
        "text",
        "<ping xmlns='urn:xmpp:ping'/>",
        "<a xmlns='u'/><b/>",
        f"<query xmlns='{INFO}'/>",
        f"<query xmlns='{ITEMS}'/>",
        "<query xmlns='jabber:iq:roster'/>",
        "<error/>",
        "<priority>1</priority>",
        "<bind xmlns='u'><resource/></bind>",
    ]
)


def iq(payload: str, to: str = "", kind: str = "get") -> str:
    """An IQ with id 1."""
    address = f" to='{to}'" if to else ""
    return f"<iq type='{kind}' id='1'{address}>{payload}</iq>"


def presences(nodes: list[Node]) -> list[tuple[str, str]]:
    """Who is told to be what."""
    return sorted((n.attributes["from"], n.attributes.get("type", "")) for n in nodes)


class Base(SynchronousTestCase):
    """Three people: two of them present."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        self.settle()

    def settle(self) -> None:
        """Read away what is not the matter of a test."""
        for client in (self.ann, self.bob):
            client.receive()


class MessageTests(Base):
    """RFC 6121 section 8.5."""

    def test_bytes_are_forwarded(self) -> None:
        """Only `from` is ours; the client's own is not believed."""
        inner = b"<body  x = 'y'>hi &lt;&#33;</body><e xmlns='u'/>"
        self.ann.send(b"<message to='bob@localhost/b' id='7'>" + inner + b"</message>")
        [stanza] = self.bob.receive_stanzas()
        self.assertIn(b">" + inner + b"<stanza-id ", stanza.raw)
        self.assertEqual(stanza.attributes["from"], "ann@localhost/a")

    def test_lying_about_from_ends_the_stream(self) -> None:
        """RFC 6120 section 4.9.3.9."""
        self.ann.send("<message from='ann@localhost' to='bob@localhost'/>")
        self.assertEqual(len(self.bob.receive()), 1)
        answers = self.ann.send("<message from='eve@localhost' to='bob@localhost'/>")
        self.assertEqual(condition(answers[-1]), "invalid-from")

    def test_bare_address_reaches_all_who_want(self) -> None:
        """Available, with a priority that is not negative."""
        phone = self.house.client("bob", "phone")
        shy = self.house.client("bob", "shy", present=False)
        low = self.house.client("bob", "low", present=False)
        low.send("<presence><priority>-1</priority></presence>")
        self.settle()
        everybody = (phone, self.bob, shy, low)
        for client in everybody:
            client.receive()
        self.ann.send("<message to='bob@localhost' type='chat'><body/></message>")
        self.assertEqual([len(c.receive()) for c in everybody], [1, 1, 0, 0])
        self.ann.send("<message to='bob@localhost/gone' type='chat'><body/></message>")
        self.assertEqual([len(c.receive()) for c in everybody], [1, 1, 0, 0])
        self.ann.send("<message to='bob@localhost/shy'><body/></message>")
        self.assertEqual([len(c.receive()) for c in everybody], [0, 0, 1, 0])

    def test_unknown_people(self) -> None:
        """RFC 6121 section 8.5.1."""
        for to in ("nobody@localhost", "nobody@localhost/x", "localhost"):
            [answer] = self.ann.send(f"<message to='{to}' id='5'><body/></message>")
            self.assertEqual(
                (answer.attributes["type"], answer.attributes["id"]), ("error", "5")
            )
            self.assertEqual(answer.attributes["from"], to)
            self.assertEqual(condition(answer), "service-unavailable")

    def test_errors_and_headlines_are_never_answered(self) -> None:
        """RFC 6120 section 8.3.1: or two servers would talk forever."""
        for kind in ("error", "headline"):
            sent = f"<message to='eve@localhost' type='{kind}'/>"
            self.assertEqual(self.ann.send(sent), [])

    def test_bad_addresses(self) -> None:
        """Malformed, or of a server that we do not speak to."""
        [answer] = self.ann.send("<message to='@'/>")
        self.assertEqual(condition(answer), "jid-malformed")
        [answer] = self.ann.send("<message to='a@example.org'/>")
        self.assertEqual(condition(answer), "remote-server-not-found")

    def test_message_without_to_is_for_oneself(self) -> None:
        """RFC 6121 section 8.1.1.1."""
        [echo] = self.ann.send("<message><body>note</body></message>")
        self.assertEqual(echo.attributes["from"], "ann@localhost/a")

    def test_what_is_no_stanza_ends_the_stream(self) -> None:
        """RFC 6120 section 4.9.3.24."""
        answers = self.ann.send("<letter to='bob@localhost'/>")
        self.assertEqual(condition(answers[-1]), "unsupported-stanza-type")

    def test_one_account_has_a_bound_number_of_sessions(self) -> None:
        """A client in a loop fills nothing."""
        self.patch(exchange, "MAX_SESSIONS", 2)
        self.house.client("ann", "2")
        third = self.house.connect()
        third.start()
        third.auth("ann", "secret")
        third.start()
        self.assertEqual(condition(third.bind("3")), "resource-constraint")


class AnyStanzaTests(SynchronousTestCase):
    """Whatever a logged-in client sends, others are unharmed."""

    @settings(max_examples=60, deadline=None)
    @given(
        lists(
            builds(
                "<{} to='{}' type='{}' id='1'>{}</{}>".format,
                NAMES,
                ADDRESSES,
                TYPES,
                INNER,
                NAMES,
            ),
            max_size=6,
        )
    )
    def test_any_stanza_is_safe(self, sent: list[str]) -> None:
        """No error is logged, and the neighbour goes on."""
        house = MemoryXmpp()
        ann, bob = house.client("ann", "a"), house.client("bob", "b")
        ann.send(*sent)
        bob.receive()
        [answer] = bob.send(iq("<ping xmlns='urn:xmpp:ping'/>"))
        self.assertEqual(answer.attributes["type"], "result")
        self.assertEqual(self.flushLoggedErrors(), [])


class IqTests(Base):
    """What the server answers, and what it passes on."""

    def test_ping(self) -> None:
        """XEP-0199, to the server and to oneself."""
        for to in ("", "localhost", "ann@localhost"):
            [answer] = self.ann.send(iq("<ping xmlns='urn:xmpp:ping'/>", to))
            self.assertEqual(answer.attributes["type"], "result")
            self.assertEqual(answer.attributes["from"], to or "ann@localhost")

    def test_disco_of_the_server(self) -> None:
        """XEP-0030: who it is and what stands beside it."""
        [answer] = self.ann.send(iq(f"<query xmlns='{INFO}'/>", "localhost"))
        identity = answer.children[0].children[0]
        self.assertEqual(identity.attributes["category"], "server")
        [answer] = self.ann.send(iq(f"<query xmlns='{ITEMS}'/>", "localhost"))
        items = [n.attributes["jid"] for n in answer.children[0].children]
        self.assertEqual(
            items, ["mosaic.localhost", "rooms.localhost", "upload.localhost"]
        )

    def test_disco_of_oneself(self) -> None:
        """An account says that it is one."""
        [answer] = self.ann.send(iq(f"<query xmlns='{INFO}'/>"))
        identity = answer.children[0].children[0]
        self.assertEqual(identity.attributes["type"], "registered")

    def test_roster_is_the_organisation(self) -> None:
        """Everybody else with an account, subscribed both ways."""
        [answer] = self.ann.send(iq("<query xmlns='jabber:iq:roster'/>"))
        items = answer.children[0].children
        self.assertEqual(
            [(n.attributes["jid"], n.attributes["subscription"]) for n in items],
            [("bob@localhost", "both"), ("eve@localhost", "both")],
        )

    def test_unknown_request(self) -> None:
        """service-unavailable (RFC 6120 section 8.4)."""
        for to in ("", "localhost", "bob@localhost", "eve@localhost/x"):
            [answer] = self.ann.send(iq("<query xmlns='unknown'/>", to))
            self.assertEqual(condition(answer), "service-unavailable")

    def test_bad_requests(self) -> None:
        """An IQ has an id, one of four types, and a question."""
        for sent in (
            "<iq type='get' to='localhost'><a xmlns='u'/></iq>",
            "<iq type='ask' id='1'><a xmlns='u'/></iq>",
            "<iq id='1'/>",
            "<iq type='get' id='1'/>",
        ):
            [answer] = self.ann.send(sent)
            self.assertEqual(condition(answer), "bad-request")

    def test_between_people(self) -> None:
        """There and back by bytes, a Jingle offer for instance."""
        self.ann.send(
            iq("<jingle xmlns='urn:xmpp:jingle:1'/>", "bob@localhost/b", "set")
        )
        [asked] = self.bob.receive()
        self.assertEqual(asked.attributes["from"], "ann@localhost/a")
        self.bob.send("<iq type='result' id='1' to='ann@localhost/a'/>")
        [answer] = self.ann.receive()
        self.assertEqual(answer.attributes["from"], "bob@localhost/b")

    def test_second_bind_is_refused(self) -> None:
        """One resource for a stream."""
        self.assertEqual(condition(self.ann.bind("x")), "service-unavailable")


class PresenceTests(Base):
    """Everybody of the domain sees everybody who is there."""

    def test_arrival_and_departure(self) -> None:
        """Both ways: who is here, and that I am."""
        eve = self.house.connect()
        eve.log_in("eve", "e", present=False)
        self.assertEqual(
            presences(eve.send("<presence/>")),
            [("ann@localhost/a", ""), ("bob@localhost/b", ""), ("eve@localhost/e", "")],
        )
        self.assertEqual(presences(self.ann.receive()), [("eve@localhost/e", "")])
        eve.send("<presence type='unavailable'/>")
        self.assertEqual(
            presences(self.ann.receive()), [("eve@localhost/e", "unavailable")]
        )
        eve.send("<presence><show>away</show></presence>")
        [node] = self.ann.receive()
        self.assertEqual(node.children[0].text, "away")

    def test_lost_connection_is_a_departure(self) -> None:
        """Nobody stays on the screen as a ghost."""
        self.bob.drop()
        self.assertEqual(
            presences(self.ann.receive()), [("bob@localhost/b", "unavailable")]
        )

    def test_change_is_not_an_arrival(self) -> None:
        """The others' presence comes once."""
        nodes = self.ann.send("<presence><show>dnd</show></presence>")
        self.assertEqual(presences(nodes), [("ann@localhost/a", "")])

    def test_directed_presence_ends_with_the_session(self) -> None:
        """RFC 6121 section 4.6: also to one who is not available."""
        shy = self.house.client("eve", "shy", present=False)
        self.ann.send("<presence to='eve@localhost/shy'/>")
        self.assertEqual(presences(shy.receive()), [("ann@localhost/a", "")])
        self.ann.drop()
        self.assertEqual(presences(shy.receive()), [("ann@localhost/a", "unavailable")])

    def test_nobody_hears_of_an_end_twice(self) -> None:
        """Directed and broadcast to the same session is one farewell."""
        self.ann.send("<presence to='bob@localhost/b'/>")
        self.bob.receive()
        self.ann.drop()
        self.assertEqual(len(self.bob.receive()), 1)

    def test_probe(self) -> None:
        """What is there, or that nothing is; nothing for strangers."""
        for to, expected in (
            ("bob@localhost", [("bob@localhost/b", "")]),
            ("eve@localhost", [("eve@localhost", "unavailable")]),
            ("nobody@localhost", []),
        ):
            nodes = self.ann.send(f"<presence type='probe' to='{to}'/>")
            self.assertEqual(presences(nodes), expected)

    def test_subscription_is_granted_at_once(self) -> None:
        """In one organisation everybody is subscribed already."""
        nodes = self.ann.send("<presence type='subscribe' to='bob@localhost'/>")
        self.assertEqual(
            presences(nodes), [("bob@localhost", "subscribed"), ("bob@localhost/b", "")]
        )

    def test_bad_presence(self) -> None:
        """An unknown type, or a priority that is no byte."""
        for sent in (
            "<presence><priority>128</priority></presence>",
            "<presence><priority>x</priority></presence>",
        ):
            [answer] = self.ann.send(sent)
            self.assertEqual(condition(answer), "bad-request")
        self.assertEqual(self.ann.send("<presence type='odd'/>"), [])


class ComponentTests(Base):
    """mosaic.<domain>, reached through the Wokkel router."""

    def ask(self, client: MemoryClient, sent: str) -> Node:
        """The one answer."""
        [answer] = client.send(sent)
        self.assertEqual(answer.attributes["from"], "mosaic.localhost")
        return answer

    def test_ping(self) -> None:
        """Through the router and back."""
        ping = iq("<ping xmlns='urn:xmpp:ping'/>", "mosaic.localhost")
        self.assertEqual(self.ask(self.ann, ping).attributes["type"], "result")

    def test_disco_info(self) -> None:
        """It says what it is and what it can do."""
        query = iq(f"<query xmlns='{INFO}'/>", "mosaic.localhost")
        [query_node] = self.ask(self.ann, query).children
        self.assertEqual(query_node.ns, INFO)
        found = {
            n.attributes.get("name") or n.attributes.get("var")
            for n in query_node.children
        }
        self.assertLessEqual({"Mosaic", "urn:xmpp:ping", INFO}, found)

    def test_fallback(self) -> None:
        """A request that nobody knows."""
        answer = self.ask(self.ann, iq("<q xmlns='u'/>", "mosaic.localhost"))
        self.assertEqual(condition(answer), "service-unavailable")

    def test_one_domain_cannot_speak_for_another(self) -> None:
        """Components are not trusted with `from`, and a bad `to` is harmless."""
        from twisted.words.xish import domish
        from twisted.words.xish.utility import EventDispatcher

        from mosaic.services.xmpp.components import make_router

        other = exchange.Exchange("localhost")
        router = make_router(other)
        heard: list[domish.Element] = []
        pipe = EventDispatcher()
        cast(Any, pipe).send = heard.append
        router.addRoute("part.localhost", pipe)
        for sender, to in (
            ("part.localhost", "part.localhost"),
            ("ann@localhost", "part.localhost"),
            ("part.localhost", None),
            ("part.localhost", "a@b@c"),
            ("part.localhost", "eve@localhost"),
        ):
            message = domish.Element(("jabber:client", "message"))
            message["from"] = sender
            if to:
                message["to"] = to
            pipe.dispatch(message)
        # Its own message, and the error for the one to an absent person.
        self.assertEqual([m.getAttribute("type") for m in heard], [None, "error"])
        router.removeRoute("part.localhost", pipe)
        self.assertNotIn("part.localhost", router.routes)

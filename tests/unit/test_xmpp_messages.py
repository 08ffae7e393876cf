"""Messages between people: copies, ids, hints, and those for people who are away."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import (
    MemoryXmpp,
    condition,
)
from tests.support.xmpp_people import (
    CARBONS,
    SID,
    STATES,
    Base,
    bodies,
    chat,
    copies,
    state,
)


class StanzaIdTests(Base):
    """XEP-0359."""

    def test_the_receiver_gets_the_archives_id(self) -> None:
        """With the receiver's address, and one that grows."""
        self.ann.send(chat("bob@localhost/b", "1"), chat("bob@localhost/b", "2"))
        first, second = self.bob.receive()
        ids = []
        for node in (first, second):
            found = node.child(SID, "stanza-id")
            assert found is not None
            self.assertEqual(found.attributes["by"], "bob@localhost")
            ids.append(found.attributes["id"])
        self.assertLess(ids[0], ids[1])

    def test_nobody_else_gives_ids_in_our_name(self) -> None:
        """Section 6: forged ones are cut out, the rest stays byte for byte."""
        forged = (
            f"<stanza-id xmlns='{SID}' by='bob@localhost' id='evil'/>"
            f"<origin-id xmlns='{SID}' id='mine'/>"
            "<s:stanza-id xmlns:s='urn:xmpp:sid&#58;0' id='evil2'></s:stanza-id>"
        )
        self.ann.send(chat("bob@localhost/b", "hi", forged))
        [stanza] = self.bob.receive_stanzas()
        self.assertNotIn(b"evil", stanza.raw)
        self.assertIn(f"<origin-id xmlns='{SID}' id='mine'/>".encode(), stanza.raw)
        self.assertEqual(stanza.raw.count(b"stanza-id"), 1)


class PassThroughTests(Base):
    """Extensions that are the clients' concern arrive byte for byte."""

    def test_nothing_is_touched(self) -> None:
        """0085, 0184, 0308, 0333, 0424, 0444 and 0353."""
        for inner in (
            f"<body>x</body><active xmlns='{STATES}'/>",
            "<body>x</body><request xmlns='urn:xmpp:receipts'/>",
            "<received xmlns='urn:xmpp:receipts' id='r1'/>",
            "<body>y</body><replace id='b1' xmlns='urn:xmpp:message-correct:0'/>",
            "<displayed  xmlns='urn:xmpp:chat-markers:0' id='m'/>",
            "<retract id='x' xmlns='urn:xmpp:message-retract:1'/>",
            "<reactions id='r' xmlns='urn:xmpp:reactions:0'><reaction>+</reaction>"
            "</reactions>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='j'><description"
            " xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/></propose>",
        ):
            self.ann.send(
                f"<message to='bob@localhost/b' type='chat'>{inner}</message>"
            )
            [stanza] = self.bob.receive_stanzas()
            self.assertIn(b">" + inner.encode() + b"<", stanza.raw)

    def test_jingle_is_routed(self) -> None:
        """0166 with 0167, 0176 and 0320: an IQ to a full address."""
        inner = (
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'>"
            "<content creator='initiator' name='v'>"
            "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/>"
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='u' pwd='p'>"
            "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256'"
            " setup='actpass'>02:1A</fingerprint>"
            "<candidate component='1' foundation='1' generation='0' id='c' ip='::1'"
            " network='0' port='9' priority='1' protocol='udp' type='host'/>"
            "</transport></content></jingle>"
        )
        self.ann.send(f"<iq type='set' id='j' to='bob@localhost/b'>{inner}</iq>")
        [stanza] = self.bob.receive_stanzas()
        self.assertTrue(stanza.raw.endswith(b">" + inner.encode() + b"</iq>"))


class CarbonTests(Base):
    """XEP-0280."""

    def test_both_sides_are_copied(self) -> None:
        """Received by the other devices of one, sent to those of the other."""
        anns, bobs = self.with_carbons("ann", "tab"), self.with_carbons("bob", "tab")
        self.ann.send(chat("bob@localhost/b"))
        self.assertEqual(bodies(self.bob.receive()), ["hi"])
        got = bobs.receive()
        [inner] = copies(got, "received")
        self.assertEqual(bodies([inner]), ["hi"])
        self.assertEqual(inner.attributes["from"], "ann@localhost/a")
        self.assertEqual(inner.attributes["to"], "bob@localhost/b")
        outer = got[0].attributes
        self.assertEqual(
            (outer["from"], outer["to"], outer["type"]),
            ("bob@localhost", "bob@localhost/tab", "chat"),
        )
        [sent] = copies(anns.receive(), "sent")
        self.assertEqual(bodies([sent]), ["hi"])
        found = sent.child(SID, "stanza-id")
        assert found is not None
        self.assertEqual(found.attributes["by"], "ann@localhost")
        self.assertEqual(self.ann.receive(), [])

    def test_who_has_it_gets_no_copy(self) -> None:
        """To the bare address all devices get the message itself."""
        bobs = self.with_carbons("bob", "tab")
        self.ann.send(chat("bob@localhost"))
        self.assertEqual(bodies(bobs.receive()), ["hi"])
        self.assertEqual(len(self.bob.receive()), 1)

    def test_enabled_by_each_device(self) -> None:
        """And disabled again."""
        plain = self.house.client("bob", "plain")
        bobs = self.with_carbons("bob", "tab")
        bobs.send(f"<iq type='set' id='d'><disable xmlns='{CARBONS}'/></iq>")
        self.settle(plain, bobs)
        self.ann.send(chat("bob@localhost/b"))
        self.assertEqual((plain.receive(), bobs.receive()), ([], []))

    def test_what_is_not_copied(self) -> None:
        """Section 6.1: private, no-copy, headlines, errors, rooms' messages."""
        bobs, anns = self.with_carbons("bob", "tab"), self.with_carbons("ann", "tab")
        bobs.receive()
        to = "bob@localhost/b"
        for sent in (
            chat(to, "x", f"<private xmlns='{CARBONS}'/>"),
            chat(to, "x", "<no-copy xmlns='urn:xmpp:hints'/>"),
            chat(to, "x", kind="headline"),
            chat(to, "x", kind="groupchat"),
            f"<message to='{to}' type='error'><body>x</body></message>",
            f"<message to='{to}'><data xmlns='u'/></message>",
        ):
            self.ann.send(sent)
            self.assertEqual(len(self.bob.receive()), 1, sent)
            self.assertEqual((bobs.receive(), anns.receive()), ([], []), sent)

    def test_what_is_copied_without_a_body(self) -> None:
        """States, receipts, markers; a normal message with a body."""
        bobs = self.with_carbons("bob", "tab")
        to = "bob@localhost/b"
        for sent in (
            state(to),
            f"<message to='{to}'><received xmlns='urn:xmpp:receipts'/></message>",
            chat(to, kind="normal"),
            f"<message to='{to}'><x xmlns='jabber:x:conference'/></message>",
        ):
            self.ann.send(sent)
            self.assertEqual(len(copies(bobs.receive(), "received")), 1, sent)

    def test_a_copy_is_never_copied(self) -> None:
        """One message makes one copy for a device, also to oneself."""
        tab, third = self.with_carbons("ann", "tab"), self.with_carbons("ann", "x")
        self.ann.send(chat("ann@localhost/tab"))
        self.assertEqual(bodies(tab.receive()), ["hi"])
        self.assertEqual(len(third.receive()), 2)  # as sent, and as received
        self.assertEqual(self.ann.receive(), [])


class ClientStateTests(Base):
    """XEP-0352."""

    def setUp(self) -> None:
        super().setUp()
        self.bob.send("<inactive xmlns='urn:xmpp:csi:0'/>")

    def test_presence_and_states_are_held(self) -> None:
        """The newest of each sender, until the client is active."""
        self.ann.send("<presence><show>away</show></presence>")
        self.ann.send("<presence><show>dnd</show></presence>")
        self.ann.send(state("bob@localhost"), state("bob@localhost", "paused"))
        self.assertEqual(self.bob.receive(), [])
        presence, typing = self.bob.send("<active xmlns='urn:xmpp:csi:0'/>")
        self.assertEqual(presence.children[0].text, "dnd")
        self.assertEqual(typing.children[0].name, "paused")
        self.ann.send(state("bob@localhost"))
        self.assertEqual(len(self.bob.receive()), 1)

    def test_a_message_lets_them_go_first(self) -> None:
        """Order stays, and the radio is awake anyway."""
        self.ann.send("<presence type='unavailable'/>")
        self.ann.send(chat("bob@localhost"))
        names = [node.name for node in self.bob.receive()]
        self.assertEqual(names, ["presence", "message"])
        self.ann.send("<presence/>")
        self.assertEqual(self.bob.receive(), [])

    def test_other_nonzas_end_the_stream(self) -> None:
        """Only the two are known."""
        answers = self.ann.send("<sleepy xmlns='urn:xmpp:csi:0'/>")
        self.assertEqual(condition(answers[-1]), "unsupported-stanza-type")


class AtBindTests(SynchronousTestCase):
    """XEP-0386: what is on before anything is delivered."""

    def test_carbons_and_inactivity(self) -> None:
        """Both by the wish of the client."""
        house = MemoryXmpp()
        client = house.client("ann", "a")
        del client
        [session] = house.service.sessions_of("ann")
        answers = house.household.at_bind.features
        for ns, name in ((CARBONS, "enable"), ("urn:xmpp:csi:0", "inactive")):
            self.assertEqual(answers[ns, name](session, Node(ns, name, {})), "")
        self.assertTrue(session.carbons)
        self.assertIsNotNone(session.quiet)


class ManagedTests(SynchronousTestCase):
    """Waiting messages and a session that acknowledges (XEP-0198)."""

    def test_they_are_forgotten_when_acknowledged(self) -> None:
        """Not when they are sent: the server may die in between."""
        house = MemoryXmpp()
        ann = house.client("ann", "a")
        ann.send(chat("eve@localhost", "1"))
        eve = house.connect()
        eve.log_in("eve", "e", present=False)
        eve.send("<enable xmlns='urn:xmpp:sm:3'/>")
        nodes = eve.send("<presence/>")
        self.assertEqual(bodies(nodes), ["1"])
        self.assertEqual(len(self.successResultOf(house.store.waiting("eve"))), 1)
        stanzas = sum(node.ns == "jabber:client" for node in nodes)
        eve.send(f"<a xmlns='urn:xmpp:sm:3' h='{stanzas}'/>")
        self.assertEqual(self.successResultOf(house.store.waiting("eve")), [])

    def test_who_resumes_is_active(self) -> None:
        """XEP-0352 section 5.2: what was held back comes along."""
        house = MemoryXmpp()
        ann, bob = house.client("ann", "a"), house.client("bob", "b")
        [enabled] = bob.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        bob.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        ann.send("<presence><show>dnd</show></presence>")
        self.assertEqual(bob.receive(), [])
        bob.drop()
        again = house.connect()
        again.start()
        again.auth("bob", "hidden")
        again.start()
        previous = enabled.attributes["id"]
        resume = f"<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='0'/>"
        answers = again.send(resume)
        self.assertIn("presence", [node.name for node in answers])
        ann.send("<presence/>")
        self.assertEqual([node.name for node in again.receive()], ["presence"])

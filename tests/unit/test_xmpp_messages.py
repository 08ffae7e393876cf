"""Messages between people: copies, ids, hints, and those for people who are away."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.people import offline
from mosaic.services.xmpp.session import Debts, Session
from mosaic.store.errors import StoreFull
from mosaic.wire.xmpp.stream import read_stanza
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import (
    MemoryClient,
    MemoryXmpp,
    condition,
    furnished_store,
)

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
SID = "urn:xmpp:sid:0"
STATES = "http://jabber.org/protocol/chatstates"


def chat(to: str, body: str = "hi", extra: str = "", kind: str = "chat") -> str:
    """A message with a body."""
    return f"<message to='{to}' type='{kind}'><body>{body}</body>{extra}</message>"


def state(to: str, name: str = "composing") -> str:
    """A chat state alone (XEP-0085)."""
    return f"<message to='{to}' type='chat'><{name} xmlns='{STATES}'/></message>"


def bodies(nodes: list[Node]) -> list[str]:
    """What the messages say, those without a body left out."""
    found = [node.child("jabber:client", "body") for node in nodes]
    return [body.text for body in found if body is not None]


def copies(nodes: list[Node], way: str) -> list[Node]:
    """The messages inside of carbons."""
    found = []
    for node in nodes:
        wrapper = node.child(CARBONS, way)
        if wrapper is not None:
            [forwarded] = wrapper.children
            found.append(forwarded.children[-1])
    return found


class Base(SynchronousTestCase):
    """Three people: two of them present."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        self.settle(self.ann, self.bob)

    def settle(self, *clients: MemoryClient) -> None:
        """Read away what is not the matter of a test."""
        for client in clients:
            client.receive()

    def session(self, name: str, resource: str) -> Session:
        """What the server knows of a client."""
        for session in self.house.service.sessions_of(name):
            if session.jid.resource == resource:
                return session
        raise AssertionError(f"{name} has no {resource}")

    def with_carbons(self, name: str, resource: str) -> MemoryClient:
        """One more device that wants copies."""
        client = self.house.client(name, resource)
        [answer] = client.send(
            f"<iq type='set' id='c'><enable xmlns='{CARBONS}'/></iq>"
        )[-1:]
        self.assertEqual(answer.attributes["type"], "result")
        self.settle(self.ann, self.bob, client)
        return client


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


class OfflineTests(Base):
    """XEP-0160."""

    def arrive(self, name: str = "eve", resource: str = "e") -> list[Node]:
        """Log in; the messages among what comes."""
        self.client = self.house.connect()
        self.client.log_in(name, resource, present=False)
        nodes = self.client.send("<presence/>")
        return [node for node in nodes if node.name == "message"]

    def test_what_was_written_meanwhile(self) -> None:
        """In order, with the moment (XEP-0203), and once."""
        self.assertEqual(self.ann.send(chat("eve@localhost", "1")), [])
        self.house.clock.advance(60)
        self.bob.send(chat("eve@localhost/gone", "2"))
        self.house.clock.advance(60)
        found = self.arrive()
        self.assertEqual(bodies(found), ["1", "2"])
        moments = [node.child("urn:xmpp:delay", "delay") for node in found]
        stamps = [moment.attributes["stamp"] for moment in moments if moment]
        self.assertEqual(
            [stamp[:19] for stamp in stamps],
            ["2026-09-21T14:13:20", "2026-09-21T14:14:20"],
        )
        self.client.drop()
        self.assertEqual(self.arrive(), [])

    def test_what_is_not_kept(self) -> None:
        """States, headlines, no-store; these vanish without an error."""
        for sent in (
            state("eve@localhost"),
            chat("eve@localhost", kind="headline"),
            chat("eve@localhost", extra="<no-store xmlns='urn:xmpp:hints'/>"),
            "<message to='eve@localhost' type='error'/>",
            "<message to='eve@localhost'/>",
        ):
            self.assertEqual(self.ann.send(sent), [], sent)
        self.assertEqual(self.arrive(), [])

    def test_not_archived_may_wait_all_the_same(self) -> None:
        """XEP-0334 section 4.2: no-permanent-store."""
        hint = "<no-permanent-store xmlns='urn:xmpp:hints'/>"
        self.ann.send(chat("eve@localhost", extra=hint))
        [found] = self.arrive()
        self.assertIsNone(found.child(SID, "stanza-id"))

    def test_a_negative_priority_gets_none(self) -> None:
        """Not until it is raised."""
        self.ann.send(chat("eve@localhost"))
        client = self.house.connect()
        client.log_in("eve", "e", present=False)
        nodes = client.send("<presence><priority>-1</priority></presence>")
        self.assertEqual(bodies(nodes), [])
        self.assertEqual(bodies(client.send("<presence/>")), ["hi"])

    def test_the_limit_is_told(self) -> None:
        """The sender knows that it was not kept, and the others' is."""
        self.house = MemoryXmpp(offline_messages=2)
        self.ann = self.house.client("ann", "a")
        sent = [chat("eve@localhost", str(n)) for n in range(3)]
        self.ann.receive()
        [error] = self.ann.send(*sent)
        self.assertEqual(condition(error), "resource-constraint")
        counted = self.house.service.counters
        self.assertEqual((counted.archived, counted.held), (5, 2))
        self.assertEqual(bodies(self.arrive()), ["0", "1"])

    def test_none_may_wait(self) -> None:
        """xmpp.offline_messages = 0: the sender is told at once."""
        self.house = MemoryXmpp(offline_messages=0)
        self.ann = self.house.client("ann", "a")
        self.ann.receive()
        [error] = self.ann.send(chat("eve@localhost"))
        self.assertEqual(condition(error), "service-unavailable")

    def test_many_come_in_parts(self) -> None:
        """A client is never sent more than it can take at a time."""
        self.patch(offline, "FLOOD_BYTES", 1000)
        self.ann.send(*(chat("eve@localhost", f"{n}" * 300) for n in range(5)))
        self.assertEqual(len(self.arrive()), 2)
        self.house.clock.advance(1)
        self.house.clock.advance(1)
        self.assertEqual(len(self.client.receive()), 3)
        self.client.drop()
        self.assertEqual(self.arrive(), [])

    def test_the_disk_is_full(self) -> None:
        """What cannot wait is refused; what was delivered is delivered."""
        store = furnished_store(self.house.wall)
        self.house = MemoryXmpp(store=store)
        ann, bob = self.house.client("ann", "a"), self.house.client("bob", "b")
        self.settle(ann, bob)
        full = StoreFull("full")
        self.patch(store, "keep_messages", lambda *_, **__: _failed(full))
        [error] = ann.send(chat("eve@localhost"))
        self.assertEqual(condition(error), "resource-constraint")
        self.assertEqual(ann.send(chat("bob@localhost")), [])
        self.assertEqual(bodies(bob.receive()), ["hi"])
        self.assertEqual(len(self.flushLoggedErrors(StoreFull)), 2)
        self.assertEqual(self.house.service.counters.commits_failed, 2)


def _failed(error: Exception) -> Deferred[frozenset[tuple[str, int]]]:
    waiter: Deferred[frozenset[tuple[str, int]]] = Deferred()
    waiter.errback(error)
    return waiter


class DurableTests(Base):
    """Delivery does not wait for the disk; the end of the way does."""

    def test_the_session_owes_the_commit(self) -> None:
        """XEP-0198 acknowledges what is on disk; the next message goes on."""
        commit: Deferred[frozenset[tuple[str, int]]] = Deferred()
        self.patch(self.house.store, "keep_messages", lambda *_, **__: commit)
        session, bobs = self.session("ann", "a"), self.session("bob", "b")
        stanza = read_stanza(chat("bob@localhost/b").encode())
        owed: list[Deferred[object]] = []
        session.acks = cast(Debts, SimpleNamespace(owe=owed.append))
        messages = self.house.service.messages
        steps = messages.said(session, stanza, bobs.jid)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(steps)))
        self.assertEqual(bodies(self.bob.receive()), ["hi"])
        [debt] = owed
        self.assertNoResult(debt)
        commit.callback(frozenset())
        self.successResultOf(debt)


class UnacknowledgedTests(Base):
    """What a session that ended never had (XEP-0198)."""

    def lose(self, client: MemoryClient, name: str, resource: str) -> list[bytes]:
        """The stanzas that came since; then the connection is gone and the
        service is told that they were not received."""
        session = self.session(name, resource)
        stanzas = client.receive_stanzas()
        client.drop()
        for stanza in stanzas:
            if stanza.name == "message":
                self.house.service.messages.undelivered(stanza.raw, session)
        self.house.clock.advance(0)
        return [stanza.raw for stanza in stanzas]

    def test_they_wait(self) -> None:
        """And are in the archive once."""
        self.ann.send(chat("bob@localhost/b", "1"), chat("bob@localhost", "2"))
        self.lose(self.bob, "bob", "b")
        again = self.house.connect()
        again.log_in("bob", "b", present=False)
        found = [n for n in again.send("<presence/>") if n.name == "message"]
        self.assertEqual(bodies(found), ["1", "2"])
        self.assertTrue(all(n.child("urn:xmpp:delay", "delay") for n in found))
        query = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"
        *results, _ = again.send(query)
        self.assertEqual(len(results), 2)

    def test_others_get_what_they_missed(self) -> None:
        """Not what they had themselves, nor a copy of."""
        tab = self.with_carbons("bob", "tab")
        plain = self.house.client("bob", "plain")
        self.settle(tab, plain, self.bob)
        self.ann.send(chat("bob@localhost/b", "1"), chat("bob@localhost", "2"))
        self.settle(tab, plain)
        self.lose(self.bob, "bob", "b")
        self.assertEqual(bodies(tab.receive()), [])
        self.assertEqual(bodies(plain.receive()), ["1"])

    def test_who_came_later_gets_them(self) -> None:
        """It was not there when they were sent."""
        self.ann.send(chat("bob@localhost", "1"))
        later = self.house.client("bob", "later")
        later.receive()
        self.lose(self.bob, "bob", "b")
        self.assertEqual(bodies(later.receive()), ["1"])

    def test_waiting_ones_wait_on(self) -> None:
        """They are forgotten when they are acknowledged, not when sent."""
        self.ann.send(chat("eve@localhost", "1"))
        acks: list[Callable[[], None]] = []
        first, came = self.arrive("eve", "first", acks)
        self.assertEqual((came, len(acks)), (["1"], 1))
        second, came = self.arrive("eve", "second", acks)
        self.assertEqual(came, [])  # on its way to the first
        first.drop()
        second.drop()
        third, came = self.arrive("eve", "third", acks)
        self.assertEqual(came, ["1"])
        acks[-1]()
        third.drop()
        self.assertEqual(self.arrive("eve", "fourth", acks)[1], [])

    def arrive(
        self, name: str, resource: str, acks: list[Callable[[], None]]
    ) -> tuple[MemoryClient, list[str]]:
        """One that will say what it has received; and what it was sent."""
        client = self.house.connect()
        client.log_in(name, resource, present=False)
        self.session(name, resource).when_received = acks.append
        return client, bodies(client.send("<presence/>"))

    def test_states_and_copies_are_let_go(self) -> None:
        """Nothing that a person would miss."""
        tab = self.with_carbons("bob", "tab")
        self.ann.send(chat("bob@localhost/b"), state("bob@localhost/tab"))
        self.bob.drop()
        self.lose(tab, "bob", "tab")
        again = self.house.client("bob", "b")
        self.assertEqual(bodies(again.receive()), [])


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

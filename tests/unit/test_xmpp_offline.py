"""Messages that nobody has got yet: kept, durable, taken back (XEP-0160, 0198)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from twisted.internet.defer import Deferred

from mosaic.services.xmpp.people import offline
from mosaic.services.xmpp.session import Debts
from mosaic.store.errors import StoreFull
from mosaic.wire.xmpp.stream import read_stanza
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import (
    MemoryClient,
    MemoryXmpp,
    condition,
    furnished_store,
)
from tests.support.xmpp_people import (
    SID,
    Base,
    bodies,
    chat,
    state,
)


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

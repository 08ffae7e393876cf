"""Acknowledgements and sessions that outlive their connections (XEP-0198)."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.xmpp.streams import managed as managed_module
from mosaic.wire.xmpp.acks import MODULUS, AckError, AckQueue, read_count
from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import ACCOUNTS, MemoryClient, MemoryXmpp, condition

NS_SM = "urn:xmpp:sm:3"
ENABLE = f"<enable xmlns='{NS_SM}' resume='true'/>"
ASK = f"<r xmlns='{NS_SM}'/>"


def message(to: str, body: str = "hi") -> str:
    """A chat message."""
    return f"<message to='{to}' type='chat'><body>{body}</body></message>"


def bodies(nodes: list[Node]) -> list[str]:
    """What was said in them."""
    found = (node.child("jabber:client", "body") for node in nodes)
    return [body.text for body in found if body is not None]


class QueueTests(SynchronousTestCase):
    """Counters that wrap."""

    def test_counters_wrap(self) -> None:
        """xs:unsignedInt: after 2**32-1 comes 0."""
        queue = AckQueue()
        queue.acked = MODULUS - 2
        for stanza in (b"a", b"b", b"c"):
            queue.push(stanza)
        queue.acknowledge(0)
        self.assertEqual((queue.stanzas(), queue.acked), ([b"c"], 0))

    def test_more_than_was_sent_is_refused(self) -> None:
        """Nothing is lost by the lie."""
        queue = AckQueue()
        queue.push(b"a")
        self.assertRaises(AckError, queue.acknowledge, 2)
        self.assertRaises(AckError, queue.acknowledge, MODULUS - 1)
        self.assertEqual(queue.stanzas(), [b"a"])

    @given(lists(integers(0, 5), max_size=30), integers(0, MODULUS - 1))
    def test_what_is_sent_is_acked_or_waits(self, steps: list[int], at: int) -> None:
        """Whatever the order, nothing is lost or kept twice."""
        queue = AckQueue()
        queue.acked = at
        sent: list[bytes] = []
        done = 0
        for step in steps:
            if step:
                sent.append(b"x" * step)
                queue.push(sent[-1])
            else:
                done = (done + len(sent)) // 2
                queue.acknowledge((at + done) % MODULUS)
            self.assertEqual(queue.stanzas(), sent[done:])
            self.assertEqual(queue.size_bytes, sum(map(len, sent[done:])))

    def test_counts_are_read_strictly(self) -> None:
        """No sign, no space, nothing past the type."""
        self.assertEqual(read_count("4294967295"), MODULUS - 1)
        for text in (None, "", "-1", "+1", " 1", "4294967296", "1e3", "٣", "9" * 99):
            self.assertIsNone(read_count(text), text)


class ManagedCase(SynchronousTestCase):
    """Ann, whose connection breaks, and Bob, who writes to her."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.bob = self.house.client("bob")
        self.ann, self.previous = self.managed_client()
        self.bob.receive()

    def managed_client(self, resource: str = "r") -> tuple[MemoryClient, str]:
        """Ann with a resumable session; what it is called."""
        ann = self.house.client("ann", resource)
        [enabled] = ann.send(ENABLE)
        self.assertEqual(enabled.name, "enabled")
        return ann, enabled.attributes["id"]

    def returning(self, name: str = "ann") -> MemoryClient:
        """Logged in, nothing bound."""
        client = self.house.connect()
        client.start()
        client.auth(name, ACCOUNTS[name])
        client.start()
        return client

    def resume(self, previous: str, h: object = 0) -> tuple[MemoryClient, list[Node]]:
        """A new connection that asks for the session, and the answers."""
        client = self.returning()
        return client, client.send(
            f"<resume xmlns='{NS_SM}' previd='{previous}' h='{h}'/>"
        )


class AckTests(ManagedCase):
    """r and a in both directions."""

    def test_stanzas_of_the_client_are_counted(self) -> None:
        """From enable on, and stanzas alone."""
        [answer] = self.ann.send(message("bob@localhost/r"), ASK)
        self.assertEqual((answer.name, answer.attributes), ("a", {"h": "1"}))
        answers = self.ann.send(
            message("nobody@localhost"),
            "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
            ASK,
        )
        self.assertEqual(
            [(n.name, n.attributes.get("h")) for n in answers],
            [("message", None), ("iq", None), ("a", "3")],
        )

    def test_an_ack_frees_what_waits(self) -> None:
        """The queue holds what the client may not have got."""
        managed = self.house.resumable(self.previous)
        for _ in range(3):
            self.bob.send(message("ann@localhost/r"))
        self.assertEqual(len(managed.queue), 3)
        self.ann.send(f"<a xmlns='{NS_SM}' h='2'/>")
        self.assertEqual(len(managed.queue), 1)
        self.assertTrue(self.ann.open)

    def test_news_of_what_was_received(self) -> None:
        """For those who may forget only what the client has."""
        session = self.house.resumable(self.previous).session
        heard: list[int] = []
        session.when_received(partial(heard.append, 0))
        for number in (1, 2, 3):
            self.bob.send(message("ann@localhost/r"))
            session.when_received(partial(heard.append, number))
        self.assertEqual(heard, [0])
        self.ann.send(f"<a xmlns='{NS_SM}' h='2'/>")
        self.assertEqual(heard, [0, 1, 2])
        self.ann.drop()
        self.resume(self.previous, 3)
        self.assertEqual(heard, [0, 1, 2, 3])

    def test_asked_after_some_stanzas(self) -> None:
        """And not again while the answer is on its way."""
        for _ in range(3 * managed_module.ASK_EVERY):
            self.bob.send(message("ann@localhost/r"))
        names = [node.name for node in self.ann.receive()]
        self.assertEqual(names.count("r"), 1)
        self.ann.send(f"<a xmlns='{NS_SM}' h='{managed_module.ASK_EVERY}'/>")
        self.assertEqual([n.name for n in self.ann.receive()].count("r"), 0)
        self.bob.send(message("ann@localhost/r"))

    def test_lies_end_the_stream(self) -> None:
        """Who acknowledges what was never sent has lost count."""
        for h, expected in (("7", "undefined-condition"), ("x", "policy-violation")):
            ann, _ = self.managed_client()
            answers = ann.send(f"<a xmlns='{NS_SM}' h='{h}'/>")
            self.assertEqual(condition(answers[-1]), expected)
            self.assertFalse(ann.open)

    def test_enable_has_its_place(self) -> None:
        """After bind, and once."""
        client = self.returning("eve")
        [answer] = client.send(ENABLE)
        self.assertEqual(
            (answer.name, answer.children[0].name), ("failed", "unexpected-request")
        )
        client.bind("x")
        self.assertEqual(client.send(ENABLE)[0].name, "enabled")
        self.assertEqual(client.send(ENABLE)[0].name, "failed")
        self.assertTrue(client.open)

    def test_acks_without_enable_end_the_stream(self) -> None:
        """There is nothing to count."""
        client = self.house.client("eve")
        client.receive()
        [answer] = client.send(ASK)
        self.assertEqual(condition(answer), "unsupported-stanza-type")

    def test_an_ack_waits_until_the_stanza_is_safe(self) -> None:
        """What is written somewhere is acknowledged when it is there; the next
        stanza need not wait for that."""
        safe: list[Deferred[object]] = []
        messages: Any = self.house.household.messages
        said = messages.said

        async def keep(session: Any, stanza: Any, to: Any) -> None:
            done: Deferred[object] = Deferred()
            safe.append(done)
            session.owe(done)
            await said(session, stanza, to)

        self.patch(messages, "said", keep)
        self.assertEqual(
            self.ann.send(message("bob@localhost/r", "1"), ASK), [], "too early"
        )
        self.ann.send(message("bob@localhost/r", "2"))
        self.assertEqual(bodies(self.bob.receive()), ["1", "2"])
        safe[0].callback(None)
        [answer] = self.ann.receive()
        self.assertEqual(answer.attributes, {"h": "1"})
        self.assertEqual(self.ann.send(ASK), [])
        safe[1].errback(RuntimeError("the disk is full"))
        self.assertEqual(self.ann.receive()[0].attributes, {"h": "2"})
        self.failureResultOf(safe[1], RuntimeError)


class OrderTests(ManagedCase):
    """RFC 6120 section 10.1: one after the other."""

    def setUp(self) -> None:
        super().setUp()
        self.waits: list[Deferred[None]] = []
        messages: Any = self.house.household.messages
        said = messages.said

        async def slowly(session: Any, stanza: Any, to: Any) -> None:
            if "id" in stanza.attributes:
                self.waits.append(Deferred())
                await self.waits[-1]
            await said(session, stanza, to)

        self.patch(messages, "said", slowly)

    def slow(self, body: str) -> str:
        """A message whose handling waits."""
        return message("bob@localhost/r", body).replace("<message", "<message id='1'")

    def test_a_stanza_waits_for_the_one_before(self) -> None:
        """However fast it could be handled by itself."""
        self.ann.send(self.slow("1") + message("bob@localhost/r", "2"))
        self.ann.send(message("bob@localhost/r", "3"), ASK)
        self.assertEqual(bodies(self.bob.receive()), [])
        self.waits[0].callback(None)
        self.assertEqual(bodies(self.bob.receive()), ["1", "2", "3"])
        self.assertEqual(self.ann.receive()[-1].attributes, {"h": "3"})

    def test_reading_stops_while_much_waits(self) -> None:
        """A fast client meets its own brake."""
        self.ann.send(self.slow("1"))
        big = message("bob@localhost/r", "x" * 200_000)
        self.ann.send(big)
        self.assertEqual(self.ann.transport.producerState, "producing")
        self.ann.send(big)
        self.assertEqual(self.ann.transport.producerState, "paused")
        self.waits[0].callback(None)
        self.assertEqual(self.ann.transport.producerState, "producing")
        self.assertEqual(len(bodies(self.bob.receive())), 3)

    def test_last_words_of_a_client_without_acks(self) -> None:
        """It said them before it went."""
        eve = self.house.client("eve")
        self.bob.receive()
        eve.send(self.slow("1") + self.slow("2") + message("bob@localhost/r", "3"))
        eve.drop()
        self.waits[0].callback(None)
        self.waits[1].callback(None)
        nodes = self.bob.receive()
        self.assertEqual(bodies(nodes), ["1", "2", "3"])
        self.assertEqual(nodes[-1].attributes["type"], "unavailable")

    def test_nothing_is_handled_twice_by_resuming(self) -> None:
        """The answer waits for the stanza in work; what was behind it is said
        again by the client, and was not done."""
        self.ann.send(self.slow("1") + message("bob@localhost/r", "2"))
        self.ann.drop()
        client, answers = self.resume(self.previous)
        self.assertEqual(answers, [])
        self.waits[0].callback(None)
        [resumed] = client.receive()
        self.assertEqual(resumed.attributes["h"], "1")
        self.assertEqual(bodies(self.bob.receive()), ["1"])

    def test_fault_of_ours_ends_the_session(self) -> None:
        """And those who wait to resume hear that it is over."""
        self.ann.send(self.slow("1"))
        client, _ = self.resume(self.previous)
        self.waits[0].errback(RuntimeError("no"))
        self.assertEqual(client.receive()[0].name, "resumed")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ResumeTests(ManagedCase):
    """A connection breaks, and the client comes back."""

    def test_a_broken_connection_leaves_the_session(self) -> None:
        """Nobody hears that Ann is gone, and what she is sent waits."""
        self.ann.drop()
        self.assertEqual(self.bob.receive(), [])
        self.bob.send(message("ann@localhost/r", "1"), message("ann@localhost", "2"))
        client, answers = self.resume(self.previous)
        self.assertEqual(
            [n.name for n in answers], ["resumed", "message", "message", "r"]
        )
        self.assertEqual(answers[0].attributes, {"previd": self.previous, "h": "0"})
        self.assertEqual(bodies(answers), ["1", "2"])
        self.bob.send(message("ann@localhost/r", "3"))
        self.assertEqual(bodies(client.receive()), ["3"])
        self.assertEqual(self.bob.receive(), [])

    def test_only_what_was_not_acknowledged_comes_again(self) -> None:
        """`h` of <resume/> is an acknowledgement."""
        self.bob.send(*(message("ann@localhost/r", str(n)) for n in range(4)))
        self.ann.drop()
        _, answers = self.resume(self.previous, 3)
        self.assertEqual(bodies(answers), ["3"])

    def test_the_client_learns_what_was_handled(self) -> None:
        """And says the rest again."""
        self.ann.send(message("bob@localhost/r"), "<presence/>", "<message ")
        self.ann.drop()
        _, answers = self.resume(self.previous)
        self.assertEqual(answers[0].attributes["h"], "2")

    def test_twice_in_a_row(self) -> None:
        """The name of the session stays the same."""
        self.ann.drop()
        client, _ = self.resume(self.previous)
        client.drop()
        self.bob.send(message("ann@localhost/r"))
        _, answers = self.resume(self.previous)
        self.assertEqual(bodies(answers), ["hi"])
        self.assertEqual(self.house.service.counters.resumed, 2)
        self.assertEqual(self.house.service.counters.detached, 0)

    def test_a_connection_that_seems_open_is_replaced(self) -> None:
        """A box that changed its network comes back before TCP knows."""
        self.ann.transport.polite = False
        client, answers = self.resume(self.previous)
        self.assertEqual(answers[0].name, "resumed")
        old = self.ann.receive()
        self.assertEqual(condition(old[-1]), "conflict")
        self.assertTrue(self.ann.transport.disconnecting)
        self.ann.protocol.dataReceived(message("bob@localhost/r").encode())
        self.assertEqual(self.bob.receive(), [])
        self.bob.send(message("ann@localhost/r"))
        self.assertEqual(bodies(client.receive()), ["hi"])
        self.ann.drop()
        self.assertEqual(self.bob.receive(), [])
        self.assertEqual(self.house.service.counters.sessions, 2)

    def test_others_cannot_take_it(self) -> None:
        """The name of a session is bound to its account."""
        self.ann.drop()
        eve = self.returning("eve")
        [answer] = eve.send(f"<resume xmlns='{NS_SM}' previd='{self.previous}' h='0'/>")
        self.assertEqual(
            (answer.children[0].name, answer.attributes), ("item-not-found", {})
        )
        self.assertEqual(eve.bind("x").attributes["type"], "result")
        _, answers = self.resume(self.previous)
        self.assertEqual(answers[0].name, "resumed")

    def test_names_cannot_be_guessed(self) -> None:
        """144 random bits, new each time."""
        _, other = self.managed_client("s")
        self.assertNotEqual(other, self.previous)
        self.assertGreaterEqual(len(other), 24)

    def test_too_late(self) -> None:
        """`item-not-found` with what was handled; then the client may bind."""
        self.ann.send(message("bob@localhost/r"))
        self.ann.drop()
        self.bob.receive()
        self.house.clock.advance(300)
        [gone] = self.bob.receive()
        self.assertEqual(gone.attributes["type"], "unavailable")
        client, [answer] = self.resume(self.previous)
        self.assertEqual(
            (answer.children[0].name, answer.attributes), ("item-not-found", {"h": "1"})
        )
        self.assertEqual(client.bind("r").attributes["type"], "result")

    def test_the_client_may_wish_for_less_time(self) -> None:
        """`max` of <enable/>; more than ours is not given."""
        for wish, given_s in (("60", "60"), ("9999", "300"), ("x", "300")):
            client = self.house.client("eve", "e" + given_s)
            client.receive()
            [answer] = client.send(ENABLE.replace("/>", f" max='{wish}'/>"))
            self.assertEqual(answer.attributes["max"], given_s)

    def test_resume_needs_a_count(self) -> None:
        """And one that is possible."""
        self.ann.drop()
        _, answers = self.resume(self.previous, "x")
        self.assertEqual(answers[0].name, "failed")
        client, answers = self.resume(self.previous, 5)
        self.assertEqual(condition(answers[-1]), "undefined-condition")
        self.assertFalse(client.open)

    def test_a_clean_end_is_an_end(self) -> None:
        """Who says goodbye does not come back."""
        self.ann.send("</stream:stream>")
        self.assertEqual(self.bob.receive()[0].attributes["type"], "unavailable")
        _, answers = self.resume(self.previous)
        self.assertEqual(answers[0].name, "failed")

    def test_without_resumption_the_end_is_the_end(self) -> None:
        """Acknowledgements alone: no id, no ghost."""
        eve = self.house.client("eve")
        self.bob.receive()
        eve.receive()
        [enabled] = eve.send(f"<enable xmlns='{NS_SM}'/>")
        self.assertEqual(enabled.attributes, {})
        eve.drop()
        self.assertEqual(self.bob.receive()[0].attributes["type"], "unavailable")

    def test_switched_off(self) -> None:
        """resume_s = 0."""
        house = MemoryXmpp(resume_s=0.0)
        ann = house.client("ann")
        ann.receive()
        self.assertEqual(ann.send(ENABLE)[0].attributes, {})

    def test_a_changed_password_ends_what_waits(self) -> None:
        """Also where there is no connection to close."""
        self.ann.drop()
        self.house.bus.publish("account.ann", {"type": "password"})
        self.assertEqual(self.bob.receive()[0].attributes["type"], "unavailable")
        _, answers = self.resume(self.previous)
        self.assertEqual(answers[0].name, "failed")
        self.assertEqual(self.house.service.counters.detached, 0)

    def test_a_new_bind_of_the_resource_ends_what_waits(self) -> None:
        """Its messages are not lost by that."""
        self.ann.drop()
        self.bob.send(message("ann@localhost/r", "waits"))
        self.house.client("ann", "other")
        again = self.house.client("ann", "r", present=False)
        self.assertTrue(again.open)
        self.assertEqual(self.house.service.counters.detached, 0)

    def test_drain_ends_what_waits(self) -> None:
        """Nothing outlives the service."""
        self.ann.drop()
        self.successResultOf(self.house.service.stopService())
        self.house.clock.advance(0)
        self.assertEqual(self.house.service.counters.detached, 0)
        self.assertEqual(self.house.clock.getDelayedCalls(), [])


class UndeliveredTests(ManagedCase):
    """What a session never acknowledged goes where undelivered things go."""

    def test_messages_go_to_another_resource(self) -> None:
        """To one that is there when the session ends."""
        other = self.house.client("ann", "other")
        other.receive()
        self.bob.send(message("ann@localhost/r", "1"))
        self.ann.receive()
        self.ann.drop()
        self.bob.send(message("ann@localhost/r", "2"))
        self.house.clock.advance(300)
        nodes = other.receive()
        self.assertEqual(bodies(nodes), ["1", "2"])
        self.assertEqual(
            [n.attributes["from"] for n in nodes if n.name == "message"],
            ["bob@localhost/r"] * 2,
        )

    def test_without_another_it_waits(self) -> None:
        """As if the resource had not been there: messages wait, who asked
        something hears that nobody answers."""
        self.ann.drop()
        self.bob.send(message("ann@localhost/r", "1"))
        self.bob.send("<iq to='ann@localhost/r' type='get' id='q'><q xmlns='x'/></iq>")
        self.bob.send("<iq to='ann@localhost/r' type='result' id='q'/>")
        self.house.clock.advance(300)
        nodes = self.bob.receive()
        self.assertEqual(
            [(n.name, n.attributes["type"]) for n in nodes],
            [("presence", "unavailable"), ("iq", "error")],
        )
        self.assertEqual(nodes[1].attributes["from"], "ann@localhost/r")
        self.assertEqual(condition(nodes[1]), "service-unavailable")
        _, nodes = self.come("new")
        self.assertEqual(bodies(nodes), ["1"])

    def test_waiting_messages_are_kept_until_they_are_acknowledged(self) -> None:
        """What is only on its way is said again to the next who comes."""
        self.ann.send("</stream:stream>")
        self.bob.send(message("ann@localhost", "1"), message("ann@localhost", "2"))
        first, nodes = self.come()
        self.assertEqual(bodies(nodes), ["1", "2"])
        first.drop()
        self.house.clock.advance(300)
        second, nodes = self.come()
        self.assertEqual(bodies(nodes), ["1", "2"])
        stanzas = [node for node in nodes if node.name != "r"]
        second.send(f"<a xmlns='{NS_SM}' h='{len(stanzas)}'/>")
        second.send("</stream:stream>")
        _, nodes = self.come()
        self.assertEqual(bodies(nodes), [])

    def come(self, resource: str = "r") -> tuple[MemoryClient, list[Node]]:
        """Ann's client: acknowledgements first, then presence; what it got."""
        client = self.house.client("ann", resource, present=False)
        client.send(ENABLE)
        return client, client.send("<presence/>")

    def test_too_much_ends_the_session(self) -> None:
        """Bounded in stanzas and in bytes, connected or not."""
        either: tuple[dict[str, Any], ...] = (
            {"unacked_stanzas": 10, "unacked_bytes": 1 << 20},
            {"unacked_stanzas": 1000, "unacked_bytes": 4000},
        )
        for limits in either:
            self.house = MemoryXmpp(**limits)
            self.bob = self.house.client("bob")
            self.ann, _ = self.managed_client()
            self.bob.receive()
            self.ann.drop()
            for _ in range(10):
                self.bob.send(message("ann@localhost/r", "x" * 100))
            self.assertEqual(self.house.service.counters.detached, 1)
            for _ in range(20):
                self.bob.send(message("ann@localhost/r", "x" * 100))
            self.house.clock.advance(0)
            self.assertEqual(self.house.service.counters.detached, 0)
            self.assertEqual(self.house.service.counters.slow_closed, 1)

    def test_a_client_that_never_acknowledges(self) -> None:
        """Ends like a slow reader, with a word."""
        self.house = MemoryXmpp(unacked_stanzas=30)
        self.bob = self.house.client("bob")
        self.ann, _ = self.managed_client()
        self.bob.send(*(message("ann@localhost/r") for _ in range(31)))
        self.assertEqual(condition(self.ann.receive()[-1]), "resource-constraint")
        self.assertFalse(self.ann.open)


class LivenessTests(ManagedCase):
    """Who is still there."""

    def test_a_silent_client_is_asked_and_dropped(self) -> None:
        """One with acknowledgements keeps its session."""
        self.ann.send(f"<a xmlns='{NS_SM}' h='0'/>")
        self.house.clock.pump([15.0] * 8)
        self.assertEqual([n.name for n in self.ann.receive()], ["r"])
        self.bob.receive()
        self.house.clock.pump([15.0] * 2)
        self.assertTrue(self.ann.transport.aborted)
        self.assertEqual(self.house.service.counters.detached, 1)
        self.assertEqual(self.house.service.counters.dead_closed, 2)

    def test_whoever_says_anything_is_there(self) -> None:
        """White space is enough."""
        for _ in range(40):
            self.house.clock.advance(15)
            self.ann.send(" ")
            self.bob.send(" ")
        self.assertTrue(self.ann.open and self.bob.open)
        self.assertEqual(self.house.service.counters.dead_closed, 0)

    def test_one_without_acks_is_pinged(self) -> None:
        """And may answer with an error."""
        self.house.clock.pump([15.0] * 8)
        [ping] = self.bob.receive()
        self.assertEqual(ping.children[0].name, "ping")
        name = ping.attributes["id"]
        self.bob.send(f"<iq type='error' id='{name}' to='localhost'/>")
        self.house.clock.pump([15.0] * 3)
        self.assertTrue(self.bob.open)
        self.house.clock.pump([15.0] * 8)
        self.assertFalse(self.bob.open)

    def test_a_message_to_nobody_is_noticed_soon(self) -> None:
        """What waits for its acknowledgement makes us ask at once."""
        self.bob.send(message("ann@localhost/r"))
        self.ann.receive()
        self.house.clock.advance(15)
        self.assertEqual([n.name for n in self.ann.receive()], ["r"])
        self.house.clock.pump([15.0] * 2)
        self.assertTrue(self.ann.transport.aborted)
        self.bob.send(" ")
        _, answers = self.resume(self.previous)
        self.assertEqual(bodies(answers), ["hi"])

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
from tests.support.xmpp import condition
from tests.support.xmpp_managed import ASK, ENABLE, NS_SM, ManagedCase, bodies, message


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

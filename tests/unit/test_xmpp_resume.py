"""Sessions that outlive their connection, and those that do not (XEP-0198)."""

from __future__ import annotations

from typing import Any

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import MemoryClient, MemoryXmpp, condition
from tests.support.xmpp_managed import ENABLE, NS_SM, ManagedCase, bodies, message


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

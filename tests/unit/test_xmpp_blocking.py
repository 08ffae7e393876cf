"""Blocking (XEP-0191): neither side hears of the other."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import MemoryClient, MemoryXmpp, condition

NS = "urn:xmpp:blocking"


def blocking(what: str, *jids: str) -> str:
    """A request to block or unblock."""
    items = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return f"<iq type='set' id='{what}1'><{what} xmlns='{NS}'>{items}</{what}></iq>"


LIST = f"<iq type='get' id='l'><blocklist xmlns='{NS}'/></iq>"


def listed(node: Node) -> list[str]:
    """The addresses in a list or a push."""
    return [item.attributes["jid"] for item in node.children[0].children]


def presences(nodes: list[Node]) -> list[tuple[str, str]]:
    """From whom, and of what type."""
    return [
        (n.attributes["from"], n.attributes.get("type", ""))
        for n in nodes
        if n.name == "presence"
    ]


class Base(SynchronousTestCase):
    """Ann, Bob and Eve are there."""

    def setUp(self) -> None:
        self.house = MemoryXmpp()
        self.ann = self.house.client("ann", "a")
        self.bob = self.house.client("bob", "b")
        self.eve = self.house.client("eve", "e")
        self.settle()

    def settle(self) -> None:
        """Read away what is not the matter of a test."""
        for client in (self.ann, self.bob, self.eve):
            client.receive()

    def block(self, *jids: str) -> None:
        """By Ann, and everybody has heard of it."""
        answer = self.ann.send(blocking("block", *jids))[-1]
        self.assertEqual(answer.attributes["type"], "result")
        self.settle()


class ListTests(Base):
    """Sections 3.2 to 3.5."""

    def test_the_list(self) -> None:
        """Empty at first, and kept."""
        [answer] = self.ann.send(LIST)
        self.assertEqual(listed(answer), [])
        self.block("romeo@montague.net", "iago@shakespeare.lit")
        again = MemoryXmpp(store=self.house.store).client("ann")
        [answer] = again.send(LIST)
        self.assertEqual(listed(answer), ["iago@shakespeare.lit", "romeo@montague.net"])

    def test_pushes(self) -> None:
        """To each resource that has asked for the list."""
        other = self.house.client("ann", "other")
        silent = self.house.client("ann", "silent")
        for client in (self.ann, other):
            client.send(LIST)
        for client in (self.ann, other, silent):
            client.receive()
        push, answer = self.ann.send(blocking("block", "romeo@montague.net"))
        self.assertEqual(answer.attributes["id"], "block1")
        self.assertEqual(push.attributes["to"], "ann@localhost/a")
        [push] = other.receive()
        self.assertEqual(push.children[0].name, "block")
        self.assertEqual(listed(push), ["romeo@montague.net"])
        self.assertEqual(silent.receive(), [])
        self.ann.send(blocking("unblock"))
        [push] = other.receive()
        self.assertEqual((push.children[0].name, listed(push)), ("unblock", []))
        [answer] = self.ann.send(LIST)
        self.assertEqual(listed(answer), [])

    def test_refusals(self) -> None:
        """Nothing to block, no address, and too many."""
        self.house = MemoryXmpp(blocked_addresses=1)
        self.ann = self.house.client("ann", "a")
        for sent, expected in (
            (blocking("block"), "bad-request"),
            (blocking("block", "@"), "jid-malformed"),
            (blocking("block", "a@b", "c@d"), "resource-constraint"),
        ):
            [answer] = self.ann.send(sent)
            self.assertEqual(condition(answer), expected)


class BlockedTests(Base):
    """What happens to stanzas, in both directions."""

    def test_the_blocked_sees_an_absence(self) -> None:
        """Presence ends; what it sends finds nobody."""
        self.ann.send(blocking("block", "bob@localhost"))
        self.assertEqual(
            presences(self.bob.receive()), [("ann@localhost/a", "unavailable")]
        )
        self.assertEqual(self.eve.receive(), [])
        for sent in (
            "<message to='ann@localhost'><body>x</body></message>",
            "<message to='ann@localhost/a' type='chat'><body>x</body></message>",
            "<iq type='get' id='1' to='ann@localhost/a'><q xmlns='u'/></iq>",
            "<iq type='get' id='1' to='ann@localhost'><q xmlns='u'/></iq>",
        ):
            [error] = self.bob.send(sent)
            self.assertEqual(condition(error), "service-unavailable", sent)
        for sent in (
            "<presence to='ann@localhost'/>",
            "<presence><show>dnd</show></presence>",
            "<presence type='probe' to='ann@localhost'/>",
            "<presence type='subscribe' to='ann@localhost'/>",
            "<iq type='result' id='1' to='ann@localhost/a'/>",
            "<message type='error' to='ann@localhost/a'/>",
            "<message type='headline' to='ann@localhost/a'/>",
        ):
            self.assertEqual(presences(self.bob.send(sent)), _self(sent))
        self.assertEqual(self.ann.receive(), [])

    def test_nothing_goes_out_to_the_blocked(self) -> None:
        """Section 3.3: not-acceptable, with <blocked/>."""
        self.block("bob@localhost")
        for sent in (
            "<message to='bob@localhost'><body>x</body></message>",
            "<iq type='get' id='1' to='bob@localhost/b'><q xmlns='u'/></iq>",
            "<presence to='bob@localhost/b'/>",
        ):
            [error] = self.ann.send(sent)
            self.assertEqual(condition(error), "not-acceptable", sent)
            [inner] = [n for n in error.children if n.name == "error"]
            self.assertIsNotNone(inner.child("urn:xmpp:blocking:errors", "blocked"))
        self.ann.send("<presence><show>away</show></presence>")
        self.assertEqual(self.bob.receive(), [])

    def test_unblocked_both_see_each_other_again(self) -> None:
        """Section 3.4."""
        self.block("bob@localhost")
        nodes = self.ann.send(blocking("unblock", "bob@localhost"))
        self.assertEqual(presences(nodes), [("bob@localhost/b", "")])
        self.assertEqual(presences(self.bob.receive()), [("ann@localhost/a", "")])
        self.ann.send("<message to='bob@localhost'><body>x</body></message>")
        self.assertEqual(len(self.bob.receive()), 1)

    def test_arriving_beside_a_block(self) -> None:
        """Who logs in later neither sees nor is seen."""
        self.block("bob@localhost")
        again = self.house.connect()
        again.log_in("bob", "new", present=False)
        seen = {sender for sender, _ in presences(again.send("<presence/>"))}
        self.assertNotIn("ann@localhost/a", seen)
        self.assertEqual(self.ann.receive(), [])
        again.drop()
        self.assertEqual(self.ann.receive(), [])

    def test_whom_an_address_covers(self) -> None:
        """Section 5: a resource, an account, a domain; never oneself."""
        self.block("bob@localhost/b")
        other = self.house.client("bob", "other")
        self.settle()
        sent = "<message to='ann@localhost/a'><body>x</body></message>"
        self.assertEqual(condition(self.bob.send(sent)[0]), "service-unavailable")
        self.assertEqual([n.name for n in other.send(sent)], [])
        self.block("localhost")
        self.ann.send("<message to='ann@localhost'><body>x</body></message>")
        self.assertEqual(len(self.ann.receive()), 0)
        self.assertEqual(condition(self.eve.send(sent)[0]), "service-unavailable")

    def test_nothing_waits_from_the_blocked(self) -> None:
        """Also while the one who blocks is away."""
        self.block("bob@localhost")
        self.ann.drop()
        self.settle_others()
        [error] = self.bob.send("<message to='ann@localhost'><body>x</body></message>")
        self.assertEqual(condition(error), "service-unavailable")
        again = MemoryXmpp(store=self.house.store)
        bob = again.client("bob", "b")
        [error] = bob.send("<message to='ann@localhost'><body>x</body></message>")
        self.assertEqual(condition(error), "service-unavailable")

    def settle_others(self) -> None:
        """Everybody but Ann."""
        self.bob.receive()
        self.eve.receive()

    def test_components_are_blocked_too(self) -> None:
        """A room, for instance."""
        self.block("mosaic.localhost")
        ping = "<iq type='get' id='1' to='mosaic.localhost'><ping xmlns='u'/></iq>"
        [error] = self.ann.send(ping)
        self.assertEqual(condition(error), "not-acceptable")


class StrangerTests(Base):
    """Where accounts must ask each other."""

    def test_a_request_of_the_blocked_is_not_told_again(self) -> None:
        """It was made before the block, and comes back behind it."""
        self.house = MemoryXmpp(everyone_is_contact=False)
        self.ann = self.house.client("ann", "a")
        bob = self.house.client("bob", "b")
        bob.send("<presence type='subscribe' to='ann@localhost'/>")
        self.assertEqual(
            presences(self.ann.receive()), [("bob@localhost", "subscribe")]
        )
        for sent, expected in (
            (blocking("block", "bob@localhost"), []),
            (blocking("unblock", "bob@localhost"), [("bob@localhost", "subscribe")]),
        ):
            self.ann.send(sent)
            self.ann.drop()
            self.ann = self.house.connect()
            self.ann.log_in("ann", "a", present=False)
            told = presences(self.ann.send("<presence/>"))
            self.assertEqual([one for one in told if one[1]], expected)


def _self(sent: str) -> list[tuple[str, str]]:
    """A broadcast comes back to its own session."""
    return [("bob@localhost/b", "")] if "<show>" in sent else []


class UnreadListTests(SynchronousTestCase):
    """Nobody is there before the list of the account is read."""

    def test_the_login_waits_for_the_list(self) -> None:
        """It may hold whoever writes next; what is said until then waits."""
        house = MemoryXmpp()
        bob: MemoryClient = house.client("bob", "b")
        reading: Deferred[object] = Deferred()
        read = house.store.person
        self.patch(house.store, "person", lambda name: reading)
        ann = house.connect()
        with self.assertRaises(ValueError):  # no answer yet
            ann.log_in("ann", "a", present=False)
        [error] = bob.send(
            "<iq type='get' id='1' to='ann@localhost/a'><q xmlns='u'/></iq>"
        )
        self.assertEqual(condition(error), "service-unavailable")
        reading.callback(self.successResultOf(read("ann")))
        [success] = ann.receive()
        self.assertEqual(success.name, "success")
        ann.start()
        ann.bind("a")
        iq = "<iq type='get' id='2' to='ann@localhost/a'><q xmlns='u'/></iq>"
        self.assertEqual(bob.send(iq), [])
        self.assertEqual(len(ann.receive()), 1)

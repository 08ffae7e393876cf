"""Rosters and subscriptions (RFC 6121 sections 2 and 3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.xml import Node
from tests.support.xmpp import VERIFIER, MemoryClient, MemoryXmpp, condition

NS = "jabber:iq:roster"
Told = list[tuple[str, str, str]]


def roster_get(ver: str | None = None) -> str:
    """A request for it."""
    known = "" if ver is None else f" ver='{ver}'"
    return f"<iq type='get' id='g'><query xmlns='{NS}'{known}/></iq>"


def roster_set(jid: str, inner: str = "", **attributes: str) -> str:
    """A change of one contact."""
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    item = f"<item jid='{jid}'{more}>{inner}</item>"
    return f"<iq type='set' id='s'><query xmlns='{NS}'>{item}</query></iq>"


def items(nodes: list[Node]) -> list[tuple[str, str]]:
    """Contacts in pushes or answers: address and subscription, + for asked."""
    found = []
    for node in nodes:
        query = node.child(NS, "query")
        for item in query.children if query is not None else ():
            asked = "+" if item.attributes.get("ask") else ""
            found.append(
                (item.attributes["jid"], item.attributes["subscription"] + asked)
            )
    return found


def presences(nodes: list[Node]) -> list[tuple[str, str]]:
    """From whom, and of what type."""
    return [
        (n.attributes["from"], n.attributes.get("type", ""))
        for n in nodes
        if n.name == "presence"
    ]


class Base(SynchronousTestCase):
    """Ann and Bob are there, and have asked for their rosters."""

    everyone = False

    def setUp(self) -> None:
        self.house = MemoryXmpp(everyone_is_contact=self.everyone)
        self.ann = self.interested("ann", "a")
        self.bob = self.interested("bob", "b")
        self.ann.receive()

    def interested(self, name: str, resource: str) -> MemoryClient:
        """One that has asked."""
        client = self.house.connect()
        client.log_in(name, resource, present=False)
        client.send(roster_get())
        client.send("<presence/>")
        return client

    def tell(self, client: MemoryClient, kind: str, to: str) -> list[Node]:
        """Send a presence of that type."""
        return client.send(f"<presence type='{kind}' to='{to}'/>")

    def befriend(self) -> None:
        """Both subscribe to each other."""
        for one, other in ((self.ann, "bob"), (self.bob, "ann")):
            self.tell(one, "subscribe", f"{other}@localhost")
            answering = self.bob if one is self.ann else self.ann
            asking = "ann" if one is self.ann else "bob"
            self.tell(answering, "subscribed", f"{asking}@localhost")
        self.ann.receive()
        self.bob.receive()

    def roster(self, client: MemoryClient) -> list[tuple[str, str]]:
        """All of it."""
        return items(client.send(roster_get()))


class OwnContactTests(Base):
    """Section 2, without the organisation's contacts."""

    def test_add_change_remove(self) -> None:
        """Each is pushed to every interested resource, then answered."""
        other = self.interested("ann", "other")
        silent = self.house.client("ann", "silent")
        self.ann.receive()
        other.receive()
        push, answer = self.ann.send(
            roster_set("eve@localhost", "<group>Work</group>", name="Eve")
        )
        self.assertEqual(answer.attributes["type"], "result")
        [item] = push.children[0].children
        self.assertEqual(item.attributes["name"], "Eve")
        self.assertEqual(item.children[0].text, "Work")
        self.assertEqual(items(other.receive()), [("eve@localhost", "none")])
        self.assertEqual(silent.receive(), [])
        self.ann.send(roster_set("eve@localhost", name="Evelyn"))
        [answer] = self.ann.send(roster_get())
        [item] = answer.children[0].children
        self.assertEqual((item.attributes["name"], item.children), ("Evelyn", []))
        push, answer = self.ann.send(roster_set("eve@localhost", subscription="remove"))
        self.assertEqual(items([push]), [("eve@localhost", "remove")])
        self.assertEqual(self.roster(self.ann), [])

    def test_a_client_cannot_grant_itself(self) -> None:
        """Section 2.1.2.5: only "remove" counts."""
        push, _ = self.ann.send(roster_set("bob@localhost", subscription="both"))
        self.assertEqual(items([push]), [("bob@localhost", "none")])
        self.assertEqual(presences(self.bob.receive()), [])

    def test_versions(self) -> None:
        """Section 2.6: nothing is sent that is known already."""
        [answer] = self.ann.send(roster_get(""))
        version = answer.children[0].attributes["ver"]
        [answer] = self.ann.send(roster_get(version))
        self.assertEqual(answer.children, [])
        push, _ = self.ann.send(roster_set("eve@localhost"))
        fresh = push.children[0].attributes["ver"]
        [answer] = self.ann.send(roster_get(version))
        self.assertEqual(items([answer]), [("eve@localhost", "none")])
        self.assertEqual(answer.children[0].attributes["ver"], fresh)

    def test_refusals(self) -> None:
        """Section 2.3.3, and the limit."""
        self.house = MemoryXmpp(everyone_is_contact=False, roster_items=1)
        self.ann = self.interested("ann", "a")
        group = "<group>{}</group>"
        for sent, expected in (
            (roster_set("@"), "jid-malformed"),
            (roster_set("eve@localhost/r"), "bad-request"),
            (roster_set("ann@localhost"), "not-allowed"),
            (roster_set("e@x", group.format("g") * 2), "bad-request"),
            (roster_set("e@x", group.format("")), "not-acceptable"),
            (roster_set("e@x", name="n" * 1024), "not-acceptable"),
            (roster_set("e@x", subscription="remove"), "item-not-found"),
            (roster_set("e@x").replace("<item jid='e@x'></item>", ""), "bad-request"),
            (roster_set("e@x").replace("jid='e@x'", ""), "bad-request"),
        ):
            [answer] = self.ann.send(sent)
            self.assertEqual(condition(answer), expected, sent)
        self.ann.send(roster_set("a@x"))
        [answer] = self.ann.send(roster_set("b@x"))
        self.assertEqual(condition(answer), "resource-constraint")


class SubscriptionTests(Base):
    """Section 3."""

    def test_asked_and_granted(self) -> None:
        """The examples of section 3.1: pushes, requests, presence."""
        nodes = self.tell(self.ann, "subscribe", "bob@localhost/b")
        self.assertEqual(items(nodes), [("bob@localhost", "none+")])
        self.assertEqual(
            presences(self.bob.receive()), [("ann@localhost", "subscribe")]
        )
        nodes = self.tell(self.bob, "subscribed", "ann@localhost")
        self.assertEqual(items(nodes), [("ann@localhost", "from")])
        nodes = self.ann.receive()
        self.assertEqual(items(nodes), [("bob@localhost", "to")])
        self.assertEqual(
            presences(nodes), [("bob@localhost", "subscribed"), ("bob@localhost/b", "")]
        )
        self.bob.send("<presence><show>away</show></presence>")
        self.assertEqual(presences(self.ann.receive()), [("bob@localhost/b", "")])
        self.ann.send("<presence><show>away</show></presence>")
        self.assertEqual(self.bob.receive(), [])

    def test_asked_and_refused(self) -> None:
        """Section 3.2.2: nothing is left of it."""
        self.tell(self.ann, "subscribe", "bob@localhost")
        self.bob.receive()
        self.assertEqual(
            items(self.tell(self.bob, "unsubscribed", "ann@localhost")), []
        )
        nodes = self.ann.receive()
        self.assertEqual(items(nodes), [("bob@localhost", "none")])
        self.assertEqual(presences(nodes), [("bob@localhost", "unsubscribed")])
        self.assertEqual(self.roster(self.bob), [])

    def test_nobody_grants_what_was_not_asked(self) -> None:
        """Section 3.1.6: no way into another's presence."""
        self.tell(self.bob, "subscribed", "ann@localhost")
        self.assertEqual(self.ann.receive(), [])
        self.assertEqual(self.roster(self.ann), [])

    def test_requests_wait(self) -> None:
        """Section 3.1.3: at each arrival, until it is answered; and once."""
        self.tell(self.ann, "subscribe", "eve@localhost")
        self.tell(self.ann, "subscribe", "eve@localhost")
        for _ in range(2):
            eve = self.house.connect()
            eve.log_in("eve", "e", present=False)
            self.assertEqual(self.roster(eve), [])
            nodes = eve.send("<presence/>")
            self.assertIn(("ann@localhost", "subscribe"), presences(nodes))
            self.assertEqual(len(presences(nodes)), 2)
            eve.drop()
        eve = self.house.client("eve", "e")
        self.tell(eve, "subscribed", "ann@localhost")
        eve.drop()
        eve = self.house.connect()
        eve.log_in("eve", "e", present=False)
        self.assertEqual(presences(eve.send("<presence/>")), [("eve@localhost/e", "")])

    def test_both_then_one_leaves(self) -> None:
        """Sections 3.2 and 3.3: who is not subscribed sees an end."""
        self.befriend()
        self.assertEqual(self.roster(self.ann), [("bob@localhost", "both")])
        nodes = self.tell(self.ann, "unsubscribe", "bob@localhost")
        self.assertEqual(items(nodes), [("bob@localhost", "from")])
        self.assertEqual(presences(nodes), [("bob@localhost/b", "unavailable")])
        nodes = self.bob.receive()
        self.assertEqual(items(nodes), [("ann@localhost", "to")])
        self.assertEqual(presences(nodes), [("ann@localhost", "unsubscribe")])
        self.tell(self.ann, "unsubscribed", "bob@localhost")
        nodes = self.bob.receive()
        self.assertEqual(items(nodes), [("ann@localhost", "none")])
        self.assertEqual(
            presences(nodes),
            [("ann@localhost", "unsubscribed"), ("ann@localhost/a", "unavailable")],
        )

    def test_removing_ends_both(self) -> None:
        """Section 2.5.2."""
        self.befriend()
        nodes = self.ann.send(roster_set("bob@localhost", subscription="remove"))
        self.assertEqual(items(nodes), [("bob@localhost", "remove")])
        self.assertEqual(presences(nodes), [("bob@localhost/b", "unavailable")])
        self.assertEqual(
            presences(self.bob.receive()),
            [
                ("ann@localhost", "unsubscribe"),
                ("ann@localhost", "unsubscribed"),
                ("ann@localhost/a", "unavailable"),
            ],
        )
        self.assertEqual(self.roster(self.bob), [("ann@localhost", "none")])

    def test_granted_before_it_is_asked(self) -> None:
        """Section 3.4: a pre-approval answers by itself."""
        nodes = self.tell(self.bob, "subscribed", "ann@localhost")
        [item] = nodes[0].children[0].children
        self.assertEqual(item.attributes["approved"], "true")
        nodes = self.tell(self.ann, "subscribe", "bob@localhost")
        self.assertEqual(items(nodes)[-1], ("bob@localhost", "to"))
        self.assertEqual(
            presences(nodes), [("bob@localhost", "subscribed"), ("bob@localhost/b", "")]
        )
        nodes = self.bob.receive()
        self.assertEqual(items(nodes), [("ann@localhost", "from")])
        self.assertEqual(presences(nodes), [])

    def test_asked_again(self) -> None:
        """Section 3.1.3: what is granted already is granted at once."""
        self.befriend()
        self.tell(self.ann, "unsubscribe", "bob@localhost")
        self.bob.receive()
        self.tell(self.ann, "subscribe", "bob@localhost")
        self.assertEqual(
            presences(self.bob.receive()), [("ann@localhost", "subscribe")]
        )
        self.tell(self.ann, "subscribe", "ann@localhost")
        self.assertEqual(self.roster(self.ann), [("bob@localhost", "from+")])

    def test_they_outlive_the_server(self) -> None:
        """Both sides are in the store."""
        self.befriend()
        again = MemoryXmpp(everyone_is_contact=False, store=self.house.store)
        for name, other in (("ann", "bob"), ("bob", "ann")):
            found = self.roster(again.client(name))
            self.assertEqual(found, [(f"{other}@localhost", "both")])

    def test_probes(self) -> None:
        """Section 4.3.2: strangers and nobody are told alike."""
        self.befriend()
        self.assertEqual(
            presences(self.tell(self.ann, "probe", "bob@localhost")),
            [("bob@localhost/b", "")],
        )
        for name in ("eve", "nobody"):
            self.assertEqual(
                presences(self.tell(self.ann, "probe", f"{name}@localhost")),
                [(f"{name}@localhost", "unsubscribed")],
            )

    def test_directed_presence_to_a_stranger_ends(self) -> None:
        """Section 4.6: with the session, also to a bare address."""
        self.ann.send("<presence to='bob@localhost'/>")
        self.assertEqual(presences(self.bob.receive()), [("ann@localhost/a", "")])
        self.ann.drop()
        self.assertEqual(
            presences(self.bob.receive()), [("ann@localhost/a", "unavailable")]
        )

    def test_other_domains(self) -> None:
        """We speak to no other server."""
        self.assertEqual(self.tell(self.ann, "subscribe", "x@example.org"), [])
        self.assertEqual(self.roster(self.ann), [])


class OrganisationTests(Base):
    """xmpp.everyone_is_contact: everybody is there without asking."""

    everyone = True

    def test_a_colleague_can_be_renamed(self) -> None:
        """The name and the groups are one's own; the subscription stays."""
        push, _ = self.ann.send(
            roster_set("bob@localhost", "<group>Friends</group>", name="Bobby")
        )
        [item] = push.children[0].children
        self.assertEqual(
            (item.attributes["name"], item.attributes["subscription"]),
            ("Bobby", "both"),
        )
        [answer] = self.ann.send(roster_get())
        names = [n.attributes["name"] for n in answer.children[0].children]
        self.assertEqual(names, ["Bobby", "eve"])

    def test_a_colleague_cannot_be_removed(self) -> None:
        """It would come back with the next login."""
        [answer] = self.ann.send(roster_set("bob@localhost", subscription="remove"))
        self.assertEqual(condition(answer), "not-allowed")

    def test_one_comes_and_one_goes(self) -> None:
        """Everybody who looks is told, and another version begins."""
        [answer] = self.ann.send(roster_get(""))
        version = answer.children[0].attributes["ver"]
        self.house.store.add_account("zoe", VERIFIER, admin=False)
        self.house.bus.publish("accounts", {"type": "added"})
        self.assertEqual(items(self.ann.receive()), [("zoe@localhost", "both")])
        self.house.store.remove_account("bob")
        self.house.bus.publish("account.bob", {"type": "removed"})
        nodes = self.ann.receive()
        self.assertEqual(items(nodes), [("bob@localhost", "remove")])
        self.assertEqual(presences(nodes), [("bob@localhost/b", "unavailable")])
        [answer] = self.ann.send(roster_get(version))
        self.assertEqual(
            items([answer]), [("eve@localhost", "both"), ("zoe@localhost", "both")]
        )

    def test_another_process_took_an_account(self) -> None:
        """Its sessions end, though nobody said its name."""
        self.house.store.remove_account("bob")
        self.house.bus.publish("store", {"type": "changed"})
        self.assertFalse(self.bob.open)
        self.assertEqual(items(self.ann.receive()), [("bob@localhost", "remove")])

    def test_the_version_outlives_the_server(self) -> None:
        """The same contacts are the same version."""
        [answer] = self.ann.send(roster_get(""))
        version = answer.children[0].attributes["ver"]
        again = MemoryXmpp(store=self.house.store).client("ann")
        [answer] = again.send(roster_get(version))
        self.assertEqual(answer.children, [])

"""What every store keeps for people who write to each other over XMPP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.store.interface import NameTaken, NotFound
from mosaic.store.people import (
    Archived,
    ArchivePage,
    ArchiveQuestion,
    Preferences,
    RosterChange,
    Waiting,
)
from mosaic.store.pep import Item, LimitReached, Node, NodeConfig, PreconditionFailed
from mosaic.wire.xmpp.subscription import Contact
from tests.support.stores import VERIFIER, MemoryCase, SqlCase, StoreContract

LIMIT = 1000
NODE = Node(owner="ada", name="urn:x", config=NodeConfig(max_items=2))


def sent(id: int, peer: str = "ben@localhost", **changes: Any) -> Archived:
    """One of ada's messages."""
    row = Archived("ada", id, peer, "phone", True, b"<message/>")
    return row._replace(**changes)


def item(id: str, seq: int, payload: bytes = b"<a xmlns='u'/>") -> Item:
    """An item by ada."""
    return Item(id=id, seq=seq, publisher="ada@localhost/r", payload=payload)


class People(StoreContract):
    """Two accounts."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("ada", "ben"):
            self.result(self.store.add_account(name, VERIFIER, admin=False))


class ArchiveContract(People):
    """Messages that are kept, in pages."""

    def keep(self, *rows: Archived, waiting: tuple[Waiting, ...] = ()) -> object:
        """What was refused."""
        return self.result(self.store.keep_messages(rows, waiting, limit=LIMIT))

    def page(self, **question: object) -> ArchivePage:
        """Of ada's archive."""
        asked = ArchiveQuestion(**question)  # type: ignore[arg-type]  # fields
        return self.result(self.store.archive("ada", asked))

    def ids(self, **question: object) -> list[int]:
        """The ids on a page."""
        return [one.id for one in self.page(**question).messages]

    def test_a_message_is_kept(self) -> None:
        """Every field comes back, and only in its owner's archive."""
        row = sent(5, resource="", sent=False, raw=b"<message>\xc3\xa9</message>")
        self.assertEqual(self.keep(row), frozenset())
        self.assertEqual(self.page().messages, (row,))
        bens = self.result(self.store.archive("ben", ArchiveQuestion()))
        self.assertEqual(bens.messages, ())
        self.assertEqual((bens.complete, bens.count), (True, 0))

    def test_what_is_there_stays(self) -> None:
        """The same id twice is one message."""
        self.keep(sent(5), sent(5, peer="eve@localhost"))
        self.keep(sent(5, peer="eve@localhost"))
        self.assertEqual(self.page().messages, (sent(5),))

    def test_accounts_that_are_gone_are_passed_over(self) -> None:
        """The others' messages of the same commit are kept."""
        gone = Waiting("eve", 7, b"<message/>")
        self.keep(sent(5), sent(6, owner="eve"), sent(7), waiting=(gone,))
        self.assertEqual(self.ids(), [5, 7])
        self.assertEqual(self.result(self.store.waiting("eve")), [])

    def test_pages_forwards_and_backwards(self) -> None:
        """XEP-0059: after, before, the last page, and a page by index."""
        self.keep(*(sent(id) for id in range(1, 8)))
        first = self.page(limit=3)
        self.assertEqual([one.id for one in first.messages], [1, 2, 3])
        self.assertEqual((first.complete, first.count, first.index), (False, 7, 0))
        self.assertEqual(self.ids(limit=3, after=3), [4, 5, 6])
        last = self.page(limit=3, after=6)
        self.assertEqual((last.complete, last.index), (True, 6))
        self.assertEqual(self.ids(limit=3, newest=True), [5, 6, 7])
        self.assertEqual(self.ids(limit=3, before=5), [2, 3, 4])
        self.assertEqual(self.page(limit=3, before=5).complete, False)
        self.assertEqual(self.page(limit=4, before=5).complete, True)
        self.assertEqual(self.ids(limit=3, skip=5), [6, 7])
        self.assertEqual(self.ids(limit=9, after=2, before=6), [3, 4, 5])
        none = self.page(limit=0)
        self.assertEqual((none.messages, none.count, none.index), ((), 7, None))
        self.assertFalse(none.complete)

    def test_filters(self) -> None:
        """With whom, when, between, and which."""
        self.keep(sent(1), sent(2, "eve@localhost"), sent(3, resource="tablet"))
        self.assertEqual(self.ids(peer="ben@localhost"), [1, 3])
        self.assertEqual(self.ids(peer="ben@localhost", resource="tablet"), [3])
        self.assertEqual(self.ids(peer="nobody@localhost"), [])
        self.assertEqual(self.ids(first=2), [2, 3])
        self.assertEqual(self.ids(last=2), [1, 2])
        self.assertEqual(self.ids(above=1, below=3), [2])
        self.assertEqual(self.ids(ids=(3, 1)), [1, 3])
        self.assertEqual(self.page(peer="eve@localhost").count, 1)

    def test_unknown_ids_are_an_error(self) -> None:
        """XEP-0313: item-not-found, and never another page instead."""
        self.keep(sent(1))
        self.keep(sent(9, owner="ben"))
        for question in ("after", "before", "above", "below"):
            marks: Any = {question: 9}
            asked = ArchiveQuestion(**marks)
            self.fails(NotFound, self.store.archive("ada", asked))
        asked = ArchiveQuestion(ids=(1, 9))
        self.fails(NotFound, self.store.archive("ada", asked))

    def test_ends(self) -> None:
        """The oldest and the newest."""
        self.assertIsNone(self.result(self.store.archive_ends("ada")))
        self.keep(sent(4), sent(2), sent(9))
        self.assertEqual(self.result(self.store.archive_ends("ada")), (2, 9))

    def test_pruning(self) -> None:
        """Older ones go, of everybody."""
        self.keep(sent(1), sent(2), sent(3), sent(1, owner="ben"))
        self.assertEqual(self.result(self.store.prune_archives(before=3)), 3)
        self.assertEqual(self.ids(), [3])

    def test_waiting(self) -> None:
        """Oldest first, until they are dropped; twice is once."""
        two = (Waiting("ada", 2, b"<b/>"), Waiting("ada", 1, b"<a/>"))
        self.keep(waiting=two)
        self.keep(waiting=two)
        found = self.result(self.store.waiting("ada"))
        self.assertEqual(found, [two[1], two[0]])
        self.result(self.store.drop_waiting("ada", [1, 99]))
        self.assertEqual(self.result(self.store.waiting("ada")), [two[0]])

    def test_past_the_limit_nothing_is_kept(self) -> None:
        """What the sender is told was refused is in no archive of the other's."""
        waiting = [Waiting("ada", id, b"<a/>") for id in (1, 2, 3)]
        rows = [sent(3), sent(3, owner="ben")]
        refused = self.result(self.store.keep_messages(rows, waiting, limit=2))
        self.assertEqual(refused, {("ada", 3)})
        self.assertEqual(self.ids(), [])
        bens = self.result(self.store.archive("ben", ArchiveQuestion()))
        self.assertEqual([one.id for one in bens.messages], [3])
        refused = self.result(self.store.keep_messages((), waiting[:1], limit=2))
        self.assertEqual(refused, {("ada", 1)})

    def test_all_goes_with_the_account(self) -> None:
        """And the one who gets the name next finds nothing."""
        self.keep(sent(1), waiting=(Waiting("ada", 1, b"<a/>"),))
        change = RosterChange(owner="ada", contact=contact(listed=True), version=4)
        self.result(self.store.change_rosters([change]))
        self.result(self.store.set_blocked("ada", frozenset({"x@y"})))
        self.result(self.store.publish(NODE, item("1", 1), limit=9))
        self.result(self.store.remove_account("ada"))
        self.result(self.store.add_account("ada", VERIFIER, admin=False))
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.result(self.store.waiting("ada")), [])
        self.assertEqual(self.result(self.store.nodes("ada")), [])
        person = self.result(self.store.person("ada"))
        self.assertEqual((person.contacts, person.blocked), ((), frozenset()))


def contact(jid: str = "ben@localhost", **fields: object) -> Contact:
    """A contact."""
    return Contact(jid=jid, **fields)  # type: ignore[arg-type]  # fields


class ListContract(People):
    """Rosters, blocks and preferences."""

    def test_a_contact_is_kept(self) -> None:
        """Every field, and the version of the roster."""
        full = contact(
            name="Ben",
            groups=("Work", "Fün"),
            listed=True,
            to=True,
            from_=True,
            ask=True,
            approved=True,
            asking=b"<presence/>",
        )
        other = contact("a@b", listed=True)
        changes = [
            RosterChange(owner="ada", contact=full, version=3),
            RosterChange(owner="ada", contact=other, version=4),
            RosterChange(owner="ben", contact=contact("ada@localhost"), version=1),
        ]
        self.result(self.store.change_rosters(changes))
        person = self.result(self.store.person("ada"))
        self.assertEqual(person.contacts, (other, full))
        self.assertEqual(person.roster_version, 4)
        self.assertEqual(self.result(self.store.person("ben")).contacts, ())
        gone = RosterChange(owner="ada", contact=contact("a@b"), version=5)
        self.result(self.store.change_rosters([gone]))
        person = self.result(self.store.person("ada"))
        self.assertEqual((person.contacts, person.roster_version), ((full,), 5))

    def test_all_or_nothing(self) -> None:
        """A subscription has two sides."""
        changes = [
            RosterChange(owner=owner, contact=contact("c@d", listed=True), version=1)
            for owner in ("ada", "eve")
        ]
        self.fails(NotFound, self.store.change_rosters(changes))
        self.assertEqual(self.result(self.store.person("ada")).contacts, ())

    def test_nobody_has_nothing(self) -> None:
        """NotFound for an account that is not there."""
        self.fails(NotFound, self.store.person("eve"))
        self.fails(NotFound, self.store.set_blocked("eve", frozenset({"a@b"})))
        self.fails(NotFound, self.store.set_preferences("eve", Preferences()))

    def test_blocks(self) -> None:
        """The whole list is replaced."""
        self.result(self.store.set_blocked("ada", frozenset({"a@b", "c.d"})))
        self.result(self.store.set_blocked("ada", frozenset({"c.d", "e@f/g"})))
        person = self.result(self.store.person("ada"))
        self.assertEqual(person.blocked, {"c.d", "e@f/g"})

    def test_preferences(self) -> None:
        """Everything is archived until somebody says otherwise."""
        self.assertEqual(
            self.result(self.store.person("ada")).preferences, Preferences()
        )
        wanted = Preferences(default="roster", always=("a@b",), never=("c@d", "e"))
        self.result(self.store.set_preferences("ada", wanted))
        self.assertEqual(self.result(self.store.person("ada")).preferences, wanted)


class NodeContract(People):
    """Nodes and items."""

    def publish(self, id: str, seq: int, node: Node = NODE, **how: object) -> Node:
        """The node as it is."""
        made = self.store.publish(node, item(id, seq), limit=2, **how)  # type: ignore[arg-type]  # demanded
        return self.result(made)

    def ids(self, **which: object) -> list[str]:
        """Of the items of NODE."""
        found = self.result(self.store.items("ada", NODE.name, **which))  # type: ignore[arg-type]  # ids, limit
        return [one.id for one in found]

    def test_the_first_item_makes_the_node(self) -> None:
        """Later ones find it as it is."""
        self.assertEqual(self.publish("1", 1), NODE)
        other = replace(NODE, config=NodeConfig(access="open"))
        self.assertEqual(self.publish("2", 2, other), NODE)
        self.assertEqual(self.result(self.store.node("ada", NODE.name)), NODE)
        self.assertEqual(self.result(self.store.nodes("ada")), [NODE])
        self.assertIsNone(self.result(self.store.node("ben", NODE.name)))

    def test_items_are_bounded_and_replaced(self) -> None:
        """The newest ones are kept; one that comes again is the newest."""
        for seq, id in enumerate(("1", "2", "1", "3"), 1):
            self.publish(id, seq)
        self.assertEqual(self.ids(), ["1", "3"])
        self.assertEqual(self.ids(limit=1), ["3"])
        self.assertEqual(self.ids(ids=("1", "2")), ["1"])
        self.assertEqual(
            self.result(self.store.items("ada", NODE.name, ids=("1",))), [item("1", 3)]
        )

    def test_some_nodes_keep_nothing(self) -> None:
        """persist-items off: only those who listen get it."""
        node = replace(NODE, config=NodeConfig(persist=False))
        self.publish("1", 1, node)
        self.assertEqual(self.ids(), [])

    def test_preconditions(self) -> None:
        """XEP-0060 section 7.1.5: publish only if the node is like that."""
        self.publish("1", 1)
        private = replace(NODE, config=NodeConfig(access="whitelist", max_items=2))
        self.assertEqual(self.publish("2", 2, private, demanded=["max_items"]), NODE)
        for demanded in (["access"], ["max_items", "access"]):
            self.fails(
                PreconditionFailed,
                self.store.publish(private, item("3", 3), limit=2, demanded=demanded),
            )
        self.assertEqual(self.ids(), ["1", "2"])

    def test_nodes_are_bounded(self) -> None:
        """However they are made."""
        self.publish("1", 1)
        self.result(self.store.create_node(replace(NODE, name="b"), limit=2))
        third = replace(NODE, name="c")
        self.fails(LimitReached, self.store.create_node(third, limit=2))
        self.fails(LimitReached, self.store.publish(third, item("1", 1), limit=2))
        self.fails(NameTaken, self.store.create_node(NODE, limit=9))
        nobodys = replace(NODE, owner="eve")
        self.fails(NotFound, self.store.create_node(nobodys, limit=2))
        self.fails(NotFound, self.store.publish(nobodys, item("1", 1), limit=2))

    def test_configuring_trims(self) -> None:
        """What a node may not keep any more is gone."""
        self.publish("1", 1)
        self.publish("2", 2)
        changed = replace(NODE, config=NodeConfig(access="open", max_items=1))
        self.result(self.store.configure_node(changed))
        self.assertEqual(self.ids(), ["2"])
        self.assertEqual(self.result(self.store.node("ada", NODE.name)), changed)
        self.fails(NotFound, self.store.configure_node(replace(NODE, name="b")))

    def test_taking_away(self) -> None:
        """An item, all items, the node."""
        self.publish("1", 1)
        self.publish("2", 2)
        self.result(self.store.retract("ada", NODE.name, "1"))
        self.fails(NotFound, self.store.retract("ada", NODE.name, "1"))
        self.assertEqual(self.ids(), ["2"])
        self.result(self.store.purge("ada", NODE.name))
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.result(self.store.delete_node("ada", NODE.name)), NODE)
        gone: list[Deferred[Any]] = [
            self.store.delete_node("ada", NODE.name),
            self.store.purge("ada", NODE.name),
            self.store.retract("ada", NODE.name, "2"),
            self.store.items("ada", NODE.name),
        ]
        for again in gone:
            self.fails(NotFound, again)

    def test_newest_items_of_everybody(self) -> None:
        """For one who comes online; not of nodes that say no."""
        self.publish("1", 1)
        self.publish("2", 2)
        bens = replace(NODE, owner="ben")
        self.publish("9", 9, bens)
        quiet = Node(owner="ben", name="q", config=NodeConfig(last_item=False))
        self.publish("1", 10, quiet)
        found = self.result(self.store.newest_items([NODE.name, "q", "other"]))
        self.assertEqual(found, [(NODE, item("2", 2)), (bens, item("9", 9))])


class MemoryArchiveTests(ArchiveContract, MemoryCase):
    """The fake."""


class SqlArchiveTests(ArchiveContract, SqlCase):
    """On disk."""


class MemoryListTests(ListContract, MemoryCase):
    """The fake."""


class SqlListTests(ListContract, SqlCase):
    """On disk."""


class MemoryNodeTests(NodeContract, MemoryCase):
    """The fake."""


class SqlNodeTests(NodeContract, SqlCase):
    """On disk."""


del People, ArchiveContract, ListContract, NodeContract

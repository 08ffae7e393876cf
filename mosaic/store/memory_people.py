"""The part of the store that forgets which keeps XMPP's people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.memory_history import fired
from mosaic.store.people import (
    MAX_COUNT,
    Archived,
    ArchivePage,
    ArchiveQuestion,
    PersonRecord,
    Preferences,
    RosterChange,
    Waiting,
)
from mosaic.store.pep import Item, LimitReached, Node, PreconditionFailed
from mosaic.wire.xmpp.subscription import Contact


@dataclass(slots=True)
class _NodeRecord:
    node: Node
    items: dict[str, Item] = field(default_factory=dict)

    def trim(self) -> None:
        kept = self.node.config.max_items if self.node.config.persist else 0
        newest = sorted(self.items.values(), key=lambda item: item.seq)
        for item in newest[: max(len(newest) - kept, 0)]:
            del self.items[item.id]


@dataclass(slots=True)
class _Person:
    archive: dict[int, Archived] = field(default_factory=dict)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    preferences: Preferences = field(default_factory=Preferences)
    roster_version: int = 0
    nodes: dict[str, _NodeRecord] = field(default_factory=dict)


class MemoryPeople:
    """The People interface. accounts: the names that there are."""

    def __init__(self, accounts: Collection[str]) -> None:
        self._known = accounts
        self._people: dict[str, _Person] = {}

    def forget_person(self, account: str) -> None:
        """All that is kept of an account."""
        self._people.pop(account, None)

    def _person(self, account: str) -> _Person:
        if account not in self._known:
            raise NotFound(f"there is no account {account}")
        return self._people.setdefault(account, _Person())

    def _of(self, account: str) -> _Person:
        """To look at only."""
        return self._people.get(account) or _Person()

    # Messages -------------------------------------------------------------
    @fired
    def keep_messages(
        self,
        archived: Sequence[Archived],
        waiting: Sequence[Waiting] = (),
        *,
        limit: int,
    ) -> frozenset[tuple[str, int]]:
        """Archive and store for later."""
        refused = set()
        for one in waiting:
            if one.owner in self._known:
                mine = self._person(one.owner).waiting
                if len(mine) >= limit:
                    refused.add((one.owner, one.id))
                else:
                    mine.setdefault(one.id, one)
        for row in archived:
            if row.owner in self._known and (row.owner, row.id) not in refused:
                self._person(row.owner).archive.setdefault(row.id, row)
        return frozenset(refused)

    @fired
    def archive(self, owner: str, question: ArchiveQuestion) -> ArchivePage:
        """A page."""
        mine = self._of(owner).archive
        marks = (question.above, question.below, question.after, question.before)
        for wanted in (*marks, *(question.ids or ())):
            if wanted is not None and wanted not in mine:
                raise NotFound("the archive has no such message")
        matching = [mine[id] for id in sorted(mine) if _matches(mine[id], question)]
        after, before = question.after, question.before
        within = [
            one
            for one in matching
            if (after is None or one.id > after) and (before is None or one.id < before)
        ]
        limit = max(question.limit, 0)
        if question.newest or before is not None:
            found = within[max(len(within) - limit, 0) :]
        else:
            found = within[question.skip : question.skip + limit]
            within = within[question.skip :]
        count = len(matching) if len(matching) <= MAX_COUNT else None
        return ArchivePage(
            messages=tuple(found),
            complete=len(within) <= limit,
            count=count,
            index=matching.index(found[0]) if found and count is not None else None,
        )

    @fired
    def archive_ends(self, owner: str) -> tuple[int, int] | None:
        """The oldest and the newest id."""
        mine = self._of(owner).archive
        return (min(mine), max(mine)) if mine else None

    @fired
    def prune_archives(self, *, before: int) -> int:
        """Forget older messages."""
        gone = 0
        for person in self._people.values():
            old = [id for id in person.archive if id < before]
            gone += len(old)
            for id in old:
                del person.archive[id]
        return gone

    @fired
    def waiting(self, owner: str) -> list[Waiting]:
        """Oldest first."""
        return [one for _, one in sorted(self._of(owner).waiting.items())]

    @fired
    def drop_waiting(self, owner: str, ids: Iterable[int]) -> None:
        """These wait no more."""
        for id in ids:
            self._of(owner).waiting.pop(id, None)

    # Lists ----------------------------------------------------------------
    @fired
    def person(self, account: str) -> PersonRecord:
        """All that is kept of an account."""
        mine = self._person(account)
        return PersonRecord(
            contacts=tuple(mine.contacts[jid] for jid in sorted(mine.contacts)),
            blocked=mine.blocked,
            preferences=mine.preferences,
            roster_version=mine.roster_version,
        )

    @fired
    def change_rosters(self, changes: Sequence[RosterChange]) -> None:
        """All or nothing."""
        people = [self._person(change.owner) for change in changes]
        for mine, change in zip(people, changes, strict=True):
            mine.roster_version = change.version
            mine.contacts.pop(change.contact.jid, None)
            if not change.contact.is_blank:
                mine.contacts[change.contact.jid] = change.contact

    @fired
    def set_blocked(self, account: str, blocked: frozenset[str]) -> None:
        """The whole list."""
        self._person(account).blocked = blocked

    @fired
    def set_preferences(self, account: str, wanted: Preferences) -> None:
        """Write them."""
        self._person(account).preferences = wanted

    # Nodes ----------------------------------------------------------------
    def _node(self, owner: str, name: str) -> _NodeRecord:
        record = self._of(owner).nodes.get(name)
        if record is None:
            raise NotFound(f"there is no node {name}")
        return record

    def _create(self, node: Node, limit: int) -> _NodeRecord:
        mine = self._person(node.owner).nodes
        if node.name in mine:
            raise NameTaken(f"the node {node.name} exists")
        if len(mine) >= limit:
            raise LimitReached(f"an account may have {limit} nodes")
        record = mine[node.name] = _NodeRecord(node)
        return record

    @fired
    def nodes(self, owner: str) -> list[Node]:
        """By name."""
        return [record.node for _, record in sorted(self._of(owner).nodes.items())]

    @fired
    def node(self, owner: str, name: str) -> Node | None:
        """One, or None."""
        record = self._of(owner).nodes.get(name)
        return None if record is None else record.node

    @fired
    def create_node(self, node: Node, *, limit: int) -> None:
        """Make one."""
        self._create(node, limit)

    @fired
    def configure_node(self, node: Node) -> None:
        """Write its configuration."""
        record = self._node(node.owner, node.name)
        record.node = node
        record.trim()

    @fired
    def delete_node(self, owner: str, name: str) -> Node:
        """With its items."""
        node = self._node(owner, name).node
        del self._of(owner).nodes[name]
        return node

    @fired
    def publish(
        self, node: Node, item: Item, *, limit: int, demanded: Sequence[str] = ()
    ) -> Node:
        """Add or replace an item."""
        record = self._of(node.owner).nodes.get(node.name)
        if record is None:
            record = self._create(node, limit)
        for name in demanded:
            if getattr(record.node.config, name) != getattr(node.config, name):
                raise PreconditionFailed(f"{name} differs")
        record.items[item.id] = replace(item)
        record.trim()
        return record.node

    @fired
    def items(
        self,
        owner: str,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Item]:
        """Oldest first."""
        found = sorted(self._node(owner, name).items.values(), key=lambda i: i.seq)
        if ids is not None:
            found = [item for item in found if item.id in ids]
        return found if limit is None else found[max(len(found) - max(limit, 0), 0) :]

    @fired
    def retract(self, owner: str, name: str, item: str) -> None:
        """Forget one."""
        items = self._node(owner, name).items
        if item not in items:
            raise NotFound(f"{name} has no item {item}")
        del items[item]

    @fired
    def purge(self, owner: str, name: str) -> None:
        """Forget all items."""
        self._node(owner, name).items.clear()

    @fired
    def newest_items(self, names: Sequence[str]) -> list[tuple[Node, Item]]:
        """By owner and name."""
        return [
            (record.node, max(record.items.values(), key=lambda item: item.seq))
            for _, person in sorted(self._people.items())
            for name, record in sorted(person.nodes.items())
            if name in names and record.items and record.node.config.last_item
        ]


def _matches(one: Archived, question: ArchiveQuestion) -> bool:
    return (
        (question.peer is None or one.peer == question.peer)
        and (not question.resource or one.resource == question.resource)
        and (question.first is None or one.id >= question.first)
        and (question.last is None or one.id <= question.last)
        and (question.above is None or one.id > question.above)
        and (question.below is None or one.id < question.below)
        and (question.ids is None or one.id in question.ids)
    )

"""The part of the store on disk that keeps XMPP's people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from mosaic.store import people_archive, people_lists, people_nodes
from mosaic.store.people import (
    Archived,
    ArchivePage,
    ArchiveQuestion,
    PersonRecord,
    Preferences,
    RosterChange,
    Waiting,
)
from mosaic.store.pep import Item, Node

P = ParamSpec("P")
T = TypeVar("T")


class SqlPeople:
    """The People interface over whatever asks and changes."""

    def _ask(
        self,
        call: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        raise NotImplementedError

    def _change(
        self,
        call: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        raise NotImplementedError

    # Messages -------------------------------------------------------------
    def keep_messages(
        self,
        archived: Sequence[Archived],
        waiting: Sequence[Waiting] = (),
        *,
        limit: int,
    ) -> Deferred[frozenset[tuple[str, int]]]:
        """Archive and store for later; what is past the limit."""
        return self._change(people_archive.keep, archived, waiting, limit=limit)

    def archive(self, owner: str, question: ArchiveQuestion) -> Deferred[ArchivePage]:
        """A page. Raises NotFound."""
        return self._ask(people_archive.page, owner, question)

    def archive_ends(self, owner: str) -> Deferred[tuple[int, int] | None]:
        """The oldest and the newest id."""
        return self._ask(people_archive.ends, owner)

    def prune_archives(self, *, before: int) -> Deferred[int]:
        """Forget older messages; how many."""
        return self._change(people_archive.prune, before=before)

    # Asked of the writer: it must see what was just said.
    def waiting(self, owner: str) -> Deferred[list[Waiting]]:
        """What waits, oldest first."""
        return self._change(people_archive.held, owner)

    def drop_waiting(self, owner: str, ids: Iterable[int]) -> Deferred[None]:
        """These wait no more."""
        return self._change(people_archive.drop_held, owner, tuple(ids))

    # Lists ----------------------------------------------------------------
    def person(self, account: str) -> Deferred[PersonRecord]:
        """Raises NotFound."""
        return self._ask(people_lists.person, account)

    def change_rosters(self, changes: Sequence[RosterChange]) -> Deferred[None]:
        """All or nothing. Raises NotFound."""
        return self._change(people_lists.change_rosters, tuple(changes))

    def set_blocked(self, account: str, blocked: frozenset[str]) -> Deferred[None]:
        """The whole list. Raises NotFound."""
        return self._change(people_lists.set_blocked, account, blocked)

    def set_preferences(self, account: str, wanted: Preferences) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(people_lists.set_preferences, account, wanted)

    # Nodes ----------------------------------------------------------------
    def nodes(self, owner: str) -> Deferred[list[Node]]:
        """By name."""
        return self._ask(people_nodes.every, owner)

    def node(self, owner: str, name: str) -> Deferred[Node | None]:
        """One, or None."""
        return self._ask(people_nodes.find, owner, name)

    def create_node(self, node: Node, *, limit: int) -> Deferred[None]:
        """Raises NameTaken, LimitReached, NotFound."""
        return self._change(people_nodes.create, node, limit=limit)

    def configure_node(self, node: Node) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(people_nodes.configure, node)

    def delete_node(self, owner: str, name: str) -> Deferred[Node]:
        """Raises NotFound."""
        return self._change(people_nodes.remove, owner, name)

    def publish(
        self, node: Node, item: Item, *, limit: int, demanded: Sequence[str] = ()
    ) -> Deferred[Node]:
        """Raises PreconditionFailed, LimitReached, NotFound."""
        return self._change(
            people_nodes.publish, node, item, limit=limit, demanded=tuple(demanded)
        )

    def items(
        self,
        owner: str,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Deferred[list[Item]]:
        """Oldest first. Raises NotFound."""
        return self._ask(people_nodes.read, owner, name, ids=ids, limit=limit)

    def retract(self, owner: str, name: str, item: str) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(people_nodes.retract, owner, name, item)

    def purge(self, owner: str, name: str) -> Deferred[None]:
        """Raises NotFound."""
        return self._change(people_nodes.purge, owner, name)

    def newest_items(self, names: Sequence[str]) -> Deferred[list[tuple[Node, Item]]]:
        """By owner and name."""
        return self._ask(people_nodes.newest, tuple(names))

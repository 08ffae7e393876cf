"""What every store keeps of personal eventing (XEP-0163): nodes and items.

A part of store.people.People, under the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.store.errors import StoreError


class LimitReached(StoreError):
    """An account has as many nodes as it may have."""


class PreconditionFailed(StoreError):
    """The node is not configured as the publisher demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """How a node behaves (XEP-0060 section 16.4.4).

    access: "open", "presence" or "whitelist" (the owner alone). max_items: what
    it keeps. persist: whether it keeps anything. payloads: whether
    notifications carry the item. retracts, deletes: whether these are told of.
    last_item: whether one who comes online gets the newest item. title, kind:
    for people and programs.
    """

    access: str = "presence"
    max_items: int = 1
    persist: bool = True
    payloads: bool = True
    retracts: bool = True
    deletes: bool = True
    last_item: bool = True
    title: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of an account."""

    owner: str
    name: str
    config: NodeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item. seq: grows with each publication. publisher: an address.
    payload: one element that needs no context, or b""."""

    id: str
    seq: int
    publisher: str
    payload: bytes


class Nodes(Protocol):
    """Nodes and their items."""

    def nodes(self, owner: str) -> Deferred[list[Node]]:
        """By name."""

    def node(self, owner: str, name: str) -> Deferred[Node | None]:
        """One, or None."""

    def create_node(self, node: Node, *, limit: int) -> Deferred[None]:
        """Raises NameTaken, LimitReached (nodes an account may have), NotFound."""

    def configure_node(self, node: Node) -> Deferred[None]:
        """Write its configuration; too many items are dropped. Raises NotFound."""

    def delete_node(self, owner: str, name: str) -> Deferred[Node]:
        """With its items; what it was. Raises NotFound."""

    def publish(
        self, node: Node, item: Item, *, limit: int, demanded: Sequence[str] = ()
    ) -> Deferred[Node]:
        """Add or replace an item and drop the oldest ones past max_items.

        The node is made as given if there is none; how it is, is returned.
        demanded: names of configuration fields in which a node that is there
        must be as given. Raises PreconditionFailed, LimitReached, NotFound.
        """

    def items(
        self,
        owner: str,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Deferred[list[Item]]:
        """Those ids, or the newest `limit`; oldest first. Raises NotFound."""

    def retract(self, owner: str, name: str, item: str) -> Deferred[None]:
        """Forget one. Raises NotFound for the node or the item."""

    def purge(self, owner: str, name: str) -> Deferred[None]:
        """Forget all items. Raises NotFound."""

    def newest_items(self, names: Sequence[str]) -> Deferred[list[tuple[Node, Item]]]:
        """The newest item of each node with one of these names, of everybody,
        where the configuration says last_item."""

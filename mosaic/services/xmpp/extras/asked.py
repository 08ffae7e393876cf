"""A question as those see it who answer for the domain and for components alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.disco import Facts, Item
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, read_node

T = TypeVar("T")


class Asked(Protocol):
    """An IQ get or set, whichever way it came."""

    @property
    def stanza(self) -> Stanza:
        """The IQ."""

    @property
    def asker(self) -> Jid:
        """Who asks, as the server knows it: never what a client claims."""

    @property
    def payload(self) -> Node:
        """The first child of the IQ."""

    @property
    def node(self) -> str:
        """Its `node` attribute, or ""."""


Reply = Callable[[Asked], Awaitable[str]]
"""The child of the result, "" for none. Raises Undeliverable."""


class DiscoNodes(Protocol):
    """Something that has nodes in service discovery."""

    async def info(self, asked: Asked, node: str) -> Facts | None:
        """What the node is, None if it is not this one's."""

    async def items(self, asked: Asked, node: str) -> list[Item] | None:
        """What is below the node, None if it is not this one's."""


class Registry(Protocol):
    """Where answers are registered: the domain's, or those of a component."""

    def add(
        self,
        kind: str,
        ns: str,
        name: str,
        answer: Reply,
        about: About = ...,
        *,
        feature: str | None = "",
    ) -> None:
        """Answer IQs of a kind with that payload; announce a feature."""

    def add_nodes(self, nodes: DiscoNodes) -> None:
        """Have service discovery ask for nodes here."""


@dataclass(frozen=True)
class HostQuestion:
    """An IQ get or set for a component's own address."""

    stanza: Stanza
    asker: Jid

    @cached_property
    def payload(self) -> Node:
        """The first child of the IQ."""
        return read_node(self.stanza).children[0]

    @property
    def node(self) -> str:
        """Its `node` attribute, or ""."""
        return self.payload.attributes.get("node", "")


@dataclass(frozen=True, slots=True)
class Known:
    """Whose account an address is.

    domains: ours, and that of another server whose users are ours.
    """

    domains: frozenset[str]

    def account(self, jid: Jid) -> str | None:
        """The account's name, None for strangers."""
        return (jid.local or None) if jid.domain in self.domains else None


async def node_info(asked: Asked, nodes: list[DiscoNodes]) -> Facts | None:
    """What a node is; None when none was asked for.

    Raises Undeliverable (item-not-found).
    """
    return await _first(asked, [one.info for one in nodes])


async def node_items(asked: Asked, nodes: list[DiscoNodes]) -> list[Item] | None:
    """What is below a node; None when none was asked for.

    Raises Undeliverable (item-not-found).
    """
    return await _first(asked, [one.items for one in nodes])


async def _first(
    asked: Asked, ways: list[Callable[[Asked, str], Awaitable[T | None]]]
) -> T | None:
    if not asked.node:
        return None
    for ask in ways:
        found = await ask(asked, asked.node)
        if found is not None:
            return found
    raise Undeliverable("item-not-found")

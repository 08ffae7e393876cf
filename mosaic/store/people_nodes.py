"""Nodes of personal eventing, over a connection in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select

from mosaic.store import accounts
from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.people_schema import items, nodes
from mosaic.store.pep import Item, LimitReached, Node, NodeConfig, PreconditionFailed


def every(connection: Connection, owner: str) -> list[Node]:
    """An account's nodes, by name."""
    rows = connection.execute(
        select(nodes).where(nodes.c.owner == owner).order_by(nodes.c.name)
    )
    return [_node(row) for row in rows]


def find(connection: Connection, owner: str, name: str) -> Node | None:
    """One of them, or None."""
    row = connection.execute(select(nodes).where(_named(owner, name))).first()
    return None if row is None else _node(row)


def get(connection: Connection, owner: str, name: str) -> Node:
    """Raises NotFound."""
    node = find(connection, owner, name)
    if node is None:
        raise NotFound(f"there is no node {name}")
    return node


def create(connection: Connection, node: Node, *, limit: int) -> None:
    """Raises NameTaken, LimitReached, NotFound."""
    accounts.get(connection, node.owner)
    if find(connection, node.owner, node.name) is not None:
        raise NameTaken(f"the node {node.name} exists")
    mine = select(func.count()).where(nodes.c.owner == node.owner)
    if connection.execute(mine).scalar_one() >= limit:
        raise LimitReached(f"an account may have {limit} nodes")
    values = {"owner": node.owner, "name": node.name, "config": _written(node.config)}
    connection.execute(insert(nodes).values(values))


def configure(connection: Connection, node: Node) -> None:
    """Raises NotFound."""
    get(connection, node.owner, node.name)
    connection.execute(
        nodes.update()
        .where(_named(node.owner, node.name))
        .values(config=_written(node.config))
    )
    _trim(connection, node)


def remove(connection: Connection, owner: str, name: str) -> Node:
    """Raises NotFound."""
    node = get(connection, owner, name)
    connection.execute(delete(nodes).where(_named(owner, name)))
    return node


def publish(
    connection: Connection,
    node: Node,
    item: Item,
    *,
    limit: int,
    demanded: Sequence[str],
) -> Node:
    """Raises PreconditionFailed, LimitReached, NotFound."""
    there = find(connection, node.owner, node.name)
    if there is None:
        create(connection, node, limit=limit)
    else:
        for field in demanded:
            if getattr(there.config, field) != getattr(node.config, field):
                raise PreconditionFailed(f"{field} differs")
        node = there
    if node.config.persist:
        place = _item(node.owner, node.name, item.id)
        connection.execute(delete(items).where(place))
        connection.execute(
            insert(items).values(owner=node.owner, node=node.name, **asdict(item))
        )
        _trim(connection, node)
    return node


def read(
    connection: Connection,
    owner: str,
    name: str,
    *,
    ids: Sequence[str] | None,
    limit: int | None,
) -> list[Item]:
    """Oldest first. Raises NotFound."""
    get(connection, owner, name)
    question = select(items).where(items.c.owner == owner, items.c.node == name)
    if ids is not None:
        question = question.where(items.c.id.in_(ids))
    question = question.order_by(items.c.seq.desc())
    if limit is not None:
        question = question.limit(max(limit, 0))
    found = [_read(row) for row in connection.execute(question)]
    return found[::-1]


def retract(connection: Connection, owner: str, name: str, item: str) -> None:
    """Raises NotFound."""
    get(connection, owner, name)
    gone = connection.execute(delete(items).where(_item(owner, name, item)))
    if gone.rowcount == 0:
        raise NotFound(f"{name} has no item {item}")


def purge(connection: Connection, owner: str, name: str) -> None:
    """Raises NotFound."""
    get(connection, owner, name)
    connection.execute(
        delete(items).where(items.c.owner == owner, items.c.node == name)
    )


def newest(connection: Connection, names: Sequence[str]) -> list[tuple[Node, Item]]:
    """Of everybody's nodes with one of the names, by owner and name."""
    there = nodes.join(
        items, (items.c.owner == nodes.c.owner) & (items.c.node == nodes.c.name)
    )
    last = (
        select(items.c.owner, items.c.node, func.max(items.c.seq).label("seq"))
        .where(items.c.node.in_(names))
        .group_by(items.c.owner, items.c.node)
        .subquery()
    )
    rows = connection.execute(
        select(nodes.c.name, nodes.c.config, items)
        .select_from(there)
        .join(
            last,
            (items.c.owner == last.c.owner)
            & (items.c.node == last.c.node)
            & (items.c.seq == last.c.seq),
        )
        .where(nodes.c.name.in_(names))
        .order_by(nodes.c.owner, nodes.c.name)
    )
    pairs = [(_node(row), _read(row)) for row in rows]
    return [(node, item) for node, item in pairs if node.config.last_item]


def _trim(connection: Connection, node: Node) -> None:
    """Keep the newest max_items, or nothing."""
    kept = node.config.max_items if node.config.persist else 0
    mine = (items.c.owner == node.owner) & (items.c.node == node.name)
    newest_ids = select(items.c.id).where(mine).order_by(items.c.seq.desc()).limit(kept)
    connection.execute(delete(items).where(mine, items.c.id.not_in(newest_ids)))


def _named(owner: str, name: str) -> ColumnElement[bool]:
    return (nodes.c.owner == owner) & (nodes.c.name == name)


def _item(owner: str, name: str, item: str) -> ColumnElement[bool]:
    return (items.c.owner == owner) & (items.c.node == name) & (items.c.id == item)


def _node(row: Row[tuple[object, ...]]) -> Node:
    config = NodeConfig(**json.loads(row.config))
    return Node(owner=row.owner, name=row.name, config=config)


def _read(row: Row[tuple[object, ...]]) -> Item:
    return Item(id=row.id, seq=row.seq, publisher=row.publisher, payload=row.payload)


def _written(config: NodeConfig) -> str:
    return json.dumps(asdict(config))

"""Tombstones of drawn elements: taken out of the board when they are old.

A deleted element stays in the map, marked `isDeleted`, so that pages which have
it on their canvas drop it. After a day without anybody that has happened; who
was away for longer gets the deletion from the CRDT itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map

from mosaic.workspace.documents import EMPTY_UPDATE

_MARK = b"isDeletedx"
"""The key, and `true` in lib0's encoding: without it there is nothing to do."""


def has_tombstones(state: bytes) -> bool:
    """False if there is nothing to drop; quick, and now and then wrong."""
    return _MARK in state


def pruning_update(
    state: bytes, *, before_ms: float, random: Callable[[], int]
) -> bytes:
    """The edit that drops tombstones last changed before that (Unix ms).

    state: a full update. random: a Yjs client id. EMPTY_UPDATE if there are
    none. Raises what pycrdt raises.
    """
    if not has_tombstones(state):
        return EMPTY_UPDATE
    doc: Doc[Any] = Doc(client_id=random())
    doc.apply_update(state)
    before = doc.get_state()
    elements = doc.get("elements", type=Map)
    old = [key for key in elements.keys() if _is_old(elements[key], before_ms)]  # noqa: SIM118
    if not old:
        return EMPTY_UPDATE
    with doc.transaction():
        for key in old:
            del elements[key]
    return doc.get_update(before)


def _is_old(element: Any, before_ms: float) -> bool:
    if not isinstance(element, dict) or element.get("isDeleted") is not True:
        return False
    updated = element.get("updated")
    return isinstance(updated, int | float) and updated < before_ms

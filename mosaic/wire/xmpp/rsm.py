"""Result sets in pages (XEP-0059)."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.wire.xmpp.xml import Node, Xml, element

NS_RSM = "http://jabber.org/protocol/rsm"


class RsmError(ValueError):
    """The request for a page makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """limit: items wanted, None if not said. after, before: ids, excluded.
    newest: an empty <before/>, the last page. index: items to leave out."""

    limit: int | None = None
    after: str | None = None
    before: str | None = None
    newest: bool = False
    index: int | None = None


def read_page(node: Node | None) -> PageRequest:
    """From a <set/>, or without one. Raises RsmError."""
    if node is None:
        return PageRequest()
    limit, index = _number(node, "max"), _number(node, "index")
    after, before = node.child(NS_RSM, "after"), node.child(NS_RSM, "before")
    if index is not None and (after is not None or before is not None):
        raise RsmError("an index stands alone")
    return PageRequest(
        limit=limit,
        after=after.text if after is not None and after.text else None,
        before=before.text if before is not None and before.text else None,
        newest=before is not None and not before.text,
        index=index,
    )


def _number(node: Node, name: str) -> int | None:
    child = node.child(NS_RSM, name)
    if child is None:
        return None
    text = child.text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RsmError(f"{name} is not a number")
    return int(text)


def write_page(
    *, first: str | None, last: str | None, index: int | None, count: int | None
) -> Xml:
    """What a page was."""
    number = None if index is None else str(index)
    return element(
        "set",
        None,
        "" if first is None else element("first", {"index": number}, first),
        "" if last is None else element("last", None, last),
        "" if count is None else element("count", None, str(count)),
        ns=NS_RSM,
    )

"""The room's archive (XEP-0313, XEP-0059): every entry by its number."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.forms import field, form, submitted
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.history import read_stamp
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_FORWARD,
    NS_MAM,
    NS_OCCUPANT_ID,
    NS_RETRACT,
    NS_RSM,
)
from mosaic.services.xmpp.rooms.nicks import nick_of
from mosaic.services.xmpp.rooms.render import address, entry_opened, stamp
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.pieces import Opened
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.archive import Entry, Kind, Span

PAGE = 50
MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Wish:
    """A page that is asked for. ids: these alone. counted: only how many."""

    span: Span
    query_id: str | None
    ids: list[int] | None
    counted: bool
    flipped: bool


class Archive:
    """`urn:xmpp:mam:2` queries to a room."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def fields(self, muc: Muc, asker: Jid, query: Node) -> str:
        """Which fields a query may have (XEP-0313 section 4.1.5)."""
        return element(
            "query",
            None,
            form(
                NS_MAM,
                field("start"),
                field("end"),
                field("before-id"),
                field("after-id"),
                field("ids", kind="list-multi"),
            ),
            ns=NS_MAM,
        )

    async def metadata(self, muc: Muc, asker: Jid, query: Node) -> str:
        """The first and the last entry (XEP-0313 section 4.2)."""
        await self._may_read(muc, asker)
        ends: list[Xml] = []
        for name, newest in (("start", False), ("end", True)):
            span = Span(limit=1, newest=newest)
            for entry in await self._front.store.room_archive(muc.hub_id, span):
                said = {"id": str(entry.seq), "timestamp": stamp(entry.at)}
                ends.append(element(name, said))
        return element("metadata", None, *ends, ns=NS_MAM)

    async def query(self, muc: Muc, asker: Jid, query: Node, via: str) -> str:
        """Send a page, oldest first; the result says how it lies in the whole.

        Raises Undeliverable.
        """
        await self._may_read(muc, asker)
        wish = _read(query)
        store, hub_id = self._front.store, muc.hub_id
        if wish.counted:
            count = await store.count_archive(hub_id, wish.span)
            return _fin(_set(count=count), complete=count == 0)
        if wish.ids is not None:
            entries = await self._exactly(muc, wish.ids)
            more = False
        else:
            await self._must_exist(muc, query)
            limit = wish.span.limit
            entries = await store.room_archive(hub_id, _longer(wish.span))
            more = len(entries) > limit
            if more:
                entries = entries[1:] if wish.span.newest else entries[:limit]
        sent = list(reversed(entries)) if wish.flipped else entries
        for entry in sent:
            self._front.send(asker, self._result(muc, entry, asker, via, wish.query_id))
        return _fin(_set(entries), complete=not more)

    async def _exactly(self, muc: Muc, ids: list[int]) -> list[Entry]:
        found = []
        for seq in sorted(set(ids)):
            try:
                found.append(await self._front.store.archived(muc.hub_id, seq))
            except NotFound:
                raise Undeliverable("item-not-found") from None
        return found

    async def _must_exist(self, muc: Muc, query: Node) -> None:
        """XEP-0059 section 2.1: an unknown id is no place to go on from."""
        rsm = query.child(NS_RSM, "set")
        for child in [] if rsm is None else rsm.children:
            if child.name in ("after", "before") and child.text:
                last = await self._front.store.last_seq(muc.hub_id)
                if not 0 < _seq(child.text) <= last:
                    raise Undeliverable("item-not-found")

    async def _may_read(self, muc: Muc, asker: Jid) -> None:
        """Those inside, and members. Raises Undeliverable."""
        if asker in muc.people.seats:
            return
        if await self._front.role_of(asker, muc.hub_id) is None:
            raise Undeliverable("forbidden", text="occupants and members read it")

    def _result(
        self, muc: Muc, entry: Entry, asker: Jid, via: str, query_id: str | None
    ) -> Xml:
        room = address(via, self._front.host)
        identity = entry.occupant_id or muc.occupant_id(entry.author_id)
        told = element("occupant-id", {"id": identity}, ns=NS_OCCUPANT_ID)
        opened = entry_opened(entry)
        if entry.retracted_at is not None:
            tombstone = element(
                "retracted", {"stamp": stamp(entry.retracted_at)}, ns=NS_RETRACT
            )
            opened = Opened(b"message", opened.attributes, tombstone.encode())
        by_room = entry.kind is Kind.RETRACTION and not entry.author_id
        nick = "" if by_room else nick_of(entry.author)
        whole = Opened(opened.name, opened.attributes, opened.inner + told.encode())
        said = Stanza(raw=whole.whole(), name="message", ns=NS_CLIENT).stamped(
            address(via, self._front.host, nick), alone=True
        )
        forwarded = element(
            "forwarded",
            None,
            element("delay", {"stamp": stamp(entry.at)}, ns="urn:xmpp:delay"),
            Xml(said.decode()),
            ns=NS_FORWARD,
        )
        result = element(
            "result", {"id": str(entry.seq), "queryid": query_id}, forwarded, ns=NS_MAM
        )
        return element("message", {"from": room, "to": str(asker)}, result)


def _read(query: Node) -> _Wish:
    """Raises Undeliverable (bad-request, item-not-found)."""
    values = submitted(query, NS_MAM) or {}
    one = {key: (value or ("",))[0] for key, value in values.items()}
    known = {"start", "end", "before-id", "after-id", "ids"}
    if not set(values) <= known:
        raise Undeliverable(
            "feature-not-implemented", text="a room's archive has no such field"
        )
    try:
        start = read_stamp(one["start"]) if "start" in one else None
        end = read_stamp(one["end"]) if "end" in one else None
    except ValueError as error:
        raise Undeliverable("bad-request", text=str(error)) from None
    afters = [_seq(one["after-id"])] if "after-id" in one else []
    befores = [_seq(one["before-id"])] if "before-id" in one else []
    limit, newest, counted = PAGE, False, False
    rsm = query.child(NS_RSM, "set")
    for child in [] if rsm is None else rsm.children:
        if child.name == "max":
            counted = child.text == "0"
            limit = min(_small(child.text), MAX_PAGE) or PAGE
        elif child.name == "before":
            newest = True
            befores += [_seq(child.text)] if child.text else []
        elif child.name == "after" and child.text:
            afters.append(_seq(child.text))
    span = Span(
        after=max(afters, default=None),
        before=min(befores, default=None),
        start=start,
        end=end,
        limit=limit,
        newest=newest,
    )
    ids = [_seq(text) for text in values["ids"]][:MAX_PAGE] if "ids" in values else None
    flipped = query.child(NS_MAM, "flip-page") is not None
    return _Wish(span, query.attributes.get("queryid"), ids, counted, flipped)


def _longer(span: Span) -> Span:
    """One entry more tells whether there are more."""
    return Span(
        after=span.after,
        before=span.before,
        start=span.start,
        end=span.end,
        limit=span.limit + 1,
        newest=span.newest,
    )


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Undeliverable("item-not-found")
    return int(text)


def _small(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Undeliverable("bad-request", text="max is a number")
    return int(text)


def _set(entries: list[Entry] | None = None, count: int | None = None) -> Xml:
    inside = []
    if entries:
        inside.append(element("first", None, str(entries[0].seq)))
        inside.append(element("last", None, str(entries[-1].seq)))
    if count is not None:
        inside.append(element("count", None, str(count)))
    return element("set", None, *inside, ns=NS_RSM)


def _fin(page: Xml, *, complete: bool) -> Xml:
    said = {"complete": "true" if complete else None}
    return element("fin", said, page, ns=NS_MAM)

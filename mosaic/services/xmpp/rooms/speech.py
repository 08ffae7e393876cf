"""What is said to all in a room (XEP-0045 section 7.4): kept, then told.

A groupchat message goes to the store first and comes back over the bus with its
number; only then it is sent to anybody, its author included, in the order of
the numbers. What carries no text and asks for no keeping is passed on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from mosaic.bus.interface import Payload
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.history import entry_cast, subject_opened
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_DELAY,
    NS_HINTS,
    NS_MUC,
    NS_MUC_USER,
    NS_OCCUPANT_ID,
    NS_REACTIONS,
    NS_REPLACE,
    NS_RETRACT,
    NS_SID,
)
from mosaic.services.xmpp.rooms.occupants import Seat
from mosaic.services.xmpp.rooms.render import (
    address,
    for_each_address,
    halves,
)
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.pieces import Opened, open_stanza, reopen
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import Node, element, read_node
from mosaic.workspace import conversation
from mosaic.workspace.archive import Entry, Kind, Saying, Span
from mosaic.workspace.conversation import MAX_CHAT
from mosaic.workspace.model import Role

MAX_ID_CHARS = 128
MAX_SUBJECT = 1000
_ROOMS_OWN = frozenset(
    {
        (NS_MUC, "x"),
        (NS_MUC_USER, "x"),
        (NS_OCCUPANT_ID, "occupant-id"),
        (NS_SID, "stanza-id"),
        (NS_DELAY, "delay"),
    }
)
"""What only the room says; a client that says it is not believed."""
_FORGETFUL = frozenset({"no-store", "no-permanent-store"})


@dataclass(frozen=True, slots=True)
class _Said:
    """A groupchat message, read. body: None if there is none."""

    node: Node
    opened: Opened
    body: str | None

    def child(self, ns: str, name: str) -> Node | None:
        return self.node.child(ns, name)

    @property
    def stanza_id(self) -> str | None:
        ident = self.node.attributes.get("id")
        return ident if ident and len(ident) <= MAX_ID_CHARS else None

    @property
    def is_plain(self) -> bool:
        """Nothing is in it but a body and an id: its text is all of it."""
        if self.stanza_id != self.node.attributes.get("id"):
            return False
        if b" xml:" in self.opened.attributes or b" xml:" in self.opened.inner:
            return False
        extra = set(self.node.attributes) - {"to", "from", "type", "id"}
        children = [(child.ns, child.name) for child in self.node.children]
        return not extra and children == [(NS_CLIENT, "body")]


def _read(stanza: Stanza) -> _Said:
    opened = open_stanza(
        stanza, unwanted=lambda ns, name, attributes: (ns, name) in _ROOMS_OWN
    )
    node = read_node(stanza)
    body = node.child(NS_CLIENT, "body")
    text = None if body is None or not body.text.strip() else body.text
    return _Said(node, opened, text)


class Speech:
    """Takes what sessions say, and tells what any door has said."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._repairing: set[str] = set()

    # From a session --------------------------------------------------------------
    async def say(self, muc: Muc, seat: Seat, stanza: Stanza) -> None:
        """A groupchat message. Raises Undeliverable, StoreError."""
        said = _read(stanza)
        subject = said.child(NS_CLIENT, "subject")
        words = {child.name for child in said.node.children if child.ns == NS_CLIENT}
        if subject is not None and not words & {"body", "thread"}:
            await self._set_subject(muc, seat, subject.text)
            return
        if muc.room.moderated and seat.occupant.role is Role.VIEWER:
            raise Undeliverable("forbidden", text="visitors do not write in this room")
        if said.body is not None and len(said.body) > MAX_CHAT:
            raise Undeliverable(
                "policy-violation", text=f"a line has at most {MAX_CHAT} characters"
            )
        self._front.counters.said += 1
        saying = await self._saying(muc, seat, said)
        if saying is None:
            text = said.opened.whole().decode()
            passing = conversation.passing(seat.occupant.id, text)
            self._front.bus.publish(conversation.topic_of(muc.hub_id), passing)
            return
        before = muc.heard_seq
        entry = await self._front.store.add_saying(muc.hub_id, saying)
        if entry.seq <= before:
            # It was sent twice: only the one who did not know hears it again.
            muc.people.cast(entry_cast(muc, entry), [seat])
            return
        self._front.bus.publish(
            conversation.topic_of(muc.hub_id),
            conversation.said(replace(entry, text=saying.text)),
        )

    async def _saying(self, muc: Muc, seat: Seat, said: _Said) -> Saying | None:
        """What is to be kept of it; None if nothing is."""
        occupant = seat.occupant
        base = Saying(
            kind=Kind.LINE,
            message_id=_message_id(seat, said),
            author_id=occupant.id,
            author=occupant.nick,
            text=said.body or "",
            at=self._front.wall(),
            occupant_id=occupant.occupant_id,
            stanza_id=said.stanza_id,
            stanza=None if said.is_plain else said.opened.whole().decode(),
        )
        retract = said.child(NS_RETRACT, "retract")
        if retract is not None:
            return await self._retraction(muc, seat, base, retract)
        replaced = said.child(NS_REPLACE, "replace")
        if replaced is not None and said.body is not None:
            edited = await self._front.store.find_line(
                muc.hub_id,
                occupant_id=occupant.occupant_id,
                stanza_id=replaced.attributes.get("id", ""),
            )
            if edited is not None and edited.retracted_at is None:
                return replace(base, kind=Kind.EDIT, about=edited.seq)
        if said.body is not None:
            return base
        if _is_forgotten(said):
            return None
        return replace(base, kind=Kind.OTHER)

    async def _retraction(
        self, muc: Muc, seat: Seat, base: Saying, retract: Node
    ) -> Saying:
        """XEP-0424: of one's own line alone. Raises Undeliverable."""
        line = await find_archived(self._front, muc, retract.attributes.get("id", ""))
        if line.occupant_id != seat.occupant.occupant_id:
            raise Undeliverable("forbidden", text="that is somebody else's line")
        if line.kind is not Kind.LINE:
            return replace(base, kind=Kind.OTHER, text="")
        return replace(base, kind=Kind.RETRACTION, about=line.seq, text="")

    async def _set_subject(self, muc: Muc, seat: Seat, text: str) -> None:
        """XEP-0045 section 8.1: hosts and editors may. Raises Undeliverable."""
        if seat.occupant.role is Role.VIEWER:
            raise Undeliverable("forbidden", text="visitors do not change the subject")
        if len(text) > MAX_SUBJECT:
            raise Undeliverable(
                "policy-violation",
                text=f"a subject has at most {MAX_SUBJECT} characters",
            )
        muc.subject = await self._front.store.set_subject(
            muc.hub_id,
            subject=text,
            author=seat.occupant.nick,
            at=self._front.wall(),
        )
        payload = {"type": "subject", "author": seat.occupant.nick, "subject": text}
        self._front.bus.publish(conversation.topic_of(muc.hub_id), payload)

    # From the bus ------------------------------------------------------------------
    def heard(self, muc: Muc, payload: Payload) -> None:
        """Some door, perhaps this one, has said something."""
        entry = conversation.read_said(muc.hub_id, payload)
        if entry is not None:
            self._tell(muc, entry)
        elif payload.get("type") == "passing":
            self._pass_on(muc, str(payload["author_id"]), str(payload["stanza"]))
        elif payload.get("type") == "subject":
            self._tell_subject(muc, str(payload["author"]), str(payload["subject"]))

    def _tell(self, muc: Muc, entry: Entry) -> None:
        """In the order of the numbers, each once."""
        if entry.seq <= muc.heard_seq:
            return
        if entry.seq > muc.heard_seq + 1:
            # Something was missed: the store is the truth.
            work = self._repair(muc, entry.seq)
            self._front.spawn(work, "reading what was missed")
            return
        muc.heard_seq = entry.seq
        muc.people.cast(entry_cast(muc, entry), seq=entry.seq)

    async def _repair(self, muc: Muc, seq: int) -> None:
        if muc.hub_id in self._repairing:
            return
        self._repairing.add(muc.hub_id)
        try:
            while muc.heard_seq < seq:
                span = Span(after=muc.heard_seq)
                entries = await self._front.store.room_archive(muc.hub_id, span)
                if not entries:
                    break
                for entry in entries:
                    # a number in between may have been taken back with its line
                    muc.heard_seq = max(muc.heard_seq, entry.seq - 1)
                    self._tell(muc, entry)
                seq = max(seq, await self._front.store.last_seq(muc.hub_id))
        finally:
            self._repairing.discard(muc.hub_id)

    def _pass_on(self, muc: Muc, author_id: str, stanza: str) -> None:
        author = muc.people.by_id.get(author_id)
        if author is None:
            return
        opened, host = reopen(stanza), self._front.host
        identity = element("occupant-id", {"id": author.occupant_id}, ns=NS_OCCUPANT_ID)
        nick = author.nick
        muc.people.cast(
            for_each_address(
                lambda via: halves(opened, address(via, host, nick), identity)
            )
        )

    def _tell_subject(self, muc: Muc, author: str, text: str) -> None:
        muc.subject = replace(muc.subject, subject=text, author=author)
        opened, host = subject_opened(muc.subject), self._front.host
        muc.people.cast(
            for_each_address(lambda via: halves(opened, address(via, host, author)))
        )


async def find_archived(front: Front, muc: Muc, ident: str) -> Entry:
    """The entry that a stanza id of the room names.

    Raises Undeliverable (item-not-found).
    """
    if not (ident.isascii() and ident.isdigit() and len(ident) < 16):
        raise Undeliverable("item-not-found")
    try:
        return await front.store.archived(muc.hub_id, int(ident))
    except NotFound:
        raise Undeliverable("item-not-found") from None


def _is_forgotten(said: _Said) -> bool:
    """Whether something without a text is passed on and not kept (XEP-0334).

    A text always is: it is a line of the room's one history.
    """
    hints = {child.name for child in said.node.children if child.ns == NS_HINTS}
    if hints & _FORGETFUL:
        return True
    return "store" not in hints and said.child(NS_REACTIONS, "reactions") is None


def _message_id(seat: Seat, said: _Said) -> str:
    """By what the same message is known when it comes again.

    An origin-id (XEP-0359) is unique for ever; a plain id is no more than
    unique in one stay, for clients count anew each time.
    """
    origin = said.child(NS_SID, "origin-id")
    occupant = seat.occupant
    if origin is not None and origin.attributes.get("id"):
        known = ("origin", occupant.occupant_id, origin.attributes["id"])
    elif said.node.attributes.get("id"):
        known = ("id", occupant.id, said.node.attributes["id"])
    else:
        seat.unnamed += 1
        known = ("none", f"{occupant.id} {seat.jid}", str(seat.unnamed))
    digest = hashlib.sha256("\0".join(known).encode()).hexdigest()
    return f"xmpp-{digest[:40]}"

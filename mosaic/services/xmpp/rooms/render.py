"""A stanza for many: what is the same for all is made once.

Each copy is `head + address + tail`, bytes all three; a room goes by up to two
addresses (Hub ID and alias), and each has its own head and tail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from xml.sax.saxutils import quoteattr

from mosaic.services.xmpp.exchange import NS_STANZAS, Undeliverable, error_reply
from mosaic.services.xmpp.rooms.names import (
    NS_DELAY,
    NS_MUC,
    NS_MUC_USER,
    NS_OCCUPANT_ID,
    NS_SID,
    Status,
)
from mosaic.services.xmpp.rooms.occupants import MUC_ROLES, Occupant, Seat
from mosaic.wire.xmpp.pieces import Opened, reopen
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element
from mosaic.workspace.archive import Entry

Halves = tuple[bytes, bytes]
Cast = Callable[[Seat], Halves]
"""Gives the halves for a seat; it makes them once and remembers."""


def address(local: str, host: str, nick: str = "") -> str:
    """Of a room, or of an occupant in it."""
    return f"{local}@{host}/{nick}" if nick else f"{local}@{host}"


def stamp(at: float) -> str:
    """XEP-0082 with milliseconds. at: Unix seconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at * 1000) % 1000:03d}Z"


def halves(opened: Opened, sender: str, *extra: str, attributes: str = "") -> Halves:
    """What stands before and after the address of each receiver.

    extra: children behind those that there are. attributes: more of them.
    """
    head = b"<%b%b%b from=%b to=" % (
        opened.name,
        opened.attributes,
        attributes.encode(),
        quoteattr(sender).encode(),
    )
    tail = b">%b%b</%b>" % (opened.inner, "".join(extra).encode(), opened.name)
    return head, tail


def for_each_address(make: Callable[[str], Halves]) -> Cast:
    """A cast that is the same for all who came by the same address."""
    made: dict[str, Halves] = {}

    def cast(seat: Seat) -> Halves:
        found = made.get(seat.via)
        if found is None:
            found = made[seat.via] = make(seat.via)
        return found

    return cast


# Presence ------------------------------------------------------------------
def presence_cast(
    occupant: Occupant,
    host: str,
    *,
    nick: str | None = None,
    available: bool = True,
    own: Iterable[Status] = (),
    all_codes: Iterable[Status] = (),
    item: Iterable[Xml] = (),
    new_nick: str | None = None,
    more: Xml | None = None,
    stanza_id: str | None = None,
    last_words: Seat | None = None,
) -> Cast:
    """An occupant's presence (XEP-0045 section 7.2.3).

    own: codes for the occupant beside 110; all_codes: for everybody. item:
    children of the item. new_nick: told with a change of nick. more: behind
    the item. stanza_id: answered to the occupant alone. last_words: the session
    whose presence is shown with a goodbye.
    """
    seat = last_words
    if seat is None and available and occupant.seats:
        seat = occupant.seats[-1]
    kind = "" if available else ' type="unavailable"'
    gone = not available and new_nick is None
    told = element(
        "item",
        {
            "affiliation": occupant.affiliation.value,
            "role": "none" if gone else MUC_ROLES[occupant.role],
            "jid": occupant.real or None,
            "nick": new_nick,
        },
        *item,
    )
    others = list(all_codes)
    shown = b"" if seat is None else seat.presence
    declared = b"" if seat is None else seat.declared
    opened = Opened(b"presence", declared, shown)
    identity = element("occupant-id", {"id": occupant.occupant_id}, ns=NS_OCCUPANT_ID)
    nick = occupant.nick if nick is None else nick

    def make(via: str, codes: list[Status], more_attributes: str) -> Halves:
        x = element(
            "x",
            None,
            told,
            more or Xml(""),
            *(element("status", {"code": str(int(code))}) for code in codes),
            ns=NS_MUC_USER,
        )
        return halves(
            opened,
            address(via, host, nick),
            x,
            identity,
            attributes=kind + more_attributes,
        )

    for_others = for_each_address(lambda via: make(via, others, ""))
    ident = "" if stanza_id is None else f" id={quoteattr(stanza_id)}"
    codes = [*others, *own, Status.SELF]
    for_self = for_each_address(lambda via: make(via, codes, ident))

    def cast(seat: Seat) -> Halves:
        return (for_self if seat.occupant is occupant else for_others)(seat)

    return cast


def farewell(seat: Seat, host: str) -> Cast:
    """A session goes by itself, with what it says about it."""
    return presence_cast(seat.occupant, host, available=False, last_words=seat)


# Messages ------------------------------------------------------------------
def entry_opened(entry: Entry) -> Opened:
    """The stanza of an entry, made from its text if it was no more."""
    if entry.stanza is not None:
        return reopen(entry.stanza)
    body = element("body", None, entry.text)
    ident = quoteattr(entry.stanza_id or entry.message_id)
    return Opened(b"message", f' type="groupchat" id={ident}'.encode(), body.encode())


def entry_extra(entry: Entry, via: str, host: str, occupant: str) -> list[Xml]:
    """XEP-0359 and XEP-0421: what the room says of a message."""
    room = address(via, host)
    return [
        element("stanza-id", {"by": room, "id": str(entry.seq)}, ns=NS_SID),
        element("occupant-id", {"id": occupant}, ns=NS_OCCUPANT_ID),
    ]


def delay(at: float, room: str) -> Xml:
    """XEP-0203: since when a message is there."""
    return element("delay", {"from": room, "stamp": stamp(at)}, ns=NS_DELAY)


def status_message(*codes: Status) -> Opened:
    """A message of the room itself, with status codes."""
    x = element(
        "x",
        None,
        *(element("status", {"code": str(int(code))}) for code in codes),
        ns=NS_MUC_USER,
    )
    return Opened(b"message", b' type="groupchat"', x.encode())


# Errors --------------------------------------------------------------------
def refusal(
    stanza: Stanza, error: Undeliverable, *, sender: str, to: str
) -> Xml | None:
    """The error for a stanza to a room; None where there must be none.

    One for a presence says that it is about a room (XEP-0045 section 7.2).
    """
    if stanza.name != "presence" or stanza.type:
        return error_reply(stanza, error, sender=sender, to=to)
    what = element(error.condition, ns=NS_STANZAS)
    text = element("text", None, error.text, ns=NS_STANZAS) if error.text else ""
    return element(
        "presence",
        {"type": "error", "id": stanza.id, "from": sender, "to": to},
        element("x", ns=NS_MUC),
        element("error", {"type": error.kind}, what, text, Xml(error.detail)),
    )

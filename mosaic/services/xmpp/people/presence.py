"""Presence in one organisation: everybody with an account sees everybody.

The roster is generated (answers.py), each contact subscribed both ways, so
broadcast goes to all available sessions of the domain (RFC 6121 section 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.session import MAX_DIRECTED, Session
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import element, read_node

_SUBSCRIPTION = frozenset({"subscribe", "subscribed", "unsubscribe", "unsubscribed"})


class Presence:
    """What sessions tell each other about being there.

    is_account: whether a local part is an account of this domain.
    """

    def __init__(
        self, exchange: Exchange, is_account: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._exchange = exchange
        self._is_account = is_account

    async def said(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """A session's presence stanza. Raises Undeliverable."""
        kind = stanza.type
        if kind in _SUBSCRIPTION or kind == "probe":
            if to is not None:
                await self._asked(session, kind, to)
        elif kind == "error":
            if to is not None:
                self._exchange.deliver(stanza, session.jid, to)
        elif kind not in ("", "unavailable"):
            raise Undeliverable("bad-request")
        elif to is not None:
            self._directed(session, stanza, to)
        elif kind == "unavailable":
            self._leave(session, session.stamp(stanza))
        else:
            self._available(session, stanza)

    def _available(self, session: Session, stanza: Stanza) -> None:
        """Initial presence, or a change of it (RFC 6121 sections 4.2, 4.4)."""
        session.priority = _priority(stanza)
        others = [s for s in self._exchange.everyone_available() if s is not session]
        arriving = session.presence is None
        session.presence = session.stamp(stanza)
        for other in (*others, session):
            other.send(session.presence)
        if arriving:
            for other in others:
                if other.presence is not None:
                    session.send(other.presence)

    def gone(self, session: Session) -> None:
        """The session ended, with or without a word (section 4.5.2)."""
        self._leave(
            session,
            element(
                "presence", {"from": session.address, "type": "unavailable"}
            ).encode(),
        )

    def _leave(self, session: Session, farewell: bytes) -> None:
        told: set[Session] = set()
        if session.presence is not None:
            told.update(self._exchange.everyone_available())
            session.presence = None
            for other in told:
                other.send(farewell)
        directed, session.directed = session.directed, set()
        for to in directed:
            self._say_goodbye(session, to, told)

    def _say_goodbye(self, session: Session, to: Jid, told: set[Session]) -> None:
        """Those who got directed presence get the end of it (section 4.6.3)."""
        exact = self._exchange.find(to)
        if exact is not None and exact in told:
            return
        if not to.resource and to.domain == self._exchange.domain:
            return  # a bare address reached available sessions only
        attributes = {"to": str(to), "type": "unavailable"}
        raw = element("presence", attributes)
        goodbye = Stanza(
            raw=raw.encode(), name="presence", ns=NS_CLIENT, attributes=attributes
        )
        try:
            self._exchange.deliver(goodbye, session.jid, to)
        except Undeliverable:
            pass

    def _directed(self, session: Session, stanza: Stanza, to: Jid) -> None:
        if stanza.type == "unavailable":
            session.directed.discard(to)
        elif to not in session.directed and len(session.directed) >= MAX_DIRECTED:
            raise Undeliverable("resource-constraint")
        self._exchange.deliver(stanza, session.jid, to)
        if not stanza.type:
            session.directed.add(to)

    async def _asked(self, session: Session, kind: str, to: Jid) -> None:
        """Probes and subscriptions are answered for the contact: in one
        organisation every account is subscribed to every other."""
        if to.domain != self._exchange.domain:
            raise Undeliverable("remote-server-not-found")
        if kind not in ("probe", "subscribe") or not to.local:
            return
        if not await self._is_account(to.local):
            return  # as if it never answered: names are not told
        if kind == "subscribe":
            session.send(_from_bare(to, session, "subscribed"))
        present = self._exchange.available(to.local)
        for other in present:
            if other.presence is not None:
                session.send(other.presence)
        if not present:
            session.send(_from_bare(to, session, "unavailable"))


def _from_bare(contact: Jid, session: Session, kind: str) -> bytes:
    return element(
        "presence", {"from": contact.bare, "to": session.address, "type": kind}
    ).encode()


def _priority(stanza: Stanza) -> int:
    """RFC 6121 section 4.7.2.3. Raises Undeliverable (bad-request)."""
    if stanza.payload is None:
        return 0
    node = read_node(stanza).child(NS_CLIENT, "priority")
    if node is None:
        return 0
    text = node.text.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        raise Undeliverable("bad-request")
    if not -128 <= int(text) <= 127:
        raise Undeliverable("bad-request")
    return int(text)

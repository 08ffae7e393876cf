"""Messages that wait until somebody of the account is there (XEP-0160), and those
that a session was sent and never had."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import (
    LASTING_TYPES,
    Exchange,
    Undeliverable,
    error_reply,
)
from mosaic.services.xmpp.people.csi import tell_message
from mosaic.services.xmpp.people.keeping import Keeper, MessageIds, read_id, time_of
from mosaic.services.xmpp.session import Session
from mosaic.store.people import People as PeopleStore
from mosaic.store.people import Waiting
from mosaic.wire.xmpp.jid import JidError, parse_jid
from mosaic.wire.xmpp.payloads import (
    NS_CARBONS,
    NS_DELAY,
    NS_SID,
    Carries,
    Child,
    carries,
    children,
    delay,
    with_child,
)
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import read_stanza
from mosaic.wire.xmpp.times import write_time

_log = Logger()

FLOOD_BYTES = 1 << 20
"""What a client is sent of waiting messages at a time; more a second later."""
FLOOD_EVERY_S = 1.0


class Offline:
    """Hands waiting messages over, and forgets them once they are received.

    offline: whether messages may wait at all.
    """

    def __init__(
        self,
        clock: IReactorTime,
        exchange: Exchange,
        store: PeopleStore,
        keeper: Keeper,
        ids: MessageIds,
        *,
        offline: bool,
    ) -> None:
        self._clock = clock
        self._exchange = exchange
        self._store = store
        self._keeper = keeper
        self._ids = ids
        self._offline = offline
        self._flooding: set[str] = set()
        self._afloat: dict[str, dict[int, Session]] = {}
        """Sent to somebody, and not known to be received."""

    # Those that wait.

    def present(self, session: Session) -> None:
        """A session is there now, with a priority that is not negative."""
        session.since = self._ids.new()
        self._run(self._flood(session.jid.local))

    async def _flood(self, name: str) -> None:
        if name in self._flooding:
            return
        self._flooding.add(name)
        try:
            # What was just said to the account must be among them.
            await self._keeper.written()
            held = await self._store.waiting(name)
        finally:
            self._flooding.discard(name)
        held = [one for one in held if not self._is_afloat(name, one.id)]
        able = self._able(name)
        if not held or not able:
            return
        size = 0
        some: list[Waiting] = []
        for one in held:
            size += len(one.raw)
            if some and size > FLOOD_BYTES:
                self._clock.callLater(FLOOD_EVERY_S, self._flood_again, name)
                break
            some.append(one)
        for one in some:
            raw = self._delayed(one.raw, one.id)
            tell_message(able[0], "", raw, only_state=False)
        self._float(name, [one.id for one in some], able[0])

    def _flood_again(self, name: str) -> None:
        self._run(self._flood(name))

    def _float(self, name: str, ids: Sequence[int], session: Session) -> None:
        self._afloat.setdefault(name, {}).update(dict.fromkeys(ids, session))
        session.when_received(lambda: self._received(name, ids))

    def _received(self, name: str, ids: Sequence[int]) -> None:
        """These were the client's concern alone from now on."""

        async def forget() -> None:
            await self._store.drop_waiting(name, ids)
            self._sunk(name, ids)

        self._run(forget())

    def _sunk(self, name: str, ids: Sequence[int]) -> None:
        afloat = self._afloat.get(name, {})
        for id in ids:
            afloat.pop(id, None)
        if not afloat:
            self._afloat.pop(name, None)

    def _is_afloat(self, name: str, id: int) -> bool:
        session = self._afloat.get(name, {}).get(id)
        return session is not None and self._exchange.find(session.jid) is session

    def _able(self, name: str) -> list[Session]:
        return [s for s in self._exchange.available(name) if s.priority >= 0]

    def _delayed(self, raw: bytes, id: int) -> bytes:
        """Marked with when it was said (XEP-0203), once."""
        if NS_DELAY.encode() in raw:
            marks = {"from": self._exchange.domain}.items()
            for child in children(read_stanza(raw)):
                if child.ns == NS_DELAY and marks <= child.attributes.items():
                    return raw
        return with_child(raw, delay(write_time(time_of(id)), self._exchange.domain))

    # Those that were not received.

    def undelivered(self, stanza: Stanza, session: Session) -> None:
        """Find another way for a message that an ended session never
        acknowledged."""
        carried = carries(stanza)
        if stanza.type not in LASTING_TYPES or carried & Carries.NO_STORE:
            return
        found = children(stanza)
        if not carried & Carries.CONTENT or any(child.ns in _COPIES for child in found):
            return  # a copy, or a page of an archive: the original is elsewhere
        name = session.jid.local
        id = _stanza_id(found, session.bare)
        if id is not None:
            self._sunk(name, [id])
        others = [other for other in self._able(name) if other is not session]
        raw = stanza.raw if id is None else self._delayed(stanza.raw, id)
        for other in others:
            if self._missed(other, stanza, id):
                tell_message(other, "", raw, only_state=False)
        if others:
            if id is not None:
                self._float(name, [id], others[0])
        elif self._offline:
            fresh = self._ids.new() if id is None else id
            try:
                kept = self._keeper.hold((), Waiting(name, fresh, stanza.raw))
            except Undeliverable as error:
                self._bounce(stanza, session, error)
                return

            def refused(reason: Failure) -> None:
                if not isinstance(reason.value, Undeliverable):
                    reason.raiseException()
                self._bounce(stanza, session, reason.value)

            kept.addErrback(refused)

    def _bounce(self, stanza: Stanza, session: Session, error: Undeliverable) -> None:
        """Its sender hears that it did not arrive."""
        sender = stanza.attributes.get("from", "")
        reply = error_reply(stanza, error, sender=session.address, to=sender)
        if reply is None:
            return
        try:
            to = parse_jid(sender)
            self._exchange.deliver(read_stanza(reply.encode()), session.jid, to)
        except (JidError, Undeliverable):
            pass  # nobody is told about a lost error

    def _missed(self, other: Session, stanza: Stanza, id: int | None) -> bool:
        """Whether another session has neither the message nor a copy."""
        if id is not None and id < other.since:
            return True  # it came later
        to_one = "/" in (stanza.to or "")
        return to_one and not other.carbons

    def _run(self, steps: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(steps).addErrback(
            lambda reason: _log.failure("waiting messages stay", reason)
        )


_COPIES = {NS_CARBONS, "urn:xmpp:mam:2", "http://jabber.org/protocol/pubsub#event"}


def _stanza_id(found: Sequence[Child], by: str) -> int | None:
    for child in found:
        named = (child.ns, child.name, child.attributes.get("by"))
        if named == (NS_SID, "stanza-id", by):
            return read_id(child.attributes.get("id", ""))
    return None

"""The end of a session: others hear of it, and what it never got is handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import Undeliverable, error_reply
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import read_stanza

if TYPE_CHECKING:
    from mosaic.services.xmpp.household import Household

_log = Logger()

_ANSWER = b'<iq type="result"'
"""How the server's own answers begin."""


def leave(house: Household, session: Session, unacknowledged: list[bytes]) -> None:
    """Unbind a session, say so to those who saw it, and hand on its stanzas."""
    house.counters.sessions -= 1
    house.exchange.unbind(session)
    house.presence.gone(session)
    for raw in unacknowledged:
        if raw.startswith(b"<presence"):
            continue
        if raw.startswith(_ANSWER):  # nobody is told that it was not heard
            house.counters.undelivered += 1
            continue
        try:
            _hand_on(house, session, raw)
        except Exception as error:
            reason = Failure(error)  # type: ignore[no-untyped-call]
            _log.failure("an undelivered stanza was lost", reason)


def _hand_on(house: Household, session: Session, raw: bytes) -> None:
    stanza = read_stanza(raw)
    house.counters.undelivered += 1
    if stanza.name == "message":
        house.messages.undelivered(raw, session)
    elif stanza.name == "iq":
        _unanswered(house, session, stanza)


def _unanswered(house: Household, session: Session, stanza: Stanza) -> None:
    """An IQ to somebody who is gone (RFC 6121 section 8.5.3.2.3)."""
    error = Undeliverable("service-unavailable")
    sender = stanza.attributes.get("from", "")
    reply = error_reply(stanza, error, sender=session.address, to=sender)
    if reply is None:
        return
    try:
        to = parse_jid(sender)
        house.exchange.deliver(read_stanza(reply.encode()), session.jid, to)
    except (JidError, Undeliverable):
        pass  # it is gone as well, or it was the server itself

"""What a bound session's stanzas ask for (RFC 6120 sections 8 and 10)."""

from __future__ import annotations

from twisted.logger import Logger

from mosaic.services.xmpp.exchange import Undeliverable, error_reply
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.hubagents import is_hub
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import StoreError
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza

_log = Logger()
_IQ_TYPES = frozenset({"get", "set", "result", "error"})


async def route_stanza(house: Household, session: Session, stanza: Stanza) -> None:
    """Deliver or answer one stanza; tell the session why it could not be."""
    if not stanza.is_stanza:
        session.close("unsupported-stanza-type")
        return
    if session.person is None:
        await house.persons.attach(session)
        if session.person is None:
            return  # the account is gone, and so is the session
    try:
        if not _may_claim(stanza.attributes.get("from"), session):
            session.close("invalid-from")
            return
        to = None if stanza.to is None else parse_jid(stanza.to)
        await _route(house, session, stanza, to)
    except JidError:
        house.counters.stanzas_refused += 1
        _refuse(session, stanza, Undeliverable("jid-malformed"), house.exchange.domain)
    except Undeliverable as error:
        house.counters.stanzas_refused += 1
        _refuse(session, stanza, error, stanza.to or session.jid.bare)
    except StoreError:
        _log.failure("a stanza could not be answered")
        fault = Undeliverable("internal-server-error")
        _refuse(session, stanza, fault, stanza.to or session.jid.bare)


def _may_claim(claimed: str | None, session: Session) -> bool:
    """RFC 6120 section 8.1.2.1: one's own full or bare address, or none."""
    return claimed is None or parse_jid(claimed) in (
        session.jid,
        session.jid.bare_jid,
    )


async def _route(
    house: Household, session: Session, stanza: Stanza, to: Jid | None
) -> None:
    if is_hub(session):
        await house.agents.said(house.door.hubs, session, stanza)
        return
    if stanza.name == "presence":
        for mark in house.marks:
            stanza = mark(session, stanza)
        await house.presence.said(session, stanza, to)
    elif stanza.name == "iq":
        await _iq(house, session, stanza, to)
    else:
        await house.messages.said(session, stanza, to)


async def _iq(
    house: Household, session: Session, stanza: Stanza, to: Jid | None
) -> None:
    if stanza.id is None or stanza.type not in _IQ_TYPES:
        raise Undeliverable("bad-request")
    if stanza.type in ("get", "set") and stanza.payload is None:
        raise Undeliverable("bad-request")
    if to is None or (to.domain == house.exchange.domain and not to.resource):
        if to is not None and not house.exchange.may_pass(stanza, session.jid, to):
            return
        await house.answers.asked(session, stanza, to)
    else:
        house.exchange.deliver(stanza, session.jid, to)


def _refuse(
    session: Session, stanza: Stanza, error: Undeliverable, sender: str
) -> None:
    """A stanza error for this client, from whom it could not reach."""
    reply = error_reply(stanza, error, sender=sender, to=session.address)
    if reply is not None:
        session.send(reply.encode())

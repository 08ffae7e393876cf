"""Agents of hubs on their streams: what they may say, and "look now".

An agent's account is no person: it has no roster, no archive and nobody's
presence, and nobody has it. See docs/decisions/052-what-a-hubs-account-may.md.
"""

from __future__ import annotations

from mosaic.auth.hubs import HubDesk
from mosaic.bus.interface import Payload
from mosaic.services.xmpp.answers import (
    NS_PING,
    NS_SESSION,
    Answers,
)
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import element
from mosaic.workspace.hubs import hub_account, hub_of_account

NS_HUB = "urn:mosaic:hub:1"
ALLOWED = frozenset({("get", NS_PING), ("get", NS_DISCO_INFO), ("set", NS_SESSION)})
"""Kinds of question, and their namespaces."""


class HubStreams:
    """The sessions of agents."""

    def __init__(self, exchange: Exchange, answers: Answers) -> None:
        self._exchange = exchange
        self._answers = answers

    async def said(self, hubs: HubDesk, session: Session, stanza: Stanza) -> None:
        """One stanza of an agent: its word that it is there. Raises Undeliverable,
        JidError."""
        live = hubs.fleet.get(hub_of_account(session.jid.local) or "")
        if live is None:
            session.close("not-authorized")
            return
        hubs.fleet.heard(live)
        to = None if stanza.to is None else parse_jid(stanza.to)
        domain = self._exchange.domain
        ours = to is None or str(to) in (domain, session.bare)
        if stanza.name == "presence" and to is None:
            return  # nobody sees it: the status says what the hub does
        if stanza.name != "iq" or not ours or stanza.id is None:
            raise Undeliverable("forbidden")
        payload = stanza.payload or ("", "")
        answered = stanza.type in ("result", "error")
        if not answered and (stanza.type, payload[0]) not in ALLOWED:
            raise Undeliverable("forbidden")
        await self._answers.asked(session, stanza, to)

    def news(self, topic: str, payload: Payload) -> None:
        """Of the bus, `hub.<hub_id>`: read the feed now, or go."""
        account = hub_account(topic.partition(".")[2])
        for session in self._exchange.of_account(account):
            if payload.get("type") == "removed":
                session.close("not-authorized")
            else:
                session.send(self._look(session))

    def _look(self, session: Session) -> bytes:
        attributes = {
            "type": "headline",
            "from": self._exchange.domain,
            "to": session.address,
        }
        return element("message", attributes, element("look", ns=NS_HUB)).encode()


def is_hub(session: Session) -> bool:
    """Whether a session is an agent's."""
    return hub_of_account(session.jid.local) is not None

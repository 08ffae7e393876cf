"""What people write to each other (RFC 6121 sections 5 and 8.5)."""

from __future__ import annotations

from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza


class Messages:
    """The way of a `<message/>` from a session."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def said(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """Deliver one. Raises Undeliverable.

        RFC 6121 section 8.1.1.1: no `to` means one's own account.
        """
        self._exchange.deliver(stanza, session.jid, to or session.jid.bare_jid)

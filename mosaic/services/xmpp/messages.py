"""What people write to each other (RFC 6121 sections 5 and 8.5)."""

from __future__ import annotations

from mosaic.services.xmpp.exchange import Exchange, Undeliverable, error_reply
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import read_stanza


class Messages:
    """The way of a `<message/>` from a session."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def said(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """Deliver one. Raises Undeliverable.

        RFC 6121 section 8.1.1.1: no `to` means one's own account.
        """
        self._exchange.deliver(stanza, session.jid, to or session.jid.bare_jid)

    def undelivered(self, stanza: bytes, session: Session) -> None:
        """A `<message/>` that a session got and never acknowledged, and now
        cannot any more (XEP-0198 section 4). stanza: as the session got it.

        As for a resource that is not there (RFC 6121 section 8.5.3.2): it goes
        to the account's other resources, or its sender hears that it did not.
        """
        message = read_stanza(stanza)
        try:
            sender = parse_jid(message.attributes["from"])
        except (KeyError, JidError):
            return
        try:
            self._exchange.deliver(message, sender, session.jid.bare_jid)
        except Undeliverable as error:
            reply = error_reply(message, error, sender=session.address, to=str(sender))
            if reply is not None:
                self._bounce(read_stanza(reply.encode()), session.jid, sender)

    def _bounce(self, error: Stanza, sender: Jid, to: Jid) -> None:
        try:
            self._exchange.deliver(error, sender, to)
        except Undeliverable:
            pass  # nobody is told about a lost error

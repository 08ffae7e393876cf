"""The way out of a room: to sessions here, or through another server."""

from __future__ import annotations

from typing import Protocol

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza


class Outlet(Protocol):
    """Where the stanzas of rooms go. They never see a session."""

    def send(self, to: Jid, data: bytes) -> bool:
        """Write one whole stanza, with its addresses, for a full address.

        False if there is certainly nobody there any more; an outlet that cannot
        know says True, and an error may come back later.
        """

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Send to any address by the rules of delivery (RFC 6121 section 8.5).

        Raises Undeliverable where that is known at once.
        """


class LocalOutlet:
    """To the sessions of this server."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def send(self, to: Jid, data: bytes) -> bool:
        """Into the session's own queue."""
        if to.domain != self._exchange.domain:
            return False
        session = self._exchange.find(to)
        if session is None:
            return False
        session.send(data)
        return True

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """As if a session had said it, without coming back into a room."""
        if to.domain != self._exchange.domain:
            raise Undeliverable("remote-server-not-found")
        self._exchange.deliver(stanza, sender, to)

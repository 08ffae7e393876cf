"""The way out of a room: to the sessions of this server.

Under another server it is that parent's own (extras/outside.py).
"""

from __future__ import annotations

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.outlet import Outlet as Outlet
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza


class LocalOutlet:
    """See Outlet."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def send(self, to: Jid, data: bytes) -> bool:
        """Into the session's own queue."""
        if to.domain != self._exchange.domain:
            return False
        session = self._exchange.find(to)
        if session is None:
            return False
        if session.quiet is not None and data.startswith(b"<message"):
            session.quiet.let_go()
        session.send(data)
        return True

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """As if a session had said it, without coming back into a room."""
        if to.domain != self._exchange.domain:
            raise Undeliverable("remote-server-not-found")
        self._exchange.deliver(stanza, sender, to)

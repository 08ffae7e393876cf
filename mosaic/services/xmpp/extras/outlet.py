"""How a component takes stanzas in and gives them out, whoever its parent is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza

Receive = Callable[[Stanza, Jid, Jid], None]
"""Takes a stanza for a component, its sender and its addressee."""


class Outlet(Protocol):
    """The way out of a component: this process's sessions, or another server."""

    def send(self, stanza: bytes, to: Jid) -> None:
        """A whole stanza of jabber:client that names its `from` and `to`.

        to: the same as in the stanza. What cannot be delivered is dropped.
        """

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

    def send(self, to: Jid, data: bytes) -> bool:
        """A whole stanza of jabber:client that names its `from` and `to`.

        False if there is certainly nobody there any more; who cannot know says
        True, and an error may come back later.
        """

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Send to any address by the rules of delivery (RFC 6121 section 8.5).

        Raises Undeliverable where that is known at once.
        """


class Parent(Protocol):
    """Where components hang: several of them, each with an address."""

    def host(self, domain: str, receive: Receive) -> Outlet:
        """Have the stanzas for a domain given to a component.

        Before the parent starts. The outlet works while it runs.
        """

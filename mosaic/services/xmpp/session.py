"""One bound resource: what the rest of the server knows of a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza

MAX_DIRECTED = 1000
"""Addressees of directed presence that one session may have at a time."""


@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """A client that has logged in and bound a resource.

    jid: its full address. send: queues bytes for it. close: ends its stream
    with an RFC 6120 section 4.9.3 condition. presence: the last presence that
    it broadcast, None while it is not available. priority: -128 to 127.
    directed: whom else it told that it is there (RFC 6121 section 4.6).
    """

    jid: Jid
    send: Callable[[bytes], None]
    close: Callable[[str], None]
    address: str = field(init=False)
    presence: bytes | None = None
    priority: int = 0
    directed: set[Jid] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.address = str(self.jid)

    def stamp(self, stanza: Stanza) -> bytes:
        """The stanza's bytes as this session says them."""
        return stanza.stamped(self.address)

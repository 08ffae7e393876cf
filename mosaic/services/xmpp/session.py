"""One bound resource: what the rest of the server knows of a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from mosaic.services.xmpp.people.csi import Quiet
    from mosaic.services.xmpp.people.persons import Person

MAX_DIRECTED = 1000
"""Addressees of directed presence that one session may have at a time."""


def _at_once(received: Callable[[], None]) -> None:
    received()


class Debts(Protocol):
    """Where it is kept what an acknowledgement has to wait for."""

    def owe(self, done: Deferred[Any]) -> None:
        """Do not acknowledge the stanza in work before this has fired."""


@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """A client that has logged in and bound a resource.

    jid: its full address. send: queues the bytes of one stanza for it. close:
    ends its stream with an RFC 6120 section 4.9.3 condition. Both are replaced
    when the session moves to another connection: do not keep them. presence:
    the last presence that it broadcast, None while it is not available.
    priority: -128 to 127. directed: whom else it told that it is there (RFC
    6121 section 4.6). acks: there if it acknowledges (XEP-0198). when_received:
    calls back once the client has all that was sent so far: with XEP-0198 when
    it has acknowledged that, without it at once; never, if the session ends
    before.

    person: its account, once it is read. since: the newest message id at the
    time that it began to receive messages to the account, 0 before. carbons:
    wants them (XEP-0280). interested: has asked for the roster. minds_blocks:
    has asked for the block list. quiet: what is held back while it is inactive
    (XEP-0352). notify: nodes that it wants to hear of (XEP-0163).
    """

    jid: Jid
    send: Callable[[bytes], None]
    close: Callable[[str], None]
    address: str = field(init=False)
    bare: str = field(init=False)
    presence: bytes | None = None
    priority: int = 0
    directed: set[Jid] = field(default_factory=set)
    person: Person | None = None
    since: int = 0
    carbons: bool = False
    interested: bool = False
    minds_blocks: bool = False
    quiet: Quiet | None = None
    notify: frozenset[str] = frozenset()
    acks: Debts | None = None
    when_received: Callable[[Callable[[], None]], None] = _at_once

    def __post_init__(self) -> None:
        self.address = str(self.jid)
        self.bare = self.jid.bare

    def stamp(self, stanza: Stanza) -> bytes:
        """The stanza's bytes as this session says them."""
        return stanza.stamped(self.address)

    def owe(self, done: Deferred[Any]) -> None:
        """The stanza that is being handled is safe only when this has fired.

        What it fires with is not touched. Without this, a stanza counts as
        handled (XEP-0198 section 4) when the coroutine that handles it is done,
        and the session's next stanza waits for that; with it, the next goes on.
        """
        if self.acks is not None:
            self.acks.owe(done)

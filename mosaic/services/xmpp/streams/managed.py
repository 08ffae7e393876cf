"""Stream management of one session (XEP-0198): it outlives its connections.

What the session is sent goes through here, and waits until the client has
acknowledged it. When the connection breaks, the session stays bound and goes
on receiving for a while; a new connection of the same account takes it over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from mosaic.services.xmpp.session import Session
from mosaic.services.xmpp.streams.leaving import leave
from mosaic.wire.xmpp.acks import MODULUS, NS_SM, AckQueue
from mosaic.wire.xmpp.xml import Xml, element

if TYPE_CHECKING:
    from mosaic.services.xmpp.household import Household

ASK_EVERY = 25
"""Stanzas that are sent before an acknowledgement is asked for; fewer are
asked for when the house looks around (upkeep.py)."""
MAX_ENDED = 4096
"""Ended sessions whose counter is remembered."""

_ASK = b"<r xmlns='urn:xmpp:sm:3'/>"


class Line(Protocol):
    """The connection that a session speaks over."""

    def write(self, data: bytes) -> None:
        """Send one element."""

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End stream and session."""

    def superseded(self) -> None:
        """The session has another connection now: end this one without it."""


class EndedSessions:
    """What is said to those who come back too late: how many of their stanzas
    were handled (XEP-0198 section 5)."""

    def __init__(self) -> None:
        self._handled: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def note(self, managed: Managed) -> None:
        """It has ended."""
        self._handled[managed.id] = (managed.session.jid.local, managed.handled)
        if len(self._handled) > MAX_ENDED:
            self._handled.popitem(last=False)

    def handled(self, previous: str, account: str) -> int | None:
        """How many, if it was a session of this account."""
        whose, handled = self._handled.get(previous, ("", 0))
        return handled if whose == account else None


class Managed:
    """The counters and the queue of one session.

    id: what the client names to come back, unguessable. resume_s: how long it
    may; 0 for never. handled: stanzas of the client that are done, and safe.
    """

    __slots__ = (
        "_answer_due", "_asked", "_awaited", "_expiry", "_full", "_house", "_line",
        "_owed", "_settled", "_working", "ended", "handled", "id", "queue", "resume_s",
        "session",
    )  # fmt: skip

    def __init__(
        self, house: Household, session: Session, line: Line, *, resume_s: float
    ) -> None:
        self._house = house
        self._line: Line | None = line
        self.session = session
        self.id = house.new_token()
        self.resume_s = resume_s
        self.queue = AckQueue()
        self.handled = 0
        self.ended = False
        self._asked = False
        self._answer_due: int | None = None
        self._working = False
        self._full = False
        self._owed: dict[Deferred[Any], int] = {}
        self._settled: list[Deferred[None]] = []
        self._expiry: IDelayedCall | None = None
        self._awaited: list[tuple[int, Callable[[], None]]] = []
        session.send = self.send
        session.when_received = self.when_received
        session.acks = self
        if resume_s:
            house.resumable[self.id] = self

    # Outgoing.

    def send(self, stanza: bytes) -> None:
        """The session's `send`."""
        unasked = self.queue.push(stanza)
        line = self._line
        if line is not None:
            line.write(stanza)
            if unasked >= ASK_EVERY and not self._asked:
                self.ask()
        settings = self._house.settings
        if (
            self.queue.size_bytes > settings.unacked_bytes
            or len(self.queue) > settings.unacked_stanzas
        ) and not self._full:
            self._full = True
            # Later: ending one tells others, who may overflow in turn.
            self._house.clock.callLater(0, self._overflowed)

    def ask(self) -> None:
        """Ask for an acknowledgement."""
        if self._line is not None:
            self._asked = True
            self.queue.unasked = 0
            self._line.write(_ASK)

    def acknowledged(self, handled: int) -> None:
        """The client says how many it has handled. Raises AckError."""
        self.queue.acknowledge(handled)
        self._asked = False
        if self._awaited:
            self._tell_received()
        if self.queue.unasked >= ASK_EVERY:
            self.ask()

    def when_received(self, received: Callable[[], None]) -> None:
        """See Session.when_received."""
        if len(self.queue):
            self._awaited.append((self.queue.sent, received))
        else:
            received()

    def _tell_received(self) -> None:
        acked = self.queue.sent - len(self.queue)
        while self._awaited and self._awaited[0][0] <= acked:
            self._awaited.pop(0)[1]()

    def _overflowed(self) -> None:
        if not self.ended:
            self._house.counters.slow_closed += 1
            self.close("resource-constraint")

    # Incoming.

    def started(self) -> None:
        """A stanza of the client is in work, and will take a while."""
        self._working = True

    def finished(self) -> None:
        """It is done, though perhaps not safe yet."""
        self._working = False
        self.handled += 1
        if self._settled:
            self._settle()

    def owe(self, done: Deferred[Any]) -> None:
        """See Session.owe."""
        if done in self._owed:
            return  # several stanzas in one commit: the first one counts
        self._owed[done] = self.handled + 1

        def paid(result: object) -> object:
            del self._owed[done]
            self._settle()
            return result

        done.addBoth(paid)

    @property
    def safe(self) -> int:
        """How many stanzas of the client are handled, and durable."""
        return next(iter(self._owed.values())) - 1 if self._owed else self.handled

    def answer(self) -> None:
        """The client asks how many of its stanzas are handled."""
        self._answer_due = self.handled
        self._answer_if_safe()

    def _answer_if_safe(self) -> None:
        safe = self.safe
        if self._answer_due is not None and safe >= self._answer_due:
            self._answer_due = None
            if self._line is not None:
                answer = f"<a xmlns='urn:xmpp:sm:3' h='{safe % MODULUS}'/>"
                self._line.write(answer.encode())

    def settled(self) -> Deferred[None]:
        """Fires when no stanza of the client is in work, and all are safe."""
        waiter: Deferred[None] = Deferred()
        self._settled.append(waiter)
        self._settle()
        return waiter

    def _settle(self) -> None:
        self._answer_if_safe()
        if not self._owed and not self._working:
            waiting, self._settled = self._settled, []
            for waiter in waiting:
                waiter.callback(None)

    # Connections.

    def detach(self, line: Line) -> None:
        """The connection is gone. The session stays, if it may be resumed."""
        if self._line is not line:
            return
        self._line = None
        self._answer_due = None
        if not self.resume_s:
            self.end()
            return
        self.session.close = self.close
        self._house.counters.detached += 1
        self._expiry = self._house.clock.callLater(self.resume_s, self.end)

    async def take_over(self, line: Line) -> bool:
        """Move the session to a new connection of its account; False if it has
        ended meanwhile. Then comes resumed().

        An older connection that seems to be open is ended first: what it still
        holds unread will be said again.
        """
        older = self._line
        if older is not None:
            older.superseded()
        await self.settled()
        if self.ended or self._line is not None:
            return False
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        quiet, self.session.quiet = self.session.quiet, None
        if quiet is not None:
            quiet.let_go()  # XEP-0352 section 5.1: active again
        self._house.counters.detached -= 1
        self._house.counters.resumed += 1
        self._line = line
        self._asked = False
        self.session.close = line.close
        return True

    def resumed(self) -> Xml:
        """What to answer; resend() comes right after it."""
        h = str(self.handled % MODULUS)
        return element("resumed", {"previd": self.id, "h": h}, ns=NS_SM)

    def resend(self) -> None:
        """Say again what was not acknowledged (XEP-0198 section 5)."""
        line = self._line
        stanzas = self.queue.stanzas()
        if line is None or not stanzas:
            return
        for stanza in stanzas:
            line.write(stanza)
        self.ask()

    # The end.

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End it, whether there is a connection or not."""
        if self._line is not None:
            self._line.close(condition, text)
        else:
            self.end()

    def end(self) -> None:
        """The session is over: it leaves, and what it never got is handed on."""
        if self.ended:
            return
        self.ended = True
        house = self._house
        if self._expiry is not None:
            if self._expiry.active():
                self._expiry.cancel()
            self._expiry = None
            house.counters.detached -= 1
        self._line = None
        house.resumable.pop(self.id, None)
        house.ended.note(self)
        for waiter in self._settled:
            waiter.callback(None)
        self._settled = []
        leave(house, self.session, self.queue.clear())

"""A client's stream once its bytes are elements: order, liveness, the end.

What comes before a resource is bound is in c2s.py; how a stream is written on
TCP and on WebSockets in tcp.py and websocket.py.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.bound import route_stanza
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.outbox import Outbox
from mosaic.services.xmpp.session import Session
from mosaic.services.xmpp.streams.crumbs import Crumbs
from mosaic.services.xmpp.streams.leaving import leave
from mosaic.services.xmpp.streams.managed import Managed
from mosaic.services.xmpp.streams.spare import Place
from mosaic.services.xmpp.streams.steps import begin
from mosaic.services.xmpp.streams.upkeep import Upkeep
from mosaic.wire.xmpp.acks import NS_SM, AckError, read_count
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.stream import (
    Event,
    StreamEnd,
    StreamFault,
    StreamParser,
    StreamStart,
)
from mosaic.wire.xmpp.xml import Xml, element

NS_PING = "urn:xmpp:ping"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
CLOSE_TIMEOUT_S = 5.0
"""How long a peer may take to close its side (RFC 6120 section 4.4)."""
OUTBOX_BYTES = 4 << 20
"""What may wait for a slow reader before it is dropped."""

_ASKED = 1 << 30
"""Added to the looks of a silent peer once it was asked whether it is there."""

_log = Logger()


class Phase(Enum):
    """How far a stream has come."""

    HEADER = auto()
    STARTTLS = auto()
    LOGIN = auto()
    BUSY = auto()
    BIND = auto()
    BOUND = auto()
    CLOSED = auto()


class StreamBase:
    """What every stream does, however it is written.

    The transport calls connectionMade, dataReceived and connectionLost.
    """

    transport: Any = None
    write: Callable[[bytes], None]
    """Send one whole element; it leaves at the end of the reactor's turn."""

    goodbye: ClassVar[str]
    """What closes a stream."""

    _session: Session | None = None
    _managed: Managed | None = None
    _header_sent = False
    _deadline: IDelayedCall | None = None
    _gone: list[Deferred[None]] | None = None
    _quiet = 0
    _held: list[Event] | None = None
    """What waits for the stanza in work, None while none takes its time."""
    _held_bytes = 0
    _lost = False
    _crumbs: Crumbs | None = None
    """Of a peer that has sent some since its last element."""
    _account = ""
    _place: Place
    """Where the stream stands, while it has no parser of its own."""

    def __init__(self, house: Household) -> None:
        self._house = house
        self._phase = Phase.HEADER
        self._parser: StreamParser | None = self.new_parser(
            house.settings.max_stanza_bytes_before_login
        )

    # How it is written.

    def new_parser(self, max_stanza_bytes: int) -> StreamParser:
        """Events out of the bytes of a fresh stream."""
        raise NotImplementedError

    def allow_stanzas(self, max_bytes: int) -> None:
        """Another limit, without a fresh stream."""
        if self._parser is not None:
            self._parser.max_stanza_bytes = max_bytes

    def opening(self, stream_id: str) -> str:
        """The header that we answer with."""
        raise NotImplementedError

    def open_outbox(self, outbox: Outbox) -> None:
        """Set `write`, on what joins the bytes of a turn."""
        raise NotImplementedError

    def say(self, xml: str) -> None:
        """Send an element of the stream's own, whose names may begin with
        `stream:`."""
        self.write(xml.encode())

    # What the transport tells.

    def connectionMade(self) -> None:
        """The deadline is absolute: no trickle of bytes moves it."""
        self._house.streams.add(self)
        self._house.counters.streams += 1
        self._outbox = Outbox(
            self.transport,
            self._house.turn,
            limit_bytes=OUTBOX_BYTES,
            overflow=self._too_slow,
        )
        self.open_outbox(self._outbox)
        self.transport.registerProducer(self._outbox, True)
        self._deadline = self._house.clock.callLater(
            self._house.settings.auth_timeout_s, self.close, "connection-timeout"
        )

    def dataReceived(self, data: bytes) -> None:
        """Act on each event in order; a restart drops what came behind it."""
        self._quiet = 0
        parser = self._parser
        if parser is None:
            parser = self._parser = self._house.parsers.take(self._place)
        events = parser.feed(data)
        if not events:
            self._crumb(len(data))
        elif self._crumbs is not None:
            self._crumbs.whole()
            if self._phase is Phase.BOUND and not self._crumbs.resting:
                self._crumbs = None
        if self._held is not None:
            self._hold_more(events, len(data))
            return
        if self._phase is Phase.BOUND:
            self._act(events)
        else:
            self._outbox.collect()
            self._act(events)
            self._outbox.send()
        if self._phase is Phase.BOUND and self._held is None and parser.idle:
            self._place = self._house.parsers.put(parser)
            self._parser = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave the house, or leave the session in it for a while."""
        self._outbox.close()
        self._cancel_deadline()
        if self._crumbs is not None:
            self._crumbs.stop()
        self._house.streams.discard(self)
        self._house.counters.streams -= 1
        if self._held is not None and self._managed is None:
            self._lost = True  # what it said before it went is still done
        else:
            self._let_go()
        waiting, self._gone = self._gone or [], []
        for waiter in waiting:
            waiter.callback(None)

    # Closing.

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End stream and session, with a stream error if one is named."""
        if self._phase is Phase.CLOSED:
            return
        if not self._header_sent:
            self._send_header()
        self._phase = Phase.CLOSED
        self._cancel_deadline()
        if condition is not None:
            self.say(_stream_error(condition, text))
        self.say(self.goodbye)
        self._outbox.flush()
        self._outbox.close()
        self._leave()
        self.transport.unregisterProducer()
        self._deadline = self._house.clock.callLater(
            CLOSE_TIMEOUT_S, self.transport.abortConnection
        )
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection once everything has left."""
        self.transport.loseConnection()

    def closed(self) -> Deferred[None]:
        """Fires when the connection is truly gone."""
        waiter: Deferred[None] = Deferred()
        if self._gone is None:
            self._gone = []
        self._gone.append(waiter)
        return waiter

    def superseded(self) -> None:
        """The session moves to another connection."""
        managed = self._managed
        self._session = self._managed = None
        if managed is not None:
            managed.detach(self)
        self.close("conflict", "resumed on another connection")

    def _too_slow(self) -> None:
        if self._phase is Phase.CLOSED:
            return
        self._house.counters.slow_closed += 1
        _log.info("a slow reader was dropped: {account}", account=self._account)
        self._phase = Phase.CLOSED
        self._leave()
        self.transport.abortConnection()

    def _leave(self) -> None:
        """The session ends with the stream."""
        session, self._session = self._session, None
        managed, self._managed = self._managed, None
        if managed is not None:
            managed.end()
        elif session is not None:
            leave(self._house, session, [])

    def _let_go(self) -> None:
        """The connection is gone; the session stays if it may be resumed."""
        self._phase = Phase.CLOSED
        managed = self._managed
        if managed is not None:
            self._session = self._managed = None
            managed.detach(self)
        else:
            self._leave()

    def _cancel_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    # What the parser tells.

    def _act(self, events: list[Event]) -> None:
        parser = self._parser
        for at, event in enumerate(events):
            if self._parser is not parser or self._phase is Phase.CLOSED:
                return
            waiting = self._perform(event)
            if waiting is not None:
                self._hold(waiting, events[at + 1 :])
                return

    def _perform(self, event: Event) -> Deferred[None] | None:
        """Act on one; a Deferred if the next has to wait for it."""
        if isinstance(event, Stanza):
            if self._phase is Phase.BOUND:
                return self._bound(event)
            self._negotiate(event)
        elif isinstance(event, StreamStart):
            self._stream_started(event)
        elif isinstance(event, StreamFault):
            self._house.counters.streams_refused += 1
            self.close(event.condition, event.text)
        elif isinstance(event, StreamEnd):
            self.close()
        return None

    def _stream_started(self, start: StreamStart) -> None:
        raise NotImplementedError

    def _negotiate(self, stanza: Stanza) -> None:
        raise NotImplementedError

    # Stanzas, one after the other (RFC 6120 section 10.1).

    def _bound(self, stanza: Stanza) -> Deferred[None] | None:
        session, house = self._session, self._house
        assert session is not None
        if stanza.ns != NS_CLIENT:
            self._no_stanza(session, stanza)
            return None
        house.counters.stanzas_in += 1
        try:
            waiting = begin(route_stanza(house, session, stanza))
        except Exception as error:
            self._failed(Failure(error))  # type: ignore[no-untyped-call]
            return None
        if waiting is None and self._managed is not None:
            self._managed.finished()
        return waiting

    def _hold(self, waiting: Deferred[None], behind: list[Event]) -> None:
        """The next stanza waits for this one."""
        self._held = behind
        managed = self._managed
        if managed is not None:
            managed.started()

        def done(result: object) -> None:
            if isinstance(result, Failure):
                self._failed(result)
            if managed is not None:
                managed.finished()
            self._go_on()

        waiting.addBoth(done)

    # How much at a time.

    def _crumb(self, size_bytes: int) -> None:
        """A read that completed nothing: one byte, if a peer means ill."""
        if self._phase is Phase.CLOSED:
            return
        crumbs = self._crumbs
        if crumbs is None:
            crumbs = self._crumbs = Crumbs(self._house.clock, self._read_on)
        rests = crumbs.another(size_bytes)
        if crumbs.too_many(has_session=self._phase is Phase.BOUND):
            self._house.counters.streams_refused += 1
            self.close("policy-violation", "too much in too small pieces")
            # What goes on coming would cost as much as before.
            self.transport.abortConnection()
        elif rests:
            self.transport.pauseProducing()

    def _read_on(self) -> None:
        """Unless there is another reason to wait."""
        if self._phase is Phase.CLOSED or not self._holds_much():
            self.transport.resumeProducing()

    def _holds_much(self) -> bool:
        return self._held_bytes > self._house.settings.max_stanza_bytes

    def _hold_more(self, events: list[Event], size_bytes: int) -> None:
        assert self._held is not None
        self._held += events
        self._held_bytes += size_bytes
        limit_bytes = self._house.settings.max_stanza_bytes
        if self._held_bytes > limit_bytes >= self._held_bytes - size_bytes:
            self.transport.pauseProducing()

    def _go_on(self) -> None:
        behind, self._held = self._held or [], None
        open_ = self._phase is not Phase.CLOSED and not self._lost
        held_much, self._held_bytes = self._holds_much(), 0
        resting = self._crumbs is not None and self._crumbs.resting
        if open_ and held_much and not resting:
            self.transport.resumeProducing()
        self._act(behind)
        if self._lost and self._held is None:
            self._let_go()

    def _no_stanza(self, session: Session, element_: Stanza) -> None:
        if element_.ns == NS_SM:
            self._manage(session, element_)
            return
        taken = self._house.nonzas.get((element_.ns, element_.name))
        if taken is None:
            self.close("unsupported-stanza-type")
        else:
            taken(session, element_)

    # Stream management (XEP-0198).

    def _manage(self, session: Session, element_: Stanza) -> None:
        managed = self._managed
        if element_.name == "enable" and managed is None:
            self.say(self._enabled(session, element_.attributes))
        elif element_.name in ("enable", "resume"):
            self.say(sm_failed("unexpected-request"))
        elif managed is None or element_.name not in ("r", "a"):
            self.close("unsupported-stanza-type")
        elif element_.name == "r":
            managed.answer()
        else:
            self._acknowledged(managed, read_count(element_.attributes.get("h")))

    def _enabled(self, session: Session, wishes: dict[str, str]) -> Xml:
        """Manage the session from here on; what to answer."""
        resume_s = 0.0
        if wishes.get("resume") in ("true", "1"):
            resume_s = self._house.settings.resume_s
            wished_s = read_count(wishes.get("max"))
            if wished_s is not None:
                resume_s = min(resume_s, float(wished_s))
        managed = Managed(self._house, session, self, resume_s=resume_s)
        self._managed = managed
        offer: dict[str, str | None] = {}
        if resume_s:
            offer = {"resume": "true", "id": managed.id, "max": f"{resume_s:.0f}"}
        return element("enabled", offer, ns=NS_SM)

    def _acknowledged(self, managed: Managed, handled: int | None) -> None:
        if handled is None:
            self.close("policy-violation", "h is no count")
            return
        try:
            managed.acknowledged(handled)
        except AckError as error:
            self.close("undefined-condition", str(error))

    # Who is still there.

    def look(self) -> None:
        """Ask a silent peer whether it is there; drop one that does not say."""
        session, managed = self._session, self._managed
        if session is None:
            return
        self._quiet += 1
        settings = self._house.settings
        if self._quiet > _ASKED:
            if self._quiet >= _ASKED + Upkeep.LOOKS:
                self._dead()
        elif managed is not None and len(managed.queue):
            self._quiet = _ASKED
            managed.ask()
        elif self._quiet * settings.answer_s >= settings.idle_s * Upkeep.LOOKS:
            self._quiet = _ASKED
            if managed is not None:
                managed.ask()
            else:
                self._ping(session)

    def _ping(self, session: Session) -> None:
        """A client without acknowledgements answers too, if only that it does
        not know the question (XEP-0199 section 4.1)."""
        about = {
            "type": "get",
            "id": self._house.new_token(),
            "from": self._house.exchange.domain,
            "to": session.address,
        }
        session.send(element("iq", about, element("ping", ns=NS_PING)).encode())

    def _dead(self) -> None:
        self._house.counters.dead_closed += 1
        if self._managed is None:
            self.close("connection-timeout")
        else:
            self._let_go()
            self.transport.abortConnection()

    # Sending, and steps that wait.

    def _send_header(self) -> None:
        self.say(self.opening(self._house.new_token()))
        self._header_sent = True

    def _run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Start steps that may wait; a fault of ours ends the stream."""
        try:
            waiting = begin(steps)
        except Exception as error:
            self._failed(Failure(error))  # type: ignore[no-untyped-call]
            return
        if waiting is not None:
            waiting.addErrback(self._failed)

    def _failed(self, reason: Failure) -> None:
        _log.failure("an XMPP stream failed", reason)
        self.close("internal-server-error")


def sm_failed(condition: str, handled: int | None = None) -> Xml:
    """XEP-0198 section 7. handled: of the session that is over, if known."""
    h = None if handled is None else str(handled % (1 << 32))
    return element("failed", {"h": h}, element(condition, ns=NS_STANZAS), ns=NS_SM)


def _stream_error(condition: str, text: str) -> Xml:
    told = element("text", {"xml:lang": "en"}, text, ns=NS_STREAMS) if text else ""
    return element("stream:error", None, element(condition, ns=NS_STREAMS), told)

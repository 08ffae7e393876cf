"""One connection, whichever door it came through: events in order, limits kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.config.settings import Drcp
from mosaic.services.drcp.counters import Counters
from mosaic.services.drcp.member import Attachment, Member
from mosaic.services.drcp.outbound import Outbound, Wire
from mosaic.services.drcp.pace import TokenBucket
from mosaic.services.drcp.room import LiveRoom
from mosaic.services.drcp.rounds import Rounds
from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.framing import Framing, websocket_frames
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.yprotocols import Step
from mosaic.workspace.documents import EMPTY_STATE_VECTOR
from mosaic.workspace.model import Principal

_log = Logger()

CHECK_EXPIRY_S = 30.0


class BoundedWire(Wire, Protocol):
    """A socket whose message size can be set, and when it is read."""

    def limit_messages(self, size_bytes: int) -> None:
        """Larger messages close the connection (1009)."""

    def read_with(self, room: Rounds) -> None:
        """Read when the room is read; once in a room it stays with it."""


class Frames(Protocol):
    """A sans-IO session: one frame's events; it never raises."""

    def receive(self, frame: bytes) -> list[ev.Event]:
        """The events of one frame."""


class Entrance(Protocol):
    """What a connection asks of the service."""

    settings: Drcp
    reactor: IReactorTime
    counters: Counters
    wall_clock: Callable[[], float]

    async def admit(self, token: str) -> tuple[Principal, LiveRoom]:
        """Raises ProtocolError: 4401, 4403, 4404, 4423, 4500."""

    async def principal(self, token: str) -> Principal:
        """Raises ProtocolError (4401)."""

    def connection_lost(self, connection: Connection) -> None:
        """The connection is over."""


class Connection:
    """Reads frames into events and performs them one after the other.

    While an event waits for the store, the socket is not read.
    """

    native = False

    def __init__(
        self, service: Entrance, wire: BoundedWire, framing: Framing, session: Frames
    ) -> None:
        settings, reactor = service.settings, service.reactor
        self.service = service
        self._counters = service.counters
        self._now = reactor.seconds
        self._max_frame_bytes = settings.max_frame_bytes
        self.wire = wire
        self.framing = framing
        self.session = session
        self.closed = False
        self.outbound = Outbound(
            wire,
            settings=settings,
            reactor=reactor,
            counters=service.counters,
            drained=self._drained,
        )
        self._rooms: dict[Member, LiveRoom] = {}
        self._queue: deque[ev.Event] = deque()
        self._busy = False
        self._resume: IDelayedCall | None = None
        self._bucket = TokenBucket(
            messages_per_s=settings.messages_per_s,
            burst=settings.message_burst,
            bytes_per_s=settings.bytes_per_s,
            now=reactor.seconds(),
        )
        self._greeting: IDelayedCall | None = reactor.callLater(
            settings.handshake_timeout_s, self.close, 4401, "no token in time"
        )
        self._expiry: IDelayedCall | None = None
        wire.limit_messages(settings.max_frame_bytes)

    # Frames in ------------------------------------------------------------
    def frame_received(self, frame: bytes) -> None:
        """One binary message."""
        if self.closed:
            return
        size, counters = len(frame), self._counters
        counters.frames_in += 1
        counters.bytes_in += size
        pause_s = self._bucket.take(size, self._now())
        if pause_s != 0 and not self._may_go_on(pause_s):
            return
        events = self.session.receive(frame)
        alone = len(events) == 1 and size <= self._max_frame_bytes
        if alone and not self._queue and not self._busy:
            self._do(events[0])
            return
        # A frame costs one message, and each further one inside costs as much.
        for _ in range(1, len(events)):
            pause_s = self._bucket.take(0, self._now())
            if pause_s != 0 and not self._may_go_on(pause_s):
                return
        if size > self._max_frame_bytes:
            events = [self._judge_large(event) for event in events]
        self._queue.extend(events)
        self._pump()

    def _judge_large(self, event: ev.Event) -> ev.Event:
        """Only an editor's document may be larger than a frame."""
        if isinstance(event, ev.Update | ev.Violation):
            return event
        channel = getattr(event, "channel", None)
        return ev.Violation(4413, "the message is too large", channel)

    def _may_go_on(self, pause_s: float | None) -> bool:
        """The bucket is empty: read nothing for a while, or (False) no more."""
        if pause_s is None:
            self._counters.rate_closed += 1
            self.close(4429, "too many messages")
            return False
        if self._resume is None:
            self._counters.rate_paused += 1
            self.wire.pause_reading("rate")
            self._resume = self.service.reactor.callLater(pause_s, self._read_again)
        return True

    def _read_again(self) -> None:
        self._resume = None
        self.wire.resume_reading("rate")

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this before any event."""
        self._await(work)

    def _pump(self) -> None:
        while self._queue and not self._busy and not self.closed:
            self._do(self._queue.popleft())

    def _do(self, event: ev.Event) -> None:
        try:
            work = self.perform(event)
        except ProtocolError as error:
            self.violated(error.code, str(error), _channel_of(event))
            return
        if work is not None:
            self._await(self._fenced(work, event))

    async def _fenced(self, work: Coroutine[Any, Any, None], event: ev.Event) -> None:
        try:
            await work
        except ProtocolError as error:
            self.violated(error.code, str(error), _channel_of(event))

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        self._busy = True
        waiting = Deferred.fromCoroutine(work)
        waiting.addErrback(self._crashed)
        if waiting.called:
            self._busy = False
            return
        self.wire.pause_reading("busy")
        waiting.addBoth(self._go_on)

    def _go_on(self, _: object) -> None:
        self._busy = False
        if not self.closed:
            self.wire.resume_reading("busy")
            self._pump()

    def _crashed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, ProtocolError):
            self.close(error.code, str(error))
            return
        _log.failure("a connection failed", failure=failure)
        self.close(4500, "the server failed")

    # Events ---------------------------------------------------------------
    def perform(self, event: ev.Event) -> Coroutine[Any, Any, None] | None:
        """Do what the client asked for. Raises ProtocolError."""
        raise NotImplementedError

    def violated(self, code: int, message: str, channel: ev.Channel | None) -> None:
        """An error on a channel, or the end of the connection."""
        if channel is None or not self.native or channel == 0:
            self.close(code, message)
        else:
            self.send(self.framing.error(channel, code, message))

    def in_document(
        self, attachment: Attachment, event: ev.Event
    ) -> Coroutine[Any, Any, None] | None:
        """What is the same through all doors."""
        document = attachment.document
        match event:
            case ev.Update():
                document.receive_update(attachment, event.update)
            case ev.Awareness():
                document.receive_awareness(attachment, event.data)
            case ev.StateVector():
                return self._answer(attachment, event)
            case ev.QueryAwareness():
                return self._send_awareness(attachment)
            case ev.Stateless() if event.broadcast:
                for other in list(document.attachments):
                    if other is not attachment:
                        framing = other.member.framing
                        other.member.send(framing.stateless(other.channel, event.text))
            case ev.Close():
                attachment.close()
            case _:
                pass
        return None

    async def _answer(self, attachment: Attachment, event: ev.StateVector) -> None:
        """Step 2, and our own step 1; a slow reader waits for its answers."""
        await self.outbound.can_write()
        if attachment.closed:
            return
        document, channel = attachment.document, attachment.channel
        vector = event.state_vector
        if (
            not self.native
            and len(vector) > self.service.settings.max_state_vector_bytes
        ):
            # Old documents have long ones, and stock clients know no errors:
            # they get the whole document.
            vector = EMPTY_STATE_VECTOR
        answer = partial(self.framing.sync, channel, Step.ANSWER)
        data = document.framed_diff(attachment, vector, answer, kind=Step.ANSWER)
        self.outbound.write(data)
        if not event.reply:
            self.ask(attachment)

    def ask(self, attachment: Attachment) -> None:
        """Our step 1: let the peer send what the document lacks.

        Raises ProtocolError (4500).
        """
        vector = attachment.document.state_vector()
        self.send(self.framing.sync(attachment.channel, Step.STATE_VECTOR, vector))

    async def _send_awareness(self, attachment: Attachment) -> None:
        await self.outbound.can_write()
        states = attachment.document.awareness.states()
        if states and not attachment.closed:
            self.send(self.framing.batch(attachment.channel, b"", states))

    async def attach(
        self, member: Member, room: LiveRoom, channel: ev.Channel, name: str
    ) -> Attachment:
        """Open a document; nobody has been told. Raises ProtocolError."""
        document = await room.desk.open(name)
        await self.outbound.can_write()
        if self.closed or member not in room.members:
            raise ProtocolError("the connection is closing", code=4423)
        return Attachment(member, channel, document)

    # Members --------------------------------------------------------------
    def join(self, principal: Principal, room: LiveRoom) -> Member:
        """Let a principal into a room on this connection."""
        member = Member(
            self,
            principal,
            framing=self.framing,
            outbound=self.outbound,
            native=self.native,
        )
        if self._greeting is not None:
            if self._greeting.active():
                self._greeting.cancel()
            self._greeting = None
        if room.desk.rounds is not None and not self._rooms:
            self.wire.read_with(room.desk.rounds)
        self._rooms[member] = room
        room.enter(member)
        self._set_limit()
        self.check_expiry()
        return member

    def check_expiry(self) -> None:
        """Put out those whose token has expired; look again in time."""
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        self._expiry = None
        now = self.service.wall_clock()
        for member in list(self._rooms):
            if member.principal.expires_at <= now:
                member.end(4401, "expired")
        if self._rooms and not self.closed:
            first = min(member.principal.expires_at for member in self._rooms)
            # The wall clock may be set: never trust one long timer.
            delay = min(CHECK_EXPIRY_S, max(0.05, first - now))
            self._expiry = self.service.reactor.callLater(delay, self.check_expiry)

    def role_changed(self, member: Member) -> None:
        """The limits follow the role; subclasses tell the peer."""
        self._set_limit()

    def _set_limit(self) -> None:
        settings = self.service.settings
        edits = any(m.role.may_edit and not m.waiting for m in self._rooms)
        # The message around an update takes a few bytes of its own.
        large = settings.max_sync_bytes + 1024
        self.wire.limit_messages(large if edits else settings.max_frame_bytes)

    def member_ended(self, member: Member, code: int, reason: str) -> None:
        """The room puts a member out: the connection ends."""
        self.close(code, reason)

    def forget(self, member: Member) -> None:
        """One member leaves; the connection stays."""
        room = self._rooms.pop(member, None)
        if room is not None:
            room.leave(member)

    # The way out ----------------------------------------------------------
    def send(self, payloads: list[bytes]) -> None:
        """Messages for this connection alone."""
        if payloads:
            self.outbound.write(websocket_frames(payloads))

    def _drained(self) -> None:
        for member in list(self._rooms):
            for attachment in list(member.attachments.values()):
                try:
                    attachment.document.catch_up(attachment)
                except ProtocolError as error:
                    self.close(error.code, str(error))

    def close(self, code: int, reason: str) -> None:
        """End the connection, saying why; safe to call twice."""
        if not self.closed:
            self._end()
            self.wire.close(code, reason)

    def lost(self) -> None:
        """The socket is gone; safe to call after close."""
        self._end()
        self.service.connection_lost(self)

    def _end(self) -> None:
        self.closed = True
        self._queue.clear()
        self.outbound.stop()
        for call in (self._resume, self._greeting, self._expiry):
            if call is not None and call.active():
                call.cancel()
        for member in list(self._rooms):
            self.forget(member)


def _channel_of(event: ev.Event) -> ev.Channel | None:
    channel = getattr(event, "channel", None)
    return channel if isinstance(channel, int | str) else None

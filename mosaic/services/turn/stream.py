"""TURN over TCP and TLS (RFC 8656 section 3.1): one client's connection."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay.interface import AdoptingPlane
from mosaic.tls.transports import PlainServer, TlsServer
from mosaic.wire.stun.address import Address, FiveTuple, canonical
from mosaic.wire.stun.errors import FramingLost
from mosaic.wire.stun.framing import StreamSplitter

JOIN_BYTES = 4096
"""An incomplete message up to this size is joined with what comes; a longer
one is collected, so that one that drips in is not copied each time."""


class StreamCounters(Interface):
    """What connections count."""

    streams_timed_out: int
    streams_broken: int
    stream_frames_dropped: int


class StreamOwner(Interface):
    """What a connection needs of the service."""

    @property
    def counters(self) -> StreamCounters:
        """The service's counters."""

    def stream_opened(self, stream: TurnStream, five_tuple: FiveTuple) -> None:
        """A client has connected."""

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message."""

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """Bytes that begin with a message: how many of them were data
        messages, and have been taken."""

    def stream_closed(self, stream: TurnStream, five_tuple: FiveTuple) -> None:
        """It has gone."""

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """Whether the client holds nothing here."""


class Pipe(Interface):
    """A connection to a peer that a stream is joined to."""

    producer: IPushProducer

    def write(self, data: bytes) -> None:
        """Bytes of the client."""

    def part(self) -> None:
        """The client has gone."""


@implementer(IPushProducer)
class TurnStream(Protocol):
    """Cuts what arrives into messages and joins what leaves into few writes.

    The queue out is bounded in bytes and in age: past that, whole frames are
    dropped, oldest first, and counted. A client has an absolute time for its first
    message; one without an allocation is let go when it falls silent.
    """

    transport: ITransport

    def __init__(
        self,
        owner: StreamOwner,
        reactor: IReactorTime,
        name: str,
        *,
        first_message_timeout_s: float,
        idle_s: float,
        queue_bytes: int,
        queue_s: float,
    ) -> None:
        self._owner = owner
        self._reactor = reactor
        self._name = name
        self._first_message_timeout_s = first_message_timeout_s
        self._idle_s = idle_s
        self._queue_limit = queue_bytes
        self._queue_s = queue_s
        self._splitter = StreamSplitter()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._paused = False
        self._open = False
        self._flush: IDelayedCall | None = None
        self._watch: IDelayedCall | None = None
        self._spoken_to = False
        self._spoke = False
        self._five_tuple: FiveTuple | None = None
        self._peer: Pipe | None = None
        self._lent = False

    def connectionMade(self) -> None:
        """Know both ends, and start the clock for the first message."""
        client = _address(self.transport.getPeer())
        server = _address(self.transport.getHost())
        self._five_tuple = FiveTuple(self._name, client, server)
        self._open = True
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined] # of IConsumer, which stream transports are
        self._watch = self._reactor.callLater(
            self._first_message_timeout_s, self._too_quiet
        )
        self._owner.stream_opened(self, self._five_tuple)

    def dataReceived(self, data: bytes) -> None:
        """Whole messages go on; a stream that is no TURN is closed. One that
        is joined to a peer carries bytes and nothing else."""
        if self._peer is not None:
            self._peer.write(data)
            return
        data = self._without_data(data)
        if not data:
            return
        try:
            messages = self._splitter.feed(data)
        except FramingLost:
            self._owner.counters.streams_broken += 1
            self.abort()
            return
        if messages and not self._spoken_to:
            self._spoken_to = True
            self._watch_for_idleness()
        for message in messages:
            self._spoke = True
            if self._open and self._five_tuple is not None:
                self._owner.stream_received(self._five_tuple, message)

    def _without_data(self, data: bytes) -> bytes:
        """Let the data messages at the beginning go their short way; the rest."""
        pending = self._splitter.pending_bytes
        if pending > JOIN_BYTES or self._five_tuple is None or not self._open:
            return data
        if pending:
            data = self._splitter.rest() + data
        taken = self._owner.stream_run(self._five_tuple, data)
        if not taken:
            return data
        self._spoke = True
        if not self._spoken_to:
            self._spoken_to = True
            self._watch_for_idleness()
        return data[taken:]

    def _watch_for_idleness(self) -> None:
        self._cancel_watch()
        self._watch = self._reactor.callLater(self._idle_s, self._check_idleness)

    def _check_idleness(self) -> None:
        self._watch = None
        idle = self._five_tuple is None or self._owner.is_idle(self._five_tuple)
        if idle and not self._spoke:
            self._too_quiet()
            return
        self._spoke = False
        self._watch_for_idleness()

    def _too_quiet(self) -> None:
        self._watch = None
        self._owner.counters.streams_timed_out += 1
        self.abort()

    def send(self, frame: bytes) -> None:
        """Queue one whole frame; it leaves with the others of this wake-up."""
        if not self._open:
            return
        now = self._reactor.seconds()
        self._queue.append((now, frame))
        self._queued_bytes += len(frame)
        while self._queued_bytes > self._queue_limit and len(self._queue) > 1:
            self._drop_oldest()
        if self._paused:
            self._drop_older_than(now - self._queue_s)
        elif self._flush is None:
            self._flush = self._reactor.callLater(0, self._write)

    def send_all(self, frames: list[bytes]) -> None:
        """Whole frames that came together: they leave at once, if they can."""
        if self._open and not self._paused and not self._queue:
            self.transport.write(b"".join(frames))
            return
        for frame in frames:
            self.send(frame)

    def _drop_older_than(self, queued_at: float) -> None:
        while self._queue and self._queue[0][0] < queued_at:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._queued_bytes -= len(self._queue.popleft()[1])
        self._owner.counters.stream_frames_dropped += 1

    def _write(self) -> None:
        self._flush = None
        if self._queue and self._open and not self._paused:
            joined = b"".join(frame for _, frame in self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self.transport.write(joined)

    def pauseProducing(self) -> None:
        """The transport is full: queue."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport has room again."""
        self._paused = False
        self._drop_older_than(self._reactor.seconds() - self._queue_s)
        self._write()

    def stopProducing(self) -> None:
        """The connection is going; connectionLost follows."""
        self._paused = True

    @property
    def five_tuple(self) -> FiveTuple | None:
        """Both ends, once it is connected."""
        return self._five_tuple

    # In the hands of the plane

    def lend(self, plane: AdoptingPlane) -> None:
        """Let the plane read and write, if nothing waits to leave here. Only a
        socket of ours can be lent, bare or with OpenSSL on it: Twisted's own TLS
        and PROXY headers are of this side."""
        transport = self.transport
        if self._lent or not self._open:
            return
        if not isinstance(transport, PlainServer | TlsServer):
            return
        secured = None
        if isinstance(transport, TlsServer):
            if not transport.may_be_lent():
                return
            secured = transport.lent()
        if self._paused or self._queue or self._peer or self._five_tuple is None:
            return
        if transport.dataBuffer or transport._tempDataLen or transport.disconnecting:
            return
        with suppress(OSError):  # no descriptor is left: it stays here
            plane.adopt(
                self._five_tuple,
                transport.fileno(),
                self._splitter.rest(),
                self,
                queue_bytes=self._queue_limit,
                queue_s=self._queue_s,
                secured=secured,
            )
            self._lent = True
            self.transport.pauseProducing()  # type: ignore[attr-defined] # of IPushProducer

    def lent_received(self, message: bytes) -> None:
        """A STUN message that the plane has read."""
        self._spoke = True
        if self._open and self._five_tuple is not None:
            self._owner.stream_received(self._five_tuple, message)

    def lent_lost(self, *, broken: bool) -> None:
        """The client has gone, or speaks no TURN."""
        if self._open:
            self._owner.counters.streams_broken += broken
            self.abort()

    def given_back(self, unread: bytes, unsent: bytes) -> None:
        """Read and write here again."""
        self._lent = False
        if not self._open:
            return
        if unsent:
            self.transport.write(unsent)
        self.transport.resumeProducing()  # type: ignore[attr-defined] # of IPushProducer
        if unread:
            # before the reactor reads more
            self._reactor.callLater(0, self._read_again, unread)

    def _read_again(self, data: bytes) -> None:
        if self._open:
            self.dataReceived(data)

    def hold(self) -> None:
        """Read nothing until it is joined to a peer."""
        self.transport.pauseProducing()  # type: ignore[attr-defined] # of IPushProducer

    def join(self, peer: Pipe) -> None:
        """Give up framing: bytes go to the peer and come from it (RFC 6062)."""
        self._cancel_watch()
        self._paused = False
        if self._flush is not None:
            self._flush.cancel()
        self._write()
        self._peer = peer
        self.transport.unregisterProducer()  # type: ignore[attr-defined] # of IConsumer
        self.transport.registerProducer(peer.producer, True)  # type: ignore[attr-defined] # of IConsumer
        early = self._splitter.rest()
        if early:
            peer.write(early)
        self.transport.resumeProducing()  # type: ignore[attr-defined] # of IPushProducer

    def part(self) -> None:
        """The peer has gone: send what is left, and close."""
        self._peer = None
        self._open = False
        self.transport.unregisterProducer()  # type: ignore[attr-defined] # of IConsumer
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once, without waiting for what is queued."""
        self._open = False
        self.transport.abortConnection()  # type: ignore[attr-defined] # of ITCPTransport

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget everything, and say so."""
        self._open = False
        self._cancel_watch()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._queue.clear()
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.part()
        if self._five_tuple is not None:
            self._owner.stream_closed(self, self._five_tuple)

    def _cancel_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def _address(address: IAddress) -> Address:
    """An IP endpoint of a connection; v4-mapped ones become IPv4."""
    return Address(canonical(address.host), address.port)  # type: ignore[attr-defined] # IPv4Address and IPv6Address have both


class TurnStreamFactory(ServerFactory):
    """Builds one `TurnStream` for each connection of one kind: tcp or tls."""

    noisy = False

    def __init__(
        self,
        owner: StreamOwner,
        reactor: IReactorTime,
        name: str,
        *,
        first_message_timeout_s: float,
        idle_s: float,
        queue_bytes: int,
        queue_s: float,
    ) -> None:
        self._owner = owner
        self._reactor = reactor
        self._name = name
        self._first_message_timeout_s = first_message_timeout_s
        self._idle_s = idle_s
        self._queue_bytes = queue_bytes
        self._queue_s = queue_s

    def buildProtocol(self, addr: IAddress | None) -> TurnStream:
        """One client's connection."""
        return TurnStream(
            self._owner,
            self._reactor,
            self._name,
            first_message_timeout_s=self._first_message_timeout_s,
            idle_s=self._idle_s,
            queue_bytes=self._queue_bytes,
            queue_s=self._queue_s,
        )

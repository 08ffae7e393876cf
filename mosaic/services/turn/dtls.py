"""TURN over DTLS (RFC 7350): cookies before state, then one session a client.

Datagrams in, datagrams out: the sockets are in `doors`. A client shows with a
cookie that it is where it says before anything is remembered about it
(RFC 6347 section 4.2.1).
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from typing import Protocol as Interface

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mosaic.wire.stun.address import FiveTuple
from mosaic.wire.turn.channel import without_padding
from mosaic.wire.turn.quotas import quota_host

MTU_BYTES = 1200
"""Of our handshake flights; passes wherever IPv6 does, with tunnels."""

MAX_HALF_OPEN = 1024
COOKIE_S = 60.0
_RECORD_HEAD = 13
_HANDSHAKE, _CLIENT_HELLO = 22, 1

Reply = Callable[[bytes], None]
"""Sends one datagram to the client."""


class DtlsCounters(Interface):
    """What sessions count."""

    dtls_refused: int
    dtls_failed: int
    streams_timed_out: int


class DtlsOwner(Interface):
    """What sessions need of the service."""

    @property
    def counters(self) -> DtlsCounters:
        """The service's counters."""

    def stream_opened(self, stream: Any, five_tuple: FiveTuple) -> None:
        """A client has shaken hands."""

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message."""

    def stream_closed(self, stream: Any, five_tuple: FiveTuple) -> None:
        """It has gone."""

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """Whether the client holds nothing here."""


def is_client_hello(datagram: bytes) -> bool:
    """Whether a whole, unfragmented ClientHello of epoch 0 comes first."""
    return (
        len(datagram) >= _RECORD_HEAD + 12
        and datagram[0] == _HANDSHAKE
        and datagram[1] == 0xFE
        and datagram[3:5] == b"\0\0"
        and _RECORD_HEAD + int.from_bytes(datagram[11:13], "big") <= len(datagram)
        and datagram[_RECORD_HEAD] == _CLIENT_HELLO
    )


def datagrams_of(flight: bytes) -> Iterator[bytes]:
    """Records packed into datagrams: a memory BIO gives them in one piece."""
    start = at = 0
    while at + _RECORD_HEAD <= len(flight):
        end = at + _RECORD_HEAD + int.from_bytes(flight[at + 11 : at + 13], "big")
        if at > start and end - start > MTU_BYTES:
            yield flight[start:at]
            start = at
        at = end
    if at > start:
        yield flight[start:at]


class Cookies:
    """HMACs of who asks and when, made and checked without memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def _cookie(self, who: bytes, slot: int) -> bytes:
        return hmac.digest(self._key, b"%d %b" % (slot, who), "sha256")

    def _slot(self) -> int:
        return int(self._clock() // COOKIE_S)

    def make(self, connection: SSL.Connection) -> bytes:
        """For OpenSSL: the cookie of whoever is in the connection's app data."""
        return self._cookie(connection.get_app_data(), self._slot())

    def check(self, connection: SSL.Connection, cookie: bytes) -> bool:
        """Whether it is of this minute or the one before."""
        who, slot = connection.get_app_data(), self._slot()
        now = hmac.compare_digest(cookie, self._cookie(who, slot))
        before = hmac.compare_digest(cookie, self._cookie(who, slot - 1))
        return now or before


class DtlsDoor:
    """All DTLS clients of one service.

    context: the present SSL.Context for datagrams; another one after a reload.
    handshake_s: absolute time for a handshake. idle_s: as for streams.
    per_address: sessions of one client address (IPv6: a /56).
    """

    def __init__(
        self,
        owner: DtlsOwner,
        reactor: IReactorTime,
        context: Callable[[], SSL.Context],
        *,
        handshake_s: float,
        idle_s: float,
        per_address: int,
    ) -> None:
        self.owner = owner
        self.reactor = reactor
        self.handshake_s = handshake_s
        self.idle_s = idle_s
        self._context = context
        self._armed: SSL.Context | None = None
        self._spare: Any = None
        self._cookies = Cookies(reactor.seconds)
        self._per_address = per_address
        self._held: Counter[str] = Counter()
        self._open: dict[FiveTuple, DtlsSession] = {}
        self._half: dict[FiveTuple, DtlsSession] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._half)

    def datagram_received(
        self, data: bytes, five_tuple: FiveTuple, reply: Reply
    ) -> None:
        """One datagram; whatever it is, nothing is raised."""
        half, opened = self._half.get(five_tuple), self._open.get(five_tuple)
        if half is None and is_client_hello(data):
            # RFC 6347 4.2.8: a client that began anew; its old session lives
            # on until the new handshake is complete.
            self._greet(data, five_tuple, reply)
            return
        for session in (half, opened):
            if session is not None:
                session.received(data)

    def _greet(self, hello: bytes, five_tuple: FiveTuple, reply: Reply) -> None:
        """Answer with a cookie, or begin if it brings one."""
        connection = self._spare or self._connection()
        self._spare = None
        connection.set_app_data(repr(five_tuple).encode())
        size = _RECORD_HEAD + int.from_bytes(hello[11:13], "big")
        connection.bio_write(hello[:size])
        try:
            connection.DTLSv1_listen()
        except SSL.WantReadError:
            _flush(connection, reply)
            self._spare = connection
        except SSL.Error:
            self.owner.counters.dtls_failed += 1
        else:
            self._begin(connection, five_tuple, reply)

    def _connection(self) -> Any:
        context = self._context()
        if context is not self._armed:
            context.set_cookie_generate_callback(self._cookies.make)
            context.set_cookie_verify_callback(self._cookies.check)
            self._armed = context
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(MTU_BYTES)
        return connection

    def renew(self) -> None:
        """The certificates have changed: greet with the new ones."""
        self._spare = None

    def _begin(self, connection: Any, five_tuple: FiveTuple, reply: Reply) -> None:
        host = quota_host(five_tuple.client.host)
        if len(self._half) >= MAX_HALF_OPEN or self._held[host] >= self._per_address:
            self.owner.counters.dtls_refused += 1
            return
        self._held[host] += 1
        session = DtlsSession(self, connection, five_tuple, reply)
        self._half[five_tuple] = session
        session.begin()

    def shaken(self, session: DtlsSession) -> None:
        """A handshake is complete: it takes the place of an older session."""
        old = self._open.get(session.five_tuple)
        if old is not None:
            old.abort()
        del self._half[session.five_tuple]
        self._open[session.five_tuple] = session
        self.owner.stream_opened(session, session.five_tuple)

    def ended(self, session: DtlsSession) -> None:
        """A session is over, wherever it stood."""
        five_tuple = session.five_tuple
        host = quota_host(five_tuple.client.host)
        self._held[host] -= 1
        if self._held[host] <= 0:
            del self._held[host]
        if self._half.get(five_tuple) is session:
            del self._half[five_tuple]
        if self._open.get(five_tuple) is session:
            del self._open[five_tuple]
            self.owner.stream_closed(session, five_tuple)

    def close(self) -> None:
        """End every session."""
        for session in (*self._half.values(), *self._open.values()):
            session.abort()


class DtlsSession:
    """One client: looks like a stream to the service, but loses and reorders."""

    def __init__(
        self, door: DtlsDoor, connection: Any, five_tuple: FiveTuple, reply: Reply
    ) -> None:
        self.five_tuple = five_tuple
        self._door = door
        self._connection = connection
        self._reply = reply
        self._shaken = False
        self._ended = False
        self._spoke = False
        self._resend: IDelayedCall | None = None
        self._watch: IDelayedCall | None = None

    def begin(self) -> None:
        """Go on from the ClientHello that had a cookie."""
        self._watch_for(self._door.handshake_s, self._too_late)
        self._advance()

    def received(self, datagram: bytes) -> None:
        """One datagram of the client."""
        if self._ended or not datagram:
            return
        self._connection.bio_write(datagram)
        self._advance()

    def _advance(self) -> None:
        try:
            if not self._shaken:
                self._connection.do_handshake()
                self._shaken = True
                self._cancel_resend()
                _flush(self._connection, self._reply)
                self._watch_for(self._door.idle_s, self._check_idleness)
                self._door.shaken(self)
            while not self._ended:
                self._deliver(self._connection.recv(65536))
        except SSL.WantReadError:
            _flush(self._connection, self._reply)
            if not self._shaken:
                self._resend_later()
        except SSL.ZeroReturnError:
            self.abort()
        except SSL.Error:
            self._door.owner.counters.dtls_failed += not self._shaken
            _flush(self._connection, self._reply)
            self.abort()

    def _deliver(self, message: bytes) -> None:
        """A record is a message; what cannot be TURN is dropped."""
        if len(message) >= 4 and message[0] < 0x80:
            self._spoke = True
            self._door.owner.stream_received(self.five_tuple, message)

    def _resend_later(self) -> None:
        """Our flight again when the client is silent (RFC 6347 section 4.2.4)."""
        self._cancel_resend()
        wait_s = self._connection.DTLSv1_get_timeout()
        if wait_s is not None:
            self._resend = self._door.reactor.callLater(wait_s, self._resend_now)

    def _resend_now(self) -> None:
        self._resend = None
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self.abort()
            return
        _flush(self._connection, self._reply)
        self._resend_later()

    def send(self, frame: bytes) -> None:
        """One record, one datagram; what is too long for a record is dropped."""
        if not self._ended:
            with suppress(SSL.Error):
                self._connection.send(without_padding(frame))
            _flush(self._connection, self._reply)

    def abort(self) -> None:
        """End it, and tell the client as far as it hears."""
        if self._ended:
            return
        self._ended = True
        self._cancel_resend()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._shaken:
            with suppress(SSL.Error):
                self._connection.shutdown()
            _flush(self._connection, self._reply)
        self._door.ended(self)

    def _check_idleness(self) -> None:
        self._watch = None
        if self._door.owner.is_idle(self.five_tuple) and not self._spoke:
            self._too_late()
            return
        self._spoke = False
        self._watch_for(self._door.idle_s, self._check_idleness)

    def _too_late(self) -> None:
        self._watch = None
        self._door.owner.counters.streams_timed_out += 1
        self.abort()

    def _watch_for(self, delay_s: float, then: Callable[[], None]) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._door.reactor.callLater(delay_s, then)

    def _cancel_resend(self) -> None:
        if self._resend is not None:
            self._resend.cancel()
            self._resend = None


def _flush(connection: Any, reply: Reply) -> None:
    """Send what OpenSSL has written."""
    with suppress(SSL.WantReadError):
        while True:
            for datagram in datagrams_of(connection.bio_read(65536)):
                reply(datagram)

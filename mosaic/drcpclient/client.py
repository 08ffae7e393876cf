"""A DRCP client for Twisted programs: it connects, comes back, and loses nothing.

client = DrcpClient(reactor, "wss://meet.example.org/drcp", token)
board = client.open("board")              # board.crdt.doc is a pycrdt Doc
client.start()
await client.until(lambda: board.synced)
board.crdt.doc.get("t", type=Text).insert(0, "hello")
await client.until(lambda: board.unsaved == 0)   # on the server's disk
await client.stop()
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pycrdt import Doc, merge_updates
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.drcpclient.replica import ClientReplica
from mosaic.drcpclient.socket import ClientSocket, connect
from mosaic.drcpclient.states import fetch_state
from mosaic.wire.drcp.client import Message, Opened
from mosaic.wire.drcp.clientsession import FINAL, ClientSession
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.shareddoc import SharedDocument
from mosaic.wire.drcp.yprotocols import Type

_log = Logger()

FIRST_RETRY_S = 0.25
LAST_RETRY_S = 30.0
PING_S = 10.0
REOPEN_S = 5.0


def _spread() -> float:
    """So that many who lost the same server do not come back as one."""
    return random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class DrcpClient:
    """One participant. Everything happens in the reactor's thread.

    last_retry_s: the longest pause between two attempts. trust: the CAs to
    believe, https: the policy of twisted.web's Agent, for private ones. endpoint:
    makes another way to the server for each attempt, such as through a proxy.
    state: "idle", "connecting", "live" (welcomed), "offline" (will come back)
    or "ended"; ended: the close code and reason that ended it. rtt_s: of the
    last ping. problem: why the last attempt failed. heard: called with each
    message.
    """

    def __init__(
        self,
        reactor: Any,
        url: str,
        token: str,
        *,
        name: str = "mosaic-python",
        trust: Any = None,
        https: Any = None,
        endpoint: Callable[[], IStreamClientEndpoint] | None = None,
        last_retry_s: float = LAST_RETRY_S,
        heard: Callable[[Message], object] = lambda message: None,
    ) -> None:
        self.session = ClientSession(client=name, merge=merge_updates)
        self.state = "idle"
        self.ended: tuple[int, str] | None = None
        self.rtt_s: float | None = None
        self.problem: str | None = None
        self.heard = heard
        self.url = url
        self._reactor = reactor
        self._token = token
        self._trust = trust
        self._https = https
        self._endpoint = endpoint
        self._socket: ClientSocket | None = None
        self._attempt: Deferred[Any] | None = None
        self._retry_s = FIRST_RETRY_S
        self._last_retry_s = last_retry_s
        self._timers: dict[str, IDelayedCall] = {}
        self._pinged_at: float | None = None
        self._waiters: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._stopped: Deferred[None] | None = None

    # The owner's side -------------------------------------------------------
    def open(self, name: str, doc: Doc[Any] | None = None) -> SharedDocument:
        """Share a document. Local edits to `doc` are sent by themselves."""
        known = self.session.documents.get(name)
        if known is not None:
            return known
        shared: SharedDocument

        def edited(update: bytes) -> None:
            shared.edited(update)
            self._flush_soon()

        shared = self.session.document(name, ClientReplica(doc or Doc(), edited))
        self._flush_soon()
        return shared

    def start(self) -> None:
        """Connect, and come back until stop() or a final refusal."""
        self._connect()

    def stop(self) -> Deferred[None]:
        """Say goodbye; fires when the socket is gone."""
        self._cancel_timers()
        self.state = "ended"
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        if self._attempt is not None:
            self._attempt.cancel()
        if self._socket is not None:
            self._socket.sendClose(1000, "left")
        else:
            self._say_stopped()
        return stopped

    def drop(self) -> None:
        """Cut the connection, as a network would; it comes back by itself."""
        if self._socket is not None:
            self._socket.abort()

    def refresh(self, token: str) -> None:
        """Use a newer token of the same participant from now on."""
        self._token = token
        if self.state == "live":
            self.session.refresh(token)
            self.flush()

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires when the condition holds, looked at after each change."""
        waiter: Deferred[None] = Deferred()
        if condition():
            waiter.callback(None)
        else:
            self._waiters.append((condition, waiter))
        return waiter

    def flush(self) -> None:
        """Send what waits, now."""
        self._cancel("flush")
        if self._socket is not None and self.state in ("connecting", "live"):
            for frame in self.session.take():
                self._socket.send(frame)
        self._look()

    # The socket's side ------------------------------------------------------
    def socket_opened(self, socket: ClientSocket) -> None:
        """Say hello."""
        self._socket = socket
        if self.state == "ended":
            socket.sendClose(1000, "left")
            return
        self.session.connected(self._token)
        self.flush()

    def frame_received(self, socket: ClientSocket, frame: bytes) -> None:
        """Take a frame, answer it."""
        if socket is not self._socket:
            return
        try:
            messages = self.session.receive(frame)
        except ProtocolError as error:
            _log.warn("a frame of the server cannot be read: {error}", error=error)
            socket.abort()
            return
        for message in messages:
            self._accept(message)
        for document, opened in self.session.wanted:
            self._fetch(document, opened)
        self.session.wanted.clear()
        self.flush()

    def socket_closed(self, socket: ClientSocket, code: int, reason: str) -> None:
        """Come back, unless that is of no use."""
        if socket is not self._socket and self._socket is not None:
            return
        self._socket = None
        self._attempt = None
        self._cancel_timers()
        self.session.lost()
        if self.state == "ended":
            self._say_stopped()
        elif code in FINAL:
            self.state, self.ended = "ended", (code, reason)
        else:
            self._come_back()
        self._look()

    # ------------------------------------------------------------------------
    def _connect(self) -> None:
        self._timers.pop("retry", None)
        self.state = "connecting"
        self._attempt = attempt = connect(
            self._reactor,
            self.url,
            self,
            trust=self._trust,
            endpoint=self._endpoint() if self._endpoint else None,
        )
        attempt.addCallbacks(lambda _: None, self._not_connected)

    def _not_connected(self, failure: Failure) -> None:
        self._attempt = None
        self.problem = failure.getErrorMessage()
        if self.state == "ended":
            self._say_stopped()
        else:
            self._come_back()
        self._look()

    def _come_back(self) -> None:
        self.state = "offline"
        delay = self._retry_s * _spread()
        self._retry_s = min(self._last_retry_s, self._retry_s * 2)
        self._timers["retry"] = self._reactor.callLater(delay, self._connect)

    def _accept(self, message: Message) -> None:
        if message.type == Type.WELCOME:
            self.state, self.problem = "live", None
            self._retry_s = FIRST_RETRY_S
            self._ping()
        elif message.type == Type.PONG and self._pinged_at is not None:
            self.rtt_s = self._reactor.seconds() - self._pinged_at
            self._pinged_at = None
        elif message.type == Type.ERROR and message.channel:
            after = message.value.get("retry_after_s")
            if after is not None:
                self._reopen_later(float(after))
        self.heard(message)

    def _ping(self) -> None:
        self._timers.pop("ping", None)
        if self._pinged_at is not None and self._socket is not None:
            self._socket.abort()  # ten seconds without an answer
            return
        self._pinged_at = self._reactor.seconds()
        self.session.ping()
        self._flush_soon()
        self._timers["ping"] = self._reactor.callLater(PING_S, self._ping)

    def _reopen_later(self, after_s: float) -> None:
        if "reopen" not in self._timers:
            delay = max(after_s, REOPEN_S)
            self._timers["reopen"] = self._reactor.callLater(delay, self._reopen)

    def _reopen(self) -> None:
        self._timers.pop("reopen", None)
        for document in self.session.documents.values():
            self.session.reopen(document)
        self.flush()

    def _fetch(self, document: SharedDocument, opened: Opened) -> None:
        path = str((opened.reference or {}).get("url"))
        channel, socket = document.channel, self._socket
        work = fetch_state(
            self._reactor, self.url, path, self._token, policy=self._https
        )

        def arrived(state: bytes) -> None:
            if self._socket is socket and document.channel == channel:
                self.session.loaded(document, opened, state)
                self.flush()

        Deferred.fromCoroutine(work).addCallback(arrived)

    def _flush_soon(self) -> None:
        if "flush" not in self._timers:
            self._timers["flush"] = self._reactor.callLater(0, self._flush_due)

    def _flush_due(self) -> None:
        self._timers.pop("flush", None)
        self.flush()

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _cancel_timers(self) -> None:
        for name in list(self._timers):
            self._cancel(name)
        self._pinged_at = None

    def _look(self) -> None:
        for waiting in list(self._waiters):
            condition, waiter = waiting
            if condition():
                self._waiters.remove(waiting)
                waiter.callback(None)

    def _say_stopped(self) -> None:
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)

"""A client that says exactly what a check wants, also what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Text
from twisted.internet.defer import Deferred, TimeoutError

from mosaic.drcpclient.socket import ClientSocket, connect
from mosaic.wire.drcp import client
from mosaic.wire.drcp.client import Message, Opened
from mosaic.wire.drcp.lib0 import ProtocolError
from mosaic.wire.drcp.native import SUBPROTOCOL
from mosaic.wire.drcp.yprotocols import Step, Type

PATIENCE_S = 5.0


class Failed(Exception):
    """The server did not do what the document says."""


class Peer:
    """One socket, everything heard on it, and a document.

    heard: messages not yet asked for. frames: raw ones, of doors other than
    the native. closed: code and reason once the server has closed.
    """

    def __init__(self, reactor: Any, *, native: bool = True) -> None:
        self.heard: list[Message] = []
        self.frames: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("t", type=Text)
        self._reactor = reactor
        self._native = native
        self._socket: ClientSocket | None = None
        self._waiters: list[tuple[Callable[[], bool], Deferred[None]]] = []

    # SocketOwner -------------------------------------------------------------
    def socket_opened(self, socket: ClientSocket) -> None:
        """Ready to speak."""
        self._socket = socket
        self._look()

    def frame_received(self, socket: ClientSocket, frame: bytes) -> None:
        """Keep it."""
        if not self._native:
            self.frames.append(frame)
        else:
            try:
                self.heard += client.read_frame(frame)
            except ProtocolError as error:
                self.closed = (0, f"a frame that cannot be read: {error}")
                socket.abort()
        self._look()

    def socket_closed(self, socket: ClientSocket, code: int, reason: str) -> None:
        """Keep the code."""
        self.closed = self.closed or (code, reason)
        self._look()

    # Steps ---------------------------------------------------------------------
    async def connect(
        self, url: str, *, trust: Any, subprotocol: str | None = SUBPROTOCOL
    ) -> Peer:
        """Open the socket; Failed if it does not open."""
        await connect(self._reactor, url, self, trust=trust, subprotocol=subprotocol)
        await self._until(
            lambda: self._socket is not None or self.closed is not None, "a handshake"
        )
        if self._socket is None:
            raise Failed(f"the handshake was refused: {self.closed}")
        return self

    def say(self, frame: bytes) -> None:
        """Send one frame."""
        if self._socket is not None:
            self._socket.send(frame)

    def say_text(self, text: str) -> None:
        """Send a text message, which DRCP has none of."""
        if self._socket is not None:
            self._socket.send_text(text)

    def cut(self) -> None:
        """End without a goodbye."""
        if self._socket is not None:
            self._socket.abort()

    async def hears(
        self,
        kind: Type,
        wanted: Callable[[Message], bool] = lambda message: True,
        *,
        instead_of_errors_on: int | None = None,
    ) -> Message:
        """The next message of a type that fits; what came before it is dropped.

        An error on that channel ends the wait, and is named.
        """
        found: list[Message] = []

        def look() -> bool:
            for at, message in enumerate(self.heard):
                if message.type == Type.ERROR and (
                    message.channel == instead_of_errors_on
                ):
                    found.append(message)
                    return True
                if message.type == kind and wanted(message):
                    found.append(message)
                    del self.heard[: at + 1]
                    return True
            return self.closed is not None

        await self._until(look, kind.name)
        if not found:
            raise Failed(f"closed with {self.closed} instead of {kind.name}")
        if found[0].type != kind:
            error = found[0].value
            said = f"error {error.get('code')} ({error.get('message')})"
            raise Failed(f"{said} instead of {kind.name}")
        return found[0]

    async def closes(self, code: int) -> None:
        """The server closes with the code."""
        await self._until(lambda: self.closed is not None, f"a close with {code}")
        if self.closed is None or self.closed[0] != code:
            raise Failed(f"closed with {self.closed} instead of {code}")

    async def fails(self, channel: int, code: int) -> None:
        """An error with the code on the channel, and the socket lives."""
        message = await self.hears(Type.ERROR)
        got = (message.channel, message.value["code"])
        if got != (channel, code):
            raise Failed(f"error {got[1]} on {got[0]} instead of {code} on {channel}")
        await self.lives()

    async def lives(self) -> list[Message]:
        """The connection answers; what it says until then (a round trip)."""
        before, self.heard = self.heard, []
        self.say(client.ping())
        heard: list[Message] = []

        def look() -> bool:
            while self.heard:
                message = self.heard.pop(0)
                if message.type == Type.PONG and message.channel == 0:
                    return True
                heard.append(message)
            return self.closed is not None

        await self._until(look, "PONG")
        if self.closed is not None:
            raise Failed(f"closed with {self.closed}")
        return before + heard

    async def opens(
        self, name: str, *, channel: int = 1, state: bytes | None = None
    ) -> Opened:
        """Open a document; what comes is applied, unless it is a reference."""
        known = self.doc.get_state() if state is None else state
        self.say(client.open_document(channel, name, known))
        opened = (await self.hears(Type.OPENED, instead_of_errors_on=channel)).value
        assert isinstance(opened, Opened)
        if opened.reference is None:
            self.doc.apply_update(opened.update)
        return opened

    def types(self, words: str) -> bytes:
        """Append to the document's text; the update, not sent."""
        before = self.doc.get_state()
        self.text += words
        return self.doc.get_update(before)

    def edits(self, words: str, *, channel: int = 1) -> bytes:
        """Append, and send it."""
        update = self.types(words)
        self.say(client.sync(channel, Step.UPDATE, update))
        return update

    async def empties(self) -> None:
        """Take all text out of the document, if there is any."""
        if not str(self.text):
            return
        before = self.doc.get_state()
        self.text.clear()
        self.say(client.sync(1, Step.UPDATE, self.doc.get_update(before)))
        await self.hears(Type.SYNC_STATUS)

    async def has(self, words: str) -> None:
        """The document's text comes to be this."""
        while str(self.text) != words:
            message = await self.hears(
                Type.SYNC, lambda m: m.value[0] is not Step.STATE_VECTOR
            )
            self.doc.apply_update(message.value[1])

    async def next_frame(self) -> bytes:
        """The next raw frame."""
        await self._until(lambda: bool(self.frames) or self.closed is not None, "it")
        if not self.frames:
            raise Failed(f"closed with {self.closed}")
        return self.frames.pop(0)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        if condition():
            return
        waiter: Deferred[None] = Deferred()
        waiter.addTimeout(PATIENCE_S, self._reactor)
        self._waiters.append((condition, waiter))
        try:
            await waiter
        except TimeoutError:
            self._waiters = [w for w in self._waiters if w[1] is not waiter]
            raise Failed(f"no {what} within {PATIENCE_S:.0f} s") from None

    def _look(self) -> None:
        for waiting in list(self._waiters):
            condition, waiter = waiting
            if condition():
                self._waiters.remove(waiting)
                waiter.callback(None)


def check(condition: bool, otherwise: str) -> None:
    """Raises Failed with the words unless the condition holds."""
    if not condition:
        raise Failed(otherwise)

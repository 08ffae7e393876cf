"""y-websocket's framing: one document for each socket, one message a frame."""

from __future__ import annotations

from collections.abc import Sequence

from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.lib0 import ProtocolError, Reader, var_string
from mosaic.wire.drcp.native import read_common, read_shared
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    encode_sync,
)

CHANNEL = ""
"""The only channel of such a connection."""


def permission_denied(reason: str) -> bytes:
    """y-protocols' auth message: shown by the client, which then retries."""
    return bytes((Type.AUTH, 0)) + var_string(reason)


class YWebsocketFraming:
    """How the room's messages look on `/y`."""

    def key(self, channel: ev.Channel) -> object:
        """Every member gets the same bytes."""
        return "y"

    def batch(
        self, channel: ev.Channel, update: bytes, entries: Sequence[AwarenessEntry]
    ) -> list[bytes]:
        """One tick's update (b"" if none) and awareness."""
        out = [encode_sync(Step.UPDATE, update)] if update else []
        if entries:
            out.append(awareness_message(entries))
        return out

    def sync(self, channel: ev.Channel, step: Step, data: bytes) -> list[bytes]:
        """A sync message."""
        return [encode_sync(step, data)]

    def status(self, channel: ev.Channel, saved: bool, count: int) -> list[bytes]:
        """The protocol has no acknowledgement: nothing."""
        return []

    def error(self, channel: ev.Channel, code: int, message: str) -> list[bytes]:
        """The protocol has no errors: nothing."""
        return []

    def stateless(self, channel: ev.Channel, text: str) -> list[bytes]:
        """The protocol has no such message: nothing."""
        return []

    def pong(self, channel: ev.Channel | None) -> list[bytes]:
        """The protocol has no ping: nothing."""
        return []

    def keep_alive(self, channel: ev.Channel) -> list[bytes]:
        """An awareness message without states."""
        return [awareness_message(())]


class YWebsocketSession:
    """Reads the frames of one connection."""

    def __init__(self) -> None:
        self._broken = False

    def receive(self, frame: bytes) -> list[ev.Event]:
        """The event of one frame; never raises."""
        if self._broken:
            return []
        common = read_common(CHANNEL, frame, 0)
        if common is not None:
            return [common]
        try:
            reader = Reader(frame)
            kind = reader.var_uint()
            if kind > Type.QUERY_AWARENESS or kind == Type.AUTH:
                raise ProtocolError(f"message type {kind} is unknown here")
            return [read_shared(CHANNEL, kind, reader)]
        except ProtocolError as error:
            self._broken = True
            return [ev.Violation(error.code, str(error))]

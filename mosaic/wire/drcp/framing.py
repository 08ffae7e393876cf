"""What the room engine asks of each door's framing, and the WebSocket header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.yprotocols import AwarenessEntry, Step


class Framing(Protocol):
    """Each method gives the payloads of zero or more WebSocket messages."""

    def key(self, channel: ev.Channel) -> object:
        """Members with the same key get the same bytes."""

    def batch(
        self, channel: ev.Channel, update: bytes, entries: Sequence[AwarenessEntry]
    ) -> list[bytes]:
        """One tick's update (b"" if none) and awareness."""

    def sync(self, channel: ev.Channel, step: Step, data: bytes) -> list[bytes]:
        """A sync message."""

    def status(self, channel: ev.Channel, saved: bool, count: int) -> list[bytes]:
        """So many updates are committed, or refused."""

    def error(self, channel: ev.Channel, code: int, message: str) -> list[bytes]:
        """An error that does not close the socket."""

    def stateless(self, channel: ev.Channel, text: str) -> list[bytes]:
        """A text for the client."""

    def pong(self, channel: ev.Channel | None) -> list[bytes]:
        """The answer to a ping."""

    def keep_alive(self, channel: ev.Channel) -> list[bytes]:
        """A message that says nothing; stock clients want one every 30 s."""


def websocket_frame(payload: bytes) -> bytes:
    """One final binary frame, as a server sends it (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x82, size)) + payload
    if size < 65536:
        return b"\x82\x7e" + size.to_bytes(2, "big") + payload
    return b"\x82\x7f" + size.to_bytes(8, "big") + payload


def websocket_frames(payloads: Iterable[bytes]) -> bytes:
    """Several messages for one write."""
    return b"".join([websocket_frame(payload) for payload in payloads])

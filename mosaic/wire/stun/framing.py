"""Cut a TCP or TLS stream into STUN and ChannelData (RFC 8656 section 12.5)."""

from __future__ import annotations

from mosaic.wire.stun.address import MAGIC_COOKIE
from mosaic.wire.stun.errors import FramingLost

_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")


class StreamSplitter:
    """Feed it chunks, get whole messages; ChannelData comes without padding.

    It never holds more than one incomplete message (at most 65,555 bytes)
    after a call. A stream that is neither kind raises FramingLost, at once and
    for ever: there is no way to find the next message.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._lost = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Every message that is now complete, in order; raises FramingLost.

        Messages that were complete before the stream went wrong are dropped
        with it: the connection is closed anyway.
        """
        if self._lost:
            raise FramingLost("the stream was lost before")
        pending = self._pending
        pending += chunk
        messages = []
        at, end = 0, len(pending)
        while end - at >= 4:
            length, total = self._measure(at, end)
            if total == 0 or end - at < total:
                break
            messages.append(bytes(pending[at : at + length]))
            at += total
        del pending[:at]
        return messages

    @property
    def pending_bytes(self) -> int:
        """How much of an incomplete message is held."""
        return len(self._pending)

    def rest(self) -> bytes:
        """What has come and is no whole message, for a stream that turns into
        something else (RFC 6062). It is forgotten here."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    def _measure(self, at: int, end: int) -> tuple[int, int]:
        """Length of the message at an offset, without and with its padding.

        (0, 0) when the header is not whole yet.
        """
        pending = self._pending
        size = pending[at + 2] << 8 | pending[at + 3]
        kind = pending[at] >> 6
        if kind == 1:
            return 4 + size, 4 + (size + 3 & ~3)
        cookie = pending[at + 4 : at + 8]
        if kind != 0 or size % 4 or not _COOKIE.startswith(bytes(cookie)):
            self._lost = True
            pending.clear()
            raise FramingLost("neither STUN nor ChannelData")
        if end - at < 8:
            return 0, 0
        return 20 + size, 20 + size

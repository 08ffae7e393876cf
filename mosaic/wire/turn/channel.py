"""ChannelData messages (RFC 8656 section 12.4)."""

from __future__ import annotations

CHANNELS = range(0x4000, 0x5000)
"""RFC 8656 section 12: 0x5000-0x7FFF are reserved and dropped."""


class ChannelNumberError(ValueError):
    """A channel number outside 0x4000-0x4FFF."""


def encode_channel_data(channel: int, payload: bytes, *, stream: bool) -> bytes:
    """Frame one datagram.

    channel: 0x4000-0x4FFF. payload: 0-65535 bytes, copied once.
    stream: TCP and TLS frames are padded with zeros to 4 bytes; the length
    field never counts the padding.

    Raises ChannelNumberError if channel is outside the range.
    """
    if channel not in CHANNELS:
        raise ChannelNumberError(f"channel {channel:#06x}")
    head = channel.to_bytes(2, "big") + len(payload).to_bytes(2, "big")
    return head + payload + (bytes(-len(payload) % 4) if stream else b"")


def without_padding(frame: bytes) -> bytes:
    """A frame that was made for a stream, for a client of datagrams."""
    if len(frame) < 4 or frame[0] >> 6 != 1:
        return frame
    return frame[: 4 + (frame[2] << 8 | frame[3])]


def decode_channel_data(data: bytes | memoryview) -> tuple[int, memoryview] | None:
    """Channel (0x4000-0x7FFF) and payload, or None for what is not ChannelData.

    Channels above 0x4FFF are not refused here: they are never bound.

    The header's length counts; bytes after it (padding over UDP) are ignored,
    and a header that promises more than there is makes the message void.
    """
    if len(data) < 4 or data[0] >> 6 != 1:
        return None
    size = data[2] << 8 | data[3]
    if size > len(data) - 4:
        return None
    return data[0] << 8 | data[1], memoryview(data)[4 : 4 + size]

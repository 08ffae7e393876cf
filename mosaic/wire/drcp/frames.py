"""The short way in for what nearly every frame of a client is (RFC 6455 section 5.2).

Final, binary, masked, whole, of less than 64 KiB, its length written as short as
can be. Everything else (texts, fragments, control frames, long ones, faults) is
left to the full parser, from the first byte of the frame on.
"""

from __future__ import annotations

from collections.abc import Iterator

_FINAL_BINARY = 0x82
_REPEATED = [int.from_bytes(b"\0\0\0\1" * words, "big") for words in range(33)]
"""Times a mask of four bytes: the mask, so many times in a row."""


def small_frames(data: bytes, limit: int) -> Iterator[tuple[bytes, int]]:
    """The payloads of the small frames that data begins with.

    limit: the largest payload, in bytes. Each comes with the offset after its
    frame; read on there when the last one has come.
    """
    at, end = 0, len(data)
    while at + 6 <= end and data[at] == _FINAL_BINARY:
        size = data[at + 1] - 128
        start = at + 6
        if size == 126:
            start = at + 8
            if start > end:
                return
            size = data[at + 2] << 8 | data[at + 3]
            if size < 126:
                return
        elif not 0 <= size < 126:
            return
        at = start + size
        if at > end or size > limit:
            return
        mask = data[start - 4 : start]
        if size < 126:
            key = int.from_bytes(mask, "big") * _REPEATED[(size + 3) >> 2]
            key >>= (-size & 3) << 3
        else:
            key = int.from_bytes((mask * ((size + 3) >> 2))[:size], "big")
        clear = int.from_bytes(data[start:at], "big") ^ key
        yield clear.to_bytes(size, "big"), at


def begins_small_frame(data: bytes, at: int, limit: int) -> bool:
    """Whether what follows `at` may be the first part of one more small frame."""
    head = data[at : at + 4]
    if not head or head[0] != _FINAL_BINARY:
        return False
    if len(head) == 1:
        return True
    size = head[1] - 128
    if size == 126:
        return len(head) < 4 or 126 <= head[2] << 8 | head[3] <= limit
    return 0 <= size <= min(125, limit)

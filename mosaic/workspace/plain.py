"""The short way for what nearly every update is: one person types or deletes.

A regular expression knows the shape of one block of text after (and before) a
block that is there, and of one deleted range. What it does not know, check_update
walks. Both say the same of the same bytes; a test holds them together.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from mosaic.workspace.documents import UpdateSummary, check_update

# Numbers of at most 53 and 28 bits, none longer than need be.
_CLIENT = rb"([\x00-\x7f]|[\x80-\xff]{1,6}[\x01-\x7f]|[\x80-\xff]{7}[\x01-\x0f])"
_CLOCK = rb"([\x00-\x7f]|[\x80-\xff]{1,3}[\x01-\x7f])"
_ID = _CLIENT + _CLOCK
# One client, one block: text (4) with an origin (0x80), a right origin (0x40).
_insert = re.compile(
    rb"\x01\x01" + _ID + rb"(?:\x84" + _ID + rb"|\xc4" + _ID + _ID + rb")", re.DOTALL
).match
# No blocks; one client, one range.
_delete = re.compile(
    rb"\x00\x01" + _CLIENT + rb"\x01" + _CLOCK + _CLOCK, re.DOTALL
).fullmatch


@dataclass(slots=True)
class PlainSummary:
    """What a plain update says about clocks.

    The client's clock must be at `clock` and is at `end` afterwards; the other
    client's (-1: none) must be at `need`.
    """

    client: int
    clock: int
    end: int
    other: int = -1
    need: int = 0

    is_empty = False

    @property
    def writers(self) -> Collection[int]:
        """The client whose block it has; nobody's, if it deletes."""
        return (self.client,) if self.end else ()

    def fits(self, clocks: dict[int, int]) -> bool:
        """Whether a document with these clocks can integrate it at once."""
        return clocks.get(self.client, 0) >= self.clock and (
            self.other < 0 or clocks.get(self.other, 0) >= self.need
        )

    def advance(self, clocks: dict[int, int]) -> None:
        """Raise the clocks to those after this update."""
        if clocks.get(self.client, 0) < self.end:
            clocks[self.client] = self.end


Summary = PlainSummary | UpdateSummary


def summarise(update: bytes) -> Summary:
    """Check an update, the short way if possible. Raises MalformedUpdate."""
    return plain(update) or check_update(update)


def plain(update: bytes) -> PlainSummary | None:
    """The summary of a plain update, None for any other bytes."""
    found = _insert(update)
    if found is not None:
        return _inserted(update, found)
    found = _delete(update)
    if found is None:
        return None
    client, clock, length = found.groups()
    size = _number(length)
    if size == 0:
        return None
    return PlainSummary(_number_of(client), _number(clock) + size, 0)


def _inserted(update: bytes, found: re.Match[bytes]) -> PlainSummary | None:
    at = found.end() + 1
    size = len(update) - at - 1
    # Up to 127 characters of ASCII, and no deletes.
    if not 0 < size < 128 or update[at - 1] != size or update[-1]:
        return None
    if not update[at:].isascii():
        return None
    client, clock, left, left_clock, left2, left2_clock, right, right_clock = (
        found.groups()
    )
    first = _number(clock)
    other, need = b"", 0
    if left is None:
        if right == client:
            if _number(right_clock) >= first:
                return None
        else:
            other, need = right, _number(right_clock) + 1
        left, left_clock = left2, left2_clock
    if left == client:
        if _number(left_clock) >= first:
            return None
    elif other:
        return None
    else:
        other, need = left, _number(left_clock) + 1
    return PlainSummary(
        _number_of(client),
        first,
        first + size,
        _number_of(other) if other else -1,
        need,
    )


def _number(digits: bytes) -> int:
    """A varUint, which the expression has measured."""
    value = digits[0] & 0x7F
    shift = 7
    for byte in digits[1:]:
        value |= (byte & 0x7F) << shift
        shift += 7
    return value


_number_of = lru_cache(maxsize=4096)(_number)
"""The same for clients, who come again and again."""

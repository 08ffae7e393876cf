"""Documents by their names and their bytes: what may go near the CRDT.

A Yjs update or state vector of a few hostile bytes can announce billions of
entries, and the CRDT reserves memory for what is announced. So every update and
state vector is walked here first: each count must fit in the bytes that are
left, each block must be one that Yjs 13 writes, and nothing may trail.

The format is that of Yjs 13, encoding version 1 (lib0 varints).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

EMPTY_UPDATE = b"\x00\x00"
"""The update that changes nothing: no blocks, no deletes."""

EMPTY_STATE_VECTOR = b"\x00"

MAX_CLOCK = 2**31 - 1
MAX_CLIENT = 2**53 - 1
MAX_ANY_DEPTH = 64

_NAME = re.compile(r"board|room|notes/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_HAS_ORIGIN, _HAS_RIGHT_ORIGIN, _HAS_PARENT_SUB = 0x80, 0x40, 0x20
_GC, _SKIP = 0, 10


class MalformedUpdate(ValueError):
    """The bytes are no Yjs update, or no state vector."""


def is_document_name(name: str) -> bool:
    """`board`, `room`, or `notes/<slug>` (1-64 letters, digits, `.`, `_`, `-`)."""
    return _NAME.fullmatch(name) is not None


@dataclass(slots=True)
class UpdateSummary:
    """What an update says about clocks.

    first: for each client, the clock of its first block. ends: the clock after
    its last block. needs: for each client, the clock that must be known (one
    past the highest referred to) before the update can be integrated, deletes
    included. gaps: for each client, the clock after its last Skip block: all
    before it must be known. has_lists: it makes an array inside another shared
    type. has_wide_text: it holds text beyond ASCII. size: bytes.
    """

    first: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    needs: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, int] = field(default_factory=dict)
    has_lists: bool = False
    has_wide_text: bool = False
    size: int = 0

    @property
    def is_empty(self) -> bool:
        """Neither blocks nor deletes."""
        return not self.ends and not self.needs

    @property
    def writers(self) -> Collection[int]:
        """The clients whose blocks it has."""
        return self.ends.keys()

    def fits(self, clocks: dict[int, int]) -> bool:
        """Whether a document with these clocks can integrate it at once."""
        for client, clock in self.gaps.items():
            if clocks.get(client, 0) < clock:
                return False
        ends = self.ends
        for client, clock in self.first.items():
            if clocks.get(client, 0) < clock:
                return False
        for client, clock in self.needs.items():
            if clocks.get(client, 0) < clock and ends.get(client, 0) < clock:
                return False
        return True

    def advance(self, clocks: dict[int, int]) -> None:
        """Raise the clocks to those after this update."""
        for client, clock in self.ends.items():
            if clocks.get(client, 0) < clock:
                clocks[client] = clock


def check_state_vector(data: bytes) -> dict[int, int]:
    """Read a state vector: client -> next clock. Raises MalformedUpdate."""
    try:
        count, at = _var(data, 0)
        if count * 2 > len(data) - at:
            raise MalformedUpdate(f"{count} clients announced in {len(data)} bytes")
        clocks: dict[int, int] = {}
        for _ in range(count):
            client, at = _var(data, at)
            clocks[client], at = _clock(data, at)
    except IndexError:
        raise MalformedUpdate("the state vector ends early") from None
    if at != len(data):
        raise MalformedUpdate(f"{len(data) - at} bytes after the state vector")
    return clocks


def check_update(data: bytes) -> UpdateSummary:
    """Walk an update from end to end. Raises MalformedUpdate."""
    walk = _Walk(data)
    try:
        walk.blocks()
        walk.deletes()
    except IndexError:
        raise MalformedUpdate("the update ends early") from None
    except UnicodeDecodeError:
        raise MalformedUpdate("a text is not UTF-8") from None
    if walk.at != len(data):
        raise MalformedUpdate(f"{len(data) - walk.at} bytes after the update")
    return walk.summary


def _var(data: bytes, at: int) -> tuple[int, int]:
    """A varUint of at most 53 bits and the offset after it."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 49:
            raise MalformedUpdate(f"the number at byte {at} is too long")
    if value > MAX_CLIENT:
        raise MalformedUpdate(f"the number before byte {at} is too large")
    return value, at


def _clock(data: bytes, at: int) -> tuple[int, int]:
    value, at = _var(data, at)
    if value > MAX_CLOCK:
        raise MalformedUpdate(f"the clock before byte {at} is too large")
    return value, at


class _Walk:
    """One pass over one update; `at` is the offset of the next byte."""

    __slots__ = ("at", "data", "own_client", "own_clock", "summary")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.own_client = self.own_clock = -1
        self.summary = UpdateSummary(size=len(data))

    # Numbers and texts ----------------------------------------------------
    def var(self) -> int:
        value, self.at = _var(self.data, self.at)
        return value

    def count(self, least_bytes: int) -> int:
        """A number of things that take at least so many bytes each."""
        value, self.at = _var(self.data, self.at)
        if value * least_bytes > len(self.data) - self.at:
            raise MalformedUpdate(f"{value} things announced at byte {self.at}")
        return value

    def skip_bytes(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise MalformedUpdate("the update ends early")

    def text(self) -> str:
        size = self.count(1)
        start = self.at
        self.at += size
        return self.data[start : self.at].decode()

    def length(self) -> int:
        """The length of a block in clocks, at least 1."""
        value, self.at = _clock(self.data, self.at)
        if value == 0:
            raise MalformedUpdate(f"an empty block before byte {self.at}")
        return value

    def reference(self) -> None:
        """An ID: the block that holds it must be known first. One of the same
        client that is not older would never be, and wait in the CRDT for ever."""
        client, self.at = _var(self.data, self.at)
        clock, self.at = _clock(self.data, self.at)
        if client == self.own_client and clock >= self.own_clock:
            raise MalformedUpdate(f"a block refers to itself before byte {self.at}")
        needs = self.summary.needs
        if needs.get(client, 0) <= clock:
            needs[client] = clock + 1

    # The two halves -------------------------------------------------------
    def blocks(self) -> None:
        """Each client's blocks, with growing clocks."""
        summary = self.summary
        for _ in range(self.count(3)):
            blocks = self.count(2)
            client = self.var()
            clock, self.at = _clock(self.data, self.at)
            if client in summary.first:
                raise MalformedUpdate(f"the client {client} appears twice")
            if not blocks:
                continue
            summary.first[client] = clock
            self.own_client = client
            for _ in range(blocks):
                self.own_clock = clock
                skips = self.data[self.at] & 0x1F == _SKIP
                clock += self.block()
                if skips:
                    summary.gaps[client] = clock
            if clock > MAX_CLOCK:
                raise MalformedUpdate("the clock runs over")
            summary.ends[client] = clock

    def deletes(self) -> None:
        """The delete set: ranges for each client."""
        needs = self.summary.needs
        for _ in range(self.count(2)):
            client = self.var()
            for _ in range(self.count(2)):
                clock, self.at = _clock(self.data, self.at)
                end = clock + self.length()
                if end > MAX_CLOCK:
                    raise MalformedUpdate("a deleted range runs over")
                if needs.get(client, 0) < end:
                    needs[client] = end

    def block(self) -> int:
        """One block; its length in clocks."""
        info = self.data[self.at]
        self.at += 1
        kind = info & 0x1F
        if kind == _GC:
            return self.length()
        if kind == _SKIP:
            return self.length()
        if info & _HAS_ORIGIN:
            self.reference()
        if info & _HAS_RIGHT_ORIGIN:
            self.reference()
        if not info & (_HAS_ORIGIN | _HAS_RIGHT_ORIGIN):
            if self.var() == 1:
                self.text()
            else:
                self.reference()
            if info & _HAS_PARENT_SUB:
                self.text()
        return self.content(kind)

    def content(self, kind: int) -> int:
        """The content of an item; its length in clocks."""
        match kind:
            case 1:  # deleted
                return self.length()
            case 2:  # JSON, written by old clients
                return self.values(self.text)
            case 3 | 5:  # binary, embed
                self.skip_bytes(self.count(1))
            case 4:
                return self.string()
            case 6:  # format: key, value in JSON
                self.text()
                self.text()
            case 7:
                self.type()
            case 8:
                return self.values(self.any)
            case 9:  # a document inside: its GUID and options
                self.text()
                self.any()
            case _:
                # 11 is a move, which yrs writes and Yjs 13 cannot read: it
                # would break every browser in the room.
                raise MalformedUpdate(f"content {kind} is unknown")
        return 1

    def values(self, read: Callable[[], object]) -> int:
        count = self.count(1)
        if count == 0:
            raise MalformedUpdate(f"an empty block before byte {self.at}")
        for _ in range(count):
            read()
        return count

    def string(self) -> int:
        """Text counts in UTF-16 units; yrs writes empty ones now and then."""
        text = self.text()
        if text.isascii():
            return len(text)
        self.summary.has_wide_text = True
        return len(text.encode("utf-16-le")) // 2

    def type(self) -> None:
        """A shared type: array, map, text, element, fragment, hook, XML text."""
        ref = self.var()
        if ref == 0:
            self.summary.has_lists = True
        if ref in (3, 5):
            self.text()
        elif ref > 6:
            raise MalformedUpdate(f"the shared type {ref} is unknown")

    def any(self) -> None:
        """One lib0 Any value, without recursion and of bounded depth.

        stack: how many values (or entries, if positive in `keyed`) remain at
        each depth.
        """
        data = self.data
        stack: list[int] = []
        keyed: list[bool] = []
        while True:
            tag = data[self.at]
            self.at += 1
            if tag == 119 or tag == 116:
                self.skip_bytes(self.count(1))
            elif tag == 125:
                while data[self.at] >= 0x80:
                    self.at += 1
                self.at += 1
            elif tag == 118 or tag == 117:
                stack.append(self.count(2 if tag == 118 else 1))
                keyed.append(tag == 118)
                if len(stack) > MAX_ANY_DEPTH:
                    raise MalformedUpdate("a value is nested too deep")
            elif tag in (122, 123):
                self.skip_bytes(8)
            elif tag == 124:
                self.skip_bytes(4)
            elif tag not in (120, 121, 126, 127):
                raise MalformedUpdate(f"a value of the unknown kind {tag}")
            while stack and stack[-1] == 0:
                stack.pop()
                keyed.pop()
            if not stack:
                return
            stack[-1] -= 1
            if keyed[-1]:
                self.skip_bytes(self.count(1))

"""Writers who remember what was acknowledged, and a checker that holds them to it.

Each writer appends marks to a text, deletes some of its own, and counts in a
map. What the server acknowledged must be there after any crash; what is there
must have been written, and once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from pycrdt import Doc, Map, Text
from twisted.internet.interfaces import IDelayedCall

from mosaic.drcpclient.client import DrcpClient
from mosaic.services.drcp.replica import rebuild
from mosaic.store import journal
from mosaic.store.direct import open_direct
from mosaic.wire.drcp.shareddoc import SharedDocument

MARK = re.compile(r"<(\w+)\.(\d+)>")
LONGEST_PAUSE_S = 0.02
BACKLOG = 200
"""Unsaved edits; on a slow machine more and more would come together."""


@dataclass
class Mark:
    """One mark: the numbers of the edits that wrote and deleted it."""

    written: int
    deleted: int | None = None


@dataclass
class Writer:
    """One participant under load."""

    name: str
    client: DrcpClient
    shared: SharedDocument
    doc: Doc[Any]
    random: Random
    reactor: Any
    marks: dict[int, Mark] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    _next: IDelayedCall | None = None

    def begin(self) -> None:
        """Write until stopped."""
        self._next = self.reactor.callLater(
            self.random.uniform(0, LONGEST_PAUSE_S), self._write
        )

    def stop(self) -> None:
        """No more edits."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _write(self) -> None:
        self.begin()
        if self.shared.unsaved > BACKLOG:
            return  # a person would look up, too
        chance = self.random.random()
        if chance < 0.15 and self.marks:
            self._delete()
        elif chance < 0.3:
            counts = self.doc.get("counts", type=Map)
            value = len(self.counts) + 1
            counts[self.name] = value
            self.counts[value] = self.shared.last_edit
        else:
            text = self.doc.get("t", type=Text)
            number = len(self.marks) + 1
            text += f"<{self.name}.{number}>"
            self.marks[number] = Mark(self.shared.last_edit)

    def _delete(self) -> None:
        number = self.random.choice(list(self.marks)[-20:])
        mark = self.marks[number]
        if mark.deleted is not None:
            return
        text = self.doc.get("t", type=Text)
        words = f"<{self.name}.{number}>"
        at = str(text).index(words)
        del text[at : at + len(words)]
        mark.deleted = self.shared.last_edit


def faults(doc: Doc[Any], writers: Sequence[Writer], *, complete: bool) -> list[str]:
    """What is lost, doubled or invented in a document.

    complete: everything was acknowledged, nothing may be under way.
    """
    found: list[str] = []
    text = str(doc.get("t", type=Text))
    if rest := MARK.sub("", text):
        found.append(f"invented: {rest[:80]!r}")
    there: dict[str, list[int]] = {}
    for name, number in MARK.findall(text):
        there.setdefault(name, []).append(int(number))
    counts = doc.get("counts", type=Map)
    for writer in writers:
        numbers = there.pop(writer.name, [])
        found += _mark_faults(writer, numbers, complete)
        found += _count_faults(writer, counts.get(writer.name), complete)
    found += [f"invented: marks of {name}" for name in there]
    return found


def _mark_faults(writer: Writer, numbers: list[int], complete: bool) -> list[str]:
    found = []
    present = set(numbers)
    if len(present) != len(numbers):
        found.append(f"doubled: marks of {writer.name}")
    if invented := present - set(writer.marks):
        found.append(f"invented: {writer.name} {sorted(invented)[:5]}")
    saved = writer.shared.saved_through
    for number, mark in writer.marks.items():
        certain = complete or mark.written <= saved
        if number not in present and certain and mark.deleted is None:
            found.append(f"lost: {writer.name}.{number}, edit {mark.written}")
        gone = mark.deleted is not None and (complete or mark.deleted <= saved)
        if number in present and gone:
            found.append(f"lost: the deletion of {writer.name}.{number}")
    return found


def _count_faults(writer: Writer, value: Any, complete: bool) -> list[str]:
    saved = writer.shared.saved_through
    least = max(
        (v for v, edit in writer.counts.items() if complete or edit <= saved), default=0
    )
    got = int(value or 0)
    if got and got not in writer.counts:
        return [f"invented: the count {got} of {writer.name}"]
    if got < least:
        return [f"lost: the count {least} of {writer.name}, it is {got}"]
    return []


def on_disk(database: Path, hub_id: str, name: str) -> Doc[Any]:
    """The document as the next server would read it."""
    with open_direct(database) as store:
        stored = store._run(journal.find, hub_id, name)
    doc: Doc[Any] = Doc()
    if stored is None:
        return doc
    replica, poison = rebuild(stored)
    assert not poison, poison
    assert replica.is_complete, "an update waits for one that was lost"
    doc.apply_update(replica.full())
    return doc

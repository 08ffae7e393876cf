"""The fence around the CRDT: what waits, and who pays for bad updates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pycrdt import Array, Doc, Text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.drcp import replica as fence
from mosaic.services.drcp.replica import CrdtError, Replica, rebuild
from mosaic.store.interface import StoredDocument
from mosaic.workspace.documents import check_update

CORPUS = Path(__file__).parents[1] / "fuzz" / "drcp_corpus"

CHILD = """
import sys
from mosaic.services.drcp.replica import CrdtError, Replica
from mosaic.workspace.documents import check_update
replica = Replica()
for line in sys.stdin:
    update = bytes.fromhex(line)
    try:
        replica.apply([(update, check_update(update))], update)
    except CrdtError:
        pass
print("alive")
"""


def written(*words: str) -> list[bytes]:
    """One update for each word appended to a text."""
    doc: Doc[Any] = Doc()
    text = doc.get("t", type=Text)
    updates = []
    for word in words:
        before = doc.get_state()
        text += word
        updates.append(doc.get_update(before))
    return updates


def give(replica: Replica, update: bytes) -> None:
    """One update, as a batch of its own."""
    replica.apply([(update, check_update(update))], update)


def text_of(replica: Replica) -> str:
    """What somebody who joins gets to read."""
    doc: Doc[Any] = Doc()
    doc.apply_update(replica.diff(b""))
    return str(doc.get("t", type=Text))


class WaitingTests(SynchronousTestCase):
    """Updates that come before those that they build on."""

    def test_any_order_gives_the_same(self) -> None:
        """Alone and in batches."""
        updates = written("a", "b", "c", "d")
        for order in ([3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 1, 3], [0, 3, 1, 2]):
            one, batch = Replica(), Replica()
            for number in order:
                give(one, updates[number])
            mixed = [updates[number] for number in order]
            pairs = [(update, check_update(update)) for update in mixed]
            batch.apply(pairs, fence.merged(mixed))
            for replica in (one, batch):
                self.assertEqual(text_of(replica), "abcd")
                self.assertTrue(replica.is_complete)

    def test_what_waits_is_not_given_to_the_crdt(self) -> None:
        """It keeps pending blocks that hostile ones can make it crash on."""
        first, second = written("a", "b")
        replica = Replica()
        give(replica, second)
        self.assertEqual(replica.full(), b"\0\0")
        self.assertFalse(replica.is_complete)
        give(replica, first)
        self.assertTrue(replica.is_complete)

    def test_nobody_is_told_of_what_waits(self) -> None:
        """They would build on what may never come; once it fits, all are told."""
        first, second, third = written("a", "b", "c")
        replica = Replica()
        pair = [(third, check_update(third)), (second, check_update(second))]
        self.assertEqual(replica.apply(pair, fence.merged([third, second])), [])
        self.assertEqual(replica.diff(b""), b"\0\0")
        told = replica.apply([(first, check_update(first))], first)
        self.assertEqual(told[0], first)
        self.assertEqual(sorted(told[1:]), sorted([second, third]))
        fresh = written("x")[0]
        told = replica.apply([(fresh, check_update(fresh))], fresh)
        self.assertEqual(told, [fresh])

    def test_an_update_with_a_gap_waits_for_what_is_in_it(self) -> None:
        """Merged offline edits have Skip blocks."""
        updates = written("a", "b", "c")
        gap = fence.merged([updates[0], updates[2]])
        self.assertTrue(check_update(gap).gaps)
        replica = Replica()
        give(replica, gap)
        self.assertFalse(replica.is_complete)
        give(replica, updates[1])
        give(replica, updates[0])
        self.assertEqual(text_of(replica), "abc")
        self.assertTrue(replica.is_complete)

    def test_a_sequence_that_ended_the_process(self) -> None:
        """Found by tests/fuzz/drcp_fuzz.py; each update alone is well formed."""
        hostile = (CORPUS / "segfault-while-pending.hex").read_text()
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=hostile, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stdout), (0, "alive\n"), done.stderr)


class CulpritTests(SynchronousTestCase):
    """One update that the CRDT will not have."""

    def setUp(self) -> None:
        """The second of three is bad; the third is somebody else's."""
        self.first, self.bad = written("a", "b")
        other: Doc[Any] = Doc()
        other.get("l", type=Array).append("x")
        self.good = other.get_update()

    def failing(self, error: BaseException) -> Any:
        """The CRDT fails on the bad one."""
        true = fence.guarded

        def guarded(call: Callable[..., Any], *args: Any) -> Any:
            if args == (self.bad,):

                def fail(*_: Any) -> None:
                    raise error

                return true(fail)
            return true(call, *args)

        return patch.object(fence, "guarded", guarded)

    def test_a_refused_one_that_waited_is_dropped(self) -> None:
        """The one that it waited for is applied, and so are later ones."""
        replica = Replica()
        give(replica, self.bad)
        with self.failing(ValueError("no")):
            give(replica, self.first)
            give(replica, self.good)
        self.assertEqual(text_of(replica), "a")
        self.assertTrue(replica.is_complete)

    def test_one_that_is_refused_in_the_batch_that_it_came_in(self) -> None:
        """Its author is told; what came with it, in any order, is taken."""
        replica = Replica()
        batch = [(raw, check_update(raw)) for raw in (self.bad, self.first)]
        with self.failing(ValueError("no")):
            with self.assertRaises(CrdtError) as caught:
                replica.apply(batch, self.first)
            self.assertEqual(caught.exception.culprit, self.bad)
            give(replica, self.first)
            with self.assertRaises(CrdtError):
                give(replica, self.bad)
        give(replica, self.good)
        self.assertEqual(text_of(replica), "a")
        self.assertTrue(replica.is_complete)

    def test_a_panic_names_the_one_that_waited(self) -> None:
        """So that it is set aside, and not the one that came."""

        class Panic(BaseException):
            """As pyo3 raises it."""

        replica = Replica()
        give(replica, self.bad)
        stored = StoredDocument(
            epoch="e",
            snapshot=b"",
            updates=(self.bad, self.first, self.good),
            last_seq=3,
        )
        with self.failing(Panic("!")):
            with self.assertRaises(CrdtError) as caught:
                give(replica, self.first)
            self.assertEqual(caught.exception.culprit, self.bad)
            rebuilt, poison = rebuild(stored)
        self.assertEqual((text_of(rebuilt), list(poison)), ("a", [1]))
        rebuilt, poison = rebuild(stored, {self.bad})
        self.assertEqual((text_of(rebuilt), list(poison)), ("a", [1]))

"""The checker of the kill test finds what it is there to find."""

from __future__ import annotations

from random import Random
from typing import Any, cast

from pycrdt import Doc, Map, Text, merge_updates
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.drcpclient.client import DrcpClient
from mosaic.drcpclient.replica import ClientReplica
from mosaic.wire.drcp.shareddoc import SharedDocument
from tests.support.kills import Writer, faults


def writer(seconds: float = 1.0) -> Writer:
    """Somebody who has written for a while."""
    doc: Doc[Any] = Doc()
    clock = Clock()
    shared: SharedDocument = SharedDocument(
        "n",
        ClientReplica(doc, lambda update: shared.edited(update)),
        merge_updates,
        1,
    )
    client = cast(DrcpClient, None)
    made = Writer("w", client, shared, doc, Random(7), clock)
    made.begin()
    clock.pump([0.01] * int(seconds * 100))
    made.stop()
    return made


class FaultTests(SynchronousTestCase):
    """One way to be wrong each."""

    def setUp(self) -> None:
        """A writer, all of whose edits were acknowledged."""
        self.writer = writer()
        self.writer.shared.saved_through = self.writer.shared.last_edit
        self.text = self.writer.doc.get("t", type=Text)

    def found(self, *, complete: bool = False) -> str:
        """The faults, in one line."""
        return "; ".join(faults(self.writer.doc, [self.writer], complete=complete))

    def mark(self, *, deleted: bool) -> str:
        """A mark that is, or is no longer, there."""
        marks = self.writer.marks.items()
        number = next(n for n, m in marks if (m.deleted is not None) is deleted)
        return f"<w.{number}>"

    def test_none(self) -> None:
        """All is there."""
        self.assertEqual(self.found(complete=True), "")
        self.assertGreater(len(self.writer.marks), 20)
        self.assertGreater(len(self.writer.counts), 3)

    def test_lost(self) -> None:
        """An acknowledged mark is missing."""
        words = self.mark(deleted=False)
        at = str(self.text).index(words)
        del self.text[at : at + len(words)]
        self.assertIn("lost: w.", self.found())

    def test_lost_but_never_acknowledged(self) -> None:
        """That is allowed, until the end."""
        self.writer.shared.saved_through = 0
        self.writer.doc = Doc()
        self.assertEqual(self.found(), "")
        self.assertIn("lost", self.found(complete=True))

    def test_a_lost_deletion(self) -> None:
        """A deleted mark is back."""
        self.text += self.mark(deleted=True)
        self.assertIn("lost: the deletion", self.found())

    def test_doubled(self) -> None:
        """A mark is there twice."""
        self.text += self.mark(deleted=False)
        self.assertIn("doubled", self.found())

    def test_invented(self) -> None:
        """A mark, an author or a byte that nobody wrote."""
        for words in ("<w.9999>", "<x.1>", "?"):
            self.text += words
            self.assertIn("invented", self.found())

    def test_counts(self) -> None:
        """One that went back, and one that never was."""
        counts = self.writer.doc.get("counts", type=Map)
        counts["w"] = 1
        self.assertIn("lost: the count", self.found())
        counts["w"] = 10_000
        self.assertIn("invented: the count", self.found())

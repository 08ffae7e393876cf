"""Going back in a large board: the work is done in a process of its own."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map, Text
from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from mosaic.services.drcp.apart import Processes
from mosaic.workspace.restore import contents
from mosaic.workspace.tasks import Pruning, Restoring
from mosaic.workspace.versions import NotRestored

reactor: Any = installed

ELEMENTS = 1500


def drawing(x: float) -> bytes:
    """A board whose elements are at this place; a tenth are tombstones."""
    doc: Doc[Any] = Doc(client_id=1)
    elements = doc.get("elements", type=Map)
    with doc.transaction():
        for n in range(ELEMENTS):
            elements[f"e{n}"] = {
                "id": f"e{n}", "x": x + n, "isDeleted": n % 10 == 0, "updated": 1.0,
                "points": [0.5] * 8, "version": 1.0, "versionNonce": 1.0,
            }  # fmt: skip
    return doc.get_update()


class ApartTests(TestCase):
    """Real children of this process."""

    timeout = 180

    def setUp(self) -> None:
        self.apart = Processes(reactor, seconds=50.0, memory_bytes=2**30)
        self.addCleanup(self.apart.stop)
        self.turns = 0
        self.waits = True

    def turn(self) -> None:
        """Counts the reactor's turns while it is waited for."""
        self.turns += 1
        if self.waits:
            reactor.callLater(0.002, self.turn)

    async def test_the_reactor_turns_meanwhile(self) -> None:
        """Hundreds of times; here it would turn once."""
        now, then = drawing(1.0), drawing(2.0)
        task = Restoring(document="board", at_ms=1e12)
        done = self.apart(task, (now, then))
        self.turn()
        outcome = await done
        self.waits = False
        self.assertGreater(self.turns, 20)
        merged: Doc[Any] = Doc()
        merged.apply_update(now)
        merged.apply_update(outcome.update)
        shown = contents(merged.get_update())["elements"]
        self.assertEqual(shown["e1"]["x"], 3.0)
        self.assertEqual(len(outcome.summary.ends), 1)

    async def test_pruning(self) -> None:
        """The same way."""
        state = drawing(1.0)
        outcome = await self.apart(Pruning(before_ms=1e12), (state,))
        pruned: Doc[Any] = Doc()
        pruned.apply_update(state)
        pruned.apply_update(outcome.update)
        left = contents(pruned.get_update())["elements"]
        self.assertEqual(len(left), ELEMENTS - ELEMENTS // 10)

    async def test_a_refusal_comes_back(self) -> None:
        """With its reason."""
        text: Doc[Any] = Doc(client_id=2)
        text.get("elements", type=Map)["was"] = "x" * 20_000
        other: Doc[Any] = Doc(client_id=3)
        other.get("elements", type=Text).insert(0, "a text")
        task = Restoring(document="board", at_ms=1e12)
        done = self.apart(task, (text.get_update(), other.get_update()))
        failure = await self.assertFailure(done, NotRestored)
        self.assertIn("was something else", str(failure))

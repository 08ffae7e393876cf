"""What goes on while work on a whole document is done elsewhere."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis.strategies import binary
from pycrdt import Doc, Map
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mosaic.services.drcp.apart import AT_ONCE, SMALL_BYTES, Processes, here
from mosaic.services.drcp.history import DocumentHistory
from mosaic.services.drcp.reckoner import Answer, read_answer
from mosaic.services.drcp.replica import CrdtError
from mosaic.wire.drcp import client
from mosaic.wire.drcp.yprotocols import Step
from mosaic.workspace.tasks import Outcome, Restoring, perform
from mosaic.workspace.versions import Author, NotRestored
from tests.support.drcp import HUB, Hub

BOB = Author(id="b" * 16, name="Bob", account="bob")
DAY_S = 86400.0


def board(**elements: dict[str, Any]) -> bytes:
    """The state of a board with these elements."""
    doc: Doc[Any] = Doc(client_id=1)
    shared = doc.get("elements", type=Map)
    for name, element in elements.items():
        shared[name] = {"id": name, **element}
    return doc.get_update()


class Elsewhere:
    """Work that waits until a test lets it go on."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Outcome], Any, Any]] = []

    def __call__(self, task: Any, states: Any) -> Deferred[Outcome]:
        """Later."""
        done: Deferred[Outcome] = Deferred()
        self.waiting.append((done, task, states))
        return done

    def go_on(self) -> None:
        """All that waits is done now."""
        waiting, self.waiting = self.waiting, []
        for done, task, states in waiting:
            here(task, states).chainDeferred(done)

    def fail(self) -> None:
        """All that waits came to nothing."""
        waiting, self.waiting = self.waiting, []
        for done, _, _ in waiting:
            done.errback(CrdtError("it was killed", panicked=False))


class MeanwhileTests(SynchronousTestCase):
    """The meeting goes on."""

    def setUp(self) -> None:
        self.elsewhere = Elsewhere()
        self.hub = Hub(apart=self.elsewhere)
        self.live = DocumentHistory(self.hub.service, self.hub.store)

    def restoring(self) -> tuple[Any, Deferred[bool]]:
        """Ada wrote something since; Bob wants to go back."""
        ada = self.hub.native("ada", expires_at=1e9)
        ada.open("board")
        ada.hear()
        ada.type("first")
        named = self.live.name_version(HUB, "board", label="x", by=BOB.id)
        version = self.successResultOf(Deferred.fromCoroutine(named))
        ada.type(" second")
        self.hub.tick()
        steps = self.live.restore_version(HUB, "board", version.id, author=BOB)
        return ada, Deferred.fromCoroutine(steps)

    def test_what_is_written_meanwhile_stays(self) -> None:
        """It merges with the restore, as with anybody's edit."""
        ada, restored = self.restoring()
        ada.text.insert(0, "new ")
        ada.say(client.sync(1, Step.UPDATE, ada.doc.get_update()))
        self.hub.tick()
        self.elsewhere.go_on()
        self.assertTrue(self.successResultOf(restored))
        self.hub.tick()
        ada.hear()
        self.assertEqual(str(ada.text), "new first")

    def test_the_room_stays_until_it_is_done(self) -> None:
        """Or the edit would reach the disk and not who came back meanwhile."""
        ada, restored = self.restoring()
        ada.drop()
        self.hub.tick(1000)
        self.assertIn(HUB, self.hub.service.rooms)
        self.elsewhere.go_on()
        self.assertTrue(self.successResultOf(restored))
        self.hub.tick(1000)
        self.assertNotIn(HUB, self.hub.service.rooms)

    def test_work_that_failed_is_said(self) -> None:
        """And changes nothing."""
        ada, restored = self.restoring()
        self.elsewhere.fail()
        self.failureResultOf(restored, NotRestored)
        self.hub.tick()
        ada.hear()
        self.assertEqual(str(ada.text), "first second")

    def test_who_comes_while_it_is_pruned_keeps_the_tombstones(self) -> None:
        """Their page needs them."""
        ada = self.hub.native("ada", expires_at=1e9)
        ada.open("board")
        elements = ada.doc.get("elements", type=Map)
        elements["old"] = {"id": "old", "isDeleted": True, "updated": 1.0}
        ada.say(client.sync(1, Step.UPDATE, ada.doc.get_update()))
        self.hub.clock.advance(2 * DAY_S)
        ada.drop()
        self.hub.tick(61)
        self.assertEqual(len(self.elsewhere.waiting), 1)
        eve = self.hub.native("eve", expires_at=1e9)
        eve.open("board")
        self.elsewhere.go_on()
        self.hub.tick()
        eve.hear()
        self.assertEqual(list(eve.doc.get("elements", type=Map)), ["old"])


@implementer(IReactorProcess)
class Spawning(Clock):
    """A reactor whose children are made of paper."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Any] = []

    def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # only what is used
        """It runs at once."""
        child = Child(protocol)
        self.children.append(child)
        protocol.makeConnection(child)
        return child


class Child:
    """What a process transport does."""

    pid = 1

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.input = b""
        self.signals: list[str] = []

    def write(self, data: bytes) -> None:
        """To its standard input."""
        self.input += data

    def closeStdin(self) -> None:
        """All is said."""

    def signalProcess(self, name: str) -> None:
        """It dies of it."""
        self.signals.append(name)
        self.end(Failure(ProcessTerminated(signal=9)))

    def say(self, output: bytes) -> None:
        """In two pieces, then it ends well."""
        self.protocol.outReceived(output[:5])
        self.protocol.outReceived(output[5:])
        self.end(Failure(ProcessDone(0)))

    def end(self, reason: Failure) -> None:
        """It is reaped."""
        self.protocol.processEnded(reason)


class ProcessesTests(SynchronousTestCase):
    """Children, and how they end."""

    def setUp(self) -> None:
        self.reactor = Spawning()
        self.apart = Processes(self.reactor, seconds=10.0, memory_bytes=2**40)
        self.states = (board(a={"x": 1.0, "big": "x" * SMALL_BYTES}), board())

    def start(self) -> Deferred[Outcome]:
        """A restore that is not small."""
        return self.apart(Restoring(document="board", at_ms=1e12), self.states)

    def test_small_ones_need_no_process(self) -> None:
        """They take less than starting one."""
        task = Restoring(document="board", at_ms=1e12)
        done = self.apart(task, (board(a={"x": 1.0}), board(a={"x": 2.0})))
        self.assertNotEqual(self.successResultOf(done).update, b"\0\0")
        self.assertEqual(self.reactor.children, [])

    def test_the_child_does_what_would_be_done_here(self) -> None:
        """Its answer is an update, and what it says about clocks."""
        done = self.start()
        [child] = self.reactor.children
        task = Restoring(document="board", at_ms=1e12)
        expected = perform(task, self.states, lambda: 7)
        output = _answer_of(expected)
        child.say(output)
        outcome = self.successResultOf(done)
        self.assertEqual(outcome, expected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_one_that_dies(self) -> None:
        """Is logged, and only whoever waits for it is told."""
        done = self.start()
        self.reactor.children[0].protocol.errReceived(b"Traceback")
        self.reactor.children[0].end(Failure(ProcessTerminated(signal=6)))
        self.failureResultOf(done, CrdtError)

    def test_one_that_says_nonsense(self) -> None:
        """The same."""
        done = self.start()
        self.reactor.children[0].say(b"hello")
        self.failureResultOf(done, CrdtError)

    def test_one_that_takes_too_long(self) -> None:
        """Is killed."""
        done = self.start()
        self.reactor.advance(11)
        self.assertEqual(self.reactor.children[0].signals, ["KILL"])
        self.failureResultOf(done, CrdtError)

    def test_the_others_wait(self) -> None:
        """A few at a time, however many are asked for; none after the end."""
        waiting = [self.start() for _ in range(AT_ONCE + 2)]
        self.assertEqual(len(self.reactor.children), AT_ONCE)
        self.apart.stop()
        for done in waiting:
            self.failureResultOf(done, CrdtError)
        self.assertEqual(len(self.reactor.children), AT_ONCE)


def _answer_of(outcome: Outcome) -> bytes:
    return msgspec.json.encode(Answer(summary=outcome.summary)) + b"\n" + outcome.update


class ReckonerTests(SynchronousTestCase):
    """What the child is told, and says."""

    def test_refusals_are_said(self) -> None:
        """As the same exception."""
        said = msgspec.json.encode(Answer(refused="no")) + b"\n"
        with self.assertRaisesRegex(NotRestored, "no"):
            read_answer(said)

    @given(binary(max_size=64))
    def test_any_output_is_an_error(self, output: bytes) -> None:
        """Of one of two kinds."""
        self.assertRaises((NotRestored, ValueError), read_answer, output)

"""Worker processes: how each of their ends is told."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.export.jobs import (
    ImportJob,
    Limits,
    Said,
    WorkFailed,
    WorkRefused,
    write_job,
)
from mosaic.services.rest.workers import MAX_LINE_BYTES, WorkerProcesses


class FakeProcess:
    """A child that does nothing by itself."""

    def __init__(self) -> None:
        self.signals: list[str] = []
        self.gone = False

    def signalProcess(self, name: str) -> None:
        """Remember it, unless there is nobody."""
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)


class FakeReactor(Clock):
    """A clock that spawns fakes."""

    def spawnProcess(
        self, protocol: Any, executable: str, args: Any, **more: Any
    ) -> None:
        """Keep what was asked."""
        self.asked = executable, args, more
        self.protocol = protocol
        self.process = FakeProcess()
        protocol.transport = self.process


class WorkerTests(SynchronousTestCase):
    """One child at a time."""

    def setUp(self) -> None:
        """A job of ten seconds."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        write_job(self.folder, ImportJob(archive="x", limits=Limits(seconds=10)))
        self.reactor = FakeReactor()
        self.told: list[Said] = []
        self.ended = WorkerProcesses(self.reactor).run(self.folder, self.told.append)
        self.child = self.reactor.protocol

    def end(self, error: Exception | None = None) -> None:
        self.reactor.process.gone = True
        self.child.processEnded(Failure(error or ProcessDone(0)))

    def test_a_child_of_this_python_with_little_around_it(self) -> None:
        """No secrets of the environment go with it."""
        executable, args, more = self.reactor.asked
        self.assertEqual(executable, sys.executable)
        self.assertEqual(args[1:], ["-m", "mosaic.export.worker", str(self.folder)])
        self.assertLessEqual(
            set(more["env"]),
            {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH",
             "MALLOC_ARENA_MAX", "OMP_NUM_THREADS"},
        )  # fmt: skip

    def test_done(self) -> None:
        """Lines in any pieces; the last one and the status say that it is."""
        self.child.outReceived(b'{"progress":0.5,"st')
        self.child.outReceived(b'ep":"board"}\n{"progress":1.0,"done":true}\n')
        self.end()
        self.assertIsNone(self.successResultOf(self.ended))
        self.assertEqual([one.progress for one in self.told], [0.5, 1.0])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """With the worker's own words."""
        self.child.outReceived(b'{"refused":"no such thing"}\n')
        self.end(ProcessTerminated(1))
        self.assertEqual(
            str(self.failureResultOf(self.ended, WorkRefused).value), "no such thing"
        )

    def test_broken_down(self) -> None:
        """The log has what it said; who asked is told that it broke."""
        self.child.errReceived(b"Traceback: secret path")
        self.end(ProcessTerminated(None, 11))
        error = self.failureResultOf(self.ended, WorkFailed).value
        self.assertNotIn("secret", str(error))

    def test_a_status_of_zero_is_not_enough(self) -> None:
        """A worker that ended early did not do it."""
        self.child.outReceived(b'{"progress":0.5}\n')
        self.end()
        self.failureResultOf(self.ended, WorkFailed)

    def test_late(self) -> None:
        """Killed, and the reason is told when it is gone."""
        self.reactor.advance(10)
        self.assertEqual(self.reactor.process.signals, ["KILL"])
        self.assertNoResult(self.ended)
        self.end(ProcessTerminated(None, 9))
        error = self.failureResultOf(self.ended, WorkFailed).value
        self.assertIn("more than 10 seconds", str(error))

    def test_cancelled(self) -> None:
        """Killed at once."""
        self.ended.cancel()
        self.assertEqual(self.reactor.process.signals, ["KILL"])
        self.failureResultOf(self.ended, CancelledError)
        self.end(ProcessTerminated(None, 9))

    def test_nonsense_is_not_kept(self) -> None:
        """Lines without an end, and lines that are none."""
        self.child.outReceived(b"hello\n[]\n")
        self.child.outReceived(b"x" * (MAX_LINE_BYTES + 1))
        self.assertEqual(self.reactor.process.signals, ["KILL"])
        self.assertEqual(self.told, [])
        self.end(ProcessTerminated(None, 9))
        self.failureResultOf(self.ended, WorkFailed)

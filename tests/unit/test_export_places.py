"""Folders that several processes may work in."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mosaic.export.places import PREFIX, clear_left, had, waited_for, work_place

HOLD = """\
import sys, time
from pathlib import Path
from mosaic.export.places import work_place
with work_place(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


class PlaceCase(SynchronousTestCase):
    """A state folder."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp()).absolute()
        self.state.mkdir()


class HadTests(PlaceCase):
    """One at a time."""

    def test_one_at_a_time(self) -> None:
        """And the next one after it."""
        with had(self.state) as ours, had(self.state) as theirs:
            self.assertEqual((ours, theirs), (True, False))
        with had(self.state) as ours:
            self.assertTrue(ours)

    def test_waiting_for_it(self) -> None:
        """Until the other one is done."""
        other = os.open(self.state, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        naps: list[float] = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 3:
                os.close(other)

        with waited_for(self.state, patience_s=60, sleep=sleep):
            self.assertEqual(len(naps), 3)

    def test_waiting_has_an_end(self) -> None:
        """Somebody hangs."""
        clock = iter(range(100))
        with (
            had(self.state),
            self.assertRaises(TimeoutError),
            waited_for(
                self.state,
                patience_s=5,
                now=lambda: next(clock),
                sleep=lambda seconds: None,
            ),
        ):
            self.fail("it is not ours")


class WorkPlaceTests(PlaceCase):
    """Where rooms are moved."""

    def left(self) -> list[Path]:
        """What lies there."""
        return list(self.state.glob(f"{PREFIX}*"))

    def test_it_goes_with_the_work(self) -> None:
        """Also after an error."""

        def fail() -> None:
            with work_place(self.state) as folder:
                (folder / "file").write_bytes(b"x")
                raise ValueError

        self.assertRaises(ValueError, fail)
        self.assertEqual(self.left(), [])

    def test_what_was_killed_is_cleared_and_what_runs_is_not(self) -> None:
        """A real process, with SIGKILL."""
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, self.state],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        self.addCleanup(child.stdout.close)
        try:
            folder = Path(child.stdout.readline().decode().strip())
            self.assertEqual(clear_left(self.state), 0)
            self.assertTrue((folder / "half").exists())
        finally:
            child.kill()
            child.wait()
        self.assertEqual(self.left(), [folder])
        with work_place(self.state):
            self.assertFalse(folder.exists())
        self.assertEqual(self.left(), [])

    def test_other_things_stay(self) -> None:
        """Files, and other folders."""
        (self.state / f"{PREFIX}notes.txt").write_bytes(b"x")
        (self.state / "blobs").mkdir()
        self.assertEqual(clear_left(self.state), 0)
        self.assertEqual(len(list(self.state.iterdir())), 2)

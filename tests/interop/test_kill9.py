"""Durable before acknowledged: kill -9 loses nothing that was acknowledged."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

import mosaic
from mosaic.store.direct import open_direct
from mosaic.workspace.model import Room
from tests.interop.kill9_child import HUB_ID

ROUNDS = 25
LEAST = 5
"""Rounds, however slow the machine is."""
BUDGET_S = 30.0
CHECKOUT = Path(mosaic.__file__).parent.parent
READ = "SELECT update_v1 FROM journal ORDER BY document_id, seq"


class Kill9Tests(SynchronousTestCase):
    """Many rounds over one database: write, die, look."""

    def test_no_acknowledged_update_is_lost_or_doubled(self) -> None:
        """A process may die at any byte of a commit (SIGKILL cannot be caught)."""
        path = Path(self.mktemp()).resolve() / "mosaic.db"
        with open_direct(path) as store:
            room = Room(hub_id=HUB_ID, name="R", pin="000000", created_at=0.0)
            store.add_room(room)
        random = Random()
        acknowledged: set[bytes] = set()
        rounds = 0
        deadline = time.monotonic() + BUDGET_S
        while rounds < ROUNDS and (rounds < LEAST or time.monotonic() < deadline):
            said = self.burst(path, rounds, after_acks=random.randrange(1, 400))
            acknowledged |= said
            rounds += 1
            self.check(path, acknowledged)
        self.assertGreater(len(acknowledged), rounds)

    def burst(self, path: Path, round_number: int, *, after_acks: int) -> set[bytes]:
        """Let a child write, kill it in the middle, and return what it said."""
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.interop.kill9_child",
                path,
                str(round_number),
            ],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        with child.stdout as said:
            lines = [said.readline() for _ in range(after_acks)]
            child.send_signal(signal.SIGKILL)
            lines += said.readlines()  # said before it died, not yet read by us
        self.assertEqual(child.wait(), -signal.SIGKILL)
        return {line[4:].strip() for line in lines if line.startswith(b"ack ")}

    def check(self, path: Path, acknowledged: set[bytes]) -> None:
        """Open as the next process would; everything is there once."""
        with open_direct(path) as store:
            self.assertEqual(store.room(HUB_ID).name, "R")
        with sqlite3.connect(path) as raw:
            (verdict,) = raw.execute("PRAGMA integrity_check").fetchone()
            kept = [update for (update,) in raw.execute(READ)]
        raw.close()
        self.assertEqual(verdict, "ok")
        self.assertEqual(acknowledged - set(kept), set())
        self.assertEqual(len(kept), len(set(kept)))

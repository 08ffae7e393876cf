"""A disk that is full: nothing acknowledged, reading goes on, and it recovers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mosaic
from mosaic.store.direct import open_direct
from mosaic.workspace.model import Room
from tests.interop.kill9_child import HUB_ID

CHECKOUT = Path(mosaic.__file__).parent.parent


class FullDiskTests(SynchronousTestCase):
    """In a process of its own, whose files may not grow (RLIMIT_FSIZE)."""

    def test_refused_while_full_and_well_again_after(self) -> None:
        """StoreFull, never an acknowledgement; no restart is needed."""
        path = Path(self.mktemp()).resolve() / "mosaic.db"
        with open_direct(path) as store:
            room = Room(hub_id=HUB_ID, name="R", pin="000000", created_at=0.0)
            store.add_room(room)
        child = subprocess.run(
            [sys.executable, "-m", "tests.interop.full_disk_child", path],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            timeout=60,
            check=True,
        )
        said = json.loads(child.stdout)
        self.assertIn("cannot be written", said["refused"])
        self.assertIn(str(path), said["refused"])
        self.assertEqual(said["ping"], "refused")
        updates, last_seq, acknowledged = said["while_full"]
        self.assertGreater(acknowledged, 1)
        self.assertEqual((updates, last_seq), (acknowledged, acknowledged))
        self.assertEqual(said["after"], 1)
        with sqlite3.connect(path) as raw:
            (kept,) = raw.execute("SELECT count(*) FROM journal").fetchone()
            (verdict,) = raw.execute("PRAGMA integrity_check").fetchone()
        raw.close()
        self.assertEqual((kept, verdict), (acknowledged + 1, "ok"))

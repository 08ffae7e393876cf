"""Backup and restore of real servers: under load, and killed at any moment."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.direct import open_direct
from mosaic.workspace.model import Room
from tests.interop.kill9_child import HUB_ID
from tests.support.running import RunningMosaic, environment, run_command

BUDGET_S = 12.0
ROUNDS = 12


def updates(database: Path) -> set[bytes]:
    """What the journal holds; fails if the file is damaged."""
    with sqlite3.connect(database) as raw:
        (verdict,) = raw.execute("PRAGMA integrity_check").fetchone()
        found = {update for (update,) in raw.execute("SELECT update_v1 FROM journal")}
    raw.close()
    if verdict != "ok":
        raise AssertionError(verdict)
    return found


class UnderLoadTests(SynchronousTestCase):
    """While a process commits as fast as it can."""

    def test_a_backup_holds_all_that_was_acknowledged_before_it(self) -> None:
        """One moment of the database, whole; the writer goes on meanwhile."""
        home = Path(self.mktemp()).resolve()
        database = home / "state" / "mosaic.db"
        with open_direct(database) as store:
            store.add_room(Room(hub_id=HUB_ID, name="R", pin="000000", created_at=0.0))
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.interop.kill9_child", database, "0"],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        assert child.stdout is not None
        self.addCleanup(child.stdout.close)
        before = {child.stdout.readline()[4:].strip() for _ in range(500)}
        archive = str(home / "b.tar")
        made = run_command("--state", str(home / "state"), "backup", archive)
        self.assertEqual(made.returncode, 0, made.stderr)
        after = {child.stdout.readline()[4:].strip() for _ in range(500)}
        self.assertEqual(len(after), 500)
        child.kill()
        put = run_command("--state", str(home / "other"), "restore", archive)
        self.assertEqual(put.returncode, 0, put.stderr)
        self.assertLessEqual(before, updates(home / "other" / "mosaic.db"))


class KilledTests(SynchronousTestCase):
    """SIGKILL in the middle, again and again."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).resolve()
        self.state = self.home / "state"
        self.fill(self.state, "old")
        self.archive = self.home / "new.tar"
        other = self.home / "other"
        self.fill(other, "new")
        made = run_command("--state", str(other), "backup", str(self.archive))
        self.assertEqual(made.returncode, 0, made.stderr)

    def fill(self, state: Path, name: str) -> None:
        """A room of that name, and a database and files of some megabytes."""
        with open_direct(state / "mosaic.db") as store:
            store.add_room(Room(hub_id=HUB_ID, name=name, pin="0", created_at=0.0))
        with sqlite3.connect(state / "mosaic.db") as raw:
            raw.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, 'a', 'a', ?, 0, NULL, NULL)",
                [(HUB_ID, n, str(n), name * 1000) for n in range(2000)],
            )
        raw.close()
        (state / "keys").mkdir()
        (state / "keys" / "server").write_text("ab" * 32 + "\n")

    def name(self, database: Path) -> str:
        """Of the room in a sound database."""
        copy = self.home / "look.db"
        for end in ("", "-wal", "-shm"):
            source = Path(f"{database}{end}")
            if source.exists():
                shutil.copy(source, f"{copy}{end}")
        updates(copy)
        with open_direct(copy) as store:
            found = store.room(HUB_ID).name
        for end in ("", "-wal", "-shm"):
            Path(f"{copy}{end}").unlink(missing_ok=True)
        return found

    def killed(self, random: Random, longest_s: float, *words: str) -> int:
        """Run a verb and kill it after a while; its exit code."""
        child = subprocess.Popen(
            [sys.executable, "-m", "mosaic.cli", "--state", str(self.state), *words],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return child.wait(random.uniform(longest_s / 3, longest_s))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            return child.wait()

    def test_a_killed_restore_leaves_the_old_or_the_new(self) -> None:
        """Whole; and the next one goes through."""
        random = Random()
        began = time.monotonic()
        whole = run_command(
            "--state", str(self.state), "restore", str(self.archive), "--force"
        )
        self.assertEqual(whole.returncode, 0, whole.stderr)
        took_s = time.monotonic() - began
        codes: set[int] = set()
        for _ in range(ROUNDS):
            if time.monotonic() - began > BUDGET_S:
                break
            shutil.rmtree(self.state)
            self.fill(self.state, "old")
            words = ("restore", str(self.archive), "--force")
            code = self.killed(random, took_s * 1.1, *words)
            codes.add(code)
            expected = {"new"} if code == 0 else {"old", "new"}
            self.assertIn(self.name(self.state / "mosaic.db"), expected)
        self.assertIn(-signal.SIGKILL, codes)
        last = run_command(
            "--state", str(self.state), "restore", str(self.archive), "--force"
        )
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertEqual(self.name(self.state / "mosaic.db"), "new")
        self.assertFalse((self.state / "restore.partial").exists())

    def test_a_killed_backup_is_no_backup(self) -> None:
        """The file appears whole or not at all, and the server's state is as it was."""
        random = Random()
        began = time.monotonic()
        took_s = 1.0
        codes: set[int] = set()
        for number in range(ROUNDS):
            if time.monotonic() - began > BUDGET_S:
                break
            target = self.home / f"{number}.tar"
            code = self.killed(random, took_s * 1.2, "backup", str(target))
            codes.add(code)
            if target.exists():
                checked = run_command(
                    "--state", str(self.home / "v"), "restore", "--verify", str(target)
                )
                self.assertEqual(checked.returncode, 0, checked.stderr)
            else:
                self.assertNotEqual(code, 0)
            self.assertEqual(self.name(self.state / "mosaic.db"), "old")
        self.assertIn(-signal.SIGKILL, codes)


class ServerTests(SynchronousTestCase):
    """`twistd mosaic` and what it says."""

    def test_backed_up_running_damaged_restored(self) -> None:
        """The whole way: the server refuses the damage with one line, and names
        the command that mends it."""
        server = RunningMosaic().start()
        self.addCleanup(server.stop)
        room = server.command_json("room", "create", "Kept")
        archive = server.state.parent / f"{server.state.name}.tar"
        self.addCleanup(lambda: archive.unlink(missing_ok=True))
        made = server.command_json("backup", str(archive))
        self.assertGreater(made["files"], 4)
        refused = server.command("restore", str(archive), "--force")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("running Mosaic", refused.stderr)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        database = server.state / "mosaic.db"
        data = bytearray(database.read_bytes())
        data[4096 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4096)
        database.write_bytes(data)
        checked = server.command("check")
        self.assertEqual(checked.returncode, 1)
        self.assertIn("mosaic restore", checked.stderr)
        again = RunningMosaic(state=server.state).start(wait=False)
        self.assertEqual(again.wait(), 1)
        lines = [line for line in again.output().splitlines() if "damaged" in line]
        self.assertTrue(lines, again.output())
        self.assertIn(str(database), lines[0])
        self.assertIn("mosaic restore --force", lines[0])
        put = server.command_json("restore", str(archive), "--force")
        self.assertEqual(put["files"], made["files"])
        third = RunningMosaic(state=server.state).start()
        self.addCleanup(third.stop)
        names = [one["hub_id"] for one in third.command_json("room", "list")]
        self.assertIn(room["hub_id"], names)

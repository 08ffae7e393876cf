"""Backup and restore: what is in the archive, what is refused, what is kept."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import stat
import tarfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.backup import MANIFEST, make_backup
from mosaic.app.preflight import StateLock
from mosaic.cli.main import main
from mosaic.store.direct import open_direct
from mosaic.store.interface import StoreError
from mosaic.workspace.model import Room

ROOM = Room(hub_id="100000009", name="Blue", pin="012345", created_at=5.5)
PICTURE = b"a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


class BackupCase(SynchronousTestCase):
    """A state folder with a room, a file and keys."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).resolve()
        self.state = self.home / "state"
        self.archive = self.home / "backup.tar"
        self.furnish(self.state, ROOM)
        blob = self.state / "blobs" / DIGEST[:2] / DIGEST[2:]
        blob.parent.mkdir(parents=True)
        blob.write_bytes(PICTURE)
        (self.state / "blobs" / "tmp").mkdir()
        (self.state / "blobs" / "tmp" / "half").write_bytes(b"...")
        for folder in ("keys", "tls"):
            (self.state / folder).mkdir()
            (self.state / folder / "secret").write_text(f"{folder} of then")

    def furnish(self, state: Path, *rooms: Room) -> None:
        """A database with these rooms."""
        with open_direct(state / "mosaic.db") as store:
            for room in rooms:
                store.add_room(room)

    def rooms(self, state: Path) -> list[str]:
        """Names of the rooms in a state folder."""
        with open_direct(state / "mosaic.db") as store:
            return [room.name for room in store.rooms()]

    def run_verb(self, *words: str, state: Path | None = None) -> tuple[int, Any, str]:
        """Exit code, printed JSON (or None), and what stands on stderr."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["--state", str(state or self.state), *words, "--json"])
        said = out.getvalue()
        return code, json.loads(said) if said else None, err.getvalue()

    def back_up(self, *words: str) -> Any:
        """Make the archive; what was printed."""
        code, said, error = self.run_verb("backup", str(self.archive), *words)
        self.assertEqual(code, 0, error)
        return said

    def refuses(self, *words: str, state: Path | None = None) -> str:
        """The one line that says why."""
        code, said, error = self.run_verb(*words, state=state)
        self.assertEqual((code, said), (1, None))
        self.assertEqual(error.count("\n"), 1)
        return error


class BackupTests(BackupCase):
    """The archive."""

    def test_it_holds_everything_and_proves_it(self) -> None:
        """Database, files, keys; nothing half uploaded; for its owner alone."""
        said = self.back_up()
        self.assertEqual((said["files"], said["damaged"]), (4, []))
        mode = stat.S_IMODE(self.archive.stat().st_mode)
        self.assertEqual(mode, 0o600)
        blob = f"blobs/{DIGEST[:2]}/{DIGEST[2:]}"
        with tarfile.open(self.archive) as tar:
            names = tar.getnames()
            manifest = json.load(tar.extractfile(MANIFEST))  # type: ignore[arg-type]  # it is a file
        expected = ["mosaic.db", blob, "keys/secret", "tls/secret", MANIFEST]
        self.assertEqual(names, expected)
        self.assertEqual(manifest["files"][blob], DIGEST)
        left = sorted(path.name for path in self.home.iterdir())
        self.assertEqual(left, ["backup.tar", "state"])

    def test_what_is_there_only_for_a_while_stays_out(self) -> None:
        """Jobs of exports with their archives, uploads, a restore that was broken
        off, what another one replaced, and what a running server holds."""
        blob = f"blobs/{DIGEST[:2]}/{DIGEST[2:]}"
        wanted = ["mosaic.db", blob, "keys/secret", "tls/secret", MANIFEST]
        job = f"exports/{'ab' * 16}"
        passing = [
            f"{job}/out", f"{job}/job.json", f"{job}/blobs/{DIGEST}",
            f"blobs/tmp/{DIGEST}", f"restore.partial/{blob}",
            "restore.partial/keys/secret", "restore.partial/mosaic.db",
            "keys.replaced-20260101T000000Z/secret", "moving-ab12/out",
            "run.json", "run.json.77", "lock",
        ]  # fmt: skip
        for name in passing:
            path = self.state / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PICTURE)
        self.assertEqual(self.back_up()["files"], 4)
        with tarfile.open(self.archive) as tar:
            self.assertEqual(tar.getnames(), wanted)

    def test_keys_can_stay_at_home(self) -> None:
        """For an archive that is kept elsewhere."""
        self.assertEqual(self.back_up("--without-keys")["files"], 2)

    def test_nothing_is_overwritten(self) -> None:
        """The backup of yesterday may be the only good one."""
        self.archive.write_bytes(b"yesterday")
        self.assertIn("exists", self.refuses("backup", str(self.archive)))
        self.assertEqual(self.archive.read_bytes(), b"yesterday")

    def test_a_damaged_file_is_told(self) -> None:
        """It is in the archive as it is; nobody can make it whole again."""
        path = self.state / "blobs" / DIGEST[:2] / DIGEST[2:]
        path.write_bytes(b"rotten")
        _, said, error = self.run_verb("backup", str(self.archive))
        self.assertEqual(said["damaged"], [f"blobs/{DIGEST[:2]}/{DIGEST[2:]}"])
        self.assertIn("damaged", error)

    def test_a_damaged_database_makes_no_backup(self) -> None:
        """Else the good ones would be rotated away; nothing is left lying."""
        database = self.state / "mosaic.db"
        with sqlite3.connect(database) as raw:
            raw.execute("PRAGMA journal_mode = DELETE")
            raw.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, 'a', 'a', ?, 0, NULL, NULL)",
                [(ROOM.hub_id, n, str(n), "x" * 4000) for n in range(50)],
            )
        raw.close()
        data = bytearray(database.read_bytes())
        data[-60_000:-20_000] = b"\xff" * 40_000
        database.write_bytes(data)
        error = self.refuses("backup", str(self.archive))
        self.assertIn(f"{database} is damaged", error)
        self.assertIn("mosaic restore", error)
        self.assertEqual([path.name for path in self.home.iterdir()], ["state"])
        with self.assertRaises(StoreError):
            make_backup(
                state=self.state, database=self.home / "none.db", target=self.archive,
                secrets=True, now=0.0,
            )  # fmt: skip


class RestoreTests(BackupCase):
    """Another folder, or the same."""

    def test_into_a_new_folder(self) -> None:
        """Everything is there, and private."""
        self.back_up()
        other = self.home / "other"
        code, said, error = self.run_verb("restore", str(self.archive), state=other)
        self.assertEqual((code, said["replaced"]), (0, None), error)
        self.assertEqual(self.rooms(other), ["Blue"])
        for name in (f"blobs/{DIGEST[:2]}/{DIGEST[2:]}", "keys/secret", "tls/secret"):
            there = other / name
            self.assertEqual(there.read_bytes(), (self.state / name).read_bytes())
        mode = stat.S_IMODE((other / "mosaic.db").stat().st_mode)
        self.assertEqual(mode, 0o600)
        self.assertFalse((other / "restore.partial").exists())

    def test_over_what_is_there_only_by_force(self) -> None:
        """What it replaces stays beside it."""
        self.back_up()
        second = Room(hub_id="200000008", name="Red", pin="1", created_at=6.0)
        self.furnish(self.state, second)
        (self.state / "keys" / "secret").write_text("newer")
        error = self.refuses("restore", str(self.archive))
        self.assertIn("--force", error)
        self.assertEqual(self.rooms(self.state), ["Blue", "Red"])
        code, said, _ = self.run_verb("restore", str(self.archive), "--force")
        self.assertEqual(code, 0)
        self.assertEqual(self.rooms(self.state), ["Blue"])
        old = self.home / "old"
        old.mkdir()
        Path(said["replaced"]).rename(old / "mosaic.db")
        self.assertEqual(self.rooms(old), ["Blue", "Red"])
        self.assertEqual((self.state / "keys" / "secret").read_text(), "keys of then")
        [kept] = self.state.glob("keys.replaced-*/secret")
        self.assertEqual(kept.read_text(), "newer")

    def test_a_damaged_database_is_replaced(self) -> None:
        """That is what backups are for; its log does not spoil the new one."""
        self.back_up()
        database = self.state / "mosaic.db"
        database.write_bytes(b"Dear diary" * 5000)
        Path(f"{database}-wal").write_bytes(b"rubbish" * 5000)
        code, said, error = self.run_verb("restore", str(self.archive), "--force")
        self.assertEqual(code, 0, error)
        self.assertEqual(self.rooms(self.state), ["Blue"])
        self.assertTrue(Path(said["replaced"]).read_bytes().startswith(b"Dear diary"))

    def test_not_under_a_running_server(self) -> None:
        """Whatever is forced."""
        self.back_up()
        lock = StateLock(self.state)
        self.assertTrue(lock.take())
        self.addCleanup(lock.release)
        error = self.refuses("restore", str(self.archive), "--force")
        self.assertIn("running Mosaic", error)

    def test_verify_changes_nothing(self) -> None:
        """Every night, so that one knows."""
        self.back_up()
        code, said, _ = self.run_verb("restore", str(self.archive), "--verify")
        self.assertEqual((code, said["files"]), (0, 4))
        self.assertEqual(self.rooms(self.state), ["Blue"])
        self.assertFalse((self.state / "restore.partial").exists())


class BadArchiveTests(BackupCase):
    """Whatever is wrong with it, the folder is as it was."""

    def setUp(self) -> None:
        super().setUp()
        self.back_up()

    def rewritten(self, change: Any) -> Path:
        """The archive with its members changed: change(name, bytes) -> list."""
        target = self.home / "changed.tar"
        with tarfile.open(self.archive) as old, tarfile.open(target, "w") as new:
            for member in old:
                data = old.extractfile(member).read()  # type: ignore[union-attr]  # all are files
                for name, content in change(member.name, data):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    new.addfile(info, io.BytesIO(content))
        return target

    def refused(self, archive: Path) -> str:
        """Why; and the folder is as it was."""
        error = self.refuses("restore", str(archive), "--force")
        self.assertEqual(self.rooms(self.state), ["Blue"])
        self.assertFalse((self.state / "restore.partial").exists())
        self.assertEqual(list(self.state.glob("*replaced*")), [])
        return error

    def test_cut_off_anywhere(self) -> None:
        """A copy that was broken off."""
        data = self.archive.read_bytes()
        cut = self.home / "cut.tar"
        for size in (0, 100, 512, 5000, len(data) // 2, len(data) - 12_000):
            cut.write_bytes(data[:size])
            self.refused(cut)

    def test_a_flipped_bit_anywhere(self) -> None:
        """In the database, in a file, in a key, in the manifest."""
        for wanted in ("mosaic.db", "blobs", "keys", MANIFEST):

            def flip(name: str, data: bytes, wanted: str = wanted) -> Any:
                if name.startswith(wanted):
                    data = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
                return [(name, data)]

            self.refused(self.rewritten(flip))

    def test_members_that_do_not_belong_there(self) -> None:
        """No way out of the folder, and nothing beside what is known."""
        for name in (
            "../evil", "/etc/evil", "keys/../../evil", "keys/.hidden", "run.json",
            "blobs/ab/cd", "keys/a/b", "mosaic.db-wal", "mosaic.db",
        ):  # fmt: skip

            def add(member: str, data: bytes, name: str = name) -> Any:
                extra = [(name, b"x")] if member == MANIFEST else []
                return [*extra, (member, data)]

            self.assertIn("does not belong", self.refused(self.rewritten(add)))

    def test_a_link_is_no_file(self) -> None:
        """It could lead anywhere."""
        target = self.home / "linked.tar"
        with tarfile.open(target, "w") as tar:
            info = tarfile.TarInfo("keys/server")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
        self.assertIn("does not belong", self.refused(target))

    def test_a_file_is_missing(self) -> None:
        """The manifest knows."""
        changed = self.rewritten(
            lambda name, data: [] if name.startswith("keys") else [(name, data)]
        )
        self.assertIn("keys/secret is missing", self.refused(changed))

    def test_a_newer_database(self) -> None:
        """It cannot be taken back in time."""
        with sqlite3.connect(self.state / "mosaic.db") as raw:
            raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.close()
        newer = self.home / "newer.tar"
        code, _, _ = self.run_verb("backup", str(newer))
        self.assertEqual(code, 0)
        other = self.home / "other"
        error = self.refuses("restore", str(newer), state=other)
        self.assertIn("newer version", error)
        self.assertFalse((other / "mosaic.db").exists())

    def test_no_archive_at_all(self) -> None:
        """One line each."""
        self.refused(self.home / "nothing.tar")
        text = self.home / "text.tar"
        text.write_text("not an archive" * 1000)
        self.refused(text)

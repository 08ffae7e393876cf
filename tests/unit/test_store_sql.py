"""The store on disk: its file, its migrations, its groups and its faults."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

import mosaic.store.migrate as migrate_module
from mosaic.store.database import (
    check_database,
    database_path,
    open_engine,
    prepare_database,
)
from mosaic.store.direct import open_direct
from mosaic.store.interface import NotFound, StoredToken, StoreError
from mosaic.store.migrate import HEAD
from mosaic.store.schema import metadata
from mosaic.store.sql import SqlStore
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Role, Room
from mosaic.workspace.versions import Reason
from tests.support.pumped import PumpedReactor

T = TypeVar("T")

ROOM = Room(hub_id="100000009", name="Blue", pin="012345", created_at=5.5)
VERIFIER = ScramVerifier(
    salt=b"s" * 16, iterations=4096, stored_key=b"k" * 32, server_key=b"v" * 32
)


class SqlCase(SynchronousTestCase):
    """A store in a folder of its own, started by the test."""

    def setUp(self) -> None:
        self.reactor = PumpedReactor()
        self.path = Path(self.mktemp()).resolve() / "a state%20 folder" / "mosaic.db"
        self.commits: list[int] = []
        self.foreign: list[None] = []
        self.store = SqlStore(
            self.path,
            self.reactor,
            on_commit=lambda seconds, changes: self.commits.append(changes),
            on_foreign_change=lambda: self.foreign.append(None),
        )

    def start(self) -> None:
        """Start, and stop when the test is done."""
        self.result(self.store.start())
        self.addCleanup(lambda: self.result(self.store.stop()))

    def result(self, deferred: Deferred[T]) -> T:
        """Play the reactor until it fires."""
        return self.reactor.result(deferred)


class FileTests(SqlCase):
    """What lies on the disk."""

    def test_only_the_owner_reads_it(self) -> None:
        """Database, write-ahead log and shared memory alike, whatever the umask."""
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        self.start()
        self.result(self.store.add_room(ROOM))
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in self.path.parent.iterdir()
        }
        names = ("mosaic.db", "mosaic.db-open", "mosaic.db-shm", "mosaic.db-wal")
        self.assertEqual(modes, dict.fromkeys(names, 0o600))
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)

    def test_a_readable_file_is_closed_to_others(self) -> None:
        """One that an older version or a restore left open."""
        self.path.parent.mkdir(parents=True)
        self.path.touch(0o644)
        self.start()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_durable_settings(self) -> None:
        """WAL, synchronous=FULL (2), foreign keys, and a reader that cannot write."""
        prepare_database(self.path, check=True)
        for write in (True, False):
            engine = open_engine(self.path, write=write)
            with engine.connect() as connection:
                found = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in (
                        "journal_mode", "synchronous", "foreign_keys",
                        "busy_timeout", "query_only",
                    )
                ]  # fmt: skip
            self.assertEqual(found, ["wal", 2, 1, 5000, 0 if write else 1])
            engine.dispose()

    def test_other_databases_are_refused_by_name(self) -> None:
        """The configuration key, and what it may be."""
        with self.assertRaisesRegex(StoreError, r"store\.url.*sqlite"):
            database_path("postgresql://db/mosaic")
        self.assertEqual(database_path("sqlite:////var/m.db"), Path("/var/m.db"))
        self.assertEqual(database_path("sqlite:///m.db"), Path("m.db"))

    def test_a_stop_folds_the_log_into_the_file(self) -> None:
        """So a copy of the one file is a whole backup."""
        self.result(self.store.start())
        self.result(self.store.add_room(ROOM))
        self.result(self.store.stop())
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["mosaic.db"])


class DamageTests(SqlCase):
    """Refused at the start, with a way out."""

    def refused(self) -> str:
        """Why the store does not start; a second try says the same."""
        reasons = []
        for _ in range(2):
            with self.assertRaises(StoreError) as caught:
                self.result(self.store.start())
            reasons.append(str(caught.exception))
        self.assertEqual(reasons[0], reasons[1])
        self.result(self.store.stop())
        return reasons[0]

    def test_a_damaged_page_is_found_at_the_start(self) -> None:
        """Before anybody edits; the file and the command are named."""
        with open_direct(self.path) as direct:
            for number in range(400):
                name = f"account{number:04}" + "x" * 40
                direct.add_account(name, VERIFIER, admin=False)
        pages = self.path.stat().st_size // 4096
        with self.path.open("r+b") as file:
            file.seek(4096 * (pages - 4))
            file.write(b"\xa5" * 4096 * 3)
        reason = self.refused()
        self.assertIn(str(self.path), reason)
        self.assertIn("mosaic restore", reason)

    def test_a_file_that_is_no_database(self) -> None:
        """Somebody's text in its place is not written over."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"Dear diary, " * 1000)
        self.assertIn("mosaic restore", self.refused())
        self.assertTrue(self.path.read_bytes().startswith(b"Dear diary"))

    def test_a_row_that_belongs_to_nothing_is_found(self) -> None:
        """SQLite keeps such rows out, so one that is there is a fault of the disk."""
        prepare_database(self.path, check=False)
        with sqlite3.connect(self.path) as raw:
            raw.execute("INSERT INTO journal VALUES (7, 1, 'aa', 0, X'00')")
        raw.close()
        self.assertRegex(self.refused(), "row .* of journal belongs to nothing")

    def test_a_missing_log_is_told(self) -> None:
        """Somebody copied mosaic.db alone, or tidied up after a crash."""
        said: list[Any] = []
        keep: Any = said.append
        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        self.start()
        self.result(self.store.add_room(ROOM))
        copy = self.path.with_name("copy.db")
        copy.write_bytes(self.path.read_bytes())
        Path(f"{copy}-open").touch()
        second = SqlStore(copy, self.reactor)
        self.result(second.start())
        self.result(second.stop())
        told = [e for e in said if "is missing" in str(e.get("log_format"))]
        self.assertEqual([e["path"] for e in told], [str(copy)])
        self.result(second.start())
        self.result(second.stop())
        self.assertEqual(len(told), 1)

    def test_a_log_that_a_verb_folded_in_is_not_missing(self) -> None:
        """`mosaic room list` after a crash, before the next start."""
        self.start()
        self.result(self.store.add_room(ROOM))
        crashed = self.path.with_name("crashed.db")
        for end in ("", "-wal", "-open"):
            source = Path(f"{self.path}{end}")
            Path(f"{crashed}{end}").write_bytes(source.read_bytes())
        with open_direct(crashed) as direct:
            self.assertEqual(direct.rooms(), [ROOM])
        self.assertFalse(Path(f"{crashed}-open").exists())

    def test_a_check_that_takes_too_long_is_cut_off(self) -> None:
        """A server of a large house starts all the same; the log says so."""
        with open_direct(self.path) as store:
            store.add_room(ROOM)
        with sqlite3.connect(self.path) as raw:
            raw.executemany(
                "INSERT INTO messages VALUES"
                " ('100000009', ?, ?, 'a', 'a', 'x', 0, NULL, NULL)",
                [(number, str(number)) for number in range(5000)],
            )
        raw.close()
        said: list[Any] = []
        keep: Any = said.append
        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        prepare_database(self.path, check=True, patience_s=0)
        self.assertIn("cut off", "".join(str(event["log_format"]) for event in said))
        self.assertIsNone(check_database(self.path))

    def test_a_newer_database_is_refused(self) -> None:
        """After a downgrade; not damaged, not touched."""
        prepare_database(self.path, check=False)
        with sqlite3.connect(self.path) as raw:
            raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.close()
        self.assertRegex(self.refused(), "9999.*newer")

    def test_a_folder_that_cannot_be_made(self) -> None:
        """A file stands in its place."""
        self.path.parent.parent.mkdir(parents=True)
        self.path.parent.write_bytes(b"")
        self.assertIn("cannot be written", self.refused())


class MigrationTests(SqlCase):
    """The steps and the tables are one."""

    def test_the_steps_make_the_tables(self) -> None:
        """A column in one and not in the other is found here."""
        prepare_database(self.path, check=False)
        engine = open_engine(self.path, write=True)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            self.assertEqual(compare_metadata(context, metadata), [])
        engine.dispose()

    def test_the_newest_step_is_known(self) -> None:
        """HEAD spares most starts the import of Alembic, so it must be right."""
        config = Config()
        steps = Path(migrate_module.__file__).with_name("migrations")
        config.set_main_option("script_location", str(steps))
        script = ScriptDirectory.from_config(config)
        self.assertEqual(script.get_heads(), [HEAD])

    def test_the_first_release_is_upgraded_in_place(self) -> None:
        """What was in it is there, and the new tables work."""
        self.path.parent.mkdir(parents=True)
        engine = open_engine(self.path, write=True)
        config = Config()
        steps = str(Path(migrate_module.__file__).with_name("migrations"))
        config.set_main_option("script_location", steps.replace("%", "%%"))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        engine.dispose()
        with sqlite3.connect(self.path) as raw:
            raw.executescript(FIRST_RELEASE)
        raw.close()
        self.start()
        document = self.result(self.store.load_document("100000009", "board"))
        self.assertEqual(document.epoch, "e")
        self.assertEqual((document.snapshot, document.updates), (b"s", (b"u",)))
        self.assertEqual(document.versioned_seq, 0)
        self.assertEqual(self.result(self.store.blob_hashes()), {"ab" * 32})
        saved = self.store.save_version(
            "100000009", "board", b"su", through_seq=2, reason=Reason.AUTO
        )
        version = self.result(saved)
        assert version is not None
        self.assertEqual([one.id for one in version.authors], ["aa"])
        room = self.result(self.store.room("100000009"))
        self.assertEqual((room.name, room.moderated), ("Blue", False))
        [line] = self.result(self.store.messages("100000009"))
        self.assertEqual((line.text, line.edited_at), ("hello", None))


FIRST_RELEASE = f"""
INSERT INTO rooms VALUES ('100000009', 'Blue', '1', 1.0, NULL, NULL, 0, 0, NULL);
INSERT INTO messages VALUES ('100000009', 1, 'm', 'aa', 'Ann', 'hello', 1.0);
INSERT INTO documents VALUES (7, '100000009', 'board', 'e', 2);
INSERT INTO snapshots VALUES (7, 1, 1.0, X'73');
INSERT INTO journal VALUES (7, 2, 'aa', 1.0, X'75');
INSERT INTO blobs VALUES ('100000009', '{"ab" * 32}', 3, 'image/png', 1.0);
"""


class GroupTests(SqlCase):
    """Many changes, few commits."""

    def test_a_burst_shares_commits(self) -> None:
        """300 changes at once are not 300 waits for the disk."""
        self.start()
        flying = [self.store.ping() for _ in range(300)]
        for one in flying:
            self.result(one)
        self.result(self.store.ping())
        self.assertGreaterEqual(sum(self.commits), 300)
        self.assertLess(len(self.commits), 50)

    def test_a_group_that_holds_a_bad_change_keeps_the_good_ones(self) -> None:
        """Values that the database itself refuses are refused alone."""
        self.start()
        self.result(self.store.add_room(ROOM))
        huge = Room(hub_id="200000008", name="x", pin="1", created_at=2**70, owner=None)
        bad: list[Deferred[Any]] = [
            self.store.update_room(
                Room(hub_id="100000009", name="\ud800", pin="1", created_at=0.0)
            ),
            self.store.remove_tokens(hub_id="x" * 10, expired_before=2**70),
            self.store.add_message(
                "100000009", message_id="m", author_id="a", author=None,  # type: ignore[arg-type]  # NOT NULL
                text="t", at=0.0,
            ),
        ]  # fmt: skip
        good = self.store.add_room(huge)
        self.result(good)
        outcomes = []
        for one in bad:
            try:
                self.result(one)
                outcomes.append("kept")
            except Exception as error:
                outcomes.append(type(error).__name__)
        self.assertEqual(outcomes[0], "UnicodeEncodeError")
        self.assertEqual(outcomes[2], "StoreError")
        self.assertEqual(self.result(self.store.room("100000009")), ROOM)
        self.assertEqual(self.result(self.store.room("200000008")).name, "x")


class TwoProcessTests(SqlCase):
    """The command line beside the server."""

    def poll(self) -> int:
        """Let a second pass; how often the listener was told so far."""
        self.reactor.advance(1)
        for _ in range(2):  # the probe may share its group with the first
            self.result(self.store.ping())
        return len(self.foreign)

    def test_a_change_by_another_is_noticed_within_a_second(self) -> None:
        """And our own changes are none."""
        self.start()
        self.result(self.store.add_room(ROOM))
        self.assertEqual(self.poll(), 0)
        with open_direct(self.path) as direct:
            direct.update_room(replace(ROOM, locked=True))
        self.assertEqual(self.poll(), 1)
        self.assertEqual(self.poll(), 1)
        self.assertTrue(self.result(self.store.room(ROOM.hub_id)).locked)

    def test_looking_is_not_writing(self) -> None:
        """`mosaic room list` every second wakes nobody."""
        self.start()
        self.poll()
        with open_direct(self.path) as direct:
            direct.rooms()
        self.assertEqual(self.poll(), 0)

    def test_verbs_work_before_the_first_start(self) -> None:
        """They make and migrate the database; the server finds it all."""
        with open_direct(f"sqlite:///{self.path}") as direct:
            made = direct.add_account("ada", VERIFIER, admin=True)
            direct.add_room(ROOM)
            direct.set_member(ROOM.hub_id, "ada", Role.HOST)
            token = StoredToken(
                digest=b"d" * 32, kind="room", name="Ada", account="ada",
                hub_id=ROOM.hub_id, role=Role.HOST, participant_id="aa",
                created_at=0.0, expires_at=9.0,
            )  # fmt: skip
            direct.add_token(token)
            self.assertEqual(direct.token(b"d" * 32), token)
            self.assertEqual(direct.verifier("ada"), VERIFIER)
            with self.assertRaises(NotFound):
                direct.room("200000008")
        self.start()
        self.assertEqual(self.result(self.store.accounts()), [made])
        roles = self.result(self.store.members(ROOM.hub_id))
        self.assertEqual(roles, {"ada": Role.HOST})
        with open_direct(self.path) as direct:
            direct.remove_account("ada")
        self.assertIsNone(self.result(self.store.token(b"d" * 32)))


del SqlCase  # abstract: nothing for the runner to collect

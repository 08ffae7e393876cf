"""What every store does with documents and their past."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mosaic.store.interface import (
    EMPTY_UPDATE,
    JournalEntry,
    NameTaken,
    NotFound,
    StoreError,
)
from mosaic.store.sql import SqlStore
from mosaic.workspace.versions import Author, Reason, Thinning, Version
from tests.support.stores import (
    NOW,
    OTHER,
    ROOM,
    MemoryCase,
    SqlCase,
    StoreContract,
    entries,
)


class DocumentContract(StoreContract):
    """The journal."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def append(self, *updates: bytes) -> int:
        """Add to the board; the last number."""
        added = self.store.append_updates(ROOM.hub_id, "board", entries(*updates))
        return self.result(added)

    def load(self) -> tuple[bytes, tuple[bytes, ...], int]:
        """The board without its epoch."""
        document = self.result(self.store.load_document(ROOM.hub_id, "board"))
        return document.snapshot, document.updates, document.last_seq

    def snapshot(self, state: bytes, through_seq: int) -> None:
        """Save one of the board."""
        saved = self.store.save_snapshot(
            ROOM.hub_id, "board", state, through_seq=through_seq
        )
        self.result(saved)

    def test_the_epoch_stays(self) -> None:
        """Made at the first opening, never again; each document has its own."""
        first = self.result(self.store.load_document(ROOM.hub_id, "board"))
        self.append(b"u")
        again = self.result(self.store.load_document(ROOM.hub_id, "board"))
        other = self.result(self.store.load_document(ROOM.hub_id, "notes/a"))
        self.assertEqual(first.epoch, again.epoch)
        self.assertNotEqual(first.epoch, other.epoch)
        names = self.result(self.store.document_names(ROOM.hub_id))
        self.assertEqual(names, ["board", "notes/a"])

    def test_updates_come_back_raw_and_in_order(self) -> None:
        """Byte for byte, empty groups and empty updates included."""
        self.assertEqual(self.load(), (b"", (), 0))
        self.assertEqual(self.append(), 0)
        self.assertEqual(self.append(b"one", b"\x00\xff"), 2)
        self.assertEqual(self.append(b"three"), 3)
        self.assertEqual(self.load(), (b"", (b"one", b"\x00\xff", b"three"), 3))

    def test_a_snapshot_replaces_what_it_holds(self) -> None:
        """Later updates stay, and numbers go on."""
        self.append(b"1", b"2", b"3")
        self.snapshot(b"12", 2)
        self.assertEqual(self.load(), (b"12", (b"3",), 3))
        self.snapshot(b"123", 3)
        self.assertEqual(self.load(), (b"123", (), 3))
        self.assertEqual(self.append(b"4"), 4)
        self.assertEqual(self.load(), (b"123", (b"4",), 4))

    def test_an_older_snapshot_is_ignored(self) -> None:
        """One that was late must not undo a newer one."""
        self.append(b"1", b"2", b"3")
        self.snapshot(b"123", 3)
        self.snapshot(b"1", 1)
        self.assertEqual(self.load(), (b"123", (), 3))

    def test_a_snapshot_cannot_reach_into_the_future(self) -> None:
        """Updates that came after it was computed are never lost."""
        self.append(b"1")
        self.snapshot(b"1", 99)
        self.append(b"2")
        self.assertEqual(self.load(), (b"1", (b"2",), 2))

    def test_quarantine_leaves_no_gap(self) -> None:
        """So the numbers of the others can be counted from the last."""
        self.append(b"1", b"bad", b"3")
        self.result(self.store.quarantine_update(ROOM.hub_id, "board", 2, "panic"))
        self.assertEqual(self.load(), (b"", (b"1", EMPTY_UPDATE, b"3"), 3))
        again = self.store.quarantine_update(ROOM.hub_id, "board", 2, "panic")
        self.result(again)
        missing = self.store.quarantine_update(ROOM.hub_id, "board", 4, "panic")
        self.fails(NotFound, missing)

    def test_a_burst_is_kept_in_the_order_of_its_making(self) -> None:
        """Many changes in flight, answered in order."""
        flying = [
            self.store.append_updates(ROOM.hub_id, "board", entries(b"%d" % number))
            for number in range(200)
        ]
        self.assertEqual([self.result(one) for one in flying], list(range(1, 201)))
        expected = tuple(b"%d" % number for number in range(200))
        self.assertEqual(self.load(), (b"", expected, 200))

    def test_one_failure_in_a_burst_harms_no_other(self) -> None:
        """Each change stands for itself, though they share a commit."""
        good = self.store.append_updates(ROOM.hub_id, "board", entries(b"1"))
        bad = self.store.append_updates("300000007", "board", entries(b"x"))
        taken = self.store.add_account("ada", OTHER, admin=False)
        also = self.store.append_updates(ROOM.hub_id, "board", entries(b"2"))
        self.assertEqual(self.result(good), 1)
        self.fails(NotFound, bad)
        self.fails(NameTaken, taken)
        self.assertEqual(self.result(also), 2)
        self.assertEqual(self.load(), (b"", (b"1", b"2"), 2))

    def test_ping(self) -> None:
        """It can write."""
        self.assertIsNone(self.result(self.store.ping()))


class HistoryContract(StoreContract):
    """Versions, authors, files that nobody refers to, the quarantine."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def write(self, *updates: bytes, who: str = "aa", name: str = "board") -> int:
        """Add updates of somebody; the last number."""
        kept = [JournalEntry(update=update, author=who) for update in updates]
        return self.result(self.store.append_updates(ROOM.hub_id, name, kept))

    def sign(self, who: str, *clients: int, name: str = "Ada") -> None:
        """Add an update that tells who writes, and as which Yjs clients."""
        writer = Author(id=who, name=name, account=None, client_ids=clients)
        entry = JournalEntry(update=b"w", author=who, writer=writer)
        self.result(self.store.append_updates(ROOM.hub_id, "board", [entry]))

    def keep(self, state: bytes, through_seq: int, **more: Any) -> Version | None:
        """Save a version of the board."""
        more.setdefault("reason", Reason.AUTO)
        return self.result(
            self.store.save_version(
                ROOM.hub_id, "board", state, through_seq=through_seq, **more
            )
        )

    def kept(self, state: bytes, through_seq: int, **more: Any) -> Version:
        """One that must be kept."""
        version = self.keep(state, through_seq, **more)
        assert version is not None
        return version

    def ids(self, name: str | None = None) -> list[int]:
        """Those of the room or of a document, newest first."""
        return [one.id for one in self.result(self.store.versions(ROOM.hub_id, name))]

    def test_a_version_comes_back_whole(self) -> None:
        """Its state byte for byte, its facts as they were given."""
        self.write(b"1", b"2")
        state = b"\x00state" * 1000
        version = self.kept(
            state, 2, reason=Reason.NAMED, label="Draft", by="00000000000000aa"
        )
        found = self.result(self.store.versions(ROOM.hub_id, "board"))
        self.assertEqual(found, [version])
        self.assertEqual(
            (version.document, version.at, version.label, version.by, version.reason),
            ("board", NOW, "Draft", "00000000000000aa", Reason.NAMED),
        )
        self.assertEqual((version.size_bytes, version.through_seq), (len(state), 2))
        again = self.store.version_state(ROOM.hub_id, "board", version.id)
        self.assertEqual(self.result(again), state)

    def test_an_automatic_version_of_nothing_new_is_not_kept(self) -> None:
        """A room that people look at and leave fills no disk; a name is a wish."""
        self.write(b"1")
        self.kept(b"1", 1)
        self.assertIsNone(self.keep(b"1", 1, reason=Reason.EMPTY))
        self.assertIsNotNone(self.keep(b"1", 1, label="Again"))
        document = self.result(self.store.load_document(ROOM.hub_id, "board"))
        self.assertEqual((document.last_seq, document.versioned_seq), (1, 1))

    def test_versions_belong_to_their_document(self) -> None:
        """Also those of a room in one list, newest first."""
        self.write(b"1")
        self.write(b"1", name="notes/a")
        board = self.kept(b"b", 1)
        notes = self.result(
            self.store.save_version(
                ROOM.hub_id, "notes/a", b"n", through_seq=1, reason=Reason.AUTO
            )
        )
        assert notes is not None
        self.assertEqual(self.ids(), [notes.id, board.id])
        self.assertEqual(self.ids("board"), [board.id])
        self.assertEqual(self.ids("notes/z"), [])
        hub = ROOM.hub_id
        self.fails(NotFound, self.store.version_state(hub, "notes/a", board.id))
        self.fails(NotFound, self.store.versions("300000007"))
        lost = self.store.save_version(
            hub, "notes/z", b"n", through_seq=1, reason=Reason.AUTO
        )
        self.fails(NotFound, lost)

    def test_names_come_and_go(self) -> None:
        """A version can be named later, and lose its name again."""
        self.write(b"1")
        version = self.kept(b"1", 1)
        for label in ("Draft", None):
            relabelled = self.store.label_version(
                ROOM.hub_id, "board", version.id, label
            )
            self.assertEqual(self.result(relabelled), replace(version, label=label))
        lost = self.store.label_version(ROOM.hub_id, "board", 99, "x")
        self.fails(NotFound, lost)

    def test_a_removed_version_is_gone_and_its_number_too(self) -> None:
        """Whoever still shows it must not get another one."""
        self.write(b"1")
        version = self.kept(b"1", 1)
        remove = self.store.remove_version
        self.result(remove(ROOM.hub_id, "board", version.id))
        self.fails(NotFound, remove(ROOM.hub_id, "board", version.id))
        self.fails(NotFound, self.store.version_state(ROOM.hub_id, "board", version.id))
        self.assertGreater(self.kept(b"1", 1).id, version.id)

    def test_thinning_keeps_names_and_the_newest(self) -> None:
        """Whatever the room may take."""
        self.write(b"1", b"2", b"3", b"4")
        named = self.kept(b"1", 1, label="Draft")
        self.kept(b"2", 2)
        self.kept(b"3", 3)
        newest = self.kept(b"4", 4)
        rule = Thinning(room_bytes=1)
        self.assertEqual(self.result(self.store.thin_versions(ROOM.hub_id, rule)), 2)
        self.assertEqual(self.ids(), [newest.id, named.id])

    def test_authors_of_a_version_are_those_since_the_one_before(self) -> None:
        """Also when a snapshot has emptied the journal meanwhile."""
        self.sign("aa", 7)
        self.write(b"x", who="bb")
        first = self.kept(b"1", 2)
        self.assertEqual([one.id for one in first.authors], ["aa", "bb"])
        self.assertEqual([one.name for one in first.authors], ["Ada", ""])
        self.write(b"x", who="cc")
        snapshot = self.store.save_snapshot(ROOM.hub_id, "board", b"s", through_seq=3)
        self.result(snapshot)
        self.sign("dd", 8, name="Dan")
        second = self.kept(b"2", 4)
        self.assertEqual([one.id for one in second.authors], ["cc", "dd"])

    def test_clients_are_told_apart(self) -> None:
        """The first who brought a client's edits keeps it; names may change."""
        self.sign("aa", 7, 2**53 - 1)
        self.sign("bb", 7, 8, name="Bob")
        self.sign("aa", 9, name="Ada L.")
        found = self.result(self.store.authors(ROOM.hub_id, "board"))
        self.assertEqual(
            [(one.id, one.name, one.client_ids) for one in found],
            [("aa", "Ada L.", (7, 9, 2**53 - 1)), ("bb", "Bob", (8,))],
        )
        self.assertEqual(self.result(self.store.authors(ROOM.hub_id, "notes/z")), [])

    def test_the_quarantine_can_be_read(self) -> None:
        """For `mosaic check`: where, whose, why."""
        self.write(b"1", b"bad")
        for _ in range(2):
            aside = self.store.quarantine_update(ROOM.hub_id, "board", 2, "panic")
            self.result(aside)
        [found] = self.result(self.store.set_aside())
        self.assertEqual(
            (found.hub_id, found.document, found.seq, found.author, found.reason),
            (ROOM.hub_id, "board", 2, "aa", "panic"),
        )
        self.assertEqual(found.size_bytes, 3)


class MemoryDocumentTests(MemoryCase, DocumentContract):
    """Documents in the fake."""


class MemoryHistoryTests(MemoryCase, HistoryContract):
    """The past in the fake."""


class SqlDocumentTests(SqlCase, DocumentContract):
    """Documents on disk."""

    def test_a_stopped_store_answers(self) -> None:
        """With an error, not with silence."""
        self.result(self.store.stop())
        self.fails(StoreError, self.store.ping())
        self.fails(StoreError, self.store.rooms())

    def test_stopping_commits_what_waits(self) -> None:
        """And a new store reads it."""
        flying = self.store.append_updates(ROOM.hub_id, "board", entries(b"last"))
        self.result(self.store.stop())
        self.assertEqual(self.result(flying), 1)
        self.store = SqlStore(f"sqlite:///{self.path}", self.reactor)
        self.result(self.store.start())
        self.assertEqual(self.load(), (b"", (b"last",), 1))


class SqlHistoryTests(SqlCase, HistoryContract):
    """The past on disk."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase
del DocumentContract, HistoryContract

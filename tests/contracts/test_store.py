"""What every store does: one suite over the real one and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store.interface import (
    EMPTY_UPDATE,
    JournalEntry,
    NameTaken,
    NotFound,
    Store,
    StoredToken,
    StoreError,
)
from mosaic.store.memory import MemoryStore
from mosaic.store.sql import SqlStore
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.model import Blob, Message, Role, Room, RoomContent
from mosaic.workspace.versions import Author, Reason, Thinning, Version
from tests.support.pumped import PumpedReactor

T = TypeVar("T")

NOW = 1_000_000.0
VERIFIER = ScramVerifier(
    salt=b"s" * 16, iterations=4096, stored_key=b"k" * 32, server_key=b"v" * 32
)
OTHER = replace(VERIFIER, salt=b"t" * 16)
ROOM = Room(hub_id="100000009", name="Blue", pin="012345", created_at=5.5)
SECOND = Room(hub_id="200000008", name="Red", pin="000000", created_at=4.5)


def token(digest: bytes, **changes: object) -> StoredToken:
    """A guest's room token, changed as said."""
    base = StoredToken(
        digest=digest.ljust(32, b"."),
        kind="room",
        name="Guest",
        account=None,
        hub_id=ROOM.hub_id,
        role=Role.EDITOR,
        participant_id="00000000000000aa",
        created_at=NOW,
        expires_at=NOW + 60,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of one type each


def entries(*updates: bytes) -> list[JournalEntry]:
    """Updates by one author."""
    return [JournalEntry(update=update, author="aa") for update in updates]


class StoreContract(SynchronousTestCase):
    """A subclass makes the store and waits for its results."""

    store: Store

    def result(self, deferred: Deferred[T]) -> T:
        """The value of a Deferred, or its exception raised."""
        raise NotImplementedError

    def fails(self, error: type[Exception], deferred: Deferred[T]) -> None:
        """The Deferred fails with that error."""
        with self.assertRaises(error):
            self.result(deferred)

    def furnish(self) -> None:
        """One account and one room."""
        self.result(self.store.add_account("ada", VERIFIER, admin=True))
        self.result(self.store.add_room(ROOM))


class AccountContract(StoreContract):
    """Accounts."""

    def test_an_account_is_kept(self) -> None:
        """What was put in comes out."""
        made = self.result(self.store.add_account("ada", VERIFIER, admin=True))
        self.assertEqual((made.name, made.admin, made.created_at), ("ada", True, NOW))
        self.assertEqual(self.result(self.store.account("ada")), made)
        self.assertEqual(self.result(self.store.verifier("ada")), VERIFIER)

    def test_names_are_unique(self) -> None:
        """The second one is refused and changes nothing."""
        self.result(self.store.add_account("ada", VERIFIER, admin=True))
        self.fails(NameTaken, self.store.add_account("ada", OTHER, admin=False))
        self.assertEqual(self.result(self.store.verifier("ada")), VERIFIER)

    def test_unknown_accounts(self) -> None:
        """NotFound everywhere, except that a login asks without a fuss."""
        self.fails(NotFound, self.store.account("eve"))
        self.fails(NotFound, self.store.set_verifier("eve", VERIFIER))
        self.fails(NotFound, self.store.remove_account("eve"))
        self.assertIsNone(self.result(self.store.verifier("eve")))

    def test_listed_by_name(self) -> None:
        """In code point order."""
        for name in ("zoë", "ada", "ben"):
            self.result(self.store.add_account(name, VERIFIER, admin=False))
        names = [account.name for account in self.result(self.store.accounts())]
        self.assertEqual(names, ["ada", "ben", "zoë"])

    def test_a_new_password_revokes_the_accounts_tokens(self) -> None:
        """And nobody else's."""
        self.furnish()
        self.result(self.store.add_token(token(b"hers", account="ada")))
        self.result(self.store.add_token(token(b"guest")))
        self.result(self.store.set_verifier("ada", OTHER))
        self.assertEqual(self.result(self.store.verifier("ada")), OTHER)
        self.assertIsNone(self.result(self.store.token(token(b"hers").digest)))
        self.assertIsNotNone(self.result(self.store.token(token(b"guest").digest)))

    def test_a_removed_account_leaves_its_rooms(self) -> None:
        """Memberships and tokens go; a room it owned stays, without an owner."""
        self.furnish()
        self.result(self.store.add_room(replace(SECOND, owner="ada")))
        self.result(self.store.set_member(ROOM.hub_id, "ada", Role.VIEWER))
        self.result(self.store.add_token(token(b"hers", account="ada")))
        self.result(self.store.remove_account("ada"))
        self.assertEqual(self.result(self.store.room(SECOND.hub_id)), SECOND)
        self.assertEqual(self.result(self.store.members(ROOM.hub_id)), {})
        self.assertIsNone(self.result(self.store.token(token(b"hers").digest)))


class RoomContract(StoreContract):
    """Rooms and members."""

    def test_a_room_is_kept(self) -> None:
        """Every field, with its zeros."""
        self.furnish()
        full = replace(
            SECOND, owner="ada", alias="red", locked=True, lobby=True, closed_at=9.25
        )
        self.result(self.store.add_room(full))
        self.assertEqual(self.result(self.store.room(full.hub_id)), full)
        self.assertEqual(self.result(self.store.room_by_alias("red")), full)
        self.assertEqual(self.result(self.store.room(ROOM.hub_id)), ROOM)

    def test_hub_ids_and_aliases_are_unique(self) -> None:
        """For new rooms and for changed ones."""
        self.result(self.store.add_room(replace(ROOM, alias="blue")))
        self.fails(NameTaken, self.store.add_room(ROOM))
        self.fails(NameTaken, self.store.add_room(replace(SECOND, alias="blue")))
        self.result(self.store.add_room(SECOND))
        self.fails(NameTaken, self.store.update_room(replace(SECOND, alias="blue")))
        self.result(self.store.update_room(replace(ROOM, alias="blue", name="Same")))

    def test_unknown_rooms(self) -> None:
        """NotFound, wherever a room is named."""
        hub_id = ROOM.hub_id
        self.fails(NotFound, self.store.room(hub_id))
        self.fails(NotFound, self.store.room_by_alias("blue"))
        self.fails(NotFound, self.store.update_room(ROOM))
        self.fails(NotFound, self.store.members(hub_id))
        self.fails(NotFound, self.store.set_member(hub_id, "ada", Role.HOST))
        self.fails(NotFound, self.store.messages(hub_id))
        self.fails(NotFound, self.store.document_names(hub_id))
        self.fails(NotFound, self.store.load_document(hub_id, "board"))
        self.fails(NotFound, self.store.append_updates(hub_id, "board", entries(b"u")))
        self.fails(NotFound, self.store.add_token(token(b"t")))

    def test_an_owner_must_exist(self) -> None:
        """A room cannot belong to nobody we know."""
        self.fails(NotFound, self.store.add_room(replace(ROOM, owner="eve")))

    def test_a_change_keeps_the_date(self) -> None:
        """Everything but Hub ID and date of birth can change."""
        self.result(self.store.add_room(ROOM))
        changed = replace(ROOM, name="Green", pin="999999", locked=True, closed_at=7.0)
        self.result(self.store.update_room(replace(changed, created_at=99.0)))
        self.assertEqual(self.result(self.store.room(ROOM.hub_id)), changed)

    def test_members_and_whose_rooms(self) -> None:
        """The owner is a host whatever role is written down."""
        self.furnish()
        self.result(self.store.add_account("ben", VERIFIER, admin=False))
        self.result(self.store.add_room(replace(SECOND, owner="ada")))
        self.result(self.store.set_member(SECOND.hub_id, "ben", Role.VIEWER))
        self.result(self.store.set_member(SECOND.hub_id, "ben", Role.EDITOR))
        self.result(self.store.set_member(SECOND.hub_id, "ada", Role.VIEWER))
        self.assertEqual(
            self.result(self.store.members(SECOND.hub_id)),
            {"ada": Role.HOST, "ben": Role.EDITOR},
        )
        of = {
            name: [room.hub_id for room in self.result(self.store.rooms(member=name))]
            for name in ("ada", "ben", "eve")
        }
        second = [SECOND.hub_id]
        self.assertEqual(of, {"ada": second, "ben": second, "eve": []})
        everything = [room.hub_id for room in self.result(self.store.rooms())]
        self.assertEqual(everything, [SECOND.hub_id, ROOM.hub_id])
        self.result(self.store.set_member(SECOND.hub_id, "ben", None))
        self.assertEqual(self.result(self.store.rooms(member="ben")), [])
        self.fails(NotFound, self.store.set_member(ROOM.hub_id, "eve", Role.HOST))

    def test_tokens_follow_a_membership(self) -> None:
        """Who is inside by a token must not keep the role of yesterday."""
        self.furnish()
        self.result(self.store.add_account("ben", VERIFIER, admin=False))
        self.result(self.store.add_room(replace(SECOND, owner="ada")))
        here = SECOND.hub_id
        for number, account in enumerate(("ben", "ada", None)):
            entered = token(bytes([number]) * 32, account=account, hub_id=here)
            kept = replace(entered, kind="room", role=Role.EDITOR, waiting=number == 0)
            self.result(self.store.add_token(kept))

        def roles() -> list[tuple[Role | None, bool] | None]:
            found = [self.result(self.store.token(bytes([n]) * 32)) for n in range(3)]
            return [None if t is None else (t.role, t.waiting) for t in found]

        others: list[tuple[Role | None, bool] | None] = [(Role.EDITOR, False)] * 2
        self.result(self.store.set_member(here, "ben", None))
        self.assertEqual(roles(), [(Role.EDITOR, True), *others], "never a member")
        self.result(self.store.set_member(here, "ben", Role.VIEWER))
        self.result(self.store.set_member(here, "ada", Role.VIEWER))
        self.assertEqual(roles(), [(Role.VIEWER, False), *others])
        self.result(self.store.set_member(here, "ben", None))
        self.result(self.store.set_member(here, "ada", None))
        self.assertEqual(roles(), [None, *others])


class TokenContract(StoreContract):
    """Tokens."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def test_tokens_of_every_kind_are_kept(self) -> None:
        """Also expired ones: expiry is the door's to judge."""
        session = token(
            b"session", kind="session", account="ada", hub_id=None, role=None,
            participant_id="", expires_at=0.5,
        )  # fmt: skip
        for one in (session, token(b"room", waiting=True)):
            self.result(self.store.add_token(one))
            self.assertEqual(self.result(self.store.token(one.digest)), one)
        self.assertIsNone(self.result(self.store.token(b"?" * 32)))

    def test_a_token_of_nobody_is_refused(self) -> None:
        """Its account must exist."""
        self.fails(NotFound, self.store.add_token(token(b"t", account="eve")))

    def test_changes_touch_only_what_is_given(self) -> None:
        """Admit, then give another role."""
        one = token(b"t", waiting=True)
        self.result(self.store.add_token(one))
        self.result(self.store.update_token(one.digest, waiting=False))
        self.result(self.store.update_token(one.digest, role=Role.VIEWER))
        self.result(self.store.update_token(one.digest))
        expected = replace(one, waiting=False, role=Role.VIEWER)
        self.assertEqual(self.result(self.store.token(one.digest)), expected)
        self.fails(NotFound, self.store.update_token(b"?" * 32, waiting=False))

    def test_participants_are_found_in_their_room(self) -> None:
        """And in no other."""
        one = token(b"t")
        self.result(self.store.add_token(one))
        here = self.store.participant_token(ROOM.hub_id, one.participant_id)
        self.assertEqual(self.result(here), one)
        there = self.store.participant_token(SECOND.hub_id, one.participant_id)
        self.assertIsNone(self.result(there))

    def test_the_lobby(self) -> None:
        """First come first; those let in and those expired are not in it."""
        late = token(b"a", waiting=True, created_at=NOW + 2)
        early = token(b"b", waiting=True, created_at=NOW + 1)
        gone = token(b"c", waiting=True, expires_at=NOW - 1)
        for one in (late, early, gone, token(b"d")):
            self.result(self.store.add_token(one))
        waiting = self.result(self.store.waiting_tokens(ROOM.hub_id))
        self.assertEqual(waiting, [early, late])

    def test_removal(self) -> None:
        """One; a room's; the expired; and never all by mistake."""
        session = token(b"s", kind="session", account="ada", hub_id=None, role=None)
        old = token(b"o", expires_at=NOW - 1)
        for one in (session, old, token(b"t"), token(b"u")):
            self.result(self.store.add_token(one))
        self.assertEqual(self.result(self.store.remove_tokens()), 0)
        self.assertEqual(self.result(self.store.remove_tokens(expired_before=NOW)), 1)
        self.result(self.store.remove_token(token(b"t").digest))
        self.result(self.store.remove_token(token(b"t").digest))
        removed = self.store.remove_tokens(hub_id=ROOM.hub_id)
        self.assertEqual(self.result(removed), 1)
        self.assertEqual(self.result(self.store.token(session.digest)), session)


class ChatContract(StoreContract):
    """Chat and blobs."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def say(self, message_id: str, text: str = "hello") -> int:
        """Add a message; its number."""
        added = self.store.add_message(
            ROOM.hub_id,
            message_id=message_id,
            author_id="aa",
            author="Ada",
            text=text,
            at=NOW,
        )
        return self.result(added).seq

    def test_numbers_grow_by_one_and_a_repeat_is_kept_once(self) -> None:
        """A client that sends again after a lost answer does not speak twice."""
        numbers = [self.say("a"), self.say("b"), self.say("a", "again"), self.say("c")]
        self.assertEqual(numbers, [1, 2, 1, 3])
        texts = [m.text for m in self.result(self.store.messages(ROOM.hub_id))]
        self.assertEqual(texts, ["hello"] * 3)

    def test_pages_go_backwards(self) -> None:
        """The newest first page, oldest line first."""
        for number in range(1, 8):
            self.say(str(number))

        def page(before: int | None, limit: int) -> list[int]:
            found = self.store.messages(ROOM.hub_id, before=before, limit=limit)
            return [message.seq for message in self.result(found)]

        self.assertEqual(page(None, 3), [5, 6, 7])
        self.assertEqual(page(5, 3), [2, 3, 4])
        self.assertEqual(page(2, 3), [1])
        self.assertEqual(page(None, 0), [])

    def test_any_text_comes_back(self) -> None:
        """Also what could upset SQL or a terminal."""
        for number, text in enumerate(("'; DROP TABLE rooms; --", "\x00\u202e👩‍🚀")):
            self.say(str(number), text)
            newest = self.result(self.store.messages(ROOM.hub_id, limit=1))
            self.assertEqual(newest[0].text, text)

    def test_a_blob_belongs_to_the_rooms_that_refer_to_it(self) -> None:
        """Knowing the hash is no right to read it elsewhere."""
        blob = Blob(
            sha256="ab" * 32, size_bytes=3, media_type="image/png", created_at=NOW
        )
        self.result(self.store.add_room(SECOND))
        self.result(self.store.add_blob(ROOM.hub_id, blob))
        self.result(self.store.add_blob(ROOM.hub_id, replace(blob, media_type="x/y")))
        self.assertEqual(self.result(self.store.blob(ROOM.hub_id, blob.sha256)), blob)
        self.fails(NotFound, self.store.blob(SECOND.hub_id, blob.sha256))
        self.fails(NotFound, self.store.add_blob("300000007", blob))


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


class FileContract(StoreContract):
    """Files: kept as long as something names them, and a while longer."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()
        self.result(self.store.load_document(ROOM.hub_id, "board"))

    def blob(self, digit: str, hub_id: str = ROOM.hub_id) -> str:
        """Upload a file; its hash."""
        blob = Blob(sha256=digit * 64, size_bytes=1, media_type="x/y", created_at=NOW)
        self.result(self.store.add_blob(hub_id, blob))
        return blob.sha256

    def write(self, sha256: str) -> None:
        """An element of the board shows the file."""
        update = b"\x01w@" + sha256.encode() + b"a"
        self.result(self.store.append_updates(ROOM.hub_id, "board", entries(update)))

    def lost(self) -> set[str]:
        """The hashes that nothing refers to."""
        return set(self.result(self.store.unreferenced_blobs(ROOM.hub_id)).blobs)

    def forget(self, grace_s: float = 0.0) -> int:
        """Look, and forget, in every room."""
        removed = 0
        for hub_id in self.result(self.store.blob_rooms()):
            found = self.result(self.store.unreferenced_blobs(hub_id))
            removed += self.result(self.store.forget_blobs(found, grace_s=grace_s))
        return removed

    def test_what_is_named_anywhere_is_referred_to(self) -> None:
        """In the journal, a snapshot, a version or the chat."""
        hashes = [self.blob(digit) for digit in "12345"]
        in_snapshot, in_version, in_journal, in_chat, nowhere = hashes
        self.write(in_snapshot)
        self.result(
            self.store.save_snapshot(
                ROOM.hub_id, "board", in_snapshot.encode(), through_seq=1
            )
        )
        self.result(
            self.store.save_version(
                ROOM.hub_id, "board", b"v" + in_version.encode(),
                through_seq=1, reason=Reason.AUTO,
            )
        )  # fmt: skip
        self.write(in_journal)
        self.result(
            self.store.add_message(
                ROOM.hub_id, message_id="m", author_id="aa", author="Ada",
                text=f"see /blobs/{in_chat}!", at=NOW,
            )
        )  # fmt: skip
        self.assertEqual(self.lost(), {nowhere})

    def test_forgotten_only_after_the_grace(self) -> None:
        """Marked first; somebody may undo."""
        sha256 = self.blob("1")
        self.assertEqual(self.forget(), 0)
        self.assertEqual(self.forget(grace_s=10), 0)
        self.assertEqual(self.result(self.store.blob_hashes()), {sha256})
        self.assertEqual(self.forget(), 1)
        self.assertEqual(self.result(self.store.blob_hashes()), frozenset())
        self.fails(NotFound, self.store.blob(ROOM.hub_id, sha256))

    def test_a_new_reference_or_upload_takes_the_mark_away(self) -> None:
        """The grace begins again."""
        shown, uploaded = self.blob("1"), self.blob("2")
        self.forget()
        self.write(shown)
        self.blob("2")
        self.assertEqual(self.forget(), 0)
        self.assertEqual(self.result(self.store.blob_hashes()), {shown, uploaded})

    def test_what_is_written_after_the_look_saves_the_file(self) -> None:
        """Between the look and the removal somebody may paste the picture."""
        sha256 = self.blob("1")
        self.forget()
        found = self.result(self.store.unreferenced_blobs(ROOM.hub_id))
        self.write(sha256)
        forgotten = self.store.forget_blobs(found, grace_s=0)
        self.assertEqual(self.result(forgotten), 0)

    def test_another_room_keeps_its_own_reference(self) -> None:
        """The bytes are shared, the references are not."""
        self.result(self.store.add_room(SECOND))
        sha256 = self.blob("1")
        self.blob("1", SECOND.hub_id)
        self.write(sha256)
        self.forget()
        self.assertEqual(self.forget(), 1)
        self.assertEqual(self.result(self.store.blob_hashes()), {sha256})
        self.fails(NotFound, self.store.blob(SECOND.hub_id, sha256))


class MovingContract(StoreContract):
    """Whole rooms: out in the order of their making, in all or nothing."""

    def content(self, **more: Any) -> RoomContent:
        """Two documents, two lines of chat, one file."""
        lines = [
            Message(
                hub_id="x", seq=7 * n, message_id=f"m{n}", author_id="a",
                author="Ada", text=f"line {n}", at=float(n),
            )
            for n in (1, 2)
        ]  # fmt: skip
        blob = Blob(sha256="ab" * 32, size_bytes=1, media_type="a/b", created_at=1.0)
        given: dict[str, Any] = {
            "documents": [("board", b"\x00\x00"), ("notes/main", b"\x00\x00")],
            "messages": lines,
            "blobs": [blob],
        }
        return RoomContent(**(given | more))

    def test_a_room_comes_with_all_that_is_in_it(self) -> None:
        """Messages are numbered anew and keep author and time."""
        room = SECOND
        self.result(self.store.add_room_with(room, self.content()))
        hub_id = room.hub_id
        self.assertEqual(self.result(self.store.room(hub_id)), room)
        names = self.result(self.store.document_names(hub_id))
        self.assertEqual(names, ["board", "notes/main"])
        document = self.result(self.store.load_document(hub_id, "board"))
        self.assertEqual((document.snapshot, document.updates), (b"\x00\x00", ()))
        other = self.result(self.store.load_document(hub_id, "notes/main"))
        self.assertNotEqual(document.epoch, other.epoch)
        lines = self.result(self.store.messages_after(hub_id, after=0, limit=9))
        self.assertEqual(
            [(one.seq, one.author, one.text, one.at) for one in lines],
            [(1, "Ada", "line 1", 1.0), (2, "Ada", "line 2", 2.0)],
        )
        self.assertEqual(
            self.result(self.store.messages_after(hub_id, after=1, limit=9)), lines[1:]
        )
        self.assertEqual(
            self.result(self.store.messages_after(hub_id, after=0, limit=1)), lines[:1]
        )
        self.assertEqual(len(self.result(self.store.blobs(hub_id))), 1)
        after = JournalEntry(update=b"\x00\x00", author="a")
        seq = self.result(self.store.append_updates(hub_id, "board", [after]))
        self.assertEqual(seq, 2)
        kept = self.result(self.store.load_document(hub_id, "board"))
        self.assertEqual((kept.updates, kept.epoch), ((b"\x00\x00",), document.epoch))

    def test_content_that_cannot_be_read_leaves_nothing(self) -> None:
        """Not even the room."""

        def broken() -> Iterator[tuple[str, bytes]]:
            yield "board", b"\x00\x00"
            raise ValueError("gone")

        room = SECOND
        content = self.content(documents=broken())
        self.fails(ValueError, self.store.add_room_with(room, content))
        self.fails(NotFound, self.store.room(room.hub_id))
        self.fails(NotFound, self.store.blobs(room.hub_id))
        self.fails(NotFound, self.store.messages_after(room.hub_id, after=0, limit=1))


class _Memory(StoreContract):
    """The fake."""

    def setUp(self) -> None:
        self.store = MemoryStore(wall=lambda: NOW)
        self.result(self.store.start())
        super().setUp()

    def result(self, deferred: Deferred[T]) -> T:
        """It has fired already."""
        outcomes: list[T] = []
        failures: list[Exception] = []
        deferred.addCallbacks(outcomes.append, lambda f: failures.append(f.value))
        for error in failures:
            raise error
        return outcomes[0]


class _Sql(StoreContract):
    """The store on disk, with its real threads."""

    def setUp(self) -> None:
        self.reactor = PumpedReactor()
        self.path = Path(self.mktemp()) / "state" / "mosaic.db"
        self.store = SqlStore(self.path, self.reactor, wall=lambda: NOW)
        self.result(self.store.start())
        super().setUp()

    def tearDown(self) -> None:
        self.result(self.store.stop())

    def result(self, deferred: Deferred[T]) -> T:
        """Play the reactor until it fires."""
        return self.reactor.result(deferred)


class MemoryAccountTests(_Memory, AccountContract):
    """Accounts in the fake."""


class MemoryRoomTests(_Memory, RoomContract):
    """Rooms in the fake."""


class MemoryTokenTests(_Memory, TokenContract):
    """Tokens in the fake."""


class MemoryChatTests(_Memory, ChatContract):
    """Chat in the fake."""


class MemoryHistoryTests(_Memory, HistoryContract):
    """The past in the fake."""


class MemoryFileTests(_Memory, FileContract):
    """Files in the fake."""


class MemoryDocumentTests(_Memory, DocumentContract):
    """Documents in the fake."""


class MemoryMovingTests(_Memory, MovingContract):
    """In memory."""


class SqlMovingTests(_Sql, MovingContract):
    """On disk."""


class SqlAccountTests(_Sql, AccountContract):
    """Accounts on disk."""


class SqlRoomTests(_Sql, RoomContract):
    """Rooms on disk."""


class SqlTokenTests(_Sql, TokenContract):
    """Tokens on disk."""


class SqlChatTests(_Sql, ChatContract):
    """Chat on disk."""


class SqlHistoryTests(_Sql, HistoryContract):
    """The past on disk."""


class SqlFileTests(_Sql, FileContract):
    """Files on disk."""


class SqlDocumentTests(_Sql, DocumentContract):
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


del StoreContract, AccountContract, RoomContract, TokenContract, ChatContract
del (
    DocumentContract,
    HistoryContract,
    FileContract,
    MovingContract,
    _Memory,
    _Sql,
)  # abstract: nothing for the runner to collect

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
        self.assertEqual(seq, 1)
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
    MovingContract,
    _Memory,
    _Sql,
)  # abstract: nothing for the runner to collect

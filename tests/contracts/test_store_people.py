"""What every store does with accounts, rooms and tokens."""

from __future__ import annotations

from dataclasses import replace

from mosaic.store.interface import NameTaken, NotFound, StoredToken
from mosaic.workspace.model import Role
from tests.support.stores import (
    NOW,
    OTHER,
    ROOM,
    SECOND,
    VERIFIER,
    MemoryCase,
    SqlCase,
    StoreContract,
    entries,
)


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


class MemoryAccountTests(MemoryCase, AccountContract):
    """Accounts in the fake."""


class MemoryRoomTests(MemoryCase, RoomContract):
    """Rooms in the fake."""


class MemoryTokenTests(MemoryCase, TokenContract):
    """Tokens in the fake."""


class SqlAccountTests(SqlCase, AccountContract):
    """Accounts on disk."""


class SqlRoomTests(SqlCase, RoomContract):
    """Rooms on disk."""


class SqlTokenTests(SqlCase, TokenContract):
    """Tokens on disk."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase
del AccountContract, RoomContract, TokenContract

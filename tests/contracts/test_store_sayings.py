"""What every store keeps of rooms for XMPP: one history for all doors."""

from __future__ import annotations

from dataclasses import replace

from mosaic.store.interface import NotFound
from mosaic.workspace.archive import Entry, Kind, Saying, Span
from mosaic.workspace.model import Message, Role
from tests.contracts.test_store_people import token
from tests.support.stores import (
    NOW,
    ROOM,
    VERIFIER,
    MemoryCase,
    SqlCase,
    StoreContract,
)

HUB = ROOM.hub_id


def line(message_id: str, text: str = "hello", **changes: object) -> Saying:
    """A line of chat said by XMPP, changed as said."""
    base = Saying(
        kind=Kind.LINE,
        message_id=message_id,
        author_id="00000000000000aa",
        author="Ann",
        text=text,
        at=NOW,
        occupant_id="occ-ann",
        stanza_id=f"id-{message_id}",
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of one type each


class SayingContract(StoreContract):
    """The archive of a room."""

    def setUp(self) -> None:
        self.furnish()
        super().setUp()

    def say(self, saying: Saying) -> Entry:
        """Keep it."""
        return self.result(self.store.add_saying(HUB, saying))

    def write(self, message_id: str, text: str = "from a page") -> Message:
        """A line from a browser."""
        return self.result(
            self.store.add_message(
                HUB,
                message_id=message_id,
                author_id="bb",
                author="Ben",
                text=text,
                at=NOW,
            )
        )

    def archive(self, **span: object) -> list[Entry]:
        """A span of it."""
        wanted = Span(**span)  # type: ignore[arg-type]  # fields of one type each
        return self.result(self.store.room_archive(HUB, wanted))

    def texts(self) -> list[str]:
        """What a browser shows."""
        return [one.text for one in self.result(self.store.messages(HUB))]

    def test_two_doors_write_one_history(self) -> None:
        """Numbers grow whoever writes, and both doors read all of it."""
        self.write("m1")
        said = self.say(line("m2"))
        self.assertEqual(self.write("m3").seq, 3)
        self.assertEqual(said.seq, 2)
        self.assertEqual(self.texts(), ["from a page", "hello", "from a page"])
        found = self.archive()
        self.assertEqual([one.seq for one in found], [1, 2, 3])
        self.assertEqual([one.occupant_id for one in found], ["", "occ-ann", ""])
        self.assertEqual(found[1], said)
        self.assertEqual(self.result(self.store.last_seq(HUB)), 3)

    def test_the_same_message_is_kept_once(self) -> None:
        """A client that was cut off sends it again, through either door."""
        first = self.say(line("m1", "once"))
        self.assertEqual(self.say(line("m1", "twice")), first)
        self.assertEqual(self.write("m1").seq, first.seq)
        self.write("m2")
        self.assertEqual(self.say(line("m2", "ours")).seq, 2)
        self.assertEqual(self.texts(), ["once", "from a page"])

    def test_what_is_no_line_has_a_number_and_no_text(self) -> None:
        """A reaction is in the archive and not in the chat."""
        self.write("m1")
        extra = line("r1", "", kind=Kind.OTHER, stanza="<message/>")
        self.assertEqual(self.say(extra).seq, 2)
        self.assertEqual(self.write("m2").seq, 3)
        self.assertEqual(self.texts(), ["from a page"] * 2)
        kinds = [one.kind for one in self.archive()]
        self.assertEqual(kinds, [Kind.LINE, Kind.OTHER, Kind.LINE])

    def test_an_edit_changes_the_line(self) -> None:
        """The line reads anew; the archive has the edit as well."""
        said = self.say(line("m1", "helo"))
        edit = line("e1", "hello", kind=Kind.EDIT, about=said.seq, at=NOW + 1)
        self.assertEqual(self.say(edit).about, 1)
        [shown] = self.result(self.store.messages(HUB))
        self.assertEqual((shown.text, shown.edited_at), ("hello", NOW + 1))
        self.assertEqual([one.text for one in self.archive()], ["hello", ""])

    def test_a_retraction_leaves_no_copy(self) -> None:
        """Neither the text nor the stanza nor an edit of it can be read."""
        said = self.say(line("m1", stanza="<message>secret</message>"))
        edit = line("e1", kind=Kind.EDIT, about=said.seq, stanza="<message>s2")
        self.say(edit)
        gone = line("t1", "", kind=Kind.RETRACTION, about=said.seq, at=NOW + 2)
        self.say(gone)
        [shown] = self.result(self.store.messages(HUB))
        self.assertEqual((shown.text, shown.retracted_at), ("", NOW + 2))
        found = self.archive()
        self.assertEqual([one.kind for one in found], [Kind.LINE, Kind.RETRACTION])
        self.assertEqual([one.stanza for one in found], [None, None])
        again = line("e2", "back", kind=Kind.EDIT, about=said.seq)
        self.fails(NotFound, self.store.add_saying(HUB, again))
        self.assertEqual(self.texts(), [""])

    def test_a_line_from_a_browser_is_retracted_too(self) -> None:
        """A host may do it to anybody's line."""
        self.write("m1")
        self.say(line("t1", "", kind=Kind.RETRACTION, about=1))
        self.assertEqual(self.texts(), [""])
        self.fails(
            NotFound,
            self.store.add_saying(HUB, line("t2", kind=Kind.RETRACTION, about=9)),
        )

    def test_spans(self) -> None:
        """Pages forwards and backwards, and by time."""
        for number in range(1, 8):
            if number % 2:
                self.say(line(f"m{number}", at=NOW + number))
            else:
                self.say(line(f"m{number}", kind=Kind.OTHER, at=NOW + number))
        seqs = lambda **span: [one.seq for one in self.archive(**span)]  # noqa: E731
        self.assertEqual(seqs(limit=3), [1, 2, 3])
        self.assertEqual(seqs(limit=3, newest=True), [5, 6, 7])
        self.assertEqual(seqs(after=5), [6, 7])
        self.assertEqual(seqs(before=4, limit=2, newest=True), [2, 3])
        self.assertEqual(seqs(start=NOW + 3, end=NOW + 5), [3, 4, 5])
        self.assertEqual(seqs(limit=0), [])
        self.assertEqual(seqs(limit=0, newest=True), [])
        whole = self.store.count_archive(HUB, Span(after=2, limit=0))
        self.assertEqual(self.result(whole), 5)
        self.assertEqual(self.result(self.store.archived(HUB, 2)).seq, 2)
        self.fails(NotFound, self.store.archived(HUB, 8))
        self.fails(NotFound, self.store.room_archive("999999999", Span()))

    def test_a_line_is_found_by_the_id_of_its_stanza(self) -> None:
        """The newest of that occupant: ids are the client's."""
        self.say(line("m1", stanza_id="x"))
        newer = self.say(line("m2", stanza_id="x"))
        self.say(line("m3", stanza_id="x", occupant_id="occ-eve"))
        find = self.store.find_line
        found = self.result(find(HUB, occupant_id="occ-ann", stanza_id="x"))
        self.assertEqual(found, newer)
        self.assertIsNone(
            self.result(find(HUB, occupant_id="occ-ann", stanza_id="none"))
        )


class RoomExtraContract(StoreContract):
    """Subject, bans, and tokens that live on."""

    def setUp(self) -> None:
        self.furnish()
        super().setUp()

    def test_a_subject_has_a_secret_that_stays(self) -> None:
        """Occupant ids must be the same tomorrow."""
        first = self.result(self.store.subject(HUB))
        self.assertEqual((first.subject, len(first.secret)), ("", 32))
        new = self.store.set_subject(HUB, subject="Plans", author="Ann", at=NOW)
        self.assertEqual(self.result(new).secret, first.secret)
        kept = self.result(self.store.subject(HUB))
        self.assertEqual((kept.subject, kept.author, kept.at), ("Plans", "Ann", NOW))
        self.assertEqual(kept.secret, first.secret)
        self.fails(NotFound, self.store.subject("999999999"))

    def test_bans(self) -> None:
        """A ban takes the standing role; an account that goes takes its ban."""
        self.result(self.store.add_account("eve", VERIFIER, admin=False))
        self.result(self.store.set_member(HUB, "eve", Role.EDITOR))
        mine = token(b"mine", account="eve")
        self.result(self.store.add_token(mine))
        self.result(self.store.set_banned(HUB, "eve", True))
        self.result(self.store.set_banned(HUB, "eve", True))
        self.assertIsNone(self.result(self.store.token(mine.digest)))
        self.assertEqual(self.result(self.store.banned(HUB)), ["eve"])
        self.assertNotIn("eve", self.result(self.store.members(HUB)))
        self.result(self.store.set_banned(HUB, "eve", False))
        self.assertEqual(self.result(self.store.banned(HUB)), [])
        self.result(self.store.set_banned(HUB, "eve", True))
        self.result(self.store.remove_account("eve"))
        self.assertEqual(self.result(self.store.banned(HUB)), [])
        self.fails(NotFound, self.store.set_banned(HUB, "nobody", True))
        self.fails(NotFound, self.store.banned("999999999"))

    def test_a_token_is_prolonged(self) -> None:
        """Who stays in a room for days has no page that asks for a new one."""
        mine = token(b"mine")
        self.result(self.store.add_token(mine))
        self.result(self.store.prolong_token(mine.digest, NOW + 999))
        found = self.result(self.store.token(mine.digest))
        assert found is not None
        self.assertEqual(found.expires_at, NOW + 999)
        self.fails(NotFound, self.store.prolong_token(b"x" * 32, NOW))

    def test_a_moderated_room(self) -> None:
        """It is a property of the room, kept like the others."""
        self.result(self.store.update_room(replace(ROOM, moderated=True)))
        self.assertTrue(self.result(self.store.room(HUB)).moderated)


class MemorySayingTests(MemoryCase, SayingContract):
    """In memory."""


class SqlSayingTests(SqlCase, SayingContract):
    """On disk."""


class MemoryRoomExtraTests(MemoryCase, RoomExtraContract):
    """In memory."""


class SqlRoomExtraTests(SqlCase, RoomExtraContract):
    """On disk."""


# The bases are not suites of their own.
del StoreContract, SayingContract, RoomExtraContract, MemoryCase, SqlCase

"""What every store does with chat, files and rooms that come whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mosaic.store.interface import JournalEntry, NotFound
from mosaic.workspace.model import Blob, Message, RoomContent
from mosaic.workspace.versions import Reason
from tests.support.stores import (
    NOW,
    ROOM,
    SECOND,
    MemoryCase,
    SqlCase,
    StoreContract,
    entries,
)


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


class MemoryChatTests(MemoryCase, ChatContract):
    """Chat in the fake."""


class MemoryFileTests(MemoryCase, FileContract):
    """Files in the fake."""


class MemoryMovingTests(MemoryCase, MovingContract):
    """In memory."""


class SqlChatTests(SqlCase, ChatContract):
    """Chat on disk."""


class SqlFileTests(SqlCase, FileContract):
    """Files on disk."""


class SqlMovingTests(SqlCase, MovingContract):
    """On disk."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase
del ChatContract, FileContract, MovingContract

"""Files that nothing refers to: when they go, and that uploads lose no race."""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.export.places import had
from mosaic.services.rest.collection import Collection
from mosaic.store.interface import JournalEntry
from mosaic.workspace.model import Blob
from tests.support.rest import RestCase

PNG = b"\x89PNG picture"
DIGEST = hashlib.sha256(PNG).hexdigest()
GRACE_S = 100.0


class CollectionCase(RestCase):
    """A house with one picture in a room."""

    def setUp(self) -> None:
        super().setUp()
        self.collection = Collection(
            store=self.store, files=self.rest.blobs, grace_s=GRACE_S
        )
        self.assertEqual(self.upload().status, 201)

    def upload(self, hub: str | None = None) -> Any:
        """Upload the picture."""
        headers = {"Content-Type": "image/png"}
        path = f"{hub or self.hub}/blobs"
        return self.ask("POST", path, self.ada, data=PNG, headers=headers)

    def show(self, hub_id: str | None = None) -> None:
        """Draw it."""
        entry = JournalEntry(update=b"fileIdw@" + DIGEST.encode(), author="aa")
        room = hub_id or self.room.hub_id
        self.run_steps(self.store.append_updates(room, "board", [entry]))

    def collect(self, after_s: float = 0.0) -> int:
        """Let time pass, and collect."""
        self.wall += after_s
        return int(self.run_steps(self.collection.run()))

    def files(self) -> list[str]:
        """What is on disk."""
        return list(self.run_steps(self.rest.blobs.every()))


class CollectionTests(CollectionCase):
    """The rule."""

    def test_what_is_shown_stays(self) -> None:
        """However long."""
        self.show()
        self.assertEqual([self.collect(), self.collect(1e9)], [0, 0])
        self.assertEqual(self.files(), [DIGEST])

    def test_what_is_not_goes_after_the_grace(self) -> None:
        """Then it is a 404."""
        self.assertEqual([self.collect(), self.collect(GRACE_S - 1)], [0, 0])
        self.assertEqual(self.collect(1), 1)
        self.assertEqual(self.files(), [])
        url = f"{self.hub}/blobs/{DIGEST}"
        self.problem(self.ask("GET", url, self.ada), 404)

    def test_nothing_goes_while_another_process_brings_files(self) -> None:
        """`mosaic room import` refers to them when all of them are there."""
        self.collect()
        with had(self.state / "blobs") as ours:
            self.assertTrue(ours)
            self.assertEqual(self.collect(GRACE_S), 0)
        self.assertEqual(self.files(), [DIGEST])
        self.assertEqual(self.collect(), 1)

    def test_bytes_stay_as_long_as_any_room_wants_them(self) -> None:
        """A reference goes by itself."""
        other = self.run_steps(self.door.create_room("Red", owner="ada"))
        self.upload(f"/api/v1/rooms/{other.hub_id}")
        self.show(other.hub_id)
        self.collect()
        self.assertEqual(self.collect(GRACE_S), 0)
        self.assertEqual(self.files(), [DIGEST])
        url = f"{self.hub}/blobs/{DIGEST}"
        self.problem(self.ask("GET", url, self.ada), 404)

    def test_what_a_crash_left_goes_at_once(self) -> None:
        """A file on disk that no room ever referred to."""
        path = self.rest.blobs.path_of("ab" * 32)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        (path.parent / "stranger").write_bytes(b"not ours")
        self.assertEqual(self.collect(), 1)
        self.assertEqual(self.files(), [DIGEST])
        self.assertTrue((path.parent / "stranger").exists())


class RaceTests(CollectionCase):
    """An upload of the very file that is being collected."""

    def setUp(self) -> None:
        super().setUp()
        self.collect()
        self.wall += GRACE_S
        self.answers: list[Deferred[None]] = []

    def slowly(self, name: str) -> None:
        """From now on a method of the store waits for answer()."""
        method = getattr(self.store, name)

        def waits(*args: Any, **kwargs: Any) -> Any:
            gate: Deferred[None] = Deferred()
            self.answers.append(gate)
            return gate.addCallback(lambda _: method(*args, **kwargs))

        setattr(self.store, name, waits)

    def answer(self) -> None:
        """The oldest call goes on."""
        self.answers.pop(0).callback(None)

    def body(self) -> Any:
        """The picture, arrived whole."""
        body = self.rest.blobs.receive(1000)
        body.write(PNG)
        return body

    def test_an_upload_that_comes_while_the_file_leaves(self) -> None:
        """It waits, and brings the file anew."""
        self.slowly("blob_hashes")
        collecting = Deferred.fromCoroutine(self.collection.run())
        self.answer()  # the list; now the last question before the removal
        keeping = Deferred.fromCoroutine(self.rest.blobs.keep(self.body()))
        self.assertNoResult(keeping)
        self.answer()
        self.assertEqual(self.successResultOf(collecting), 1)
        self.assertEqual(self.successResultOf(keeping), DIGEST)
        self.run_steps(self.rest.blobs.settle(DIGEST, wanted=True))
        self.assertEqual(self.files(), [DIGEST])

    def test_an_upload_that_has_not_settled(self) -> None:
        """Its file is on disk and its reference not yet in the store."""
        self.run_steps(self.rest.blobs.keep(self.body()))
        self.assertEqual(self.run_steps(self.collection.run()), 0)
        self.assertEqual(self.files(), [DIGEST])
        self.run_steps(self.rest.blobs.settle(DIGEST, wanted=True))

    def test_an_upload_that_settles_after_the_list_was_made(self) -> None:
        """The store is asked again for each file before it goes."""
        self.slowly("blob_hashes")
        collecting = Deferred.fromCoroutine(self.collection.run())
        self.answer()
        self.assertEqual(len(self.answers), 1)
        blob = self.run_steps(self.store.add_blob(self.room.hub_id, self.blob()))
        self.assertIsNone(blob)
        self.answer()
        self.assertEqual(self.successResultOf(collecting), 0)
        self.assertEqual(self.files(), [DIGEST])

    def blob(self) -> Any:
        """The reference."""
        return Blob(
            sha256=DIGEST, size_bytes=len(PNG), media_type="image/png", created_at=0.0
        )

"""What every store keeps of accounts: profiles, avatars, uploads, last presence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mosaic.store.belongings import (
    DAY_S,
    SLOT_GRACE_S,
    Avatar,
    Profile,
    QuotaExceeded,
    Upload,
)
from mosaic.store.interface import NotFound
from mosaic.workspace.model import Blob
from tests.support.stores import (
    NOW,
    OTHER,
    ROOM,
    MemoryCase,
    SqlCase,
    StoreContract,
)

PICTURE = Avatar(sha1="ab" * 20, media_type="image/png", data=b"\x89PNG\x00\xff")
HASH = "c" * 64


class ProfileContract(StoreContract):
    """Profiles, and when somebody was last here."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()
        self.result(self.store.add_account("bob", OTHER, admin=False))

    def test_last_seen_is_the_newest(self) -> None:
        """None before; and nothing is kept of strangers."""
        self.assertIsNone(self.result(self.store.last_seen("ada")))
        for at in (5.0, 7.5):
            self.result(self.store.note_seen({"ada": at, "nobody": at}))
        self.result(self.store.note_seen({"nobody": 9.0}))
        self.assertEqual(self.result(self.store.last_seen("ada")), 7.5)
        self.assertIsNone(self.result(self.store.last_seen("nobody")))

    def test_a_profile_is_replaced_whole(self) -> None:
        """With and without a picture; unknown accounts have an empty one."""
        self.assertEqual(self.result(self.store.profile("ada")), Profile())
        self.assertEqual(self.result(self.store.profile("nobody")), Profile())
        for kept in (Profile(vcard="<vCard/>", avatar=PICTURE), Profile(vcard="<v/>")):
            self.result(self.store.set_profile("ada", kept))
            self.assertEqual(self.result(self.store.profile("ada")), kept)
        self.fails(NotFound, self.store.set_profile("nobody", Profile()))

    def test_a_picture_is_found_by_its_hash(self) -> None:
        """While anybody has it."""
        for account in ("ada", "bob"):
            self.result(self.store.set_profile(account, Profile(avatar=PICTURE)))
        self.result(self.store.set_profile("ada", Profile()))
        self.assertEqual(self.result(self.store.avatar(PICTURE.sha1)), PICTURE)
        hashes = self.result(self.store.avatar_hashes())
        self.assertEqual(hashes, {"bob": PICTURE.sha1})
        self.result(self.store.remove_account("bob"))
        self.fails(NotFound, self.store.avatar(PICTURE.sha1))

    def test_all_of_it_goes_with_the_account(self) -> None:
        """An account of the same name that comes later begins anew."""
        self.result(self.store.note_seen({"bob": 5.0}))
        self.result(self.store.set_profile("bob", Profile(vcard="<vCard/>")))
        self.result(self.store.remove_account("bob"))
        self.result(self.store.add_account("bob", OTHER, admin=False))
        self.assertIsNone(self.result(self.store.last_seen("bob")))
        self.assertEqual(self.result(self.store.profile("bob")), Profile())


class UploadContract(StoreContract):
    """Slots and what fills them."""

    def setUp(self) -> None:
        super().setUp()
        self.furnish()

    def slot(self, number: int, **changes: Any) -> Upload:
        """One of ada's."""
        slot = Upload(
            account="ada",
            put_digest=bytes([number]) * 32,
            get_digest=bytes([number + 100]) * 32,
            name="Grüße.png",
            media_type="image/png",
            size_bytes=10,
            created_at=NOW,
            expires_at=NOW + 300,
        )
        return replace(slot, **changes)

    def add(self, slot: Upload, quota: int = 100) -> Upload:
        """Keep it."""
        self.result(self.store.add_upload(slot, bytes_per_day=quota))
        return slot

    def test_a_slot_is_filled_once(self) -> None:
        """And then it is an upload, found by the other secret."""
        slot = self.add(self.slot(1))
        self.fails(NotFound, self.store.upload(slot.get_digest))
        found = self.result(self.store.upload_slot(slot.put_digest, now=NOW))
        self.assertEqual(found, slot)
        self.result(self.store.fill_upload(slot.put_digest, HASH))
        self.assertEqual(
            self.result(self.store.upload(slot.get_digest)), replace(slot, sha256=HASH)
        )
        self.fails(NotFound, self.store.upload_slot(slot.put_digest, now=NOW))
        self.fails(NotFound, self.store.fill_upload(slot.put_digest, HASH))
        self.fails(NotFound, self.store.upload(slot.put_digest))

    def test_a_slot_has_an_end(self) -> None:
        """But who began before it may finish."""
        slot = self.add(self.slot(1))
        late = slot.expires_at
        self.fails(NotFound, self.store.upload_slot(slot.put_digest, now=late))
        self.result(self.store.fill_upload(slot.put_digest, HASH))

    def test_the_quota_counts_a_day(self) -> None:
        """Slots count from when they are asked for; the refusal says until when."""
        self.add(self.slot(1, size_bytes=60, created_at=NOW - DAY_S / 2))
        self.add(self.slot(2, size_bytes=30))
        refused = self.slot(3, size_bytes=20)
        with self.assertRaises(QuotaExceeded) as caught:
            self.result(self.store.add_upload(refused, bytes_per_day=100))
        self.assertEqual(caught.exception.free_at, NOW + DAY_S / 2)
        later = replace(refused, created_at=NOW + DAY_S / 2 + 1)
        self.add(later)
        with self.assertRaises(QuotaExceeded) as caught:
            self.add(self.slot(4, size_bytes=101))
        self.assertEqual(caught.exception.free_at, float("inf"))

    def test_only_accounts_upload(self) -> None:
        """A slot belongs to somebody."""
        self.fails(
            NotFound,
            self.store.add_upload(self.slot(1, account="x"), bytes_per_day=100),
        )

    def test_files_of_accounts_are_kept(self) -> None:
        """The collection asks for hashes: those of rooms and of accounts."""
        slot = self.add(self.slot(1))
        self.assertEqual(self.result(self.store.blob_hashes()), frozenset())
        self.result(self.store.fill_upload(slot.put_digest, HASH))
        other = Blob(sha256="d" * 64, size_bytes=1, media_type="a/b", created_at=NOW)
        self.result(self.store.add_blob(ROOM.hub_id, other))
        hashes = self.result(self.store.blob_hashes())
        self.assertEqual(hashes, {HASH, "d" * 64})
        self.result(self.store.remove_account("ada"))
        self.assertEqual(self.result(self.store.blob_hashes()), {"d" * 64})

    def test_forgetting(self) -> None:
        """Slots that nobody filled, long after their end; uploads when told."""
        one, two = self.add(self.slot(1)), self.add(self.slot(2))
        self.result(self.store.fill_upload(one.put_digest, HASH))
        end = NOW + 300 + SLOT_GRACE_S

        def forget(now: float, older_than: float | None) -> int:
            done = self.store.forget_uploads(now=now, older_than=older_than)
            return self.result(done)

        self.assertEqual(forget(end, None), 0)
        self.result(self.store.upload_slot(two.put_digest, now=NOW))
        self.assertEqual(forget(end + 1, NOW), 0)
        self.fails(NotFound, self.store.upload_slot(two.put_digest, now=NOW))
        self.result(self.store.upload(one.get_digest))
        self.assertEqual(forget(end + 1, NOW + 1), 1)
        self.fails(NotFound, self.store.upload(one.get_digest))


class MemoryProfileTests(MemoryCase, ProfileContract):
    """Over the fake."""


class MemoryUploadTests(MemoryCase, UploadContract):
    """Over the fake."""


class SqlProfileTests(SqlCase, ProfileContract):
    """Over SQLite."""


class SqlUploadTests(SqlCase, UploadContract):
    """Over SQLite."""


# Abstract: nothing for the runner to collect.
del StoreContract, MemoryCase, SqlCase
del ProfileContract, UploadContract

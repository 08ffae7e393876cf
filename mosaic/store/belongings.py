"""What every store keeps of accounts beside the login: profiles, avatars,
uploads, and when somebody was last here.

A part of store.interface.Store, under the same rules. All of it goes with the
account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

DAY_S = 86400.0
SLOT_GRACE_S = 3600.0
"""How long an upload that was begun in time may take."""


class QuotaExceeded(Exception):
    """The account may not upload so much now. free_at: when it may."""

    def __init__(self, free_at: float) -> None:
        super().__init__("the day's uploads are used up")
        self.free_at = free_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """A picture of a person. sha1: of data, in hexadecimal (XEP-0084 counts
    pictures by it). media_type: found in the data, not claimed."""

    sha1: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What somebody tells of themselves. vcard: the children of XEP-0054's
    `<vCard/>` as XML in its namespace, without the picture."""

    vcard: str = ""
    avatar: Avatar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that an account shares by a link, or the slot for one.

    put_digest, get_digest: SHA-256 of the secrets in its two links. expires_at:
    by when the upload must begin. sha256: of the bytes, None until they came.
    """

    account: str
    put_digest: bytes
    get_digest: bytes
    name: str
    media_type: str
    size_bytes: int
    created_at: float
    expires_at: float
    sha256: str | None = None


class Belongings(Protocol):
    """Profiles, avatars, uploads, and when an account was last here."""

    # Presence -------------------------------------------------------------
    def note_seen(self, seen: Mapping[str, float]) -> Deferred[None]:
        """When the last sessions of accounts ended; unknown ones are no error."""

    def last_seen(self, account: str) -> Deferred[float | None]:
        """When that was, None if never or unknown."""

    # Profiles -------------------------------------------------------------
    def profile(self, account: str) -> Deferred[Profile]:
        """An empty one for an account that has told nothing or is not there."""

    def set_profile(self, account: str, profile: Profile) -> Deferred[None]:
        """Keep another one. Raises NotFound."""

    def avatar(self, sha1: str) -> Deferred[Avatar]:
        """The picture that somebody has now. Raises NotFound."""

    def avatar_hashes(self) -> Deferred[dict[str, str]]:
        """SHA-1 of each account's picture, by account."""

    # Uploads --------------------------------------------------------------
    def add_upload(self, upload: Upload, *, bytes_per_day: int) -> Deferred[None]:
        """Keep a slot. Raises NotFound, QuotaExceeded."""

    def upload_slot(self, put_digest: bytes, *, now: float) -> Deferred[Upload]:
        """A slot that may still be filled. Raises NotFound."""

    def fill_upload(self, put_digest: bytes, sha256: str) -> Deferred[None]:
        """The bytes have come. Raises NotFound if they had before."""

    def upload(self, get_digest: bytes) -> Deferred[Upload]:
        """An upload whose bytes have come. Raises NotFound."""

    def forget_uploads(self, *, now: float, older_than: float | None) -> Deferred[int]:
        """Forget slots that nobody filled, and uploads from before older_than
        (None: none); how many uploads those were."""


def free_again(
    upload: Upload, others: list[tuple[float, int]], bytes_per_day: int
) -> float | None:
    """When a quota has space for one more, None if it has.

    others: times and sizes of the account's uploads. Infinite if never.
    """
    if upload.size_bytes > bytes_per_day:
        return float("inf")
    counted = sorted(one for one in others if one[0] > upload.created_at - DAY_S)
    excess = sum(size for _, size in counted) + upload.size_bytes - bytes_per_day
    for at, size in counted:
        if excess <= 0:
            break
        excess -= size
        if excess <= 0:
            return at + DAY_S
    return None

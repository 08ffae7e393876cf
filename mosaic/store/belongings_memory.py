"""Profiles, avatars, uploads and last presence in the store that forgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mosaic.store.belongings import (
    SLOT_GRACE_S,
    Avatar,
    Profile,
    QuotaExceeded,
    Upload,
    free_again,
)
from mosaic.store.interface import NotFound
from mosaic.store.memory_history import fired
from mosaic.workspace.model import Account


class MemoryBelongings:
    """The Belongings interface over dictionaries."""

    _accounts: dict[str, Account]

    def __init__(self) -> None:
        self._last_seen: dict[str, float] = {}
        self._profiles: dict[str, Profile] = {}
        self._uploads: list[Upload] = []

    @fired
    def note_seen(self, seen: Mapping[str, float]) -> None:
        """When the last sessions of accounts ended."""
        for account, at in seen.items():
            if account in self._accounts:
                self._last_seen[account] = at

    @fired
    def last_seen(self, account: str) -> float | None:
        """When that was."""
        return self._last_seen.get(account)

    @fired
    def profile(self, account: str) -> Profile:
        """An empty one if there is none."""
        return self._profiles.get(account, Profile())

    @fired
    def set_profile(self, account: str, profile: Profile) -> None:
        """Replace it."""
        self._need(account)
        self._profiles[account] = profile

    @fired
    def avatar(self, sha1: str) -> Avatar:
        """Anybody's of that hash."""
        for profile in self._profiles.values():
            if profile.avatar is not None and profile.avatar.sha1 == sha1:
                return profile.avatar
        raise NotFound("nobody has such a picture")

    @fired
    def avatar_hashes(self) -> dict[str, str]:
        """By account."""
        return {
            account: profile.avatar.sha1
            for account, profile in self._profiles.items()
            if profile.avatar is not None
        }

    @fired
    def add_upload(self, upload: Upload, *, bytes_per_day: int) -> None:
        """Keep a slot if the quota allows."""
        self._need(upload.account)
        others = [
            (one.created_at, one.size_bytes)
            for one in self._uploads
            if one.account == upload.account
        ]
        free_at = free_again(upload, others, bytes_per_day)
        if free_at is not None:
            raise QuotaExceeded(free_at)
        self._uploads.append(upload)

    @fired
    def upload_slot(self, put_digest: bytes, *, now: float) -> Upload:
        """One that waits for its bytes."""
        for one in self._uploads:
            waits = one.sha256 is None and one.expires_at > now
            if one.put_digest == put_digest and waits:
                return one
        raise NotFound("there is no such upload")

    @fired
    def fill_upload(self, put_digest: bytes, sha256: str) -> None:
        """Note the bytes, once."""
        for at, one in enumerate(self._uploads):
            if one.put_digest == put_digest and one.sha256 is None:
                self._uploads[at] = replace(one, sha256=sha256)
                return
        raise NotFound("there is no such slot")

    @fired
    def upload(self, get_digest: bytes) -> Upload:
        """One that has its bytes."""
        for one in self._uploads:
            if one.get_digest == get_digest and one.sha256 is not None:
                return one
        raise NotFound("there is no such upload")

    @fired
    def forget_uploads(self, *, now: float, older_than: float | None) -> int:
        """Slots past their time, and old uploads."""
        slots = [
            one
            for one in self._uploads
            if one.sha256 is None and one.expires_at < now - SLOT_GRACE_S
        ]
        old = [
            one
            for one in self._uploads
            if one.sha256 is not None
            and older_than is not None
            and one.created_at < older_than
        ]
        self._uploads = [one for one in self._uploads if one not in slots + old]
        return len(old)

    def _upload_hashes(self) -> set[str]:
        return {one.sha256 for one in self._uploads if one.sha256 is not None}

    def _forget_belongings(self, account: str) -> None:
        """The account is gone, and this with it."""
        self._last_seen.pop(account, None)
        self._profiles.pop(account, None)
        self._uploads = [one for one in self._uploads if one.account != account]

    def _need(self, account: str) -> None:
        if account not in self._accounts:
            raise NotFound(f"there is no account {account}")

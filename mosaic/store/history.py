"""What every store keeps of the past: versions, authors, files, faulty updates.

The second half of store.interface.Store, under the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.workspace.versions import Author, Reason, Thinning, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An update that could not be applied. size_bytes: of the update."""

    hub_id: str
    document: str
    seq: int
    author: str
    at: float
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreferenced:
    """What a look at every document of a room found.

    blobs: the hashes of those that nothing refers to. mark: how many updates
    and messages the room ever had; it tells later whether anything was written
    since.
    """

    hub_id: str
    blobs: frozenset[str]
    mark: int


class History(Protocol):
    """Versions, authors, unreferenced files and the quarantine."""

    # Versions -------------------------------------------------------------
    def save_version(
        self,
        hub_id: str,
        name: str,
        state: bytes,
        *,
        through_seq: int,
        reason: Reason,
        label: str | None = None,
        by: str = "",
    ) -> Deferred[Version | None]:
        """Keep a full state (v1) that holds the updates up to through_seq.

        None, and nothing is kept, if there is no label and the newest version
        holds these updates already.
        """

    def versions(self, hub_id: str, name: str | None = None) -> Deferred[list[Version]]:
        """Of a document, or of every one in the room; newest first.

        Raises NotFound for the room, not for a document.
        """

    def version_state(self, hub_id: str, name: str, version: int) -> Deferred[bytes]:
        """The state of a version. Raises NotFound."""

    def label_version(
        self, hub_id: str, name: str, version: int, label: str | None
    ) -> Deferred[Version]:
        """Name a version, or take its name away. Raises NotFound."""

    def remove_version(self, hub_id: str, name: str, version: int) -> Deferred[None]:
        """Forget a version. Raises NotFound."""

    def thin_versions(self, hub_id: str, rule: Thinning) -> Deferred[int]:
        """Forget what the rule condemns; how many that were."""

    def authors(self, hub_id: str, name: str) -> Deferred[list[Author]]:
        """Everybody who ever edited a document, with their Yjs clients.

        First come first. An empty list for a document that is not there.
        """

    # Files ----------------------------------------------------------------
    def blob_rooms(self) -> Deferred[list[str]]:
        """Hub IDs of the rooms that keep files."""

    def unreferenced_blobs(self, hub_id: str) -> Deferred[Unreferenced]:
        """Look for a room's files in its documents, versions and chat."""

    def forget_blobs(self, found: Unreferenced, *, grace_s: float) -> Deferred[int]:
        """Forget files that have been unreferenced for the grace period.

        One that is unreferenced for the first time is marked with the time;
        one that is referred to again is unmarked. Nothing happens if something
        was written in the room after the look. How many were forgotten.
        """

    def blob_hashes(self) -> Deferred[frozenset[str]]:
        """SHA-256 of every file that some room or account keeps."""

    # Faults ---------------------------------------------------------------
    def set_aside(self) -> Deferred[list[SetAside]]:
        """Every update in the quarantine, oldest first."""

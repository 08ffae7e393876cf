"""The folder that a server serves at /updates/: what is in it is good.

metadata/timestamp.json, metadata/N.ROLE.json
targets/CHANNEL/SHA256.NAME
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile, Targets

from mosaic.release.errors import ReleaseRefused
from mosaic.release.files import write_whole
from mosaic.release.roles import (
    ROOT,
    TARGETS,
    Document,
    channels_of,
    check_root,
    check_signed,
    read_document,
    versions_in,
)
from mosaic.release.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Standing:
    """What was signed offline, newest versions, checked."""

    root: Document
    targets: Document
    channels: dict[str, Document]

    def documents(self) -> dict[str, Document]:
        """By role."""
        return {ROOT: self.root, TARGETS: self.targets, **self.channels}

    def expiries(self) -> dict[str, datetime]:
        """When each of them ends."""
        return {
            role: document.signed.expires.replace(tzinfo=UTC)
            for role, document in self.documents().items()
        }


class Feed:
    """A folder to publish into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"

    @property
    def begun(self) -> bool:
        """Whether anything was ever published here."""
        return (self.metadata / "1.root.json").exists()

    def standing(self) -> Standing:
        """What is published. Raises ReleaseRefused."""
        return standing_of(self.metadata)

    def take(self, workshop: Workshop, *, now: float) -> Standing:
        """Copy what is signed; nothing that a hub would refuse.

        Targets come first, documents last. Snapshot and timestamp are for the
        caller. Raises ReleaseRefused.
        """
        theirs = standing_of(workshop.metadata)
        for role, ends in theirs.expiries().items():
            if ends.timestamp() <= now:
                raise ReleaseRefused(
                    f"{role} ended {ends:%Y-%m-%d}: `release renew {role}`, sign"
                )
        self._check_continues(workshop, theirs)
        for document in theirs.channels.values():
            for target in cast("Targets", document.signed).targets.values():
                self._take_target(workshop, target)
        for role, versions in versions_in(workshop.metadata).items():
            wanted = versions if role == ROOT else versions[-1:]
            for version in wanted:
                self._take_document(workshop, f"{version}.{role}.json")
        return theirs

    def _check_continues(self, workshop: Workshop, theirs: Standing) -> None:
        """The same root from the beginning, and no version below what hubs saw."""
        if not self.begun:
            return
        name = "1.root.json"
        ours, first = self.metadata / name, workshop.metadata / name
        if ours.read_bytes() != first.read_bytes():
            raise ReleaseRefused(
                f"{self.folder} has another root: hubs that know it would refuse these"
            )
        published = self.standing().documents()
        for role, document in theirs.documents().items():
            before = published.get(role)
            if before and document.signed.version < before.signed.version:
                raise ReleaseRefused(
                    f"{role} version {document.signed.version} is older than the "
                    f"published {before.signed.version}"
                )

    def _take_target(self, workshop: Workshop, target: TargetFile) -> None:
        name = target.get_prefixed_paths()[0]
        source, place = workshop.targets / name, self.targets / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_name(f".{place.name[:64]}")
            try:
                shutil.copyfile(source, beside)
            except OSError as error:
                raise ReleaseRefused(f"{source}: {error.strerror}") from error
            beside.replace(place)
        with place.open("rb") as stream:
            try:
                target.verify_length_and_hashes(stream)
            except LengthOrHashMismatchError as error:
                place.unlink()
                raise ReleaseRefused(f"{source} is not what was signed") from error

    def _take_document(self, workshop: Workshop, name: str) -> None:
        place, data = self.metadata / name, (workshop.metadata / name).read_bytes()
        if not place.exists():
            write_whole(place, data)
        elif place.read_bytes() != data:
            raise ReleaseRefused(
                f"{place} was published with other content: raise the version "
                "with `release renew`"
            )


def standing_of(metadata: Path) -> Standing:
    """The newest documents of a folder, each signed by whom it must be.

    Raises ReleaseRefused.
    """
    versions = versions_in(metadata)
    root: Document | None = None
    for after in _roots(metadata, versions.get(ROOT, [])):
        check_root(root, after)
        root = after
    if root is None:
        raise ReleaseRefused(f"{metadata} has no signed root")
    targets = _newest(metadata, versions, TARGETS)
    check_signed(root, TARGETS, targets)
    channels = {}
    for channel in channels_of(targets):
        channels[channel] = _newest(metadata, versions, channel)
        check_signed(targets, channel, channels[channel])
    return Standing(root, targets, channels)


def _roots(metadata: Path, numbers: list[int]) -> Iterator[Document]:
    if numbers != list(range(1, len(numbers) + 1)):
        raise ReleaseRefused(f"{metadata} lacks a root among {numbers}")
    for number in numbers:
        yield read_document(metadata / f"{number}.root.json")


def _newest(metadata: Path, versions: dict[str, list[int]], role: str) -> Document:
    if role not in versions:
        raise ReleaseRefused(f"{role} is not signed yet")
    return read_document(metadata / f"{versions[role][-1]}.{role}.json")

"""What a channel offers: its manifests, its wheels and its index."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
from tuf.api.metadata import TargetFile, Targets

from mosaic.release.errors import ReleaseRefused
from mosaic.release.files import write_whole
from mosaic.release.workshop import CHANNEL_DAYS, Workshop
from mosaic.workspace.releases import (
    Index,
    Manifest,
    ReleaseError,
    Wheel,
    index_name,
    manifest_name,
    read_index,
    read_manifest,
    wheel_target,
)


class Channel:
    """One channel of a workshop. Each change waits for the channel's signatures.

    Raises ReleaseRefused for a channel that is not there.
    """

    def __init__(self, workshop: Workshop, name: str) -> None:
        self._shop = workshop
        self.name = name
        self._signed()

    def versions(self) -> list[str]:
        """Newest first, with what waits for signatures."""
        return self._index(self._signed()).newest_first()

    def manifest(self, version: str) -> Manifest:
        """One of them. Raises ReleaseRefused."""
        return self._manifest(version, self._signed())

    def put(self, manifest: Manifest, wheels: Mapping[str, Path]) -> None:
        """Add a release, or replace it.

        wheels: where those of the manifest are, by name. Raises ReleaseRefused.
        """
        document = self._shop.draft(self.name, CHANNEL_DAYS)
        signed = cast("Targets", document.signed)
        for wheel in manifest.wheels:
            name = wheel_target(self.name, wheel)
            signed.targets[name] = self._copy(name, wheel, wheels[wheel.name])
        self._put_manifest(signed, manifest)
        versions = {*self._index(signed).versions, manifest.version}
        self._finish(signed, versions)
        self._shop.keep(self.name, document)

    def withdraw(self, version: str) -> None:
        """Take a release out; hubs that have it keep it. Raises ReleaseRefused."""
        document = self._shop.draft(self.name, CHANNEL_DAYS)
        signed = cast("Targets", document.signed)
        versions = set(self._index(signed).versions)
        if version not in versions:
            raise ReleaseRefused(f"{self.name} has no version {version}")
        versions.remove(version)
        del signed.targets[manifest_name(self.name, version)]
        self._finish(signed, versions)
        self._shop.keep(self.name, document)

    def set_percent(self, version: str, percent: int) -> None:
        """Give a release to more or fewer rings. Raises ReleaseRefused."""
        document = self._shop.draft(self.name, CHANNEL_DAYS)
        signed = cast("Targets", document.signed)
        manifest = self._manifest(version, signed)
        self._put_manifest(signed, msgspec.structs.replace(manifest, percent=percent))
        self._shop.keep(self.name, document)

    def _signed(self) -> Targets:
        document = self._shop.newest(self.name)
        if document is None or self.name not in self._shop.channels():
            known = ", ".join(self._shop.channels()) or "none"
            raise ReleaseRefused(f"there is no channel {self.name}; there are: {known}")
        return cast("Targets", document.signed)

    def _index(self, signed: Targets) -> Index:
        data = self._data(index_name(self.name), signed)
        return Index() if data is None else read_index(data, channel=self.name)

    def _manifest(self, version: str, signed: Targets) -> Manifest:
        data = self._data(manifest_name(self.name, version), signed)
        if data is None:
            raise ReleaseRefused(f"{self.name} has no version {version}")
        try:
            return read_manifest(data, channel=self.name, version=version)
        except ReleaseError as error:
            raise ReleaseRefused(str(error)) from error

    def _finish(self, signed: Targets, versions: set[str]) -> None:
        """The index, and no wheel that no version needs."""
        wanted = {
            wheel_target(self.name, wheel)
            for version in versions
            for wheel in self._manifest(version, signed).wheels
        }
        for name in [name for name in signed.targets if name.endswith(".whl")]:
            if name not in wanted:
                del signed.targets[name]
        index = Index(versions=tuple(sorted(versions)))
        self._put_data(signed, index_name(self.name), msgspec.json.encode(index))

    def _put_manifest(self, signed: Targets, manifest: Manifest) -> None:
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._put_data(signed, manifest_name(self.name, manifest.version), text)

    def _data(self, name: str, signed: Targets) -> bytes | None:
        target = signed.targets.get(name)
        return None if target is None else self._place(target).read_bytes()

    def _put_data(self, signed: Targets, name: str, data: bytes) -> None:
        target = TargetFile.from_data(name, data, ["sha256"])
        write_whole(self._place(target), data)
        signed.targets[name] = target

    def _place(self, target: TargetFile) -> Path:
        return self._shop.targets / target.get_prefixed_paths()[0]

    def _copy(self, name: str, wheel: Wheel, source: Path) -> TargetFile:
        target = TargetFile(wheel.size_bytes, {"sha256": wheel.sha256}, name)
        there = self._place(target)
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            beside = there.with_name(f".{wheel.sha256}")
            shutil.copyfile(source, beside)
            beside.replace(there)
        with there.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != wheel.sha256:
            raise ReleaseRefused(f"{there} is not what the manifest says")
        return target

"""Looks into a feed and fetches from it; everything here blocks: use a thread."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater

from mosaic.hub.updates.errors import NO_FEED, UpdateError, explained
from mosaic.hub.updates.fetching import BoundedFetcher, Download
from mosaic.workspace.releases import (
    MANIFEST_BYTES,
    Installed,
    Manifest,
    ReleaseError,
    Wheel,
    index_name,
    manifest_name,
    missing_bytes,
    read_index,
    read_manifest,
    refusal,
    version_key,
    wheel_target,
)

ROOT_BYTES = 512000
ROOT_FILE = "root.json"
TRIES = 10
"""Versions of a channel that are looked at, from the newest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What is to be updated. ring: 0-99. strict: never to an older version."""

    installed: Installed
    ring: int
    strict: bool = True
    python: tuple[int, int] = (sys.version_info[0], sys.version_info[1])
    machine: str = platform.machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A release for this hub. size_bytes: what must still be fetched."""

    manifest: Manifest
    wheels: tuple[Wheel, ...]
    size_bytes: int

    @property
    def version(self) -> str:
        """Of the release."""
        return self.manifest.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look into the feed has brought. passed_over: newer ones that are
    not for this hub, and why."""

    offer: Offer | None
    passed_over: tuple[str, ...] = ()


class WheelStore:
    """Wheels by their content; each is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, wheel: Wheel) -> Path:
        """Where it is or will be."""
        return self._folder / wheel.sha256 / wheel.name

    def have(self) -> set[str]:
        """The sha256 of what is there."""
        if not self._folder.is_dir():
            return set()
        return {
            one.name
            for one in self._folder.iterdir()
            if any(file.suffix == ".whl" for file in one.iterdir())
        }

    def keep_only(self, wanted: Collection[str]) -> None:
        """Forget the others, by sha256."""
        for one in self._folder.iterdir() if self._folder.is_dir() else ():
            if one.name not in wanted:
                shutil.rmtree(one, ignore_errors=True)


class FeedClient:
    """folder: `updates` in the hub's state folder, for what it knows of the feed
    and for wheels. base_url: https://server/updates. root: the first root, if it
    was given by hand; else the first that the server shows is kept for ever.
    """

    def __init__(
        self, *, folder: Path, base_url: str, download: Download, root: bytes | None
    ) -> None:
        self._folder = folder
        self._base = base_url.rstrip("/")
        self._fetcher = BoundedFetcher(download)
        self._root = root
        self.store = WheelStore(folder / "wheels")

    def look(self, channel: str, box: Box) -> Found:
        """Ask what there is for a hub. Raises UpdateError; nothing has changed."""
        passed_over: list[str] = []
        with _in_words("the feed"):
            updater = self._updater()
            versions = read_index(
                self._read(updater, index_name(channel)), channel=channel
            ).newest_first()
            for version in versions[:TRIES]:
                if version_key(version) == version_key(box.installed.version):
                    break
                data = self._read(updater, manifest_name(channel, version))
                manifest = read_manifest(data, channel=channel, version=version)
                if box.ring >= manifest.percent:
                    continue
                why = refusal(manifest, box.installed, strict=box.strict)
                if why is None:
                    try:
                        return Found(
                            offer=self._offer(manifest, box),
                            passed_over=tuple(passed_over),
                        )
                    except ReleaseError as error:
                        why = str(error)
                passed_over.append(why)
        return Found(offer=None, passed_over=tuple(passed_over))

    def fetch(self, offer: Offer) -> dict[str, Path]:
        """All wheels of an offer, by sha256; only those are fetched that are not
        here. Raises UpdateError; what was fetched whole stays for the next time.
        """
        paths: dict[str, Path] = {}
        updater: Updater | None = None
        for wheel in offer.wheels:
            path = self.store.path(wheel)
            target = TargetFile(wheel.size_bytes, {"sha256": wheel.sha256}, wheel.name)
            if not _holds(path, target):
                with _in_words(wheel.name):
                    updater = updater or self._updater()
                    self._fetch_wheel(updater, offer.manifest.channel, wheel, path)
            paths[wheel.sha256] = path
        return paths

    def _offer(self, manifest: Manifest, box: Box) -> Offer:
        wheels = manifest.wheels_for(python=box.python, machine=box.machine)
        size = missing_bytes(wheels, self.store.have())
        return Offer(manifest=manifest, wheels=wheels, size_bytes=size)

    def _updater(self) -> Updater:
        metadata = self._folder / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        root = self._first_root()
        updater = Updater(
            str(metadata),
            f"{self._base}/metadata/",
            target_base_url=f"{self._base}/targets/",
            fetcher=self._fetcher,
            bootstrap=root,
        )
        # It is a root, signed by its own keys: only that is kept for ever.
        self._keep_root(root)
        updater.refresh()
        return updater

    def _first_root(self) -> bytes:
        """Given by hand, known, or (once) what the server shows."""
        file = self._folder / ROOT_FILE
        known = file.read_bytes() if file.exists() else None
        if self._root is not None:
            if known is not None and known != self._root:
                raise UpdateError(
                    "root",
                    f"the root that was given is another than {file}: remove "
                    f"{self._folder} if the feed was begun anew",
                )
            known = self._root
        if known is None:
            url = f"{self._base}/metadata/1.root.json"
            try:
                known = self._fetcher.download_bytes(url, ROOT_BYTES)
            except DownloadHTTPError as error:
                if error.status_code == HTTPStatus.NOT_FOUND:
                    raise UpdateError(NO_FEED, "the server has no updates") from error
                raise
        return known

    def _keep_root(self, root: bytes) -> None:
        file = self._folder / ROOT_FILE
        if not file.exists():
            beside = file.with_name(f".{ROOT_FILE}")
            beside.write_bytes(root)
            beside.replace(file)

    def _read(self, updater: Updater, name: str) -> bytes:
        target = updater.get_targetinfo(name)
        if target is None:
            raise UpdateError("absent", f"the feed has no {name} that counts")
        if target.length > MANIFEST_BYTES:
            raise UpdateError("endless", f"{name} has {target.length} bytes")
        file = self._folder / "read"
        try:
            updater.download_target(target, str(file))
            return file.read_bytes()
        finally:
            with suppress(FileNotFoundError):
                file.unlink()

    def _fetch_wheel(
        self, updater: Updater, channel: str, wheel: Wheel, path: Path
    ) -> None:
        name = wheel_target(channel, wheel)
        target = updater.get_targetinfo(name)
        if target is None:
            raise UpdateError("absent", f"the feed has no {name} that counts")
        if (target.length, target.hashes.get("sha256")) != (
            wheel.size_bytes,
            wheel.sha256,
        ):
            raise UpdateError(
                "disagree", f"the manifest and the feed disagree on {wheel.name}"
            )
        beside = path.parent / "partial"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            updater.download_target(target, str(beside))
            beside.replace(path)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()


def _holds(path: Path, target: TargetFile) -> bool:
    """Whether a file is what it must be; the disk may have forgotten."""
    try:
        with path.open("rb") as stream:
            target.verify_length_and_hashes(stream)
    except (OSError, RepositoryError):
        return False
    return True


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turn what TUF, the manifests and the disk raise into UpdateError."""
    try:
        yield
    except (RepositoryError, DownloadError) as error:
        raise explained(error, what) from error
    except ReleaseError as error:
        raise UpdateError("manifest", str(error)) from error
    except OSError as error:
        raise UpdateError("disk", f"{error.filename}: {error.strerror}") from error

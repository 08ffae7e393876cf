"""A publisher with all its keys, and wheels that hold next to nothing."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from mosaic.release.channel import Channel
from mosaic.release.feed import Feed
from mosaic.release.keys import load_signer, make_key
from mosaic.release.online import OnlineKeys, OnlineSigner, Signed
from mosaic.release.wheels import describe_wheels
from mosaic.release.workshop import Ceremony, Workshop
from mosaic.workspace.releases import Manifest, Wheel

NOW = 1795000000.0
PROJECT = "mosaic_meetings"
MAIN = "raise SystemExit(0)\n"


def make_wheel(
    folder: Path, project: str, version: str, files: dict[str, str] | None = None
) -> Path:
    """A wheel that pip installs. files: by path; a package of its own if None."""
    if files is None:
        files = {f"{project}/__init__.py": f"version = {version!r}\n"}
    info = f"{project}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\n"
        f"Version: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{project}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return path


class Publisher:
    """Ceremony, builds and signatures in one folder; now: Unix seconds."""

    def __init__(self, folder: Path, *, now: float = NOW) -> None:
        self.folder = folder
        self.now = now
        self.keys = {
            name: folder / "keys" / f"{name}.pem"
            for name in ("root1", "root2", "root3", "targets", "stable", "beta")
        }
        self.signers: dict[str, tuple[str, ...]] = {"beta": ("beta",)}
        self.feed = Feed(folder / "state" / "updates")
        self.online = OnlineKeys(folder / "state" / "keys")

    @property
    def shop(self) -> Workshop:
        """At this time."""
        return Workshop(self.folder / "release", now=self.now)

    @property
    def signer(self) -> OnlineSigner:
        """The server's."""
        return OnlineSigner(self.feed, self.online)

    def key(self, name: str) -> CryptoSigner:
        """A private key, made the first time."""
        file = self.keys.setdefault(name, self.folder / "keys" / f"{name}.pem")
        if not file.exists():
            make_key(file)
        return load_signer(file)

    def ceremony(
        self,
        *,
        root_threshold: int = 2,
        channel_keys: Sequence[str] = ("stable",),
    ) -> None:
        """Say who may sign what; nothing is signed yet. channel_keys: all of
        them must sign what is stable."""
        self.signers["stable"] = tuple(channel_keys)
        online = self.online.make()
        public = {role: load_signer(Path(str(f)[:-4])) for role, f in online.items()}
        self.shop.begin(
            Ceremony(
                root=[self.key(f"root{n}").public_key for n in (1, 2, 3)],
                targets=[self.key("targets").public_key],
                channels={
                    "stable": [self.key(name).public_key for name in channel_keys],
                    "beta": [self.key("beta").public_key],
                },
                snapshot=public["snapshot"].public_key,
                timestamp=public["timestamp"].public_key,
                root_threshold=root_threshold,
                channel_thresholds={"stable": len(channel_keys)},
            )
        )

    def sign(self, *names: str) -> None:
        """With these keys, one after the other."""
        for name in names:
            self.shop.sign(self.key(name))

    def begin(self, *channel_keys: str) -> None:
        """The whole ceremony, signed and published."""
        self.ceremony(channel_keys=channel_keys or ("stable",))
        self.sign("root1", "root2", "targets", *self.signers["stable"], "beta")
        self.publish()

    def build(
        self,
        version: str,
        *,
        channel: str = "stable",
        files: dict[str, str] | None = None,
        others: Iterable[tuple[str, str]] = (("library", "2.0"),),
        imports: tuple[str, ...] = (PROJECT,),
        percent: int = 100,
        security_epoch: int = 0,
        notes: str = "",
    ) -> Manifest:
        """Put a version into a channel, for signature."""
        folder = self.folder / "wheels" / f"{channel}-{version}"
        make_wheel(folder, PROJECT, version, files)
        for project, number in others:
            make_wheel(folder, project, number)
        wheels = describe_wheels(folder)
        manifest = Manifest(
            version=version,
            channel=channel,
            python="3.11",
            architectures=("any",),
            imports=imports,
            percent=percent,
            security_epoch=security_epoch,
            notes=notes,
            wheels=tuple(wheels),
        )
        self.put(manifest, wheels)
        return manifest

    def put(self, manifest: Manifest, wheels: dict[Wheel, Path]) -> None:
        """A manifest as it is."""
        Channel(self.shop, manifest.channel).put(
            manifest, {wheel.name: path for wheel, path in wheels.items()}
        )

    def publish(self) -> Signed:
        """To the feed."""
        return self.signer.publish(self.shop, now=self.now)

    def release(self, version: str, *, channel: str = "stable", **more: object) -> None:
        """Build, sign and publish a version."""
        self.build(version, channel=channel, **more)  # type: ignore[arg-type]
        self.finish(channel)

    def finish(self, channel: str = "stable") -> None:
        """Sign and publish what waits, a minute later."""
        self.now += 60
        self.sign(*self.signers[channel])
        self.publish()

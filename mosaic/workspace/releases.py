"""Releases of the hub's program: what a manifest says, and who may install it.

The names, in a feed of TUF targets: `CHANNEL/index.json` lists the versions of a
channel, `CHANNEL/hub-VERSION.json` is the manifest of one of them, and
`CHANNEL/HASH-NAME.whl` are its wheels, each a target of its own. Everything here is
pure: whoever fetched the bytes has checked their signatures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

MANIFEST_BYTES = 262144
"""The largest manifest, and the largest index."""
WHEEL_BYTES = 1073741824
WHEELS = 500
RINGS = 100
_CHANNEL = r"[a-z][a-z0-9-]{0,15}"
_VERSION = r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}(?:(?:a|b|rc)[0-9]{1,6})?"
_WHEEL = (
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]{0,99})-(?P<version>[A-Za-z0-9][A-Za-z0-9._+!]{0,63})"
    r"(?:-[0-9][A-Za-z0-9_.]{0,31})?"
    r"-(?P<python>[a-z0-9.]{1,64})-(?P<abi>[a-z0-9_.]{1,64})"
    r"-(?P<platform>[A-Za-z0-9_.]{1,200})\.whl"
)
_MODULE = r"[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}"
_NAMES_OF_TUF = {"root", "targets", "snapshot", "timestamp"}
_PRE_RELEASES = {"a": 0, "b": 1, "rc": 2, "": 3}


class ReleaseError(ValueError):
    """A manifest, an index or a name that cannot be right; says which part."""


T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(max_length=20000)]
Matching = Annotated[str, msgspec.Meta(pattern=rf"^{_VERSION}\Z")]


class Wheel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One wheel. name: its file name (PEP 427). sha256: 64 hexadecimal digits."""

    name: Annotated[str, msgspec.Meta(pattern=rf"^{_WHEEL}\Z", max_length=300)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=WHEEL_BYTES)]

    @property
    def project(self) -> str:
        """The project's name, normalised (PEP 503)."""
        return re.sub(r"[-_.]+", "-", self.name.split("-")[0]).lower()

    def fits(self, *, python: tuple[int, int], machine: str) -> bool:
        """Whether a machine can use it: pip has the last word on the rest."""
        tags = re.fullmatch(_WHEEL, self.name)
        assert tags is not None  # the type has seen to it
        if not _fits_platform(tags["platform"], machine):
            return False
        stable = "abi3" in tags["abi"].split(".")
        return any(
            _fits_python(tag, python, stable) for tag in tags["python"].split(".")
        )


def _fits_platform(tag: str, machine: str) -> bool:
    return tag == "any" or any(part.endswith(f"_{machine}") for part in tag.split("."))


def _fits_python(tag: str, python: tuple[int, int], stable: bool) -> bool:
    found = re.fullmatch(r"(py|cp)(\d)(\d*)", tag)
    if found is None or int(found[2]) != python[0]:
        return False
    minor = int(found[3] or 0)
    if found[1] == "py" or stable:
        return minor <= python[1]
    return minor == python[1]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one version is made of.

    python: the oldest that will do, "3.11". architectures: machines as in
    uname, or ["any"]. imports: modules that must be importable once it is
    installed. security_epoch: raised when going back behind this version would
    open a hole. percent: of the hubs, by their rings.
    """

    format: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    version: Matching
    channel: Annotated[str, msgspec.Meta(pattern=rf"^{_CHANNEL}\Z")]
    python: Annotated[str, msgspec.Meta(pattern=r"^3\.[0-9]{1,2}\Z")]
    architectures: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)]
    imports: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=rf"^{_MODULE}\Z")], ...],
        msgspec.Meta(min_length=1, max_length=32),
    ]
    security_epoch: Annotated[int, msgspec.Meta(ge=0, le=1000000)] = 0
    percent: Annotated[int, msgspec.Meta(ge=0, le=RINGS)] = RINGS
    notes: Text = ""
    wheels: Annotated[tuple[Wheel, ...], msgspec.Meta(min_length=1, max_length=WHEELS)]

    def wheels_for(self, *, python: tuple[int, int], machine: str) -> tuple[Wheel, ...]:
        """One wheel of each project, for a machine.

        Raises ReleaseError if the release is not for it.
        """
        least = tuple(map(int, self.python.split(".")))
        if python < least:
            raise ReleaseError(
                f"{self.version} needs Python {self.python}; this is "
                f"{python[0]}.{python[1]}"
            )
        if not {"any", machine} & set(self.architectures):
            raise ReleaseError(
                f"{self.version} is for {', '.join(self.architectures)}; this is "
                f"{machine}"
            )
        fitting = [
            one for one in self.wheels if one.fits(python=python, machine=machine)
        ]
        found = {one.project: one for one in fitting}
        if missing := {one.project for one in self.wheels} - found.keys():
            raise ReleaseError(
                f"{self.version} has no wheel of {', '.join(sorted(missing))} for "
                f"Python {python[0]}.{python[1]} on {machine}"
            )
        if len(fitting) != len(found):
            raise ReleaseError(f"{self.version} has two wheels of one project")
        return tuple(fitting)


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The versions of a channel, in no order."""

    versions: Annotated[tuple[Matching, ...], msgspec.Meta(max_length=1000)] = ()

    def newest_first(self) -> list[str]:
        """As one would try them."""
        return sorted(set(self.versions), key=version_key, reverse=True)


def read_manifest(data: bytes, *, channel: str, version: str) -> Manifest:
    """A manifest under the name that it was asked for.

    Raises ReleaseError.
    """
    manifest = _decode(data, Manifest, manifest_name(channel, version))
    if (manifest.channel, manifest.version) != (channel, version):
        raise ReleaseError(
            f"{manifest_name(channel, version)} is the manifest of "
            f"{manifest.channel} {manifest.version}"
        )
    return manifest


def read_index(data: bytes, *, channel: str) -> Index:
    """An index. Raises ReleaseError."""
    return _decode(data, Index, index_name(channel))


def _decode(data: bytes, kind: type[T], name: str) -> T:
    if len(data) > MANIFEST_BYTES:
        raise ReleaseError(f"{name} has {len(data)} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{name}: {error}") from error


def check_channel(channel: str) -> str:
    """The name of a channel as it is. Raises ReleaseError."""
    if not re.fullmatch(_CHANNEL, channel) or channel in _NAMES_OF_TUF:
        raise ReleaseError(
            f"{channel!r} is no name of a channel: lower-case letters, digits and "
            "dashes, at most 16, not a role of TUF"
        )
    return channel


def check_version(version: str) -> str:
    """A version as it is. Raises ReleaseError."""
    if not re.fullmatch(_VERSION, version):
        raise ReleaseError(f"{version!r} is no version such as 1.4.0 or 2.0rc1")
    return version


def check_wheel_name(name: str) -> str:
    """The file name of a wheel as it is. Raises ReleaseError."""
    if not re.fullmatch(_WHEEL, name) or len(name) > 300:
        raise ReleaseError(f"{name!r} is no file name of a wheel")
    return name


def index_name(channel: str) -> str:
    """The target that lists a channel."""
    return f"{channel}/index.json"


def manifest_name(channel: str, version: str) -> str:
    """The target with a version's manifest."""
    return f"{channel}/hub-{version}.json"


def wheel_target(channel: str, wheel: Wheel) -> str:
    """The target that is a wheel: another content is another target."""
    return f"{channel}/{wheel.sha256[:16]}-{wheel.name}"


def version_key(version: str) -> tuple[tuple[int, ...], int, int]:
    """Orders versions: 1.2 = 1.2.0 < 1.10rc1 < 1.10. Raises ReleaseError."""
    check_version(version)
    found = re.fullmatch(r"([0-9.]+)(a|b|rc|)([0-9]*)", version)
    assert found is not None
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _PRE_RELEASES[found[2]], int(found[3] or 0)


def ring_of(public_key: bytes) -> int:
    """0-99, by the hub's public key: evenly spread, and always the same."""
    digest = hashlib.sha256(b"mosaic-hub-ring\n" + public_key).digest()
    return int.from_bytes(digest[:8], "big") % RINGS


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What runs on a hub. security_epoch: the highest that it ever proved."""

    version: str
    security_epoch: int = 0


def refusal(
    manifest: Manifest, installed: Installed, *, strict: bool = True
) -> str | None:
    """Why a hub does not go from what it has to this release; None if it may.

    strict: no older version. The security epoch never goes down.
    """
    if manifest.security_epoch < installed.security_epoch:
        return (
            f"{manifest.version} has security epoch {manifest.security_epoch}, this "
            f"hub has had {installed.security_epoch}: a hole that was closed would open"
        )
    if strict and version_key(manifest.version) < version_key(installed.version):
        return (
            f"{manifest.version} is older than {installed.version}, and the policy "
            "is strict"
        )
    return None


def in_window(window: str, minute: int) -> bool:
    """Whether a minute of the day (0-1439, local) is in "22:30-04:00".

    Raises ReleaseError.
    """
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", window)
    if found is None:
        raise ReleaseError(f"{window!r} is no window such as 22:30-04:00")
    first, last = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if first <= last:
        return first <= minute < last
    return minute >= first or minute < last


def missing_bytes(wheels: Sequence[Wheel], have: set[str]) -> int:
    """What must be fetched. have: the sha256 of wheels that are here."""
    return sum(one.size_bytes for one in wheels if one.sha256 not in have)

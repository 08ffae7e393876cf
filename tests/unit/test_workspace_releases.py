"""Manifests, versions, rings, windows: pure rules for publishers and hubs."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis.strategies import binary, dictionaries, integers, recursive, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.workspace.releases import (
    Index,
    Installed,
    Manifest,
    ReleaseError,
    Wheel,
    check_channel,
    check_wheel_name,
    in_window,
    missing_bytes,
    read_index,
    read_manifest,
    refusal,
    ring_of,
    version_key,
    wheel_target,
)

PURE = "mosaic_meetings-1.0-py3-none-any.whl"


def wheel(name: str = PURE, **changes: Any) -> Wheel:
    """One that is as it should be."""
    return Wheel(name=name, **{"sha256": "0" * 64, "size_bytes": 10, **changes})


def manifest(version: str = "1.0", **changes: Any) -> Manifest:
    """One that is as it should be."""
    return Manifest(
        **{
            "version": version,
            "channel": "stable",
            "python": "3.11",
            "architectures": ("any",),
            "imports": ("mosaic.cli",),
            "wheels": (wheel(),),
            **changes,
        }
    )


class ManifestTests(SynchronousTestCase):
    """What is signed is still read with care: a stolen key signs anything."""

    def read(self, **changes: Any) -> Manifest:
        """A manifest with some values changed, through its bytes."""
        value = {**msgspec.to_builtins(manifest()), **changes}
        data = msgspec.json.encode(value)
        return read_manifest(data, channel="stable", version="1.0")

    def test_round_trip(self) -> None:
        """What the publisher writes is what the hub reads."""
        self.assertEqual(self.read(), manifest())

    def test_tricks_in_names(self) -> None:
        """A name becomes a file's name on the hub: nothing else gets there."""
        for name in (
            "../../etc/a-1-py3-none-any.whl",
            "/tmp/a-1-py3-none-any.whl",
            "a/b-1-py3-none-any.whl",
            "a-1-py3-none-any.whl\n",
            "-r.whl",
            "a-1-py3-none-any.whl --index-url=x",
            "a\\b-1-py3-none-any.whl",
            "a-1-py3-none-any.zip",
            ".",
            "",
            "a\x00-1-py3-none-any.whl",
        ):
            wheels = [{"name": name, "sha256": "0" * 64, "size_bytes": 1}]
            self.assertRaises(ReleaseError, self.read, wheels=wheels)
            self.assertRaises(ReleaseError, check_wheel_name, name)

    def test_tricks_in_values(self) -> None:
        """Modules are imported by a command, versions are parts of names."""
        tricks: tuple[dict[str, Any], ...] = (
            {"imports": ["os; import this"]},
            {"imports": []},
            {"version": "1.0/../2"},
            {"python": "3.11\n"},
            {"architectures": []},
            {"percent": 101},
            {"security_epoch": -1},
            {"wheels": []},
            {"wheels": [{"name": PURE, "sha256": "0" * 63, "size_bytes": 1}]},
            {"wheels": [{"name": PURE, "sha256": "0" * 64, "size_bytes": 0}]},
            {"format": 2},
            {"command": "sh"},
        )
        for changes in tricks:
            self.assertRaises(ReleaseError, self.read, **changes)

    def test_under_another_name(self) -> None:
        """An old manifest under a new name, or one of another channel."""
        data = msgspec.json.encode(manifest())
        for channel, version in (("stable", "1.1"), ("beta", "1.0")):
            error = self.assertRaises(
                ReleaseError, read_manifest, data, channel=channel, version=version
            )
            self.assertIn("is the manifest of stable 1.0", str(error))

    @given(binary(max_size=300))
    def test_any_bytes(self, data: bytes) -> None:
        """Refused in one way, whatever they are."""
        self.assertRaises(
            ReleaseError, read_manifest, data, channel="stable", version="1.0"
        )
        try:
            read_index(data, channel="stable")
        except ReleaseError:
            pass

    @given(
        recursive(
            text(max_size=20) | integers(),
            lambda inner: dictionaries(text(max_size=12), inner, max_size=4),
        )
    )
    def test_any_value(self, value: Any) -> None:
        """The same for JSON of other shapes."""
        data = msgspec.json.encode(value)
        self.assertRaises(
            ReleaseError, read_manifest, data, channel="stable", version="1.0"
        )


class FittingTests(SynchronousTestCase):
    """Which wheels a machine fetches."""

    def test_tags(self) -> None:
        """Pure ones, those of the stable ABI from their version on, its own."""
        for name, fits in {
            PURE: True,
            "a-1-py2.py3-none-any.whl": True,
            "a-1-cp311-abi3-manylinux_2_34_x86_64.whl": True,
            "a-1-cp312-abi3-manylinux_2_34_x86_64.whl": True,
            "a-1-cp313-abi3-manylinux_2_34_x86_64.whl": False,
            "a-1-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl": True,
            "a-1-cp311-cp311-manylinux2014_x86_64.whl": False,
            "a-1-cp312-cp312-manylinux2014_aarch64.whl": False,
            "a-1-1build-py3-none-linux_x86_64.whl": True,
            "a-1-py4-none-any.whl": False,
        }.items():
            found = wheel(name).fits(python=(3, 12), machine="x86_64")
            self.assertEqual(found, fits, name)

    def test_one_of_each(self) -> None:
        """A release for two machines is one release."""
        arm = wheel("b-1-cp311-abi3-manylinux_2_34_aarch64.whl")
        intel = wheel("b-1-cp311-abi3-manylinux_2_34_x86_64.whl")
        both = manifest(
            architectures=("aarch64", "x86_64"), wheels=(wheel(), arm, intel)
        )
        chosen = both.wheels_for(python=(3, 11), machine="aarch64")
        self.assertEqual(chosen, (wheel(), arm))

    def test_not_for_this_machine(self) -> None:
        """Said before anything is fetched."""
        only_arm = manifest(
            architectures=("aarch64", "x86_64"),
            wheels=(wheel("b-1-cp311-abi3-manylinux_2_34_aarch64.whl"),),
        )
        twice = manifest(wheels=(wheel(), wheel("mosaic.meetings-2-py3-none-any.whl")))
        for release, python, words in (
            (manifest(python="3.13"), (3, 11), "needs Python 3.13"),
            (manifest(architectures=("aarch64",)), (3, 11), "is for aarch64"),
            (only_arm, (3, 11), "no wheel of b for Python 3.11 on x86_64"),
            (twice, (3, 11), "two wheels of one project"),
        ):
            error = self.assertRaises(
                ReleaseError, release.wheels_for, python=python, machine="x86_64"
            )
            self.assertIn(words, str(error))

    def test_content_is_in_the_name(self) -> None:
        """A wheel that was built again is another target."""
        self.assertNotEqual(
            wheel_target("stable", wheel()),
            wheel_target("stable", wheel(sha256="1" * 64)),
        )

    def test_what_must_be_fetched(self) -> None:
        """Only what is not here."""
        wheels = [wheel(), wheel("b-1-py3-none-any.whl", sha256="1" * 64)]
        self.assertEqual(missing_bytes(wheels, {"1" * 64}), 10)


class PolicyTests(SynchronousTestCase):
    """Who gets what."""

    def test_order_of_versions(self) -> None:
        """As people count."""
        ordered = ["0.9", "1.0a1", "1.0rc2", "1.0", "1.0.1", "1.2", "1.10", "2"]
        self.assertEqual(sorted(ordered, key=version_key), ordered)
        self.assertEqual(version_key("1.0"), version_key("1"))
        index = Index(versions=tuple(ordered))
        self.assertEqual(index.newest_first()[:2], ["2", "1.10"])

    def test_no_way_back(self) -> None:
        """Strict: no older version. Always: no older security epoch."""
        there = Installed(version="1.5", security_epoch=2)
        new = manifest("1.6", security_epoch=2)
        self.assertIsNone(refusal(new, there))
        older = manifest("1.4", security_epoch=2)
        self.assertIn("older than 1.5", refusal(older, there) or "")
        self.assertIsNone(refusal(older, there, strict=False))
        holed = manifest("1.6", security_epoch=1)
        self.assertIn("security epoch 1", refusal(holed, there) or "")
        self.assertIn("security epoch 1", refusal(holed, there, strict=False) or "")

    def test_rings_are_even_and_stable(self) -> None:
        """A tenth of the hubs is about a tenth, and always the same one."""
        rings = [ring_of(number.to_bytes(32, "big")) for number in range(2000)]
        self.assertEqual(min(rings), 0)
        self.assertEqual(max(rings), 99)
        self.assertTrue(140 < sum(ring < 10 for ring in rings) < 260)
        self.assertEqual(ring_of(b"k" * 32), ring_of(b"k" * 32))

    def test_windows(self) -> None:
        """Over midnight as well."""
        self.assertTrue(in_window("22:30-04:00", 23 * 60))
        self.assertTrue(in_window("22:30-04:00", 3 * 60 + 59))
        self.assertFalse(in_window("22:30-04:00", 4 * 60))
        self.assertTrue(in_window("02:00-04:00", 120))
        self.assertFalse(in_window("02:00-04:00", 119))
        for wrong in ("", "2-4", "24:00-01:00", "02:00-04:60", "02:00-04:00\n"):
            self.assertRaises(ReleaseError, in_window, wrong, 0)

    def test_channels(self) -> None:
        """They are names of TUF roles and of folders."""
        self.assertEqual(check_channel("stable"), "stable")
        for wrong in ("root", "timestamp", "", "Stable", "a/b", "..", "x" * 17):
            self.assertRaises(ReleaseError, check_channel, wrong)

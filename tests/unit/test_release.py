"""From the ceremony to the feed: who must sign, and what is never published."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.release.channel import Channel
from mosaic.release.errors import ReleaseRefused
from mosaic.release.keys import load_public, load_signer, make_key, public_file
from mosaic.release.status import standing_rows
from mosaic.release.wheels import (
    architectures_of,
    build_wheels,
    describe_wheels,
    version_of,
)
from mosaic.workspace.releases import Wheel
from tests.support.feeds import PROJECT, Publisher, make_wheel

DAY_S = 86400.0


class ReleaseCase(SynchronousTestCase):
    """One publisher in a folder of its own."""

    def setUp(self) -> None:
        """Nothing is signed yet."""
        self.publisher = Publisher(Path(self.mktemp()).absolute())

    def refused(self, call: Any, *args: Any, **kwargs: Any) -> str:
        """What it says."""
        return str(self.assertRaises(ReleaseRefused, call, *args, **kwargs))

    def documents(self) -> list[str]:
        """The names of what is in the feed."""
        return sorted(path.name for path in self.publisher.feed.metadata.iterdir())


class KeyTests(ReleaseCase):
    """Private halves stay private and are never lost to an overwrite."""

    def test_files(self) -> None:
        """0600, and the public half beside it."""
        file = self.publisher.folder / "k.pem"
        public = make_key(file)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(load_public(public).keyid, load_signer(file).public_key.keyid)
        self.assertIn("never overwritten", self.refused(make_key, file))

    def test_passphrases(self) -> None:
        """Asked for, checked, and told apart from a broken file."""
        file = self.publisher.folder / "k.pem"
        make_key(file, passphrase=b"open sesame")
        self.assertIn("needs its passphrase", self.refused(load_signer, file))
        wrong = self.refused(load_signer, file, passphrase=b"close")
        self.assertIn("not its passphrase", wrong)
        load_signer(file, passphrase=b"open sesame")

    def test_readable_by_others(self) -> None:
        """A key that others can read may have been read."""
        file = self.publisher.folder / "k.pem"
        make_key(file)
        file.chmod(0o640)
        self.assertIn("chmod 600", self.refused(load_signer, file))

    def test_what_is_no_key(self) -> None:
        """A clear word for each."""
        file = self.publisher.folder / "k.pem"
        file.parent.mkdir(parents=True)
        self.assertIn("No such file", self.refused(load_signer, file))
        file.write_text("nonsense")
        file.chmod(0o600)
        self.assertIn("is no private key", self.refused(load_signer, file))
        self.assertIn("is no public key", self.refused(load_public, file))


class CeremonyTests(ReleaseCase):
    """Thresholds hold from the first document on."""

    def test_two_of_three(self) -> None:
        """One signature is not enough, and the same one twice is one."""
        publisher = self.publisher
        publisher.ceremony()
        publisher.sign("root1", "root1", "targets", "stable", "beta")
        self.assertIn("no signed root", self.refused(publisher.publish))
        [waiting] = publisher.shop.waiting()
        self.assertEqual((waiting.role, waiting.have, waiting.want), ("root", 1, 2))
        publisher.sign("root3")
        publisher.publish()
        self.assertIn("timestamp.json", self.documents())

    def test_one_is_enough_for_a_small_house(self) -> None:
        """If it was said so."""
        self.publisher.ceremony(root_threshold=1)
        self.publisher.sign("root2", "targets", "stable", "beta")
        self.publisher.publish()

    def test_thresholds_that_cannot_be(self) -> None:
        """Four of three never sign."""
        ceremony = self.publisher.ceremony
        self.assertIn("4 must sign", self.refused(ceremony, root_threshold=4))

    def test_a_stranger_signs_nothing(self) -> None:
        """And hears what waits for whom."""
        self.publisher.ceremony()
        said = self.refused(self.publisher.sign, "stranger")
        self.assertIn("nothing waits for the key", said)
        self.assertIn("root for", said)

    def test_only_once(self) -> None:
        """A second beginning would be another root."""
        self.publisher.begin()
        self.assertIn("begun already", self.refused(self.publisher.ceremony))


class PublishTests(ReleaseCase):
    """What hubs would refuse never gets there."""

    def setUp(self) -> None:
        """A feed with one release."""
        super().setUp()
        self.publisher.begin()
        self.publisher.release("1.0")

    def test_what_is_there(self) -> None:
        """Documents under their versions, targets under their hashes."""
        rows = standing_rows(self.publisher.shop, self.publisher.feed)
        where = {row["role"]: row["where"] for row in rows}
        self.assertEqual(set(where.values()), {"published"})
        stable = next(row for row in rows if row["role"] == "stable")
        self.assertEqual(stable["releases"], ["1.0"])
        names = [p.name for p in (self.publisher.feed.targets / "stable").iterdir()]
        self.assertEqual(len(names), 4)

    def test_unsigned_release(self) -> None:
        """Waits, and nothing of it is seen."""
        self.publisher.build("1.1")
        before = self.documents()
        self.publisher.publish()
        after = [name for name in self.documents() if "snapshot" not in name]
        self.assertEqual(after, [name for name in before if "snapshot" not in name])
        signed = self.publisher.feed.standing().channels["stable"].signed
        self.assertNotIn("stable/hub-1.1.json", signed.targets)

    def test_wheels_are_kept_once(self) -> None:
        """What two versions share is one target."""
        self.publisher.release("1.1")
        wheels = [*self.publisher.feed.targets.rglob("*.whl")]
        self.assertEqual(len(wheels), 3)

    def test_withdrawn(self) -> None:
        """Its manifest and the wheels that only it needed leave the document."""
        self.publisher.release("1.1")
        Channel(self.publisher.shop, "stable").withdraw("1.1")
        self.publisher.sign("stable")
        self.publisher.publish()
        standing = self.publisher.feed.standing()
        targets = standing.channels["stable"].signed.targets
        self.assertEqual([name for name in targets if "1.1" in name], [])
        self.assertEqual(len([name for name in targets if name.endswith("whl")]), 2)
        gone = Channel(self.publisher.shop, "stable").withdraw
        self.assertIn("no version 9.9", self.refused(gone, "9.9"))

    def test_rings_grow(self) -> None:
        """The same version for more hubs."""
        Channel(self.publisher.shop, "stable").set_percent("1.0", 10)
        self.publisher.sign("stable")
        self.publisher.publish()
        channel = Channel(self.publisher.shop, "stable")
        self.assertEqual(channel.manifest("1.0").percent, 10)

    def test_a_file_that_changed(self) -> None:
        """Between the signature and the publication."""
        self.publisher.build("1.1")
        self.publisher.sign("stable")
        for path in self.publisher.shop.targets.rglob("*.hub-1.1.json"):
            path.write_bytes(path.read_bytes() + b" ")
        self.assertIn("not what was signed", self.refused(self.publisher.publish))
        self.assertEqual([*self.publisher.feed.targets.rglob("*hub-1.1*")], [])

    def test_another_root(self) -> None:
        """Two ceremonies for one feed: its hubs know the first."""
        other = Publisher(self.publisher.folder / "other")
        other.feed = self.publisher.feed
        other.ceremony()
        other.sign("root1", "root2", "targets", "stable", "beta")
        self.assertIn("another root", self.refused(other.publish))

    def test_older_than_published(self) -> None:
        """A workshop that was put back from a backup."""
        newest = self.publisher.shop.metadata / "2.stable.json"
        newest.unlink()
        self.assertIn("older than the published", self.refused(self.publisher.publish))

    def test_expired(self) -> None:
        """A hub would refuse it: say so here."""
        self.publisher.now += 91 * DAY_S
        self.assertIn("`release renew beta`", self.refused(self.publisher.publish))
        for channel in ("stable", "beta"):
            self.publisher.shop.renew(channel, days=90)
            self.publisher.sign(channel)
        self.publisher.publish()

    def test_rotation_of_a_channel(self) -> None:
        """The new key signs, the old one no more."""
        shop, publisher = self.publisher.shop, self.publisher
        old = publisher.key("stable").public_key.keyid
        shop.rotate("stable", add=[publisher.key("new").public_key], remove=[old[:8]])
        self.assertIn("nothing waits", self.refused(publisher.sign, "stable"))
        publisher.sign("targets", "new")
        publisher.publish()
        publisher.build("1.1")
        self.assertIn("nothing waits", self.refused(publisher.sign, "stable"))
        publisher.sign("new")
        publisher.publish()

    def test_rotation_of_the_root(self) -> None:
        """Signed by the old ones and by the new ones."""
        publisher = self.publisher
        new = publisher.key("root4").public_key
        old = publisher.key("root1").public_key.keyid
        publisher.shop.rotate("root", add=[new], remove=[old])
        publisher.sign("root4")
        publisher.publish()
        self.assertNotIn("2.root.json", self.documents())
        publisher.sign("root2", "root3")
        publisher.publish()
        self.assertIn("2.root.json", self.documents())

    def test_rotation_must_leave_enough(self) -> None:
        """Nobody could ever sign again."""
        publisher = self.publisher
        for role, key, words in (
            ("stable", publisher.key("stable").public_key.keyid, "add one in the"),
            ("stable", "ffff", "has no one key"),
            ("nothing", "", "no role nothing"),
        ):
            said = self.refused(publisher.shop.rotate, role, add=[], remove=[key])
            self.assertIn(words, said)

    def test_one_more_channel(self) -> None:
        """With its own key."""
        publisher = self.publisher
        publisher.shop.add_channel("nightly", [publisher.key("night").public_key], 1)
        publisher.sign("targets", "night")
        publisher.release("2.0a1", channel="beta")
        publisher.publish()
        self.assertIn("nightly", publisher.feed.standing().channels)


class OnlineTests(ReleaseCase):
    """The server's own word: fresh, and never running ahead of what is signed."""

    def setUp(self) -> None:
        """A feed with one release."""
        super().setUp()
        self.publisher.begin()
        self.publisher.release("1.0")

    def timestamp(self) -> Any:
        """Its signed part."""
        file = self.publisher.feed.metadata / "timestamp.json"
        return json.loads(file.read_bytes())["signed"]

    def refresh(self) -> Any:
        """As the server does every hour."""
        return self.publisher.signer.refresh(now=self.publisher.now)

    def test_every_six_hours(self) -> None:
        """Not before."""
        before = self.timestamp()["version"]
        self.publisher.now += 5 * 3600
        self.assertFalse(self.refresh().timestamp)
        self.publisher.now += 2 * 3600
        self.assertTrue(self.refresh().timestamp)
        self.assertGreater(self.timestamp()["version"], before)

    def test_a_clock_that_was_wrong(self) -> None:
        """What ends later than it can is made again, with a higher version."""
        self.publisher.now += 400 * DAY_S
        self.refresh()
        before = self.timestamp()["version"]
        self.publisher.now -= 400 * DAY_S
        self.assertTrue(self.refresh().timestamp)
        self.assertEqual(self.timestamp()["version"], before + 1)

    def test_snapshots_are_renewed_and_few(self) -> None:
        """Half of their week before they end; old ones go."""
        for _ in range(20):
            self.publisher.now += DAY_S
            self.refresh()
        snapshots = [name for name in self.documents() if "snapshot" in name]
        self.assertTrue(2 <= len(snapshots) <= 5, snapshots)

    def test_rotation_of_the_online_keys(self) -> None:
        """A second pair, the root, and the timestamp is signed by the new one."""
        publisher = self.publisher
        old = publisher.feed.standing().root.signed.roles
        made = publisher.online.make(another=True)
        for role, file in made.items():
            publisher.shop.rotate(
                role, add=[load_public(file)], remove=old[role].keyids
            )
        publisher.sign("root1", "root2")
        publisher.publish()
        file = publisher.feed.metadata / "timestamp.json"
        [signature] = json.loads(file.read_bytes())["signatures"]
        self.assertEqual(signature["keyid"], load_public(made["timestamp"]).keyid)

    def test_a_damaged_timestamp(self) -> None:
        """It is made again; Unix seconds go forward by themselves."""
        before = self.timestamp()["version"]
        self.publisher.now += 60
        (self.publisher.feed.metadata / "timestamp.json").write_bytes(b"")
        self.assertTrue(self.refresh().timestamp)
        self.assertGreater(self.timestamp()["version"], before)

    def test_without_keys(self) -> None:
        """Said with the folder."""
        for file in self.publisher.online.folder.iterdir():
            file.unlink()
        self.publisher.now += DAY_S
        self.assertIn("no timestamp key", self.refused(self.refresh))

    def test_nothing_was_published(self) -> None:
        """Most servers never have a release."""
        empty = Publisher(self.publisher.folder / "empty")
        self.assertIsNone(empty.signer.refresh(now=empty.now))


class WheelTests(ReleaseCase):
    """What a build finds."""

    def test_described(self) -> None:
        """Version and machines come from the names."""
        folder = self.publisher.folder / "w"
        make_wheel(folder, PROJECT, "1.2")
        wheels = [*describe_wheels(folder)]
        self.assertEqual(version_of(wheels), "1.2")
        self.assertEqual(architectures_of(wheels), ("any",))
        native = Wheel(
            name="a-1-cp311-abi3-manylinux_2_34_aarch64.manylinux_2_17_aarch64.whl",
            sha256="0" * 64,
            size_bytes=1,
        )
        self.assertEqual(architectures_of([native, *wheels]), ("aarch64",))

    def test_extras_beside_the_hubs(self) -> None:
        """A hub that has one of them would lose it by an update without."""
        asked: list[str] = []

        def run(command: list[str], **more: Any) -> Any:
            asked.append(command[-1])
            return CompletedProcess(command, 0, "", "")

        self.patch(subprocess, "run", run)
        build_wheels(Path("/src"), Path("/w"))
        build_wheels(Path("/src"), Path("/w"), extras=["hub-kerberos"])
        build_wheels(Path("/src"), Path("/w"), dependencies=False)
        self.assertEqual(asked, ["/src[hub]", "/src[hub,hub-kerberos]", "--no-deps"])

    def test_nothing_to_release(self) -> None:
        """Each with its word."""
        folder = self.publisher.folder / "w"
        folder.mkdir(parents=True)
        self.assertIn("holds no wheels", self.refused(describe_wheels, folder))
        make_wheel(folder, "other", "1.2")
        self.assertIn("none", self.refused(version_of, [*describe_wheels(folder)]))
        (folder / "a b-1-py3-none-any.whl").write_bytes(b"")
        self.assertIn("no file name", self.refused(describe_wheels, folder))

    def test_public_halves(self) -> None:
        """Beside the private ones."""
        self.assertEqual(public_file(Path("/a/k.pem")), Path("/a/k.pem.pub"))

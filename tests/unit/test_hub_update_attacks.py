"""Whoever owns the server, the network, or one key too few: each attempt is
refused with its own word, and nothing on the hub changes.

TUF compares with the real date, so these feeds are signed today; nothing waits.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import msgspec

from mosaic.hub.updates.client import Box
from mosaic.hub.updates.errors import UpdateError
from mosaic.release.channel import Channel
from mosaic.release.files import write_whole
from mosaic.release.keys import load_public, load_signer
from mosaic.release.roles import latest_in, read_document
from mosaic.workspace.releases import Installed, Manifest, index_name, manifest_name
from tests.support.attacked import DAY_S, AttackCase
from tests.support.feeds import Publisher


class FeedAttackTests(AttackCase):
    """By whoever answers in the server's name."""

    def test_rollback(self) -> None:
        """An old word of the server, signed as it was."""
        old = (self.publisher.feed.metadata / "timestamp.json").read_bytes()
        self.publisher.release("1.1")
        self.assertEqual(self.offer().version, "1.1")
        self.served.changed["timestamp.json"] = old
        self.assertIn("older than what this hub", self.refused("rollback"))

    def test_the_whole_feed_rolled_back(self) -> None:
        """Everything as it was before 1.1, which this hub has seen."""
        kept = self.copy_feed()
        self.publisher.release("1.1")
        self.offer()
        self.served.folder = kept
        self.refused("rollback")

    def test_freeze(self) -> None:
        """The same word for ever: it ends after a day."""
        self.publisher.now -= 2 * DAY_S
        (self.publisher.feed.metadata / "timestamp.json").unlink()
        self.publisher.signer.refresh(now=self.publisher.now)
        said = self.refused("stale", lambda: self.hub("new").look("stable", self.box))
        self.assertIn("clock is wrong", said)
        self.publisher.now += 2 * DAY_S
        self.publisher.signer.refresh(now=self.publisher.now)
        self.hub("new").look("stable", self.box)

    def test_mix_and_match(self) -> None:
        """An old channel document in a new feed."""
        old = (self.publisher.feed.metadata / "2.stable.json").read_bytes()
        self.publisher.release("1.1")
        self.served.changed["3.stable.json"] = old
        self.refused("rollback")

    def test_one_byte_of_a_document(self) -> None:
        """Signed documents cannot be touched."""
        self.publisher.release("1.1")
        self.served.changed["3.stable.json"] = lambda data: data.replace(
            b"hub-1.1", b"hub-1.2"
        )
        self.refused("unsigned")

    def test_one_byte_of_a_manifest(self) -> None:
        """Its hash is in the channel's document."""
        self.publisher.release("1.1")
        self.served.changed["hub-1.1.json"] = lambda data: data.replace(b"100", b"101")
        self.assertIn("not what was signed", self.refused("changed"))

    def test_one_byte_of_a_wheel(self) -> None:
        """The same; what came before it stays for the next time."""
        self.publisher.release("1.1")
        offer = self.offer()
        self.served.changed["mosaic_meetings-1.1-py3-none-any.whl"] = lambda data: (
            data[:100] + bytes([data[100] ^ 1]) + data[101:]
        )
        error = self.assertRaises(UpdateError, self.client.fetch, offer)
        self.assertEqual(error.why, "changed")
        names = [path.name for path in (self.folder / "hub").rglob("*.whl")]
        self.assertEqual(names, ["library-2.0-py3-none-any.whl"])
        self.served.changed.clear()
        self.served.asked.clear()
        self.assertEqual(len(self.client.fetch(offer)), 2)
        self.assertEqual([url for url in self.served.asked if "library" in url], [])

    def test_endless_data(self) -> None:
        """No more is stored than was signed, whatever it is."""
        self.publisher.release("1.1")
        offer = self.offer()
        for name in (
            "timestamp.json",
            ".snapshot.json",
            "3.stable.json",
            "index.json",
            "hub-1.1.json",
        ):
            self.client = self.hub(f"other-{name}")
            self.served.endless = name
            self.assertIn("longer than what was signed", self.refused("endless"))
        self.served.endless = ".whl"
        self.refused("endless", lambda: self.client.fetch(offer))

    def test_another_root(self) -> None:
        """A feed with a ceremony of its own: this hub has its root for ever."""
        thief = Publisher(self.folder / "thief", now=self.publisher.now + 60)
        thief.begin()
        thief.release("9.0")
        self.served.folder = thief.feed.folder
        self.refused("unsigned")

    def test_a_root_given_by_hand(self) -> None:
        """Then not even the first word of the server is believed."""
        root = (self.publisher.feed.metadata / "1.root.json").read_bytes()
        thief = Publisher(self.folder / "thief", now=self.publisher.now + 60)
        thief.begin()
        self.served.folder = thief.feed.folder
        wary = self.hub("wary", root)
        self.refused("unsigned", lambda: wary.look("stable", self.box))
        confused = self.hub("hub", (thief.feed.metadata / "1.root.json").read_bytes())
        self.refused("root", lambda: confused.look("stable", self.box))

    def test_a_page_instead_of_the_first_root(self) -> None:
        """A hub that begins behind somebody's login page is not spoilt by it:
        only what is a root, signed by its own keys, is kept for ever."""
        new = self.hub("new")
        self.served.changed["1.root.json"] = b"<html>Please log in</html>"
        self.refused("wrong", lambda: new.look("stable", self.box))
        del self.served.changed["1.root.json"]
        self.assertIsNone(new.look("stable", self.box).offer)

    def test_nothing_there(self) -> None:
        """A server without a feed."""
        self.served.folder = self.folder / "nothing"
        self.assertIn("is not there (HTTP 404)", self.refused("absent"))

    def test_nothing_was_ever_there(self) -> None:
        """A server that nobody publishes on: another word, since it is no fault."""
        self.served.folder = self.folder / "nothing"
        new = self.hub("new")
        self.refused("no-feed", lambda: new.look("stable", self.box))

    def test_a_channel_that_is_not_there(self) -> None:
        """Its index has no one who could have signed it."""
        self.refused("absent", lambda: self.client.look("nightly", self.box))


class KeyAttackTests(AttackCase):
    """By whoever has some keys, and the server."""

    def begin(self) -> None:
        """Two of two must sign the channel."""
        self.publisher.begin("stable", "stable2")
        self.root = self.publisher.feed.standing().root

    def forge(self, role: str, document: Any, *keys: str) -> None:
        """Put a document into the feed, past everything that the publisher
        checks, with a word of the server: its keys are the thief's too."""
        document.signatures.clear()
        for key in keys:
            document.sign(self.publisher.key(key), append=True)
        feed, version = self.publisher.feed, document.signed.version
        write_whole(feed.metadata / f"{version}.{role}.json", document.to_bytes())
        shutil.copytree(self.publisher.shop.targets, feed.targets, dirs_exist_ok=True)
        snapshot: Any = latest_in(feed.metadata, "snapshot")
        snapshot.signed.version += 1
        snapshot.signed.meta[f"{role}.json"].version = version
        snapshot.sign(self.publisher.online.signer(self.root, "snapshot"))
        name = f"{snapshot.signed.version}.snapshot.json"
        write_whole(feed.metadata / name, snapshot.to_bytes())
        timestamp: Any = read_document(feed.metadata / "timestamp.json")
        timestamp.signed.version += 1
        timestamp.signed.snapshot_meta.version = snapshot.signed.version
        timestamp.sign(self.publisher.online.signer(self.root, "timestamp"))
        write_whole(feed.metadata / "timestamp.json", timestamp.to_bytes())

    def waiting(self, channel: str) -> Any:
        """What the workshop would have signed."""
        return read_document(self.publisher.shop.pending / f"{channel}.json")

    def test_all_signatures(self) -> None:
        """The forger of these tests can forge: with both keys it is accepted."""
        self.publisher.build("1.1")
        self.forge("stable", self.waiting("stable"), "stable", "stable2")
        self.assertEqual(self.offer().version, "1.1")

    def test_one_of_two_signatures(self) -> None:
        """With the server, its keys, and one key of the channel: not enough."""
        self.publisher.build("1.1")
        self.forge("stable", self.waiting("stable"), "stable")
        self.assertIn("not signed by those who must", self.refused("unsigned"))

    def test_wrong_channel_key(self) -> None:
        """Who may sign beta cannot sign stable, ..."""
        self.publisher.build("1.1")
        self.forge("stable", self.waiting("stable"), "beta", "targets")
        self.refused("unsigned")

    def test_wrong_channel_in_a_document(self) -> None:
        """... nor name stable's targets in its own document."""
        shop = self.publisher.shop
        self.publisher.build("1.1", channel="beta")
        document = self.waiting("beta")
        for name, target in [*document.signed.targets.items()]:
            target.path = name.replace("beta/", "stable/")
            document.signed.targets[target.path] = target
        shutil.copytree(
            shop.targets / "beta", shop.targets / "stable", dirs_exist_ok=True
        )
        self.forge("beta", document, "beta")
        self.assertIsNone(self.look().offer)

    def test_stolen_old_key_after_rotation(self) -> None:
        """The key that was replaced is worth nothing from then on."""
        publisher = self.publisher
        publisher.shop.rotate(
            "stable",
            add=[publisher.key("new").public_key],
            remove=[publisher.key("stable").public_key.keyid],
        )
        publisher.sign("targets")
        publisher.signers["stable"] = ("new", "stable2")
        publisher.finish()
        self.look()
        publisher.build("1.1")
        self.forge("stable", self.waiting("stable"), "stable", "stable2")
        self.refused("unsigned")

    def test_stolen_old_timestamp_key(self) -> None:
        """The same for the server's own, once the root names another."""
        publisher = self.publisher
        stolen = self.folder / "stolen"
        shutil.copytree(publisher.online.folder, stolen)
        for role, file in publisher.online.make(another=True).items():
            publisher.shop.rotate(
                role,
                add=[load_public(file)],
                remove=self.root.signed.roles[role].keyids,
            )
        publisher.sign("root1", "root3")
        publisher.now += 60
        publisher.publish()
        self.look()
        path = publisher.feed.metadata / "timestamp.json"
        timestamp: Any = read_document(path)
        timestamp.signed.version += 1
        timestamp.sign(load_signer(stolen / "updates-timestamp-1.pem"))
        write_whole(path, timestamp.to_bytes())
        self.refused("unsigned")

    def test_a_root_by_one_of_two(self) -> None:
        """One stolen root key makes no root."""
        publisher = self.publisher
        new = publisher.key("thief").public_key
        publisher.shop.rotate("targets", add=[new], remove=[])
        root: Any = read_document(publisher.shop.pending / "root.json")
        root.sign(publisher.key("root1"), append=True)
        write_whole(publisher.feed.metadata / "2.root.json", root.to_bytes())
        self.refused("unsigned")

    def test_another_hash_in_the_manifest(self) -> None:
        """Who may sign a channel writes a manifest that contradicts itself."""
        publisher = self.publisher
        manifest = publisher.build("1.1")
        [first, second] = manifest.wheels
        wrong = msgspec.structs.replace(first, sha256=second.sha256)
        self.write_manifest(msgspec.structs.replace(manifest, wheels=(wrong, second)))
        publisher.finish()
        offer = self.offer()
        error = self.assertRaises(UpdateError, self.client.fetch, offer)
        self.assertIn(error.why, {"absent", "disagree"})
        self.assertEqual(
            [
                p.name
                for p in (self.folder / "hub").rglob("*.whl")
                if first.name in p.name
            ],
            [],
        )

    def test_another_size_in_the_manifest(self) -> None:
        """The same with its length."""
        manifest = self.publisher.build("1.1")
        [first, second] = manifest.wheels
        wrong = msgspec.structs.replace(first, size_bytes=first.size_bytes + 1)
        self.write_manifest(msgspec.structs.replace(manifest, wheels=(wrong, second)))
        self.publisher.finish()
        offer = self.offer()
        self.refused("disagree", lambda: self.client.fetch(offer))

    def write_manifest(self, manifest: Manifest) -> None:
        """Into what waits, whatever it says."""
        self.write_target(
            manifest_name("stable", manifest.version), msgspec.json.encode(manifest)
        )

    def write_target(self, name: str, data: bytes) -> None:
        """Into what waits."""
        shop = self.publisher.shop
        document = shop.draft("stable", 90)
        Channel(shop, "stable")._put_data(document.signed, name, data)
        shop.keep("stable", document)

    def test_path_tricks(self) -> None:
        """Names that would lead out of the hub's folders, properly signed."""
        manifest = self.publisher.build("1.1")
        value = msgspec.to_builtins(manifest)
        for trick in (
            "../../../../tmp/evil-1-py3-none-any.whl",
            "/tmp/evil-1-py3-none-any.whl",
            "evil-1-py3-none-any.whl\n--index-url=http://evil/",
            "a/../evil-1-py3-none-any.whl",
        ):
            value["wheels"][0]["name"] = trick
            self.write_target("stable/hub-1.1.json", json.dumps(value).encode())
            self.publisher.finish()
            self.refused("manifest")

    def test_path_tricks_in_the_index(self) -> None:
        """A version is part of a name as well."""
        for trick in ("1.1/../../x", "../1.1", "1.1\n", "1.1?x", "x" * 5000):
            data = json.dumps({"versions": [trick]}).encode()
            self.write_target(index_name("stable"), data)
            self.publisher.finish()
            self.refused("manifest")

    def test_downgrade(self) -> None:
        """Who may sign the channel takes the new one out and offers the old."""
        self.publisher.release("1.1", security_epoch=1)
        self.box = Box(installed=Installed(version="1.1", security_epoch=1), ring=50)
        self.assertIsNone(self.look().offer)
        Channel(self.publisher.shop, "stable").withdraw("1.1")
        self.publisher.finish()
        found = self.look()
        self.assertIsNone(found.offer)
        self.assertIn("security epoch", found.passed_over[0])

    def test_downgrade_without_an_epoch(self) -> None:
        """Refused when strict; an administrator may allow it."""
        installed = Installed(version="1.1")
        self.box = Box(installed=installed, ring=50)
        found = self.look()
        self.assertIsNone(found.offer)
        self.assertIn("older than 1.1, and the policy is strict", found.passed_over[0])
        self.box = Box(installed=installed, ring=50, strict=False)
        self.assertEqual(self.offer().version, "1.0")

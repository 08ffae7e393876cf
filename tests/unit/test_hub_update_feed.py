"""What a hub takes from a feed as it should be: no more than it needs.

TUF compares with the real date, so these feeds are signed today; nothing waits.
"""

from __future__ import annotations

import msgspec

from mosaic.hub.updates.client import Box
from mosaic.release.channel import Channel
from mosaic.release.online import OnlineKeys
from mosaic.release.roles import ROOT, TARGETS
from mosaic.release.wheels import describe_wheels
from mosaic.workspace.releases import Installed
from tests.support.attacked import AttackCase


class HonestTests(AttackCase):
    """What is not refused."""

    def test_only_what_is_new_is_fetched(self) -> None:
        """A wheel that did not change is never asked for again."""
        self.publisher.release("1.1")
        first = self.offer()
        self.client.fetch(first)
        self.publisher.release("1.2")
        second = self.offer()
        own = [one for one in second.wheels if one.project == "mosaic-meetings"]
        self.assertEqual(second.size_bytes, own[0].size_bytes)
        self.served.asked.clear()
        self.client.fetch(second)
        wheels = [url for url in self.served.asked if url.endswith(".whl")]
        self.assertEqual(len(wheels), 1)

    def test_a_damaged_wheel_is_fetched_again(self) -> None:
        """Disks forget."""
        self.publisher.release("1.1")
        offer = self.offer()
        paths = self.client.fetch(offer)
        damaged = next(iter(paths.values()))
        damaged.write_bytes(b"")
        self.client.fetch(offer)
        self.assertGreater(damaged.stat().st_size, 0)

    def test_rings(self) -> None:
        """A release for a tenth is one for rings 0 to 9."""
        self.publisher.release("1.1", percent=10)
        installed = Installed(version="1.0")
        for ring, there in ((9, True), (10, False)):
            found = self.client.look("stable", Box(installed=installed, ring=ring))
            self.assertEqual(found.offer is not None, there)

    def test_a_release_for_another_machine(self) -> None:
        """Passed over with the reason; an older one that fits is taken."""
        publisher = self.publisher
        publisher.release("1.1")
        folder = publisher.folder / "wheels" / "stable-1.1"
        manifest = msgspec.structs.replace(
            Channel(publisher.shop, "stable").manifest("1.1"),
            version="1.2",
            python="3.99",
        )
        publisher.put(manifest, describe_wheels(folder))
        publisher.finish()
        found = self.look()
        self.assertEqual(found.offer and found.offer.version, "1.1")
        self.assertIn("needs Python 3.99", found.passed_over[0])

    def test_the_same_version_in_other_words(self) -> None:
        """1.0 is 1.0.0."""
        self.box = Box(installed=Installed(version="1.0.0"), ring=50)
        self.assertIsNone(self.look().offer)

    def test_through_rotations(self) -> None:
        """A hub that slept through three of them follows the chain."""
        publisher = self.publisher
        names = ["root4", "root5", "root6"]
        have = ["root1", "root2", "root3"]
        for new in names:
            old = have.pop(0)
            publisher.shop.rotate(
                ROOT,
                add=[publisher.key(new).public_key],
                remove=[publisher.key(old).public_key.keyid],
            )
            publisher.sign(old, new, have[0])
            have.append(new)
        publisher.shop.rotate(
            TARGETS,
            add=[publisher.key("targets2").public_key],
            remove=[publisher.key("targets").public_key.keyid],
        )
        publisher.sign(have[0], have[1], "targets2")
        publisher.release("1.1")
        self.assertEqual(self.offer().version, "1.1")

    def test_the_keys_of_the_server_alone(self) -> None:
        """They are made once, and `make` finds them again."""
        keys = OnlineKeys(self.publisher.online.folder)
        self.assertEqual(keys.make(), self.publisher.online.make())

"""hub.json: torn, foreign or missing, the hub starts and says what was wrong."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.feed import Desired, Feed, FeedError, HubFacts, read_feed
from mosaic.hub.memory import Memory, MemoryFile, Result, decode_memory, encode_memory

FULL = Memory(
    server="https://hub.example.org",
    hub_id="412907338",
    name="Lisbon",
    feed=Feed(
        seq=7, hub=HubFacts(hub_id="412907338"), desired=Desired(room="100000009")
    ),
    done={"c1": Result(ok=False, detail="no screen")},
    joined=("a",),
)


class MemoryFileTests(SynchronousTestCase):
    """The file in its folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = MemoryFile(self.folder)

    def test_comes_back_as_it_was(self) -> None:
        """All of it, in a file of its owner's alone."""
        self.file.save(FULL)
        self.assertEqual(self.file.load(), (FULL, None))
        self.assertEqual(self.file.path.stat().st_mode & 0o777, 0o600)

    def test_no_file_is_a_new_hub(self) -> None:
        """The first start."""
        self.assertEqual(self.file.load(), (Memory(), None))

    def test_torn_file_is_set_aside(self) -> None:
        """Every length of a file that was cut: nothing is lost, nothing raised."""
        whole = encode_memory(FULL)
        for length in (0, 1, len(whole) // 2, len(whole) - 3):
            self.file.path.write_bytes(whole[:length])
            memory, problem = self.file.load()
            self.assertEqual(memory, Memory())
            self.assertIn("hub.json.broken", problem or "")
            aside = self.folder / "hub.json.broken"
            self.assertEqual(aside.read_bytes(), whole[:length])
            self.assertFalse(self.file.path.exists())

    def test_torn_file_gives_way_to_the_one_before(self) -> None:
        """A disk that lost a block does not cost the Hub ID."""
        self.file.save(FULL)
        self.file.save(Memory(hub_id="412907338", name="newer"))
        self.file.path.write_bytes(b"{")
        memory, problem = self.file.load()
        self.assertEqual(memory, FULL)
        self.assertIn("the one before it", problem or "")

    def test_file_of_a_later_version_is_set_aside(self) -> None:
        """It may mean something else by the same names."""
        self.file.path.write_text('{"version": 2}')
        self.assertIn("version 2", self.file.load()[1] or "")

    def test_killed_while_saving_keeps_the_old_one(self) -> None:
        """The new content is elsewhere until it is whole and on the disk."""
        self.file.save(FULL)
        with (
            mock.patch("mosaic.hub.memory.sync_folder", side_effect=OSError),
            mock.patch("os.replace", side_effect=OSError("killed here")),
        ):
            self.assertRaises(OSError, self.file.save, Memory())
        self.assertEqual(self.file.load(), (FULL, None))
        self.file.save(Memory(name="next"))  # what the kill left is no obstacle
        self.assertEqual(self.file.load()[0].name, "next")

    def test_is_on_the_disk_before_it_counts(self) -> None:
        """File before the name, the name before the return."""
        steps: list[str] = []
        fsync, replace = os.fsync, os.replace

        def synced(descriptor: int) -> None:
            steps.append("fsync")
            fsync(descriptor)

        def replaced(old: Path, new: Path) -> None:
            steps.append("replace")
            replace(old, new)

        with mock.patch("os.fsync", synced), mock.patch("os.replace", replaced):
            self.file.save(FULL)
        self.assertEqual(steps, ["fsync", "replace", "fsync"])


class ParserTests(SynchronousTestCase):
    """Whatever stands there."""

    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_memory_or_a_value_error(self, content: bytes) -> None:
        """Never anything else."""
        try:
            decode_memory(content)
        except ValueError:
            pass

    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_feed_or_a_feed_error(self, content: bytes) -> None:
        """A captive portal's page is no traceback."""
        try:
            read_feed(content)
        except FeedError:
            pass

    def test_feed_of_the_document(self) -> None:
        """The example of docs/protocols/hub.md; what is new there is passed over."""
        feed = read_feed(
            b"""{"seq": 12, "hub": {"hub_id": "412907338", "name": "Lisbon",
            "pin": "615823", "join_url": "https://x", "join_host": "hub.example.org"},
            "desired": {"room": null, "volume": 60, "muted": false,
            "screen_on": true, "layout": "auto", "locale": "en"},
            "commands": [{"id": "1", "command": "restart", "arguments": {}}],
            "calendar": [{"start": 1790000000, "end": 1790003600.0,
            "title": "Design review", "room": "412907338"}],
            "update": {"channel": "stable", "window": null}, "later": 1}"""
        )
        self.assertEqual((feed.seq, feed.commands[0].command), (12, "restart"))
        self.assertEqual(feed.calendar[0].room, "412907338")

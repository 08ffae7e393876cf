"""Archives: what is in them; out and in gives the same."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, XmlFragment

from mosaic.export.documents import board_elements, rebuild
from mosaic.export.formats import Studio
from mosaic.export.jobs import (
    ChatEntry,
    Limits,
    WorkRefused,
    read_updates,
    write_updates,
)
from tests.support.archives import PICTURE, SHA256, ArchiveCase, a_line
from tests.support.rooms import board_of, element, notes_of, paragraph

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=20)
)
VALUES = st.dictionaries(st.text(min_size=1, max_size=10), SCALARS, max_size=5)
WRITTEN = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)


class RoundTripTests(ArchiveCase):
    """The same room comes out of it."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=6),
        st.lists(st.tuples(WRITTEN, st.booleans()), max_size=4),
        st.lists(WRITTEN.filter(bool), max_size=4),
    )
    def test_any_content_comes_back(
        self,
        things: dict[str, dict[str, Any]],
        lines: list[tuple[str, bool]],
        said: list[str],
    ) -> None:
        """Boards, notes and chat, also what is no element and no text."""
        board = board_of([])
        held = board.get("elements", type=Map)
        for key, value in things.items():
            held[key] = value
        notes = notes_of(
            [paragraph(words, bold={} if on else None) for words, on in lines]
        )
        chat = [a_line(at, text=words) for at, words in enumerate(said, 1)]
        data = self.export(
            {"board": [board.get_update()], "notes/a.b": [notes.get_update()]}, chat
        )
        content, folder = self.take_in(data)
        states = {
            one.name: rebuild([(folder / one.file).read_bytes()], name=one.name)
            for one in content.documents
        }
        self.assertEqual({bad for _, bad in states.values()}, {0})
        self.assertEqual(board_elements(states["board"][0]), board_elements(board))
        self.assertEqual(
            str(states["notes/a.b"][0].get("default", type=XmlFragment)),
            str(notes.get("default", type=XmlFragment)),
        )
        kept = [
            msgspec.json.decode(line, type=ChatEntry)
            for line in (folder / content.chat).read_bytes().splitlines()
        ]
        self.assertEqual(kept, chat)
        self.assertEqual((content.name, content.messages), ("Blue", len(chat)))

    def test_updates_in_pieces_and_deletions(self) -> None:
        """As the journal has them: many updates, the last ones take back."""
        document: Doc[Any] = Doc()
        updates: list[bytes] = []
        document.observe(lambda event: updates.append(event.update))
        held = document.get("elements", type=Map)
        for at in range(20):
            held[f"e{at}"] = element("rectangle", f"e{at}")
        for at in range(0, 20, 2):
            del held[f"e{at}"]
        self.assertGreater(len(updates), 20)
        content, folder = self.take_in(self.export({"board": updates}))
        state = (folder / content.documents[0].file).read_bytes()
        self.assertEqual(len(board_elements(rebuild([state], name="board")[0])), 10)

    def test_files_come_along(self) -> None:
        """With their types."""
        content, folder = self.take_in(self.a_room())
        self.assertEqual([one.media_type for one in content.blobs], ["image/png"])
        self.assertEqual((folder / "blobs" / SHA256).read_bytes(), PICTURE)

    def test_an_archive_twice_around_is_the_same(self) -> None:
        """An import of an import."""
        first, folder = self.take_in(self.a_room())
        states = {
            one.name: [(folder / one.file).read_bytes()] for one in first.documents
        }
        second, _ = self.take_in(self.export(states, [a_line(1), a_line(2)]))
        self.assertEqual(first, second)


class ArchiveTests(ArchiveCase):
    """What is in an archive."""

    def test_an_excalidraw_file_has_its_pictures_inside(self) -> None:
        """And numbers as other programs want them."""
        with zipfile.ZipFile(io.BytesIO(self.a_room())) as archive:
            scene = json.loads(archive.read("board.excalidraw"))
        self.assertEqual((scene["type"], scene["version"]), ("excalidraw", 2))
        self.assertEqual({one["type"] for one in scene["elements"]}, {"text", "image"})
        self.assertIsInstance(scene["elements"][0]["version"], int)
        file = scene["files"][SHA256]
        self.assertTrue(file["dataURL"].startswith("data:image/png;base64,"))
        self.assertEqual(file["mimeType"], "image/png")

    def test_updates_that_cannot_be_read_are_noted(self) -> None:
        """The rest of the room is kept."""
        good = board_of([element("rectangle", "r")]).get_update()
        data = self.export({"board": [b"\x05\x01\x02", good, b"\xff" * 9]})
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            scene = json.loads(archive.read("board.excalidraw"))
        self.assertEqual(manifest["notes"], ["board: 2 unreadable updates left out"])
        self.assertEqual(len(scene["elements"]), 1)

    def test_a_view_that_fails_is_noted(self) -> None:
        """The state is there."""

        def broken(*args: Any, **kwargs: Any) -> None:
            raise MemoryError

        self.patch(Studio, "board", broken)
        with zipfile.ZipFile(io.BytesIO(self.a_room())) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            self.assertIn("documents/board.ydoc", archive.namelist())
        self.assertEqual(manifest["notes"], ["board: not drawn (MemoryError)"])

    def test_a_room_that_is_too_large(self) -> None:
        """Before anything is written, and after."""
        with self.assertRaises(WorkRefused):
            self.export({}, limits=Limits(archive_bytes=len(PICTURE) - 1))
        with self.assertRaises(WorkRefused):
            self.export({}, limits=Limits(archive_bytes=len(PICTURE) + 1))

    def test_a_file_that_is_missing_is_noted(self) -> None:
        """The archive is made without it, and can be imported."""
        (self.root / "blobs" / SHA256[:2] / SHA256[2:]).unlink()
        content, _ = self.take_in(self.a_room())
        self.assertEqual(content.blobs, [])

    @given(st.lists(st.binary(max_size=50), max_size=8))
    def test_updates_are_framed(self, updates: list[bytes]) -> None:
        """Whatever is in them."""
        path = Path(self.root / "framed")
        write_updates(path, updates)
        self.assertEqual(list(read_updates(path)), updates)

"""Hostile archives are refused, each in its own words, and leave nothing."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Map

from mosaic.export import intake
from mosaic.export.documents import rebuild
from mosaic.export.jobs import ChatEntry, Limits, WorkRefused
from tests.support.archives import SHA256, ArchiveCase, a_line
from tests.support.rooms import board_of, element

SMALL = Limits(archive_bytes=1 << 20, document_bytes=100_000, blob_bytes=10_000)


def remade(
    data: bytes,
    change: Callable[[dict[str, bytes], dict[str, Any]], None],
    *,
    write: Callable[[zipfile.ZipFile, str, bytes], None] | None = None,
) -> bytes:
    """The archive with its entries and its manifest changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(entries.pop("manifest.json"))
    change(entries, manifest)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            if write is None:
                target.writestr(name, content)
            else:
                write(target, name, content)
        if manifest:
            target.writestr("manifest.json", json.dumps(manifest))
    return out.getvalue()


class HostileTests(ArchiveCase):
    """What other people's archives may hold."""

    def setUp(self) -> None:
        super().setUp()
        self.good = self.a_room()

    def changed(
        self, change: Callable[[dict[str, bytes], dict[str, Any]], Any]
    ) -> bytes:
        """The good archive after a change."""
        return remade(self.good, change)

    def test_the_good_one_is_taken(self) -> None:
        """Or the others prove nothing."""
        self.take_in(self.changed(lambda entries, manifest: None))

    def test_names_outside_of_the_archive(self) -> None:
        """Paths that climb, absolute ones, other systems' ones, unknown ones."""
        for name in (
            "../evil", "/etc/passwd", "blobs/../../evil", "blobs\\evil", "C:/evil",
            "notes/..", "notes/../x.html", "documents/../board.ydoc", "evil.sh",
            "blobs/" + "A" * 64, "documents/board.ydoc/x", "notes/a\nb.html",
        ):  # fmt: skip

            def add(entries: dict[str, bytes], manifest: Any, name: str = name) -> None:
                entries[name] = b"x"

            self.refused(self.changed(add), "which no room has")
        self.assertEqual(sorted(self.root.glob("evil*")), [])

    def test_an_entry_twice(self) -> None:
        """Readers differ about which one counts."""

        def twice(target: zipfile.ZipFile, name: str, content: bytes) -> None:
            target.writestr(name, content)
            if name == "chat.jsonl":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    target.writestr(name, content)

        data = remade(self.good, lambda entries, manifest: None, write=twice)
        self.refused(data, "twice")

    def test_links_and_devices(self) -> None:
        """Plain files only."""

        def link(target: zipfile.ZipFile, name: str, content: bytes) -> None:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            target.writestr(info, content)

        data = remade(self.good, lambda entries, manifest: None, write=link)
        self.refused(data, "no plain file")

    def test_other_compressions(self) -> None:
        """Only what every ZIP reader has."""

        def packed(target: zipfile.ZipFile, name: str, content: bytes) -> None:
            target.writestr(name, content, zipfile.ZIP_BZIP2)

        data = remade(self.good, lambda entries, manifest: None, write=packed)
        self.refused(data, "compressed in a way")

    def test_encrypted_entries(self) -> None:
        """There is no password to give."""
        flagged = bytearray(self.good)
        at = flagged.rindex(b"PK\x01\x02")
        flagged[at + 8] |= 1
        self.refused(bytes(flagged), "encrypted")

    def test_bombs(self) -> None:
        """Much from little; more than is allowed; more than is announced."""

        def zeros(entries: dict[str, bytes], manifest: Any) -> None:
            entries["board.svg"] = bytes(40 << 20)

        self.refused(self.changed(zeros), "times its size")
        self.refused(self.changed(zeros), "unpacks to more than", SMALL)
        # The announced size of an entry is a lie: its real end is not read.
        lying = bytearray(self.changed(zeros))
        at = lying.rindex(b"board.svg") - 46
        struct.pack_into("<I", lying, at + 24, 100)
        self.take_in(bytes(lying))  # board.svg is never unpacked
        big = self.changed(lambda e, m: e.update({"chat.jsonl": bytes(2 << 20)}))
        self.refused(big, "the chat is too long")

    def test_a_size_that_lies(self) -> None:
        """What is read is counted, whatever was announced."""
        data = bytearray(self.good)
        at = data.rindex(b"documents/board.ydoc") - 46
        struct.pack_into("<I", data, at + 24, 3)
        with self.assertRaises(WorkRefused):
            self.take_in(bytes(data))

    def test_many_entries(self) -> None:
        """More than any room has."""
        self.patch(intake, "MAX_ENTRIES", 5)
        self.refused(self.good, "more than 5 entries")

    def test_manifests(self) -> None:
        """Missing, no JSON, of something else, of another version."""
        self.refused(self.changed(lambda e, m: m.clear()), "lacks 'manifest.json'")

        def nonsense(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
            manifest.clear()
            entries["manifest.json"] = b"[" * 100_000

        self.refused(self.changed(nonsense), "manifest.json cannot be read")
        for key, value, says in (
            ("format", "other", "no archive of a Mosaic room"),
            ("version", 2, "has version 2"),
            ("documents", "x", "cannot be read"),
            ("blobs", [{}], "cannot be read"),
        ):

            def put(e: Any, m: dict[str, Any], k: str = key, v: Any = value) -> None:
                m[k] = v

            self.refused(self.changed(put), says)
        self.refused(
            self.changed(lambda e, m: m["room"].update(name="\u202e")),
            "the room's name",
        )

    def test_what_the_manifest_does_not_know(self) -> None:
        """Nothing is carried along unseen."""
        for name in ("documents/room.ydoc", "blobs/" + "0" * 64):

            def add(e: dict[str, bytes], m: Any, name: str = name) -> None:
                e[name] = b"x"

            self.refused(self.changed(add), "does not know")

    def test_documents(self) -> None:
        """Changed, misplaced, missing, twice, too large, badly named."""
        state = "documents/board.ydoc"
        self.refused(self.changed(lambda e, m: e.update({state: b"\0\0"})), "SHA-256")
        self.refused(self.changed(lambda e, m: e.pop(state)), "lacks")
        first: Callable[[dict[str, Any]], dict[str, Any]] = lambda m: m["documents"][0]  # noqa: E731
        self.refused(self.changed(lambda e, m: first(m).update(name="../x")), "no name")
        self.refused(
            self.changed(lambda e, m: first(m).update(name="room")), "where it belongs"
        )
        self.refused(
            self.changed(lambda e, m: m["documents"].append(first(m))), "twice"
        )
        tight = Limits(document_bytes=100)
        self.refused(self.good, "more than 100 bytes", tight)
        self.patch(intake, "MAX_DOCUMENTS", 1)
        self.refused(self.good, "more than 1 documents")

    def test_states_that_would_hurt(self) -> None:
        """Malformed, incomplete, and one that names billions of things."""
        clean = board_of([element("rectangle", "r")])
        half: list[bytes] = []
        clean.observe(lambda event: half.append(event.update))
        clean.get("elements", type=Map)["later"] = 1
        for state, says in (
            (b"\x01\xff\xff\xff\x0f", "malformed"),
            (b"", "malformed"),
            (clean.get_update() + b"\0", "malformed"),
            (half[0], "not complete"),
        ):

            def swap(entries: Any, manifest: Any, state: bytes = state) -> None:
                entries["documents/board.ydoc"] = state
                digest = hashlib.sha256(state).hexdigest()
                manifest["documents"][0]["sha256"] = digest

            self.refused(self.changed(swap), says)

    def test_files(self) -> None:
        """Changed, missing, twice, too large, with a type that is none."""
        blob = f"blobs/{SHA256}"
        self.refused(self.changed(lambda e, m: e.update({blob: b"x"})), "was changed")
        self.refused(self.changed(lambda e, m: e.pop(blob)), "lacks")
        self.refused(
            self.changed(lambda e, m: m["blobs"].append(m["blobs"][0])), "twice"
        )
        self.refused(self.good, "more than 10 bytes", Limits(blob_bytes=10))
        self.refused(
            self.changed(
                lambda e, m: (e.pop(blob), m["blobs"][0].update(sha256="../x"))
            ),
            "no SHA-256",
        )
        odd = self.changed(lambda e, m: m["blobs"][0].update(media_type="a\r\nb"))
        content, _ = self.take_in(odd)
        self.assertEqual(content.blobs[0].media_type, "application/octet-stream")
        late = self.changed(lambda e, m: m["blobs"][0].update(created_at=1e306))
        content, _ = self.take_in(late)
        self.assertEqual(content.blobs[0].created_at, 0.0)  # a drawing has it in ms

    def test_chat(self) -> None:
        """Each fault names its line."""

        def said(*lines: bytes) -> bytes:
            def swap(entries: Any, manifest: Any) -> None:
                chat = b"".join(line + b"\n" for line in lines)
                entries["chat.jsonl"] = chat
                manifest["chat"]["sha256"] = hashlib.sha256(chat).hexdigest()

            return self.changed(swap)

        good = msgspec.json.encode(a_line(1))
        later = msgspec.json.encode(a_line(2, at=1e12))
        for lines, says in (
            ((good, b"nonsense"), "line 2 of the chat cannot be read"),
            ((good, b"\xff"), "line 2 of the chat cannot be read"),
            ((good, good), "line 2 of the chat is there twice"),
            ((later,), "line 1 of the chat has no time"),
            ((msgspec.json.encode(a_line(1, message_id="x" * 129)),), "too long"),
            ((msgspec.json.encode(a_line(1, text="x" * 100_001)),), "more than 100000"),
            ((b" " * 700_000 + good,), "line 1 of the chat is too long"),
        ):
            self.refused(said(*lines), says)
        self.refused(
            self.changed(lambda e, m: e.update({"chat.jsonl": good})), "was changed"
        )
        shown = msgspec.json.encode(a_line(1, author="\u202e\x07"))
        _, folder = self.take_in(said(shown))
        kept = msgspec.json.decode((folder / "chat.jsonl").read_bytes(), type=ChatEntry)
        self.assertEqual(kept.author, "?")
        self.patch(intake, "MAX_MESSAGES", 1)
        self.refused(self.good, "more than 1 messages")

    def test_files_that_are_no_archives(self) -> None:
        """Cut off, empty, something else."""
        for data in (b"", b"PK\x05\x06", self.good[:-30], b"\x89PNG" + bytes(100)):
            self.refused(data, "no whole ZIP archive")

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_any_damage_is_refused_or_harmless(self, data: st.DataObject) -> None:
        """A byte here and there: content that was checked, or one sentence."""
        damaged = bytearray(self.good)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
        try:
            content, folder = self.take_in(bytes(damaged))
        except WorkRefused:
            return
        for one in content.documents:
            rebuild([(folder / one.file).read_bytes()], name=one.name)

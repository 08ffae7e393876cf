"""Export and import over the API: who may, in which order, and what is left."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.config.settings import Export
from mosaic.export.jobs import Said, WorkFailed, WorkRefused
from mosaic.services.rest.exports import file_stem
from mosaic.services.rest.workers import Told
from mosaic.store.interface import JournalEntry, StoreError
from tests.support.rest import Reply, RestCase
from tests.support.rooms import (
    InlineWorker,
    board_of,
    element,
    notes_of,
    png,
    written,
)

PICTURE = png()
SHA256 = hashlib.sha256(PICTURE).hexdigest()


class ExportCase(RestCase):
    """A room with a board, notes, chat and a picture."""

    worker = InlineWorker()

    def setUp(self) -> None:
        super().setUp()
        board = board_of(
            [
                element("rectangle", "r", index="a1"),
                written("Plan", "t", index="a2"),
                element("image", "i", index="a3", fileId=SHA256),
                element("ellipse", "gone", isDeleted=True),
            ]
        )
        notes = notes_of([("heading", {"level": 2}, [("Minutes", {})])])
        for name, document in (("board", board), ("notes/main", notes)):
            entry = JournalEntry(update=document.get_update(), author="a")
            self.run_steps(self.store.append_updates(self.room.hub_id, name, [entry]))
        self.upload(PICTURE)
        for at, words in enumerate(("hello", "second <line>")):
            self.run_steps(
                self.store.add_message(
                    self.room.hub_id,
                    message_id=f"m{at}",
                    author_id="0" * 16,
                    author="Ada",
                    text=words,
                    at=1000.0 + at,
                )
            )

    def upload(self, data: bytes) -> None:
        headers = {"Content-Type": "image/png"}
        self.ask("POST", f"{self.hub}/blobs", self.ada, data=data, headers=headers)

    def start(self, token: str | None = None) -> Reply:
        return self.ask("POST", f"{self.hub}/exports", token or self.ada)

    def archive(self) -> bytes:
        """A whole export, downloaded."""
        url = self.start().json()["url"]
        return self.ask("GET", url, self.ada).body

    def leftovers(self) -> list[str]:
        """Everything in the folder of exports and among unfinished uploads."""
        folders = self.state / "exports", self.state / "blobs" / "tmp"
        return sorted(p.name for folder in folders for p in folder.rglob("*"))


class ExportTests(ExportCase):
    """Out."""

    def test_an_archive_holds_everything(self) -> None:
        """202, a status, and an attachment that nobody runs."""
        reply = self.start()
        self.assertEqual(reply.status, 202, reply.body)
        view = reply.json()
        self.assertEqual((view["state"], view["progress"]), ("ready", 1.0))
        self.assertEqual(view["expires_at"], self.wall + 3600)
        got = self.ask("GET", view["url"], self.ada)
        self.assertEqual(got.status, 200)
        self.assertEqual(got.header("Content-Type"), "application/zip")
        self.assertIn(
            'attachment; filename="Blue.zip"', got.header("Content-Disposition") or ""
        )
        self.assertEqual(got.header("X-Content-Type-Options"), "nosniff")
        with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
            self.assertIsNone(archive.testzip())
            names = set(archive.namelist())
            manifest = json.loads(archive.read("manifest.json"))
        self.assertEqual(
            names,
            {
                "README.txt", "manifest.json", "chat.jsonl", f"blobs/{SHA256}",
                "documents/board.ydoc", "documents/notes/main.ydoc",
                "board.svg", "board.png", "board.pdf", "board.excalidraw",
                "notes/main.html", "notes/main.md", "notes/main.docx",
            },
        )  # fmt: skip
        self.assertEqual(manifest["exported_by"], "ada")
        self.assertNotIn(self.room.pin, got.body.decode("latin-1"))

    def test_who_may(self) -> None:
        """Editors and hosts export the room; viewers have what they can see."""
        viewer = self.room_token("viewer")
        self.assertEqual(self.start(viewer).status, 403)
        self.assertEqual(self.start(self.bob).status, 403)
        self.assertEqual(self.ask("POST", f"{self.hub}/exports").status, 401)
        self.assertEqual(self.start(self.room_token("editor")).status, 202)
        path = f"{self.hub}/documents/board/export?format=svg"
        self.assertEqual(self.ask("GET", path, viewer).status, 200)
        self.assertEqual(self.ask("GET", path, self.bob).status, 403)

    def test_an_export_belongs_to_its_room(self) -> None:
        """Somebody of another room finds nothing, whatever id they give."""
        view = self.start().json()
        other = self.run_steps(self.door.create_room("Red", owner="bob"))
        url = view["url"].replace(self.room.hub_id, other.hub_id)
        self.assertEqual(self.ask("GET", url, self.bob).status, 404)
        self.assertEqual(self.ask("GET", url[:-8], self.bob).status, 404)

    def test_an_archive_goes_after_an_hour(self) -> None:
        """And nothing of it is left."""
        view = self.start().json()
        self.clock.advance(3599)
        self.assertEqual(self.ask("GET", view["url"], self.ada).status, 200)
        self.clock.advance(2)
        self.assertEqual(self.ask("GET", view["url"], self.ada).status, 404)
        self.assertEqual(self.leftovers(), [])

    def test_a_new_export_replaces_the_old_one(self) -> None:
        """A room keeps one archive at most."""
        first = self.start().json()
        second = self.start().json()
        self.assertEqual(self.ask("GET", first["url"], self.ada).status, 404)
        self.assertEqual(self.ask("GET", second["url"], self.ada).status, 200)
        self.assertEqual(self.leftovers(), sorted([second["export_id"], "out"]))

    def test_removed_by_hand(self) -> None:
        """DELETE takes the archive away."""
        view = self.start().json()
        path = f"{self.hub}/exports/{view['export_id']}"
        self.assertEqual(self.ask("DELETE", path, self.ada).status, 204)
        self.assertEqual(self.ask("GET", path, self.ada).status, 404)
        self.assertEqual(self.leftovers(), [])

    def test_a_start_empties_the_folder(self) -> None:
        """What an earlier process left behind is nobody's."""
        self.start()
        self.build()
        self.assertEqual(self.leftovers(), [])

    def test_formats_of_documents(self) -> None:
        """Each with its type and a name that people know."""
        for name, formats in (
            ("board", ("svg", "png", "pdf", "excalidraw", "ydoc")),
            ("notes/main", ("html", "md", "docx", "ydoc")),
        ):
            for one in formats:
                path = f"{self.hub}/documents/{name}/export?format={one}"
                reply = self.ask("GET", path, self.ada)
                self.assertEqual(reply.status, 200, (name, one, reply.body))
                self.assertIn(f".{one}", reply.header("Content-Disposition") or "")
                self.assertIn("sandbox", reply.header("Content-Security-Policy") or "")
                self.assertTrue(reply.body)
        slashed = f"{self.hub}/documents/notes%2Fmain/export?format=md"
        self.assertEqual(self.ask("GET", slashed, self.ada).body, b"## Minutes\n")
        self.clock.advance(601)
        self.assertEqual(self.leftovers(), [])

    def test_formats_that_are_none(self) -> None:
        """Say what is wrong."""
        for path, status in (
            ("board/export?format=docx", 422),
            ("board/export?format=exe", 422),
            ("board/export", 422),
            ("notes/other/export?format=md", 404),
            ("../etc/export?format=md", 404),
            ("notes/a/b/export?format=md", 404),
        ):
            reply = self.ask("GET", f"{self.hub}/documents/{path}", self.ada)
            self.assertEqual(reply.status, status, path)
        self.assertEqual(self.leftovers(), [])


class HeldWorker:
    """A worker that does nothing until it is told."""

    def __init__(self) -> None:
        self.jobs: list[Deferred[None]] = []
        self.folders: list[Path] = []

    def run(self, folder: Path, told: Told) -> Deferred[None]:
        """Say that half is done, and wait."""
        told(Said(progress=0.5, step="board"))
        job: Deferred[None] = Deferred()
        self.jobs.append(job)
        self.folders.append(folder)
        return job


class QueueTests(ExportCase):
    """One worker at a time, and a bound on those who wait."""

    export = Export(waiting=2)

    def setUp(self) -> None:
        self.held = HeldWorker()
        self.worker = self.held  # type: ignore[assignment]  # another fake
        super().setUp()

    def second_room(self, name: str = "Red") -> str:
        room = self.run_steps(self.door.create_room(name, owner="ada"))
        return f"/api/v1/rooms/{room.hub_id}"

    def test_progress_is_told(self) -> None:
        """While the worker is at it."""
        view = self.start().json()
        path = f"{self.hub}/exports/{view['export_id']}"
        seen = self.ask("GET", path, self.ada).json()
        self.assertEqual(
            (seen["state"], seen["progress"], seen["step"]), ("running", 0.5, "board")
        )
        self.assertIsNone(seen["url"])
        self.assertEqual(self.ask("GET", path + "/archive", self.ada).status, 409)

    def test_one_at_a_time_in_a_room(self) -> None:
        """The second is asked to wait."""
        self.start()
        again = self.start()
        self.assertEqual(again.status, 429)
        self.assertEqual(again.header("Retry-After"), "10")

    def test_one_worker_and_a_bounded_queue(self) -> None:
        """Another room waits; a third one is turned away, an import too."""
        self.start()
        second, third = self.second_room(), self.second_room("Green")
        waiting = self.ask("POST", f"{second}/exports", self.ada).json()
        self.assertEqual(waiting["state"], "waiting")
        self.assertEqual(len(self.held.jobs), 1)
        self.assertEqual(self.ask("POST", f"{third}/exports", self.ada).status, 429)
        reply = self.ask("POST", "/api/v1/imports", self.ada, data=b"PK")
        self.assertEqual(reply.status, 429)
        (self.held.folders[0] / "out").write_bytes(b"PK")
        self.held.jobs[0].callback(None)
        self.assertEqual(len(self.held.jobs), 2)

    def test_cancelling_ends_the_worker(self) -> None:
        """And lets the next one begin."""
        view = self.start().json()
        second = self.ask("POST", f"{self.second_room()}/exports", self.ada)
        self.assertEqual(second.status, 202)
        path = f"{self.hub}/exports/{view['export_id']}"
        self.assertEqual(self.ask("DELETE", path, self.ada).status, 204)
        self.assertEqual(len(self.held.jobs), 2)
        self.assertNotIn(view["export_id"], self.leftovers())

    def test_one_that_waits_can_be_cancelled(self) -> None:
        """It is never begun."""
        self.start()
        second = self.second_room()
        view = self.ask("POST", f"{second}/exports", self.ada).json()
        path = f"{second}/exports/{view['export_id']}"
        self.assertEqual(self.ask("DELETE", path, self.ada).status, 204)
        self.held.jobs[0].errback(WorkRefused("no"))
        self.assertEqual(len(self.held.jobs), 1)
        self.assertNotIn(view["export_id"], self.leftovers())

    def test_a_failure_says_why(self) -> None:
        """The worker's sentence, or that it broke down."""
        for error in (WorkRefused("too large"), WorkFailed("it broke down")):
            view = self.start().json()
            self.held.jobs[-1].errback(error)
            path = f"{self.hub}/exports/{view['export_id']}"
            seen = self.ask("GET", path, self.ada).json()
            self.assertEqual((seen["state"], seen["detail"]), ("failed", str(error)))

    def test_stopping_ends_everything(self) -> None:
        """Work is cancelled, archives go, new work is turned away."""
        self.start()
        self.run_steps(self.rest.exports.stop())
        self.assertEqual(self.leftovers(), [])
        self.assertEqual(self.start().status, 429)


class ImportTests(ExportCase):
    """In."""

    def take_in(self, data: bytes, token: str | None = None) -> Reply:
        return self.ask("POST", "/api/v1/imports", token or self.bob, data=data)

    def test_a_new_room_with_the_same_content(self) -> None:
        """Of the importer, with a Hub ID and a PIN of its own."""
        reply = self.take_in(self.archive())
        self.assertEqual(reply.status, 201, reply.body)
        view = reply.json()
        self.assertEqual((view["name"], view["owner"]), ("Blue", "bob"))
        self.assertNotEqual(view["hub_id"], self.room.hub_id)
        self.assertEqual(len(view["pin"]), 6)
        hub = f"/api/v1/rooms/{view['hub_id']}"
        lines = self.ask("GET", f"{hub}/messages", self.bob).json()["messages"]
        self.assertEqual(
            [(one["author"], one["text"], one["at"]) for one in lines],
            [("Ada", "hello", 1000.0), ("Ada", "second <line>", 1001.0)],
        )
        self.assertEqual(
            self.ask("GET", f"{hub}/blobs/{SHA256}", self.bob).body, PICTURE
        )
        for name in ("board", "notes/main"):
            old = self.run_steps(self.store.load_document(self.room.hub_id, name))
            new = self.run_steps(self.store.load_document(view["hub_id"], name))
            self.assertNotEqual(old.epoch, new.epoch)
            form = "excalidraw" if name == "board" else "html"
            path = f"documents/{name}/export?format={form}"
            self.assertEqual(
                self.ask("GET", f"{self.hub}/{path}", self.ada).body,
                self.ask("GET", f"{hub}/{path}", self.bob).body,
            )
        kept = self.leftovers()
        self.assertFalse([name for name in kept if name.startswith("document-")])

    def test_who_may(self) -> None:
        """Somebody with an account, before a byte is read."""
        data = self.archive()
        self.assertEqual(self.ask("POST", "/api/v1/imports", data=data).status, 401)
        token = self.room_token("host")
        self.assertEqual(self.take_in(data, token).status, 403)
        self.assertEqual(self.take_in(b"").status, 422)

    def test_what_is_no_archive_leaves_nothing(self) -> None:
        """No room, no file, one sentence."""
        before = self.everything()
        reply = self.take_in(b"PK this is no archive")
        self.assertEqual(reply.status, 422)
        self.assertIn("no whole ZIP archive", reply.json()["detail"])
        self.assertEqual(self.everything(), before)

    def test_a_full_store_leaves_nothing(self) -> None:
        """Files that came with it go again."""
        data = self.archive()
        (self.state / "blobs" / SHA256[:2] / SHA256[2:]).unlink()
        before = self.everything()

        def refuse(*args: Any) -> Any:
            raise StoreError("no")

        self.patch(self.store, "add_room_with", refuse)
        self.assertEqual(self.take_in(data).status, 503)
        self.assertEqual(self.everything(), before)
        self.flushLoggedErrors(StoreError)

    def everything(self) -> tuple[int, list[str]]:
        """How many rooms there are, and all files but finished archives."""
        rooms = self.run_steps(self.store.rooms())
        blobs = sorted(str(p) for p in (self.state / "blobs").rglob("*") if p.is_file())
        return len(rooms), blobs + self.leftovers()


class NameTests(ExportCase):
    """Names of files."""

    def test_names_of_files(self) -> None:
        """Nothing that a file system or a header minds."""
        for words, stem in (
            ("Blue / Red", "Blue Red"),
            ("../../etc/passwd", "etc passwd"),
            ('a"b\r\nc', "a b c"),
            ("***", "room"),
            ("Grüße", "Grüße"),
        ):
            self.assertEqual(file_stem(words), stem)

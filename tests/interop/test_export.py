"""Rooms out and in again with real processes: the server's worker, and the
command's, beside a server and without one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
from twisted.trial.unittest import SynchronousTestCase

from mosaic.store import blobs, chat, journal
from mosaic.store.direct import open_direct
from mosaic.store.interface import JournalEntry
from mosaic.workspace.model import Blob
from tests.support.rooms import board_of, element, notes_of, paragraph, png, written
from tests.support.running import RunningMosaic, run_command

PICTURE = png()
SHA256 = hashlib.sha256(PICTURE).hexdigest()
WAIT_S = 180.0


def furnish(state: Path, hub_id: str, *, elements: int = 3) -> None:
    """Put a board, notes, chat and a picture into a room."""
    drawn = [
        element("rectangle", f"r{n}", x=n * 7, index=f"a{n:06d}")
        for n in range(elements)
    ]
    drawn.append(element("image", "i", index="b", fileId=SHA256))
    drawn.append(written("Plan", "t", index="c"))
    states = {
        "board": board_of(drawn).get_update(),
        "notes/main": notes_of([paragraph("Minutes of today")]).get_update(),
    }
    with open_direct(state / "mosaic.db") as direct:
        for name, update in states.items():
            entries = [JournalEntry(update=update, author="a")]
            direct._run(journal.append, hub_id, name, entries, at=1.0)
        blob = Blob(
            sha256=SHA256,
            size_bytes=len(PICTURE),
            media_type="image/png",
            created_at=1.0,
        )
        direct._run(blobs.add, hub_id, blob)
        direct._run(
            chat.add,
            hub_id,
            message_id="m1",
            author_id="0" * 16,
            author="Ada",
            text="hello",
            at=5.0,
        )
    path = state / "blobs" / SHA256[:2] / SHA256[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PICTURE)


class CommandTests(SynchronousTestCase):
    """`mosaic room export` and `import`."""

    def setUp(self) -> None:
        """A state folder without a server."""
        folder = tempfile.TemporaryDirectory(prefix="mosaic-test-")
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name)

    def command(self, *words: str) -> Any:
        return run_command("--state", str(self.state), *words)

    def command_json(self, *words: str) -> Any:
        done = self.command(*words, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_out_and_in_without_a_server(self) -> None:
        """The same content under a new Hub ID; a file is not overwritten."""
        room = self.command_json("room", "create", "Blue")
        furnish(self.state, room["hub_id"])
        target = self.state / "room.zip"
        made = self.command_json(
            "room", "export", room["hub_id"], "--output", str(target)
        )
        self.assertEqual(made["size_bytes"], target.stat().st_size)
        self.assertEqual(target.stat().st_mode & 0o777, 0o600)
        with zipfile.ZipFile(target) as archive:
            self.assertIn("board.pdf", archive.namelist())
            before = archive.read("board.excalidraw"), archive.read("notes/main.md")
        (self.state / "blobs" / SHA256[:2] / SHA256[2:]).unlink()
        new = self.command_json("room", "import", str(target))
        self.assertNotEqual(new["hub_id"], room["hub_id"])
        self.assertEqual(new["name"], "Blue")
        again = self.state / "again.zip"
        self.command_json("room", "export", new["hub_id"], "--output", str(again))
        with zipfile.ZipFile(again) as archive:
            after = archive.read("board.excalidraw"), archive.read("notes/main.md")
            self.assertIn(b"hello", archive.read("chat.jsonl"))
            self.assertEqual(archive.read(f"blobs/{SHA256}"), PICTURE)
        self.assertEqual(before, after)
        left = [path.name for path in self.state.iterdir() if "moving" in path.name]
        self.assertEqual(left, [])

    def test_one_clear_line_for_what_cannot_be(self) -> None:
        """Exit status 1, and nothing made."""
        bad = self.state / "bad.zip"
        bad.write_bytes(b"PK\x03\x04 nonsense")
        for words, says in (
            (("room", "export", "100000009"), "no room"),
            (("room", "export", "12"), "9 digits"),
            (("room", "import", str(bad)), "no whole ZIP archive"),
            (("room", "import", str(self.state / "none")), "No such file"),
        ):
            done = self.command(*words)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(says, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


class ServerCase(SynchronousTestCase):
    """A running server and a room."""

    flags: tuple[str, ...] = ()

    def setUp(self) -> None:
        """A server with a furnished room."""
        self.server = RunningMosaic(*self.flags).start()
        self.addCleanup(self.server.stop)
        self.room = self.server.command_json("room", "create", "Blue")
        self.path = f"/rooms/{self.room['hub_id']}/exports"

    def fetch(self, path: str) -> bytes:
        request = Request(f"{self.server.url}{path}")
        request.add_header("Authorization", f"Bearer {self.room['token']}")
        with urlopen(request, timeout=WAIT_S) as answer:
            return bytes(answer.read())

    def start(self) -> str:
        status, view = self.server.call("POST", self.path, token=self.room["token"])
        self.assertEqual(status, 202, view)
        return f"{self.path}/{view['export_id']}"

    def wait_for(self, one: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            status, view = self.server.call("GET", one, token=self.room["token"])
            self.assertEqual(status, 200, view)
            if view["state"] in states:
                return dict(view)
            time.sleep(0.02)
        raise AssertionError(f"still {view}")

    def children(self) -> list[psutil.Process]:
        assert self.server.process is not None
        return list(psutil.Process(self.server.process.pid).children())


class ServerTests(ServerCase):
    """A server and its worker."""

    def test_out_by_rest_and_in_by_command(self) -> None:
        """While the server runs; it opens the new room."""
        furnish(self.server.state, self.room["hub_id"])
        view = self.wait_for(self.start(), "ready", "failed")
        self.assertEqual(view["detail"], "")
        target = self.server.state / "room.zip"
        target.write_bytes(self.fetch(view["url"]))
        new = self.server.command_json("room", "import", str(target))
        status, joined = self.server.call(
            "POST", f"/rooms/{new['hub_id']}/join", {"name": "Bo", "pin": new["pin"]}
        )
        self.assertEqual(status, 200, joined)
        status, lines = self.server.call(
            "GET", f"/rooms/{new['hub_id']}/messages", token=joined["token"]
        )
        self.assertEqual([one["text"] for one in lines["messages"]], ["hello"])
        self.assertEqual(self.children(), [])

    def test_a_worker_that_is_killed_harms_nobody(self) -> None:
        """The export fails with a sentence; the next one works."""
        furnish(self.server.state, self.room["hub_id"], elements=4000)
        one = self.start()
        deadline = time.monotonic() + WAIT_S
        while not (children := self.children()):
            self.assertLess(time.monotonic(), deadline)
        os.kill(children[0].pid, signal.SIGKILL)
        view = self.wait_for(one, "ready", "failed")
        self.assertEqual(
            (view["state"], view["detail"]),
            ("failed", "the worker broke down; nothing was changed"),
        )
        self.assertEqual(
            self.wait_for(self.start(), "ready", "failed")["state"], "ready"
        )

    def test_cancelling_kills_the_worker(self) -> None:
        """At once, and its folder goes."""
        furnish(self.server.state, self.room["hub_id"], elements=4000)
        one = self.start()
        self.wait_for(one, "running", "ready")
        status, _ = self.server.call("DELETE", one, token=self.room["token"])
        self.assertEqual(status, 204)
        deadline = time.monotonic() + WAIT_S
        exports = self.server.state / "exports"
        while self.children() or list(exports.iterdir()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_stopping_the_server_ends_the_worker(self) -> None:
        """Nothing runs on, also when the server is killed."""
        furnish(self.server.state, self.room["hub_id"], elements=6000)
        self.wait_for(self.start(), "running", "ready")
        children = self.children()
        self.server.signal(signal.SIGKILL)
        self.server.wait()
        _, alive = psutil.wait_procs(children, timeout=WAIT_S)
        self.assertEqual(alive, [])


class TightTests(ServerCase):
    """A worker with too little memory."""

    def setUp(self) -> None:
        """Settings from a file."""
        folder = tempfile.TemporaryDirectory(prefix="mosaic-test-")
        self.addCleanup(folder.cleanup)
        config = Path(folder.name) / "mosaic.toml"
        config.write_text("[export]\nworker_memory_bytes = 260000000\n")
        self.flags = ("--config", str(config))
        super().setUp()

    def test_memory_is_bounded(self) -> None:
        """A board that is too large fails with a sentence, the server is well."""
        furnish(self.server.state, self.room["hub_id"], elements=20000)
        board = f"/api/v1/rooms/{self.room['hub_id']}/documents/board/export"
        with self.assertRaises(HTTPError) as caught:
            self.fetch(f"{board}?format=pdf")
        problem = json.loads(caught.exception.read())
        self.assertEqual(problem["status"], 422, problem)
        self.assertIn("more memory", problem["detail"])
        self.fetch("/livez")
        self.assertEqual(self.children(), [])

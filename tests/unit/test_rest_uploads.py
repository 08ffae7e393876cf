"""Files that accounts share by links: slots are filled once, exactly."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.uploads import UploadDesk, UploadLinks, UploadTooLarge
from mosaic.config.settings import Http
from mosaic.services.rest.collection import Collection
from mosaic.store.belongings import DAY_S, SLOT_GRACE_S, QuotaExceeded
from mosaic.store.interface import NotFound
from mosaic.workspace.media import HARMLESS, picture_type, shown_type
from mosaic.workspace.names import file_name
from tests.support.rest import RestCase

DATA = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
DIGEST = hashlib.sha256(DATA).hexdigest()
UNKNOWN = "ms_" + "A" * 43


class NameTests(SynchronousTestCase):
    """What is kept of a name, and what a file may be called."""

    @given(st.text())
    def test_a_name_leads_nowhere(self, text: str) -> None:
        """No folders, no controls; or a sentence."""
        try:
            name = file_name(text)
        except ValueError:
            return
        self.assertNotRegex(name, r"[/\\\x00-\x1f\x7f]")
        self.assertEqual(file_name(name), name)

    def test_folders_are_cut_off(self) -> None:
        """Of either kind of machine."""
        for text in ("a/b/c.png", "C:\\x\\c.png", "../../c.png", "c.png"):
            self.assertEqual(file_name(text), "c.png")

    def test_what_browsers_run_is_called_bytes(self) -> None:
        """SVG and HTML hold scripts."""
        for kind in ("image/svg+xml", "text/html", "application/pdf", "x/y"):
            self.assertEqual(shown_type(kind), "application/octet-stream")
        for kind in HARMLESS:
            self.assertEqual(shown_type(kind), kind)

    @given(st.binary(max_size=64))
    def test_a_picture_is_what_it_begins_with(self, data: bytes) -> None:
        """Never a name or a claim."""
        self.assertIsNone(picture_type(b"<svg " + data))
        self.assertEqual(picture_type(b"GIF89a" + data), "image/gif")


class SlotCase(RestCase):
    """Slots of bob's."""

    http = Http(max_body_bytes=100, max_upload_bytes=5000)

    def setUp(self) -> None:
        super().setUp()
        self.desk = UploadDesk(
            self.store,
            wall=lambda: self.wall,
            web=lambda: "https://meet.example.org",
            max_bytes=5000,
            bytes_per_day=9000,
            slot_s=300.0,
        )

    def slot(
        self,
        size: int = len(DATA),
        kind: str | None = "image/png",
        name: str = "Grüße.png",
    ) -> UploadLinks:
        """A new one."""
        made = self.desk.slot("bob", name=name, size_bytes=size, kind=kind)
        links: UploadLinks = self.run_steps(made)
        return links

    def put(self, links: UploadLinks, data: bytes = DATA, **more: Any) -> Any:
        """Upload to it."""
        more.setdefault("headers", {"Content-Type": "image/png"})
        return self.ask("PUT", urlsplit(links.put_url).path, data=data, **more)

    def get(self, links: UploadLinks, **more: Any) -> Any:
        """Download from it."""
        return self.ask("GET", urlsplit(links.get_url).path, **more)

    def files(self) -> list[str]:
        """Everything in the folder of files."""
        root = self.state / "blobs"
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


class SlotTests(SlotCase):
    """What a slot takes and gives."""

    def test_up_and_down(self) -> None:
        """The same bytes; an attachment with its name and a harmless type."""
        links = self.slot()
        self.assertTrue(unquote(links.get_url).endswith("/Grüße.png"))
        reply = self.put(links)
        self.assertEqual((reply.status, reply.body), (201, b""))
        got = self.get(links)
        self.assertEqual((got.status, got.body), (200, DATA))
        self.assertEqual(got.header("Content-Type"), "image/png")
        self.assertEqual(
            got.header("Content-Disposition"),
            "attachment; filename=\"Gr__e.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.png",
        )
        self.assertEqual(got.header("X-Content-Type-Options"), "nosniff")
        self.assertIn("sandbox", got.header("Content-Security-Policy") or "")
        self.assertEqual(got.header("Cross-Origin-Resource-Policy"), "cross-origin")
        again = self.get(links, headers={"If-None-Match": f'"{DIGEST}"'})
        self.assertEqual(again.status, 304)

    def test_scripts_are_bytes(self) -> None:
        """A page that somebody uploads does not run here."""
        links = self.slot(5, "text/html", "a.html")
        reply = self.put(links, b"<svg>", headers={"Content-Type": "text/html"})
        self.assertEqual(reply.status, 201)
        got = self.get(links)
        self.assertEqual(got.header("Content-Type"), "application/octet-stream")

    def test_once(self) -> None:
        """Afterwards the slot is as unknown as one that never was."""
        links = self.slot()
        self.put(links)
        self.problem(self.put(links, DATA[::-1]), 404)
        self.assertEqual(self.get(links).body, DATA)
        self.assertEqual(len(self.files()), 1)

    def test_exactly_the_size(self) -> None:
        """Neither shorter nor longer nor of unknown length, and nothing is kept."""
        links = self.slot()
        for data in (DATA[:-1], DATA + b"x", b"x" * 5001):
            self.problem(self.put(links, data), 413)
        self.problem(self.put(links, b""), 413)
        self.problem(self.put(links, chunked=True), 411)
        self.assertEqual(self.files(), [])
        self.assertEqual(self.put(links).status, 201)

    def test_exactly_the_kind(self) -> None:
        """What it was asked for; its parameters do not matter."""
        links = self.slot()
        headers = {"Content-Type": "text/html"}
        self.problem(self.put(links, headers=headers), 415)
        headers = {"Content-Type": "Image/PNG; a=b"}
        self.assertEqual(self.put(links, headers=headers).status, 201)

    def test_no_kind(self) -> None:
        """A slot that was asked for without one takes any, and calls it bytes."""
        links = self.slot(kind=None)
        self.assertEqual(self.put(links).status, 201)
        got = self.get(links)
        self.assertEqual(got.header("Content-Type"), "application/octet-stream")

    def test_strangers_write_nothing(self) -> None:
        """A guessed slot is refused before its body is read."""
        path = f"/api/v1/uploads/{UNKNOWN}"
        self.problem(self.ask("PUT", path, data=DATA), 404)
        self.problem(self.ask("GET", f"{path}/x"), 404)
        self.assertEqual(self.files(), [])

    def test_the_links_are_different_secrets(self) -> None:
        """Whoever may read may not write, and the other way round."""
        links = self.slot()
        put, get = (urlsplit(url).path for url in (links.put_url, links.get_url))
        self.problem(self.ask("PUT", get.rpartition("/")[0], data=DATA), 404)
        self.put(links)
        self.problem(self.ask("GET", f"{put}/Gr.png"), 404)

    def test_a_slot_has_an_end(self) -> None:
        """After five minutes it is gone."""
        links = self.slot()
        self.wall += 300
        self.problem(self.put(links), 404)

    def test_one_at_a_time(self) -> None:
        """Nobody fills the disk through one slot; who hangs up frees it."""
        links = self.slot()
        head = (
            f"PUT {urlsplit(links.put_url).path} HTTP/1.1\r\nHost: a\r\n"
            f"Content-Length: {len(DATA)}\r\nContent-Type: image/png\r\n\r\n"
        )
        self.raw(head.encode(), DATA[:100])
        first = self.channel
        self.problem(self.put(links), 409)
        first.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.put(links).status, 201)

    def test_quota_and_limits(self) -> None:
        """Of a file, and of an account's day."""
        self.assertFalse(self.files())
        for size, error in ((5001, UploadTooLarge), (0, ValueError)):
            made = self.desk.slot("bob", name="x", size_bytes=size, kind=None)
            with self.assertRaises(error):
                self.run_steps_raising(made)
        self.slot(5000)
        made = self.desk.slot("bob", name="x", size_bytes=4001, kind=None)
        with self.assertRaises(QuotaExceeded):
            self.run_steps_raising(made)
        self.run_steps(self.desk.slot("ada", name="x", size_bytes=4001, kind=None))
        made = self.desk.slot("nobody", name="x", size_bytes=1, kind=None)
        with self.assertRaises(NotFound):
            self.run_steps_raising(made)

    def run_steps_raising(self, steps: Any) -> None:
        """Let a coroutine run into its exception."""
        try:
            steps.send(None)
        except StopIteration:
            return


class SharedCollectionTests(SlotCase):
    """The collection of files, and those that accounts share."""

    def collect(self, keep_days: int = 0) -> int:
        """Once; how many files went."""
        collection = Collection(
            store=self.store,
            files=self.rest.blobs,
            grace_s=10.0,
            keep_days=keep_days,
            now=lambda: self.wall,
        )
        removed: int = self.run_steps(collection.run())
        return removed

    def test_they_stay_as_long_as_the_account(self) -> None:
        """Without another word."""
        links = self.slot()
        self.put(links)
        self.wall += 1000 * DAY_S
        self.assertEqual(self.collect(), 0)
        self.assertEqual(self.get(links).status, 200)
        self.run_steps(self.store.remove_account("bob"))
        self.assertEqual(self.collect(), 1)
        self.problem(self.get(links), 404)
        self.assertEqual(self.files(), [])

    def test_they_go_after_the_days_that_are_set(self) -> None:
        """And not before."""
        links = self.slot()
        self.put(links)
        self.wall += 3 * DAY_S - 1
        self.assertEqual(self.collect(keep_days=3), 0)
        self.assertEqual(self.get(links).status, 200)
        self.wall += 2
        self.assertEqual(self.collect(keep_days=3), 1)
        self.problem(self.get(links), 404)

    def test_the_same_bytes_in_a_room_stay(self) -> None:
        """A file has one copy, and each who refers to it keeps it."""
        links = self.slot()
        self.put(links)
        self.ask("POST", f"{self.hub}/blobs", self.ada, data=DATA)
        self.wall += 2 * DAY_S
        self.assertEqual(self.collect(keep_days=1), 0)
        self.problem(self.get(links), 404)
        self.assertEqual(len(self.files()), 1)

    def test_slots_that_nobody_filled_are_forgotten(self) -> None:
        """They count towards the quota until then."""
        self.slot(5000)
        self.wall += 301 + SLOT_GRACE_S
        self.collect()
        self.slot(5000)

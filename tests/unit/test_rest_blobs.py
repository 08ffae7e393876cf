"""Files: streamed to disk, named by content, and nothing kept of what failed."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from mosaic.config.settings import Http
from mosaic.services.rest import filestream
from mosaic.store.interface import StoreError
from mosaic.workspace.media import media_type
from tests.support.rest import RestCase

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
DIGEST = hashlib.sha256(PNG).hexdigest()


class BlobCase(RestCase):
    """A house whose files may have 5000 bytes."""

    http = Http(max_body_bytes=100, max_upload_bytes=5000)

    def files(self) -> list[str]:
        """Everything in the folder of files, also what is temporary."""
        root = self.state / "blobs"
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())

    def upload(self, data: bytes = PNG, token: str | None = None, **more: Any) -> Any:
        """Upload as a host of the room."""
        more.setdefault("headers", {"Content-Type": "image/png"})
        return self.ask(
            "POST", f"{self.hub}/blobs", token or self.ada, data=data, **more
        )


class UploadTests(BlobCase):
    """What is kept."""

    def test_upload_and_download(self) -> None:
        """The same bytes, as an attachment that no browser opens."""
        reply = self.upload()
        self.assertEqual(reply.status, 201, reply.body)
        url = f"{self.hub}/blobs/{DIGEST}"
        expected = {"sha256": DIGEST, "size_bytes": len(PNG), "media_type": "image/png"}
        self.assertEqual(reply.json(), {**expected, "url": url})
        self.assertEqual(self.files(), [f"{DIGEST[:2]}/{DIGEST[2:]}"])
        got = self.ask("GET", url, self.room_token("viewer"))
        self.assertEqual((got.status, got.body), (200, PNG))
        self.assertEqual(got.header("Content-Type"), "image/png")
        self.assertEqual(
            got.header("Content-Disposition"), f'attachment; filename="{DIGEST}"'
        )
        self.assertEqual(got.header("X-Content-Type-Options"), "nosniff")
        self.assertIn("sandbox", got.header("Content-Security-Policy") or "")
        self.assertIn("immutable", got.header("Cache-Control") or "")

    def test_slow_reader_who_leaves(self) -> None:
        """The disk waits for the peer, and nothing is left behind it."""
        self.upload()
        transport = self.raw()
        write = transport.write

        def full(data: bytes) -> None:
            write(data)
            self.channel.pauseProducing()

        transport.write = full
        head = (
            f"GET {self.hub}/blobs/{DIGEST} HTTP/1.1\r\nHost: a\r\n"
            f"Authorization: Bearer {self.ada}\r\n\r\n"
        )
        self.patch(filestream, "CHUNK_BYTES", 100)
        self.channel.dataReceived(head.encode())
        body = transport.value().partition(b"\r\n\r\n")[2]
        self.assertEqual(body, PNG[:100])
        self.channel.resumeProducing()
        body = transport.value().partition(b"\r\n\r\n")[2]
        self.assertEqual(body, PNG[:200])
        self.channel.stopProducing()
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.timers(), [])

    def test_files_are_the_owners_alone(self) -> None:
        """Mode 0600 in folders of 0700."""
        self.upload()
        path = self.state / "blobs" / DIGEST[:2] / DIGEST[2:]
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(path.parent.stat().st_mode & 0o777, 0o700)

    def test_known_content_is_not_sent_again(self) -> None:
        """ETag: a browser that has it hears 304."""
        self.upload()
        headers = {"If-None-Match": f'"{DIGEST}"'}
        url = f"{self.hub}/blobs/{DIGEST}"
        got = self.ask("GET", url, self.ada, headers=headers)
        self.assertEqual((got.status, got.body), (304, b""))

    def test_head(self) -> None:
        """The length, and no body."""
        self.upload()
        got = self.ask("HEAD", f"{self.hub}/blobs/{DIGEST}", self.ada)
        self.assertEqual((got.status, got.body), (200, b""))
        self.assertEqual(got.header("Content-Length"), str(len(PNG)))

    def test_same_content_is_kept_once(self) -> None:
        """Also over rooms, where each has its own right to it."""
        other = self.run_steps(self.door.create_room("Other", owner="ada"))
        url = f"/api/v1/rooms/{other.hub_id}/blobs/{DIGEST}"
        self.upload()
        self.problem(self.ask("GET", url, self.ada), 404)
        path = f"/api/v1/rooms/{other.hub_id}/blobs"
        self.assertEqual(self.ask("POST", path, self.ada, data=PNG).status, 201)
        self.assertEqual(self.ask("GET", url, self.ada).body, PNG)
        self.assertEqual(len(self.files()), 1)

    def test_chunked_upload(self) -> None:
        """Without a declared length, the same."""
        self.assertEqual(self.upload(chunked=True).json()["sha256"], DIGEST)

    def test_exactly_the_limit(self) -> None:
        """5000 bytes are not too many."""
        self.assertEqual(self.upload(b"x" * 5000).status, 201)

    def test_media_types(self) -> None:
        """Only the bare type is kept, and only if it is one."""
        for header, expected in (
            ("image/PNG", "image/png"),
            ("text/html; charset=utf-8", "text/html"),
            ("image/svg+xml", "image/svg+xml"),
            (None, "application/octet-stream"),
            ("", "application/octet-stream"),
            ("png", "application/octet-stream"),
            ("image/png\r\nX: y", "application/octet-stream"),
            ("a/" + "b" * 200, "application/octet-stream"),
        ):
            self.assertEqual(media_type(header), expected, header)


class RefusedUploadTests(BlobCase):
    """What is not kept, and leaves nothing behind."""

    def tearDown(self) -> None:
        """Every test here ends with an empty folder."""
        self.assertEqual(self.files(), [])

    def test_declared_too_long(self) -> None:
        """413 by the head alone."""
        self.problem(self.upload(b"x" * 5001), 413)

    def test_chunked_too_long(self) -> None:
        """413 at the byte that passes the limit."""
        self.problem(self.upload(b"x" * 5001, chunked=True), 413)

    def test_empty(self) -> None:
        """422."""
        self.problem(self.upload(b""), 422)
        self.problem(self.upload(b"", chunked=True), 422)

    def test_by_a_stranger(self) -> None:
        """401 before the body is read."""
        path = f"{self.hub}/blobs"
        self.problem(self.ask("POST", path, data=PNG), 401)
        self.problem(self.ask("POST", path, "ms_" + "x" * 43, data=PNG), 401)

    def test_by_a_viewer(self) -> None:
        """403."""
        self.problem(self.upload(token=self.room_token("viewer")), 403)

    def test_closed_room(self) -> None:
        """423."""
        self.ask("POST", f"{self.hub}/close", self.ada)
        self.assertEqual(self.problem(self.upload(), 423)["reason"], "closed")

    def test_room_that_does_not_exist(self) -> None:
        """404 for an administrator."""
        path = "/api/v1/rooms/123456782/blobs"
        self.problem(self.ask("POST", path, self.ada, data=PNG), 404)

    def test_disk_full(self) -> None:
        """507, and the connection says so before the body is sent whole."""

        def full(fd: int, data: object) -> int:
            raise OSError(errno.ENOSPC, "no space left on device")

        self.patch(os, "write", full)
        self.problem(self.upload(), 507)

    def test_database_fails(self) -> None:
        """A file that nothing refers to is removed again."""

        def broken(*args: object) -> Deferred[Any]:
            return fail(StoreError("away"))

        self.patch(self.store, "add_blob", broken)
        self.problem(self.upload(), 503)
        self.flushLoggedErrors(StoreError)

    def test_client_hangs_up(self) -> None:
        """Half an upload is none."""
        self.start_upload(b"half")
        self.assertEqual(len(self.files()), 1)
        self.channel.connectionLost(Failure(ConnectionLost()))

    def test_client_is_too_slow(self) -> None:
        """T5: ten minutes at the most, and never below a kilobyte a second."""
        transport = self.start_upload(b"half")
        self.clock.pump([5] * 3)
        self.assertTrue(transport.disconnecting or transport.disconnected)
        self.channel.connectionLost(Failure(ConnectionLost()))

    def test_leftovers_of_a_crash(self) -> None:
        """The next start removes them."""
        (self.state / "blobs" / "tmp" / "left").write_bytes(b"x")
        self.build()

    def start_upload(self, data: bytes) -> Any:
        """An upload that stops in the middle."""
        head = (
            f"POST {self.hub}/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n"
            f"Authorization: Bearer {self.ada}\r\n\r\n"
        )
        return self.raw(head.encode(), data)


class AdmissionTests(BlobCase):
    """A stranger cannot fill the disk while the door is still asked."""

    def test_reading_stops_until_the_door_has_answered(self) -> None:
        """And a refusal then answers at once."""
        answer: Deferred[Any] = Deferred()
        self.patch(self.store, "token", lambda digest: answer)
        head = (
            f"POST {self.hub}/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n"
            f"Authorization: Bearer ms_{'x' * 43}\r\n\r\n"
        )
        transport = self.raw(head.encode())
        self.assertEqual(transport.producerState, "paused")
        answer.callback(None)
        self.assertIn(b" 401 ", transport.value())
        self.assertEqual(self.files(), [])

    def test_reading_goes_on_when_it_has(self) -> None:
        """Whoever may, uploads."""
        head = (
            f"POST {self.hub}/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
            f"Authorization: Bearer {self.ada}\r\n\r\n"
        )
        transport = self.raw(head.encode())
        self.assertEqual(transport.producerState, "producing")
        self.channel.dataReceived(b"data")
        self.assertIn(b" 201 ", transport.value())


class TraversalTests(BlobCase):
    """T16: no path of a client's reaches the file system."""

    def test_no_name_leads_out(self) -> None:
        """Only hashes are names."""
        secret = Path(self.state) / "secret"
        secret.write_bytes(b"secret")
        self.upload()
        for name in (
            "../../secret",
            "..%2f..%2fsecret",
            "%2e%2e/%2e%2e/secret",
            "tmp/x",
            "tmp",
            f"{DIGEST[:2]}/{DIGEST[2:]}",
            f"{DIGEST}%00",
            f"{DIGEST}/",
            f"./{DIGEST}",
            f"{DIGEST}%0a",
            DIGEST.upper(),
            f"{DIGEST}.png",
            f"..%5c{DIGEST}",
            "%ff" * 64,
        ):
            got = self.ask("GET", f"{self.hub}/blobs/{name}", self.ada)
            self.assertEqual(got.status, 404, name)
            self.assertNotIn(b"secret", got.body.replace(b"no such", b""))

    def test_symbolic_links_are_not_followed(self) -> None:
        """Whoever can write to the folder still cannot make us read another."""
        self.upload()
        path = self.state / "blobs" / DIGEST[:2] / DIGEST[2:]
        path.unlink()
        path.symlink_to("/etc/hostname")
        got = self.ask("GET", f"{self.hub}/blobs/{DIGEST}", self.ada)
        self.problem(got, 500)
        self.flushLoggedErrors(OSError)

    def test_file_that_has_gone(self) -> None:
        """404, not a traceback."""
        self.upload()
        (self.state / "blobs" / DIGEST[:2] / DIGEST[2:]).unlink()
        self.problem(self.ask("GET", f"{self.hub}/blobs/{DIGEST}", self.ada), 404)

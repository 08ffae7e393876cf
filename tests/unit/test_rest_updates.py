"""/updates/ serves two shapes of names from one folder, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary

from mosaic.services.rest.updates import NAMES
from tests.support.rest import RestCase

HASH = "ab" * 32
WHEEL = f"targets/stable/{HASH}.0123456789abcdef-mosaic_meetings-1.0-py3-none-any.whl"


class UpdateFilesTests(RestCase):
    """A small feed beside a secret."""

    def setUp(self) -> None:
        """Files of both shapes, and a link that leads out."""
        super().setUp()
        self.folder = self.state / "updates"
        for name, data in {
            "metadata/timestamp.json": b'{"now":1}',
            "metadata/1.root.json": b'{"root":1}',
            WHEEL: b"wheel",
            "secret": b"secret",
            ".lock": b"",
        }.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
        (self.state / "secret").write_bytes(b"secret")
        link = self.folder / "metadata" / "7.root.json"
        link.symlink_to((self.state / "secret").absolute())

    def test_the_newest_word_is_asked_for_each_time(self) -> None:
        """A cache that kept the timestamp would freeze the hubs behind it."""
        reply = self.ask("GET", "/updates/metadata/timestamp.json")
        self.assertEqual((reply.status, reply.body), (200, b'{"now":1}'))
        self.assertEqual(reply.header("Cache-Control"), "no-cache")
        self.assertEqual(reply.header("Content-Type"), "application/json")

    def test_the_rest_never_changes(self) -> None:
        """Version or hash are in the name."""
        for name, data in ((WHEEL, b"wheel"), ("metadata/1.root.json", b'{"root":1}')):
            reply = self.ask("GET", f"/updates/{name}")
            self.assertEqual((reply.status, reply.body), (200, data))
            self.assertIn("immutable", reply.header("Cache-Control"))
        reply = self.ask("HEAD", f"/updates/{WHEEL}")
        self.assertEqual((reply.status, reply.body), (200, b""))

    def test_what_is_published_later_is_served(self) -> None:
        """A hub asks for the next root; no cache may keep that there is none."""
        name = "/updates/metadata/2.root.json"
        reply = self.ask("GET", name)
        self.assertEqual(reply.status, 404)
        self.assertEqual(reply.header("Cache-Control"), "no-store")
        (self.folder / "metadata" / "2.root.json").write_bytes(b"{}")
        self.assertEqual(self.ask("GET", name).status, 200)

    def test_no_way_out(self) -> None:
        """Neither by names nor by links."""
        for path in (
            "",
            "secret",
            ".lock",
            "metadata",
            "metadata/",
            "metadata/../secret",
            "metadata/..%2fsecret",
            "../secret",
            "%2e%2e/secret",
            "..%2f..%2fsecret",
            "metadata/7.root.json",
            "metadata/timestamp.json/",
            "metadata/timestamp.json%00",
            "metadata/timestamp.json%0a",
            f"targets/stable/../stable/{HASH}.a.whl",
            f"targets/../{HASH}.a",
            f"targets/stable/{HASH}./secret",
            "//secret",
        ):
            reply = self.ask("GET", f"/updates/{path}")
            self.assertEqual(reply.status, 404, path)
            self.assertNotIn(b"secret", reply.body, path)

    def test_it_can_only_be_read(self) -> None:
        """Publishing is done on the machine."""
        for method in ("PUT", "DELETE", "POST"):
            reply = self.ask(method, "/updates/metadata/timestamp.json")
            self.assertEqual(reply.status, 405)

    def test_without_a_feed(self) -> None:
        """Most servers have none."""
        self.rest = self.build()
        (self.folder / "metadata" / "timestamp.json").unlink()
        reply = self.ask("GET", "/updates/metadata/timestamp.json")
        self.assertEqual(reply.status, 404)

    @settings(deadline=None)
    @given(binary(max_size=60))
    def test_any_name(self, name: bytes) -> None:
        """What is served has no dot-dot and no further slash in it."""
        found = NAMES.fullmatch(name.decode("latin-1"))
        if found:
            self.assertNotIn("/../", f"/{found[0]}/")

# mypy: disable-error-code="no-untyped-call"
"""TCP 80 leads to https, serves ACME's tokens, and knows nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.rest.channel import Deadlines
from mosaic.services.rest.redirect import MAX_TOKEN_BYTES, redirect_site

CHALLENGE = "/.well-known/acme-challenge"


class RedirectTests(SynchronousTestCase):
    """Bytes in, bytes out."""

    def setUp(self) -> None:
        """A web root with a token, and things that are none."""
        self.webroot = Path(self.mktemp()).absolute()
        self.folder = self.webroot / CHALLENGE[1:]
        self.folder.mkdir(parents=True)
        (self.folder / "tok-EN_1").write_text("tok-EN_1.thumb")
        (self.folder / "large").write_text("x" * (MAX_TOKEN_BYTES + 1))
        (self.folder / "folder").mkdir()
        (self.webroot / "secret").write_text("secret")
        os.symlink(self.webroot / "secret", self.folder / "link")
        os.mkfifo(self.folder / "pipe")
        self.base: str | None = "https://meet.example.org"

    def ask(self, *lines: str, method: str = "GET", host: str = "evil.org") -> bytes:
        """The whole answer to one request. lines: of its path."""
        (path,) = lines
        return self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def send(self, data: bytes) -> bytes:
        """Whatever is sent."""
        clock = Clock()
        site = redirect_site(
            clock,
            https_url=lambda: self.base,
            acme_webroot=self.webroot,
            deadlines=Deadlines(),
        )
        transport = StringTransport()
        channel = site.buildProtocol(None)
        assert channel is not None
        channel.makeConnection(transport)
        channel.dataReceived(data)
        clock.advance(100)
        return bytes(transport.value())

    def test_every_path_goes_to_the_configured_name(self) -> None:
        """Never to what the Host header says."""
        answer = self.ask("/join/123456782?a=b")
        self.assertTrue(answer.startswith(b"HTTP/1.1 301 "), answer)
        where = b"Location: https://meet.example.org/join/123456782?a=b\r\n"
        self.assertIn(where, answer)
        answer = self.ask("http://evil.org/x")
        self.assertIn(b"Location: https://meet.example.org/\r\n", answer)
        self.assertNotIn(b"evil", self.ask("/"))

    def test_head_has_no_body(self) -> None:
        """Monitors ask so."""
        answer = self.ask("/x", method="HEAD")
        self.assertTrue(answer.startswith(b"HTTP/1.1 301 "), answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"), answer)

    def test_other_methods_are_refused(self) -> None:
        """A password that came in the clear must not be sent again."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "CONNECT"):
            answer = self.ask("/api/v1/sessions", method=method)
            self.assertTrue(answer.startswith(b"HTTP/1.1 405 "), answer)
            self.assertNotIn(b"Location", answer)

    def test_a_token_is_served(self) -> None:
        """RFC 8555 section 8.3."""
        answer = self.ask(f"{CHALLENGE}/tok-EN_1")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertTrue(answer.endswith(b"\r\n\r\ntok-EN_1.thumb"), answer)

    def test_nothing_but_tokens(self) -> None:
        """No other file, by whatever name, link or notation."""
        for name in (
            "none", "large", "folder", "link", "pipe", "", "..", ".",
            "../../secret", "%2e%2e/%2e%2e/secret", "..%2f..%2fsecret",
            "tok-EN_1/", "tok-EN_1%00", "x" * 200,
        ):  # fmt: skip
            answer = self.ask(f"{CHALLENGE}/{name}")
            self.assertTrue(answer.startswith(b"HTTP/1.1 404 "), (name, answer))
            self.assertNotIn(b"secret", answer.partition(b"\r\n\r\n")[2])

    def test_without_https_there_is_nowhere_to_go(self) -> None:
        """Said plainly."""
        self.base = None
        self.assertTrue(self.ask("/").startswith(b"HTTP/1.1 404 "))

    @given(binary(max_size=200))
    def test_any_bytes_are_safe(self, data: bytes) -> None:
        """An answer or the end, and never a file."""
        self.assertNotIn(b"secret", self.send(data))
        self.assertNotIn(
            b"secret",
            self.send(b"GET /" + data + b" HTTP/1.1\r\nHost: a\r\n\r\n").partition(
                b"\r\n\r\n"
            )[2],
        )

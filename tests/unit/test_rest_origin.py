"""Which origins may open a websocket (T12)."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.services.rest.origin import origin_allowed

HOST = "meet.example.org"
OTHERS = ("https://intranet.example.org", "http://localhost:5173")

ALLOWED = [
    (None, HOST),
    ("https://meet.example.org", HOST),
    ("https://MEET.example.org", HOST),
    ("https://meet.example.org", "meet.example.org:443"),
    ("https://meet.example.org:443", HOST),
    ("http://meet.example.org", "meet.example.org:80"),
    ("https://meet.example.org:8443", "meet.example.org:8443"),
    ("http://127.0.0.1:8080", "127.0.0.1:8080"),
    ("http://[::1]:8080", "[::1]:8080"),
    ("https://intranet.example.org", HOST),
    ("http://localhost:5173", "127.0.0.1:8080"),
]

REFUSED = [
    ("null", HOST),
    ("", HOST),
    ("https://evil.example", HOST),
    ("https://sub.meet.example.org", HOST),
    ("https://example.org", HOST),
    ("https://meet.example.org.evil.example", HOST),
    ("https://evilmeet.example.org", HOST),
    ("https://meet.example.org:8443", HOST),
    ("https://meet.example.org", "meet.example.org:8443"),
    ("http://meet.example.org", "meet.example.org:443"),
    ("https://meet.example.org/", HOST),
    ("https://meet.example.org/path", HOST),
    ("https://user@meet.example.org", HOST),
    ("https://meet.example.org?x", HOST),
    ("file://meet.example.org", HOST),
    ("chrome-extension://meet.example.org", HOST),
    ("https://", ""),
    ("https://meet.example.org:port", HOST),
    ("https://[::1", "[::1"),
    ("https://intranet.example.org:444", HOST),
    ("HTTPS://intranet.example.org.", HOST),
    ("https://intranet.example.org https://meet.example.org", HOST),
]


class OriginTests(SynchronousTestCase):
    """Exact matches only."""

    def test_same_host_and_listed_origins_are_allowed(self) -> None:
        """The page that we served, and what the operator named."""
        for origin, host in ALLOWED:
            self.assertTrue(origin_allowed(origin, host, OTHERS), (origin, host))

    def test_every_other_origin_is_refused(self) -> None:
        """Null, subdomains, other ports, look-alikes, and what is no origin."""
        for origin, host in REFUSED:
            self.assertFalse(origin_allowed(origin, host, OTHERS), (origin, host))

    def test_null_cannot_be_listed(self) -> None:
        """A sandboxed frame of anybody has the origin "null"."""
        self.assertFalse(origin_allowed("null", HOST, ("null",)))

    @given(text(max_size=60))
    def test_any_text_gives_an_answer(self, origin: str) -> None:
        """Whatever a peer writes is refused, not an exception."""
        self.assertFalse(origin_allowed(origin, "meet.example.org:9", ()))

"""What the hub says of itself on its LAN."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.hub.announce import text_record
from mosaic.hub.local.page import Wall


class TextRecordTests(SynchronousTestCase):
    """RFC 6763 section 6."""

    def test_says_what_the_wall_shows(self) -> None:
        """Neither PIN nor problem."""
        wall = Wall(
            state="idle",
            name="Lisbon",
            hub_id="412907339",
            server="https://hub.example.org",
            problem="a secret",
        )
        self.assertEqual(
            text_record(wall),
            {
                "v": "1",
                "server": "https://hub.example.org",
                "hub": "412907339",
                "name": "Lisbon",
            },
        )

    @given(st.text(max_size=400))
    def test_any_name_fits(self, name: str) -> None:
        """A string of a TXT record has at most 255 octets, and is UTF-8."""
        wall = Wall(state="idle", name=name, server="https://hub.example.org")
        for key, value in text_record(wall).items():
            self.assertLess(len(f"{key}={value}".encode()), 255)

"""The fuzz of whole streams (tests/fuzz/xmpp_fuzz.py), a bounded run of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.xmpp_fuzz import Fuzz


class FuzzTests(SynchronousTestCase):
    """The same streams each time."""

    def test_some_hundred_streams_find_nothing(self) -> None:
        """Nothing raised or logged, nobody let in, whole stanzas for others, and
        nothing left behind. How long a read took is not a matter for here."""
        fuzz = Fuzz(2026)
        self.addCleanup(fuzz.stop)
        fuzz.run(300)
        fuzz.close_house()
        found = [one for one in fuzz.found if one["kind"] != "slow"]
        self.assertEqual(found, [])
        self.assertGreater(fuzz.counts["stanzas for others"], 50)
        self.assertGreater(fuzz.counts["not-well-formed"], 50)

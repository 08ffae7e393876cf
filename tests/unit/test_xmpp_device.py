"""The books of the chaos tests can tell right from wrong."""

from __future__ import annotations

import random
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamParser
from tests.support.xmpp_client import Address
from tests.support.xmpp_device import Device, Ledger, complaints

HEADER = (
    b"<stream:stream xmlns='jabber:client' version='1.0' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)


def stanza(text: str) -> Stanza:
    """As the client's parser would hand it on."""
    [_, found] = StreamParser(max_stanza_bytes=9999).feed(HEADER + text.encode())
    assert isinstance(found, Stanza)
    return found


def live(ident: str, key: str) -> Stanza:
    """A message for ann, with the archive id."""
    return stanza(
        f"<message><body>{ident}</body>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='ann@localhost' id='{key}'/></message>"
    )


class ComplaintTests(SynchronousTestCase):
    """One message from bob to ann, in all the ways that it can go wrong."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        self.ledger.to["bob-1"] = "ann"
        self.ledger.sent["bob-1"] = 1
        self.ledger.acknowledged.add("bob-1")
        self.ann = Device(
            Address(0), "ann", "phone", "bob", self.ledger, random.Random(1)
        )

    def said(self, **archive: int) -> list[str]:
        """The complaints, without the details."""
        counts = Counter({name.replace("_", "-"): n for name, n in archive.items()})
        return list(complaints(self.ledger, [self.ann], {"ann": counts}))

    def test_all_is_well(self) -> None:
        """Seen once, kept once; once more from the archive is the same message."""
        self.ann._heard(live("bob-1", "k"))
        self.ann._note("bob-1", "k")
        self.assertEqual(self.said(bob_1=1), [])

    def test_lost(self) -> None:
        """On the way, or from the archive."""
        [complaint] = self.said(bob_1=1)
        self.assertIn("never saw", complaint)
        self.ann._heard(live("bob-1", "k"))
        [complaint] = self.said()
        self.assertIn("0 times", complaint)

    def test_not_acknowledged_is_not_promised(self) -> None:
        """What the server never took may be gone."""
        self.ledger.acknowledged.clear()
        self.assertEqual(self.said(), [])

    def test_doubled(self) -> None:
        """Within a session, under two ids, or in the archive; unless it was sent
        twice."""
        self.ann._heard(live("bob-1", "k"))
        self.ann._heard(live("bob-1", "k"))
        [complaint] = self.said(bob_1=1)
        self.assertIn("saw twice", complaint)
        self.ann.doubled.clear()
        self.ann._heard(live("bob-1", "other"))
        [complaint] = self.said(bob_1=1)
        self.assertIn("came as", complaint)
        self.ledger.sent["bob-1"] = 2
        self.assertEqual(self.said(bob_1=2), [])
        [complaint] = self.said(bob_1=3)
        self.assertIn("3 times", complaint)

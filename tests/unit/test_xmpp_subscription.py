"""The tables of RFC 6121 appendix A: nine states, four stanzas, two directions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.xmpp.subscription import Contact, received, sent

REQUEST = b"<presence type='subscribe'/>"
STATES = ("N", "N+o", "N+i", "N+oi", "T", "T+i", "F", "F+o", "B")
"""None, To, From, Both; o: we asked, i: they ask (section A.1)."""

OUTBOUND = {
    "subscribe": {"N": "N+o", "N+i": "N+oi", "F": "F+o"},
    "unsubscribe": {
        "N+o": "N", "N+oi": "N+i", "T": "N", "T+i": "N+i", "F+o": "F", "B": "F",
    },
    "subscribed": {"N+i": "F", "N+oi": "F+o", "T+i": "B"},
    "unsubscribed": {
        "N+i": "N", "N+oi": "N+o", "T+i": "T", "F": "N", "F+o": "N+o", "B": "T",
    },
}  # fmt: skip
"""Section A.2: what changes; everything else stays as it is."""
ALWAYS_ROUTED = ("subscribe", "unsubscribe")
INBOUND = {
    "subscribe": {"N": "N+i", "N+o": "N+oi", "T": "T+i"},
    "unsubscribe": {
        "N+i": "N", "N+oi": "N+o", "T+i": "T", "F": "N", "F+o": "N+o", "B": "T",
    },
    "subscribed": {"N+o": "T", "N+oi": "T+i", "F+o": "B"},
    "unsubscribed": {
        "N+o": "N", "N+oi": "N+i", "T": "N", "T+i": "N+i", "F+o": "F", "B": "F",
    },
}  # fmt: skip
"""Section A.3: what changes is delivered, nothing else is."""


def contact(state: str) -> Contact:
    """One in that state."""
    base, _, pending = state.partition("+")
    return Contact(
        jid="bob@localhost",
        listed=True,
        to=base in "TB",
        from_=base in "FB",
        ask="o" in pending,
        asking=REQUEST if "i" in pending else b"",
    )


class TableTests(SynchronousTestCase):
    """Every cell."""

    def test_outbound(self) -> None:
        """Section A.2."""
        for kind, changes in OUTBOUND.items():
            for state in STATES:
                step = sent(contact(state), kind)
                expected = contact(changes.get(state, state))
                if kind == "subscribed" and state in ("N", "N+o", "T"):
                    self.assertTrue(step.contact.approved)  # section 3.4
                    continue
                self.assertEqual(step.contact, expected, (kind, state))
                routed = kind in ALWAYS_ROUTED or state in changes
                self.assertEqual(step.onward, routed, (kind, state))

    def test_inbound(self) -> None:
        """Section A.3."""
        for kind, changes in INBOUND.items():
            for state in STATES:
                step = received(contact(state), kind, REQUEST)
                expected = contact(changes.get(state, state))
                self.assertEqual(step.contact, expected, (kind, state))
                self.assertEqual(step.onward, state in changes, (kind, state))
                granted = kind == "subscribe" and state in ("F", "F+o", "B")
                self.assertEqual(step.reply, "subscribed" if granted else "")

    def test_approved_before_it_is_asked(self) -> None:
        """Section 3.4: granted once, in our name."""
        step = sent(contact("N"), "subscribed")
        self.assertFalse(step.onward)
        step = received(step.contact, "subscribe", REQUEST)
        self.assertEqual((step.contact, step.reply), (contact("F"), "subscribed"))
        taken_back = sent(sent(contact("N"), "subscribed").contact, "unsubscribed")
        self.assertEqual(taken_back.contact, contact("N"))

    def test_who_only_asks_is_not_listed(self) -> None:
        """Section 2.1.2: no item without the owner's doing."""
        step = received(Contact(jid="bob@localhost"), "subscribe", REQUEST)
        self.assertFalse(step.contact.listed)
        refused = sent(step.contact, "unsubscribed")
        self.assertTrue(refused.contact.is_blank)

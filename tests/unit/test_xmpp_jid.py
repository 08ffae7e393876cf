"""Addresses: preparation, limits, and any text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.jid import parse as twisted_parse
from twisted.words.protocols.jabber.jid import prep as twisted_prep

from mosaic.wire.xmpp.jid import Jid, JidError, is_prepared_local, parse_jid


class JidTests(SynchronousTestCase):
    """RFC 6122, with Twisted's own preparation as cross-check."""

    def test_parts(self) -> None:
        """The resource may hold anything, also @ and /."""
        for raw, parts in {
            "h": ("", "h", ""),
            "a@h": ("a", "h", ""),
            "a@h/r": ("a", "h", "r"),
            "h/r@x/y": ("", "h", "r@x/y"),
            "A.B@Example.ORG/Res": ("a.b", "example.org", "Res"),
            "ŽOFIE@h": ("žofie", "h", ""),
            "a@[::1]": ("a", "[::1]", ""),
            "a@h.": ("a", "h", ""),
        }.items():
            self.assertEqual(parse_jid(raw), Jid(*parts))

    def test_text_and_bare(self) -> None:
        """str() gives what parse_jid took."""
        jid = parse_jid("a@h/r")
        self.assertEqual((str(jid), jid.bare), ("a@h/r", "a@h"))
        self.assertEqual(jid.bare_jid, Jid("a", "h", ""))

    def test_refusals(self) -> None:
        """Empty parts, forbidden characters, too long."""
        for raw in (
            "", "@h", "a@", "h/", "a@h/", "a b@h", "a'b@h", "a@b@h", "a@h h",
            "a@h<", "a\u0000@h", "a@h/\u0007", "a" * 1024 + "@h", "h/" + "r" * 1024,
            "a@" + "b" * 64, "a@h..x", "a@[x]", "\u0221@h", "a@h/" + "\u00e9" * 600,
        ):  # fmt: skip
            self.assertRaises(JidError, parse_jid, raw)

    def test_prepared_local_parts(self) -> None:
        """What another folding left as it was, but not what nodeprep changes."""
        names = ("ann", "ž.o_1", "Ann", "a b", "\u00aa", "")
        self.assertEqual(
            [is_prepared_local(name) for name in names],
            [True, True, False, False, False, False],
        )

    @settings(max_examples=300, deadline=None)
    @given(text(max_size=12))
    def test_preparation_is_stable(self, raw: str) -> None:
        """Prepared text prepares to itself, or two spellings would be two
        people."""
        for candidate in (raw, f"{raw}@h", f"a@h/{raw}"):
            try:
                jid = parse_jid(candidate)
            except JidError:
                continue
            self.assertEqual(parse_jid(str(jid)), jid)

    @settings(max_examples=200, deadline=None)
    @given(text("abcXYZ.žß1-\u00aa\u2168", min_size=1, max_size=10))
    def test_agrees_with_twisted(self, name: str) -> None:
        """An independent stringprep folds the same way."""
        ours = parse_jid(f"{name}@h/{name}")
        local, domain, resource = twisted_prep(*twisted_parse(f"{name}@h/{name}"))
        theirs = (local, domain, resource)
        self.assertEqual((ours.local, ours.domain, ours.resource), theirs)

"""Rules for names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from unittest import TestCase

from hypothesis import given, settings
from hypothesis.strategies import text

from mosaic.workspace.names import (
    account_name,
    display_name,
    document_name,
    room_alias,
    room_name,
)

RULES: tuple[Callable[[str], str], ...] = (
    account_name,
    room_alias,
    display_name,
    room_name,
    document_name,
)


class EveryRuleTests(TestCase):
    """What holds for all of them."""

    @given(text(max_size=150))
    @settings(max_examples=300)
    def test_kept_form_is_stable_and_clean(self, typed: str) -> None:
        """Any text gives a ValueError or a form that the rule leaves alone."""
        for rule in RULES:
            for candidate in (typed, f"notes/{typed}"):
                try:
                    kept = rule(candidate)
                except ValueError:
                    continue
                self.assertEqual(rule(kept), kept)
                self.assertTrue(0 < len(kept) <= 128)
                self.assertFalse(
                    {unicodedata.category(char) for char in kept} & {"Cc", "Cs"}
                )

    def test_very_long_text_is_refused_early(self) -> None:
        """A megabyte of name costs one look at its length."""
        for rule in RULES:
            with self.assertRaises(ValueError):
                rule("a" * 1_000_000)


class AccountNameTests(TestCase):
    """Names to log in with."""

    def test_case_and_width_are_folded(self) -> None:
        """The same person, however the keyboard was set."""
        self.assertEqual(account_name(" Ａlice.B "), "alice.b")
        self.assertEqual(account_name("STRASSE"), account_name("Straße"))

    def test_other_scripts_are_names_too(self) -> None:
        """Letters of any script, with their marks."""
        for name in ("zoë", "дмитрий", "मीरा", "李雷"):
            self.assertEqual(account_name(name), name)

    def test_refused(self) -> None:
        """Spaces, slashes, at signs, controls, marks in front, 65 characters."""
        for name in (
            "",
            "a b",
            "a/b",
            "a@b",
            "a\x00",
            ".a",
            "-a",
            "a\u202eb",
            "a" * 65,
        ):
            with self.subTest(name), self.assertRaises(ValueError):
                account_name(name)

    def test_the_reason_names_the_character(self) -> None:
        """A person can mend it."""
        with self.assertRaisesRegex(ValueError, "not '/'"):
            account_name("a/b")
        with self.assertRaisesRegex(ValueError, r"U\+202E"):
            account_name("a\u202eb")

    def test_an_alias_is_no_hub_id(self) -> None:
        """Else one room could hide another."""
        with self.assertRaises(ValueError):
            room_alias("100000009")
        self.assertEqual(room_alias("100000001"), "100000001")


class ShownNameTests(TestCase):
    """Names that are shown to others."""

    def test_bidi_and_control_characters_go(self) -> None:
        """A name cannot turn the text around it (U+202E) or ring a bell."""
        self.assertEqual(display_name("Ev\u202ee\u2066\x07"), "Eve")

    def test_white_space_is_tidied(self) -> None:
        """Lines become one line."""
        self.assertEqual(display_name("  Ada \n\t Lovelace "), "Ada Lovelace")

    def test_invisible_names_are_empty(self) -> None:
        """Nobody is nobody."""
        for name in ("", " ", "\u200b\u200d", "\u2028"):
            with self.subTest(name), self.assertRaises(ValueError):
                display_name(name)

    def test_joined_emoji_stay_joined(self) -> None:
        """U+200D spells families and professions."""
        self.assertEqual(display_name("👩\u200d🚀 Mae"), "👩\u200d🚀 Mae")

    def test_limits(self) -> None:
        """64 for people, 100 for rooms."""
        self.assertEqual(len(display_name("x" * 64)), 64)
        self.assertEqual(len(room_name("x" * 100)), 100)
        for rule, size in ((display_name, 65), (room_name, 101)):
            with self.assertRaises(ValueError):
                rule("x" * size)


class DocumentNameTests(TestCase):
    """board, room, notes/<slug>."""

    def test_allowed(self) -> None:
        """Slugs are generous."""
        for name in (
            "board",
            "room",
            "notes/main",
            "notes/Q3 plan_v1.2",
            "notes/überblick",
        ):
            self.assertEqual(document_name(name), name)

    def test_one_form_for_one_name(self) -> None:
        """A decomposed accent is the same document."""
        self.assertEqual(document_name("notes/e\u0301"), "notes/\xe9")

    def test_refused(self) -> None:
        """No path tricks, nothing unknown, nothing endless."""
        for name in (
            "", "Board", "boards", "notes", "notes/", "notes/..", "notes/a..b",
            "notes/.", "notes/a/b", "notes/a\\b", "notes/ a", "notes/a\n",
            "/notes/a", "notes/" + "a" * 123,
        ):  # fmt: skip
            with self.subTest(name), self.assertRaises(ValueError):
                document_name(name)

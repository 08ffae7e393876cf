"""Hub IDs, PINs and participant ids."""

from __future__ import annotations

from random import Random
from unittest import TestCase

from hypothesis import given, settings
from hypothesis.strategies import integers, text

from mosaic.workspace.ids import (
    format_hub_id,
    is_participant_id,
    luhn_digit,
    new_hub_id,
    new_participant_id,
    new_pin,
    parse_hub_id,
    parse_pin,
)


class HubIdTests(TestCase):
    """Nine digits that survive being read aloud and typed in."""

    def test_check_digit_is_luhns(self) -> None:
        """A known number: 7992739871 has the check digit 3 (ISO/IEC 7812-1)."""
        self.assertEqual(luhn_digit("7992739871"), "3")

    def test_ends_of_the_range(self) -> None:
        """The smallest and the largest draw both have nine digits, no zero first."""
        low = new_hub_id(lambda n: 0)
        high = new_hub_id(lambda n: n - 1)
        self.assertEqual((low[:8], high[:8]), ("10000000", "99999999"))
        self.assertEqual((len(low), len(high)), (9, 9))

    @given(integers())
    @settings(max_examples=50)
    def test_round_trip(self, seed: int) -> None:
        """What is shown can be typed back, with spaces or dashes."""
        hub_id = new_hub_id(Random(seed).randrange)
        shown = format_hub_id(hub_id)
        self.assertEqual(shown.count(" "), 2)
        self.assertEqual(parse_hub_id(shown), hub_id)
        self.assertEqual(parse_hub_id(f"  {shown.replace(' ', '-')}\n"), hub_id)
        self.assertEqual(parse_hub_id(shown.replace(" ", "\u2013")), hub_id)

    @given(integers(), integers(0, 8), integers(1, 9))
    @settings(max_examples=100)
    def test_one_mistyped_digit_is_noticed(
        self, seed: int, place: int, shift: int
    ) -> None:
        """That is what the check digit is for."""
        hub_id = new_hub_id(Random(seed).randrange)
        wrong = str((int(hub_id[place]) + shift) % 10)
        with self.assertRaises(ValueError):
            parse_hub_id(hub_id[:place] + wrong + hub_id[place + 1 :])

    @given(text(max_size=80))
    @settings(max_examples=200)
    def test_any_text_is_a_hub_id_or_a_value_error(self, typed: str) -> None:
        """Also digits of other scripts: int() would take them, we do not."""
        try:
            hub_id = parse_hub_id(typed)
        except ValueError:
            return
        self.assertRegex(hub_id, r"\A[1-9][0-9]{8}\Z")

    def test_other_digits_are_refused(self) -> None:
        """Arabic-Indic digits look like digits to str.isdigit."""
        with self.assertRaises(ValueError):
            parse_hub_id("\u0664\u0661\u0662\u0669\u0660\u0667\u0663\u0663\u0668")


class PinTests(TestCase):
    """Six digits."""

    def test_zeros_in_front_stay(self) -> None:
        """A PIN is text, not a number."""
        self.assertEqual(new_pin(lambda n: 42), "000042")
        self.assertEqual(parse_pin(" 000-042 "), "000042")

    def test_wrong_lengths_are_refused(self) -> None:
        """Five or seven digits, letters, and nothing at all."""
        for typed in ("12345", "1234567", "12345a", "", "12345\u0661"):
            with self.subTest(typed), self.assertRaises(ValueError):
                parse_pin(typed)


class ParticipantIdTests(TestCase):
    """Sixteen hexadecimal digits."""

    @given(integers())
    @settings(max_examples=50)
    def test_form(self, seed: int) -> None:
        """Every draw has the form."""
        self.assertTrue(is_participant_id(new_participant_id(Random(seed).randrange)))

    def test_others_are_none(self) -> None:
        """Short, upper case, or followed by a newline."""
        for other in ("", "0" * 15, "A" * 16, "0" * 16 + "\n"):
            with self.subTest(other):
                self.assertFalse(is_participant_id(other))

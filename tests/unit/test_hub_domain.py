"""Activation codes and hub accounts: what people and boxes write."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis.strategies import integers, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from mosaic.workspace.hubcodes import (
    ALPHABET,
    CODE_CHARS,
    HubCode,
    format_code,
    new_code,
    parse_code,
)
from mosaic.workspace.hubs import hub_account, hub_of_account


class CodeTests(SynchronousTestCase):
    """Crockford's base 32 as people type it."""

    @given(integers())
    def test_a_new_code_survives_paper(self, seed: int) -> None:
        """As it is shown, in small letters, with spaces for the dash."""
        code = new_code(random.Random(seed).randrange)
        shown = format_code(code)
        self.assertEqual(shown[5], "-")
        for typed in (code, shown, shown.lower(), f" {shown.replace('-', ' ')}\n"):
            self.assertEqual(parse_code(typed), code)

    def test_letters_that_look_like_digits(self) -> None:
        """I and L are 1, O is 0, in either case."""
        self.assertEqual(parse_code("oOiIlL0011"), "0011110011")

    def test_what_is_no_code(self) -> None:
        """U is none of the alphabet; letters of other scripts are not folded."""
        for wrong in ("", "7KQ2M", "7KQ2MXW9RDX", "7KQ2MXW9RU", "7KQ2MXW9R\u0131"):
            with self.assertRaises(ValueError):
                parse_code(wrong)

    @given(text())
    def test_any_text_is_a_code_or_an_error(self, typed: str) -> None:
        """Nothing else happens, and what is read is read again as itself."""
        try:
            code = parse_code(typed)
        except ValueError:
            return
        self.assertEqual((len(code), set(code) - set(ALPHABET)), (CODE_CHARS, set()))
        self.assertEqual(parse_code(format_code(code)), code)

    def test_a_code_ends_by_use_and_by_time(self) -> None:
        """At its expiry it is over already."""
        code = HubCode(
            id="a" * 16,
            digest=b"d",
            name="",
            uses=1,
            uses_left=1,
            created_at=0,
            expires_at=10,
        )
        self.assertTrue(code.is_good(9.9))
        self.assertFalse(code.is_good(10))
        used = HubCode(
            **{n: getattr(code, n) for n in code.__slots__ if n != "uses_left"},
            uses_left=0,
        )
        self.assertFalse(used.is_good(0))


class AccountTests(SynchronousTestCase):
    """Accounts of hubs are told from people's by their form."""

    @given(integers(0, 10**9 - 1))
    def test_there_and_back(self, number: int) -> None:
        """hub- and nine digits."""
        hub_id = f"{number:09d}"
        self.assertEqual(hub_of_account(hub_account(hub_id)), hub_id)

    @given(text() | sampled_from(("hub-", "hub-12345678", "hub-12345678\u0663", "ada")))
    def test_others_are_people(self, account: str) -> None:
        """Also what only looks like it."""
        found = hub_of_account(account)
        self.assertEqual(found is not None, account == f"hub-{found}")

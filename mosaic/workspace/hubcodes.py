"""Activation codes: ten characters of Crockford's base 32, typed by people.

https://www.crockford.com/base32.html: I and L read as 1, O as 0, and there is
no U. Fifty random bits, so that a code that is tried five times a minute is
not found in its life.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.workspace.ids import RandomBelow

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARS = 10
GROUP_CHARS = 5
_MAX_TYPED = 64
_READ_AS = {"I": "1", "L": "1", "O": "0"}
_SEPARATORS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015. \t\r\n\u00a0_")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubCode:
    """An activation code as kept: a digest, never the code.

    id: 16 hex digits, by which an administrator speaks of it. by: the account
    that made it, "" for the command line. uses: how many hubs it enrols in all.
    """

    id: str
    digest: bytes
    name: str
    uses: int
    uses_left: int
    created_at: float
    expires_at: float
    by: str = ""

    def is_good(self, now: float) -> bool:
        """Whether another hub may come by it. now: Unix seconds."""
        return self.uses_left > 0 and now < self.expires_at


def new_code(below: RandomBelow) -> str:
    """A random code in its normal form, without the dash."""
    return "".join(ALPHABET[below(len(ALPHABET))] for _ in range(CODE_CHARS))


def parse_code(text: str) -> str:
    """The normal form of what somebody typed: ten upper-case characters.

    Case, spaces and dashes do not matter. Raises ValueError.
    """
    if len(text) > _MAX_TYPED:
        raise ValueError(f"an activation code has {CODE_CHARS} characters")
    kept = "".join(_read(char) for char in text if char not in _SEPARATORS)
    if len(kept) != CODE_CHARS:
        raise ValueError(f"an activation code has {CODE_CHARS} characters")
    return kept


def format_code(code: str) -> str:
    """A code as people read it: `7KQ2M-XW9RD`."""
    return f"{code[:GROUP_CHARS]}-{code[GROUP_CHARS:]}"


def _read(char: str) -> str:
    # only ASCII is folded: "ı".upper() is an I, and "ß".upper() is two letters
    upper = char.upper() if char.isascii() else char
    kept = _READ_AS.get(upper, upper)
    if kept not in ALPHABET:
        raise ValueError("an activation code holds letters and digits, and no U")
    return kept

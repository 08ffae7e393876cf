"""SASLprep: the stringprep profile for passwords and user names (RFC 4013)."""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class SaslprepError(ValueError):
    """The text holds a character or an order that RFC 4013 forbids."""


def saslprep(text: str) -> str:
    """Prepare text as a stored string (RFC 4013 section 2).

    Raises SaslprepError for prohibited or unassigned code points and for
    mixed text directions (RFC 3454 section 6).
    """
    if text.isascii() and text.isprintable():
        return text  # no table has anything to say about these
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    for char in prepared:
        if any(forbids(char) for forbids in _PROHIBITED):
            raise SaslprepError(f"U+{ord(char):04X} is not allowed")
        if stringprep.in_table_a1(char):
            raise SaslprepError(f"U+{ord(char):04X} is not assigned")
    check_direction(prepared)
    return prepared


def check_direction(text: str) -> None:
    """Raises SaslprepError for mixed directions (RFC 3454 section 6)."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return
    if any(stringprep.in_table_d2(char) for char in text):
        raise SaslprepError("right-to-left and left-to-right text are mixed")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise SaslprepError("right-to-left text must begin and end as such")

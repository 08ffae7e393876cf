"""Numbers that name rooms and people: Hub IDs, PINs, participant ids.

Randomness is given by the caller: `below(n)` returns an integer from 0 to
n - 1 (`secrets.randbelow` in the server, a seeded one in tests).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address

RandomBelow = Callable[[int], int]

HUB_ID_DIGITS = 9
PIN_DIGITS = 6
PARTICIPANT_ID_DIGITS = 16

_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u00a0.]+")
_ASCII_DIGITS = re.compile(r"[0-9]+")
_PARTICIPANT_ID = re.compile(rf"[0-9a-f]{{{PARTICIPANT_ID_DIGITS}}}")


def luhn_digit(digits: str) -> str:
    """The check digit for a row of decimal digits (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def new_hub_id(below: RandomBelow) -> str:
    """A random Hub ID: 9 digits, no leading zero, the last a check digit."""
    first = 10 ** (HUB_ID_DIGITS - 2)
    body = str(first + below(9 * first))
    return body + luhn_digit(body)


def parse_hub_id(text: str) -> str:
    """Nine digits from what a person typed; spaces and dashes are forgiven.

    Raises ValueError that says what is wrong with it.
    """
    digits = _SEPARATORS.sub("", text[:64])
    if not _ASCII_DIGITS.fullmatch(digits):
        raise ValueError("a Hub ID is made of digits")
    if len(digits) != HUB_ID_DIGITS:
        raise ValueError(f"a Hub ID has {HUB_ID_DIGITS} digits")
    if digits[0] == "0" or luhn_digit(digits[:-1]) != digits[-1]:
        raise ValueError("this Hub ID has a mistyped digit")
    return digits


def format_hub_id(hub_id: str) -> str:
    """A Hub ID as people read it: "412 907 338"."""
    return " ".join(hub_id[i : i + 3] for i in range(0, len(hub_id), 3))


def new_pin(below: RandomBelow) -> str:
    """A random PIN: 6 digits, zeros in front allowed."""
    return f"{below(10**PIN_DIGITS):0{PIN_DIGITS}d}"


def parse_pin(text: str) -> str:
    """Six digits from what a person typed. Raises ValueError."""
    digits = _SEPARATORS.sub("", text[:64])
    if not _ASCII_DIGITS.fullmatch(digits) or len(digits) != PIN_DIGITS:
        raise ValueError(f"a PIN has {PIN_DIGITS} digits")
    return digits


def new_participant_id(below: RandomBelow) -> str:
    """A random participant id: 16 hexadecimal digits."""
    return f"{below(16**PARTICIPANT_ID_DIGITS):0{PARTICIPANT_ID_DIGITS}x}"


def is_participant_id(text: str) -> bool:
    """Whether the text has the form of a participant id."""
    return _PARTICIPANT_ID.fullmatch(text) is not None


# A hub that no server has numbered is found by its IPv4 address: ten digits.
# An address of a private network stands at its place among them all, behind a
# 9 and before a check digit; any other is its 32 bits in decimal, which begin
# with 0 to 4 and leave no room for one.
OFFLINE_ID_DIGITS = 10
_PRIVATE = tuple(
    (int(IPv4Address(first)), 2**bits)
    for first, bits in (
        ("10.0.0.0", 24),
        ("172.16.0.0", 20),
        ("192.168.0.0", 16),
        ("169.254.0.0", 16),
        ("100.64.0.0", 22),
    )
)


def offline_hub_id(address: str) -> str:
    """Ten digits made of an IPv4 address, such as "9016843018".

    Raises ValueError for another text.
    """
    number = int(IPv4Address(address))
    place = 0
    for first, size in _PRIVATE:
        if first <= number < first + size:
            body = f"9{place + number - first:08d}"
            return body + luhn_digit(body)
        place += size
    return f"{number:0{OFFLINE_ID_DIGITS}d}"


def parse_offline_hub_id(text: str) -> str:
    """The IPv4 address in what a person typed. Raises ValueError."""
    digits = _SEPARATORS.sub("", text[:64])
    if not _ASCII_DIGITS.fullmatch(digits) or len(digits) != OFFLINE_ID_DIGITS:
        raise ValueError(f"an offline Hub ID has {OFFLINE_ID_DIGITS} digits")
    if digits[0] != "9":
        if int(digits) >= 2**32:
            raise ValueError("this offline Hub ID has a mistyped digit")
        address = str(IPv4Address(int(digits)))
        if offline_hub_id(address) != digits:
            raise ValueError("this offline Hub ID has a mistyped digit")
        return address
    place = int(digits[1:-1])
    if luhn_digit(digits[:-1]) == digits[-1]:
        for first, size in _PRIVATE:
            if place < size:
                return str(IPv4Address(first + place))
            place -= size
    raise ValueError("this offline Hub ID has a mistyped digit")


def format_offline_hub_id(digits: str) -> str:
    """As people read it: "901 684 3018"."""
    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"

"""Rules for names: accounts, rooms, aliases, people and documents.

Each function takes what somebody typed and returns the form that is kept,
or raises ValueError with a sentence that may be shown to that person.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from mosaic.workspace.ids import parse_hub_id
from mosaic.workspace.versions import VERSION_NAME_CHARS

ACCOUNT_NAME_CHARS = 64
ROOM_NAME_CHARS = 100
DISPLAY_NAME_CHARS = 64
DOCUMENT_NAME_CHARS = 128
FILE_NAME_CHARS = 200
NOTES_PREFIX = "notes/"
SINGLE_DOCUMENTS = frozenset({"board", "room"})

_ACCOUNT_MARKS = frozenset("._-")
_SLUG_MARKS = frozenset("._-~+@=, ")
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Mn", "Mc"})
_MAX_TYPED = 4096
"""Longer text is refused before any work is spent on it."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (all bidi controls are Cf), surrogate, private, unassigned."""

_JOINERS = frozenset("\u200c\u200d")
"""Format characters that spell words and emoji; they change no direction."""


def account_name(text: str) -> str:
    """An account name in its one kept form (after RFC 8265 section 3.3).

    NFKC and case-folded; 1-64 letters, digits, dots, underscores and dashes;
    the first is a letter or a digit. Applying it twice changes nothing.
    """
    if len(text) > ACCOUNT_NAME_CHARS:
        return _long_account_name(text)
    return _account_name(text)


@lru_cache(maxsize=4096)
def _account_name(text: str) -> str:
    """Remembered: each login asks for the same one five times."""
    return _localpart(text, what="a name")


def _long_account_name(text: str) -> str:
    """Folding may still make it short; not worth remembering."""
    if len(text) > _MAX_TYPED:
        raise ValueError("the name is too long")
    return _localpart(text, what="a name")


def room_alias(text: str) -> str:
    """An alias: like an account name, but not the same as some Hub ID."""
    alias = account_name(text)
    try:
        parse_hub_id(alias)
    except ValueError:
        return alias
    raise ValueError("an alias must not be a Hub ID")


def _localpart(text: str, *, what: str) -> str:
    name = _fold(text.strip())
    if not name:
        raise ValueError(f"{what} must not be empty")
    if len(name) > ACCOUNT_NAME_CHARS:
        raise ValueError(f"{what} has at most {ACCOUNT_NAME_CHARS} characters")
    for char in name:
        if char not in _ACCOUNT_MARKS and not _is_word(char):
            raise ValueError(
                f"{what} holds letters, digits, dots, underscores and dashes,"
                f" not {_show(char)}"
            )
    if unicodedata.category(name[0])[0] not in "LN":
        raise ValueError(f"{what} begins with a letter or a digit")
    return name


def _fold(text: str) -> str:
    """NFKC and case folding to their fixed point (Unicode 5.18, NFKC_Casefold)."""
    for _ in range(4):
        folded = unicodedata.normalize(
            "NFKC", unicodedata.normalize("NFKC", text).casefold()
        )
        if folded == text:
            break
        text = folded
    return text


def display_name(text: str) -> str:
    """A person's shown name: 1-64 characters, no control or bidi characters."""
    return _shown(text, DISPLAY_NAME_CHARS, "a name")


def room_name(text: str) -> str:
    """A room's shown name: 1-100 characters, no control or bidi characters."""
    return _shown(text, ROOM_NAME_CHARS, "a room's name")


def file_name(text: str) -> str:
    """A file's shown name: 1-200 characters without folders or controls."""
    last = text.replace("\\", "/").rpartition("/")[2]
    return _shown(last, FILE_NAME_CHARS, "a file's name")


def version_label(text: str) -> str:
    """A version's name: 1-100 characters, no control or bidi characters."""
    return _shown(text, VERSION_NAME_CHARS, "a version's name")


def _shown(text: str, limit: int, what: str) -> str:
    if len(text) > _MAX_TYPED:
        raise ValueError(f"{what} has at most {limit} characters")
    kept = "".join(
        " " if char in "\t\r\n" else char
        for char in unicodedata.normalize("NFC", text)
        if char in "\t\r\n" or char in _JOINERS or not _is_invisible(char)
    )
    name = " ".join(unicodedata.normalize("NFC", kept).split())
    if not name.strip("\u200c\u200d "):
        raise ValueError(f"{what} must not be empty")
    if len(name) > limit:
        raise ValueError(f"{what} has at most {limit} characters")
    return name


def document_name(text: str) -> str:
    """`board`, `room` or `notes/<slug>`.

    A slug is made of letters and digits of any script, spaces inside, and
    `. _ - ~ + @ = ,`; it is not "." and holds no "..". The whole name has at
    most 128 characters and is kept in NFC.
    """
    if len(text) > _MAX_TYPED:
        raise ValueError("the document's name is too long")
    name = unicodedata.normalize("NFC", text)
    if name in SINGLE_DOCUMENTS:
        return name
    if not name.startswith(NOTES_PREFIX):
        raise ValueError("a document is board, room or notes/<name>")
    if len(name) > DOCUMENT_NAME_CHARS:
        raise ValueError(
            f"a document's name has at most {DOCUMENT_NAME_CHARS} characters"
        )
    _check_slug(name.removeprefix(NOTES_PREFIX))
    return name


def _check_slug(slug: str) -> None:
    if not slug or slug != slug.strip():
        raise ValueError("a document's name must not be empty or end in a space")
    if slug == "." or ".." in slug:
        raise ValueError("a document's name must not hold '..'")
    for char in slug:
        if char not in _SLUG_MARKS and not _is_word(char):
            raise ValueError(f"a document's name must not hold {_show(char)}")


def _is_word(char: str) -> bool:
    return unicodedata.category(char) in _WORD_CATEGORIES


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE


def _show(char: str) -> str:
    return f"'{char}'" if char.isprintable() else f"U+{ord(char):04X}"

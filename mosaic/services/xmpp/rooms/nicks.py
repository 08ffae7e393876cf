"""Nicknames: a name of the browser as the resource of an address, and back."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache

from mosaic.wire.xmpp.jid import JidError, prepare_resource
from mosaic.workspace.names import display_name

NOBODY = "Guest"


@lru_cache(maxsize=4096)
def nick_of(name: str) -> str:
    """What an address can carry of a name (RFC 6122 resourceprep).

    Characters that it cannot carry (those younger than Unicode 3.2, such as
    most emoji) are left out; mixed directions of writing leave a plain name.
    """
    kept = "".join(char for char in name if _fits(char)).strip()
    try:
        return prepare_resource(kept) if kept else NOBODY
    except JidError:
        return NOBODY


def _fits(char: str) -> bool:
    try:
        prepare_resource(f"a{char}a")
    except JidError:
        # a letter from right to left is fine among its like
        try:
            prepare_resource(char)
        except JidError:
            return False
    return True


def unique(nick: str, taken: Container[str]) -> str:
    """The nick, or the first of "nick (2)", "nick (3)", … that is free."""
    found, number = nick, 2
    while found in taken:
        found, number = f"{nick} ({number})", number + 1
    return found


def wished(nick: str) -> str:
    """A nick that somebody asks for, as the browser shows it too.

    Raises ValueError if it cannot be shown (workspace.names.display_name).
    """
    display_name(nick)
    return nick

"""Whom the service asks about usernames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol as Interface


class Passwords(Interface):
    """Whoever knows the passwords of TURN usernames."""

    def passwords_for(self, username: str, now: float) -> Sequence[str]:
        """Every password that it may have, or none. now: seconds since 1970."""


class UserNames(Interface):
    """Whoever knows which username a USERHASH stands for."""

    def username_of(self, digest: bytes, realm: str) -> str | None:
        """The username, or None."""

"""Which username a USERHASH stands for (RFC 8489 section 9.2).

A hash cannot be turned round, and time-limited usernames are stored nowhere,
so the process that mints them remembers the last ones. Another process with
the same secret does not know them: its clients send USERNAME, as most do.
"""

from __future__ import annotations

from mosaic.wire.stun.credentials import user_hash

KEPT = 20_000


class MintedNames:
    """The last names that were minted, oldest forgotten first.

    Hashes are made when somebody first asks for one: most never do.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._names: dict[str, None] = {}
        self._hashed: dict[tuple[str, bytes], str] = {}
        self._fresh: list[str] = []

    def add(self, username: str) -> None:
        """Remember a username."""
        if username not in self._names:
            self._names[username] = None
            self._fresh.append(username)
        if len(self._names) >= 2 * self._kept:
            self._names = dict.fromkeys(list(self._names)[-self._kept :])
            self._hashed.clear()
            self._fresh = list(self._names)

    def username_of(self, digest: bytes, realm: str) -> str | None:
        """Who it is; None for a stranger. digest: 32 bytes."""
        for username in self._fresh:
            self._hashed[realm, user_hash(username, realm)] = username
        self._fresh.clear()
        return self._hashed.get((realm, digest))

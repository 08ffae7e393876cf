"""Second verifiers and tokens of the store that forgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mosaic.store.interface import NotFound
from mosaic.store.logins import StoredFastToken
from mosaic.store.memory_history import fired
from mosaic.wire.sasl.verifier import ScramVerifier


class MemoryLogins:
    """The Logins of the memory store. verifiers: the first ones, by account."""

    def __init__(self, verifiers: dict[str, ScramVerifier]) -> None:
        self._first = verifiers
        self._sha_1: dict[str, tuple[bytes, ScramVerifier]] = {}
        self._fast: dict[bytes, StoredFastToken] = {}

    def forget_logins(self, name: str) -> None:
        """The account is gone."""
        self._sha_1.pop(name, None)
        self._keep(lambda token: token.account != name)

    @fired
    def scram_sha_1(self, name: str) -> ScramVerifier | None:
        """See Logins."""
        beside, verifier = self._sha_1.get(name, (b"", None))
        first = self._first.get(name)
        return verifier if first is not None and first.salt == beside else None

    @fired
    def set_scram_sha_1(self, name: str, verifier: ScramVerifier) -> None:
        """See Logins."""
        self._check_account(name)
        self._sha_1[name] = (self._first[name].salt, verifier)

    @fired
    def fast_tokens(self, name: str, client: bytes) -> list[StoredFastToken]:
        """See Logins."""
        return sorted(
            (t for t in self._fast.values() if (t.account, t.client) == (name, client)),
            key=lambda token: (-token.expires_at, token.serial),
        )

    @fired
    def add_fast_token(
        self, token: StoredFastToken, *, keep: bytes | None, most: int
    ) -> None:
        """See Logins."""
        self._check_account(token.account)
        mine = (token.account, token.client)
        self._keep(lambda t: (t.account, t.client) != mine or t.serial == keep)
        self._fast[token.serial] = token
        of_account = sorted(
            (t for t in self._fast.values() if t.account == token.account),
            key=lambda t: (-t.created_at, t.serial),
        )
        for old in of_account[most:]:
            del self._fast[old.serial]

    @fired
    def use_fast_token(self, serial: bytes, *, count: int | None) -> bool:
        """See Logins."""
        used = self._fast.get(serial)
        if used is None or (count is not None and count <= used.count):
            return False
        if count is not None:
            self._fast[serial] = replace(used, count=count)
        mine = (used.account, used.client)
        self._keep(
            lambda t: (t.account, t.client) != mine or t.expires_at >= used.expires_at
        )
        return True

    @fired
    def remove_fast_token(self, serial: bytes) -> None:
        """See Logins."""
        self._fast.pop(serial, None)

    @fired
    def remove_fast_tokens(self, *, expired_before: float) -> int:
        """See Logins."""
        before = len(self._fast)
        self._keep(lambda token: token.expires_at >= expired_before)
        return before - len(self._fast)

    def _check_account(self, name: str) -> None:
        if name not in self._first:
            raise NotFound(f"there is no account {name}")

    def _keep(self, wanted: Callable[[StoredFastToken], bool]) -> None:
        self._fast = {s: token for s, token in self._fast.items() if wanted(token)}

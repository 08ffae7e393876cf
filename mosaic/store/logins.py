"""What every store keeps for logins beside the password's verifier.

A part of store.interface.Store, under the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from mosaic.wire.sasl.verifier import ScramVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFastToken:
    """A token for a quick login (XEP-0484), without its secret.

    client: SHA-256 of what the client calls itself. serial: 16 random bytes,
    from which the secret is derived together with keys that are not here.
    mechanism: the only one that it is good for. count: the highest that came.
    """

    account: str
    client: bytes
    serial: bytes
    mechanism: str
    created_at: float
    expires_at: float
    count: int = 0


class Logins(Protocol):
    """Second verifiers and tokens; they go with their account."""

    def scram_sha_1(self, name: str) -> Deferred[ScramVerifier | None]:
        """The SCRAM-SHA-1 verifier that was made of the password which the
        account has now, if one was."""

    def set_scram_sha_1(self, name: str, verifier: ScramVerifier) -> Deferred[None]:
        """Keep the one that belongs to the present password. Raises NotFound."""

    def fast_tokens(self, name: str, client: bytes) -> Deferred[list[StoredFastToken]]:
        """A client's, the one that lives longest first."""

    def add_fast_token(
        self, token: StoredFastToken, *, keep: bytes | None, most: int
    ) -> Deferred[None]:
        """Keep a token in place of the client's others, except the one with the
        serial `keep`. Past `most` tokens the account's oldest go. Raises
        NotFound for the account."""

    def use_fast_token(self, serial: bytes, *, count: int | None) -> Deferred[bool]:
        """Note a login: the client's tokens that expire earlier go. False if the
        token is gone, or there is a count and it was reached before."""

    def remove_fast_token(self, serial: bytes) -> Deferred[None]:
        """Forget it; an unknown one is no error."""

    def remove_fast_tokens(self, *, expired_before: float) -> Deferred[int]:
        """Forget those that are over; how many that were."""

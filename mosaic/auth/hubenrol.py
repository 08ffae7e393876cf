"""Activation codes, and the hubs that come by them."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mosaic.auth.huberrors import EnrolmentRefused, HubLimit
from mosaic.auth.hubfleet import Fleet
from mosaic.auth.tries import Tries
from mosaic.config.settings import Hubs
from mosaic.store.hubs import TooMany
from mosaic.store.interface import NameTaken, NotFound, Store
from mosaic.wire.hubproofs import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    enrolment_text,
    from_base64url,
)
from mosaic.workspace.hubcodes import HubCode, new_code, parse_code
from mosaic.workspace.hubs import Hub, hub_name
from mosaic.workspace.ids import format_hub_id, new_hub_id, new_pin
from mosaic.workspace.model import Room

MAX_CODE_S = 366 * 86_400.0
MAX_USES = 10_000
_HUB_ID_TRIES = 8
_ID_BYTES = 8
_TRY = "hub code "
"""In front of what failed tries are counted by; no account name holds a space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a box says of itself, as it came."""

    code: str
    public_key: str
    proof: str
    name: str | None = None
    version: str = ""
    platform: str = ""


def is_signed(public_key: bytes, signature: bytes, text: bytes) -> bool:
    """Whether the key made the signature (RFC 8032); 0.1 ms."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


class EnrolmentDesk:
    """Makes codes and takes hubs in. wall: Unix seconds now.

    server_key: secret. A code has fifty bits, which a stolen digest of it alone
    would not protect; so the digest is made with a key that is not in the database.
    """

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        tries: Tries,
        settings: Hubs,
        *,
        server_key: bytes,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._tries = tries
        self._settings = settings
        self._key = hmac.digest(server_key, b"activation codes of hubs", "sha256")
        self._wall = wall

    async def make_code(
        self,
        *,
        name: str = "",
        uses: int | None = None,
        expires_in_s: float | None = None,
        by: str = "",
    ) -> tuple[HubCode, str]:
        """A new code, and the only sight of its ten characters. Raises ValueError."""
        uses = self._settings.code_uses if uses is None else uses
        life = self._settings.code_ttl_s if expires_in_s is None else expires_in_s
        if not 1 <= uses <= MAX_USES:
            raise ValueError(f"a code is for 1 to {MAX_USES} hubs")
        if not 0 < life <= MAX_CODE_S:
            raise ValueError("a code lives between a second and a year")
        now = self._wall()
        text = new_code(secrets.randbelow)
        code = HubCode(
            id=secrets.token_hex(_ID_BYTES),
            digest=self._digest(text),
            name=hub_name(name) if name.strip() else "",
            uses=uses,
            uses_left=uses,
            created_at=now,
            expires_at=now + life,
            by=by,
        )
        await self._store.add_hub_code(code)
        return code, text

    async def enrol(self, asked: Enrolment, *, address: str) -> Hub:
        """A hub with a room of its own; the same for the same key.

        Raises EnrolmentRefused, TryLater, HubLimit, ValueError (name).
        """
        name = None if asked.name is None else hub_name(asked.name)
        try:
            code = parse_code(asked.code)
        except ValueError:
            code = ""
        public_key = _proved_key(asked, code)
        digest = self._digest(code)
        account = _TRY + digest.hex()[:16]
        async with self._tries.turn(account=account, address=address):
            try:
                hub = await self._take_in(asked, digest, public_key, name)
            except NotFound:
                self._tries.note_failure(account=account, address=address)
                self._fleet.tally.enrolments_refused += 1
                raise EnrolmentRefused from None
            except TooMany as error:
                raise HubLimit(str(error)) from None
            self._tries.note_success(account=account, address=address)
        self._fleet.tally.enrolments += 1
        self._fleet.enrolled(hub)
        return hub

    async def _take_in(
        self, asked: Enrolment, digest: bytes, public_key: bytes, name: str | None
    ) -> Hub:
        now = self._wall()
        for _ in range(_HUB_ID_TRIES):
            hub_id = new_hub_id(secrets.randbelow)
            shown = name or f"Hub {format_hub_id(hub_id)}"
            hub = Hub(
                hub_id=hub_id,
                name=shown,
                public_key=public_key,
                code=digest,
                enrolled_at=now,
                version=asked.version,
                platform=asked.platform,
            )
            room = Room(
                hub_id=hub_id,
                name=shown,
                pin=new_pin(secrets.randbelow),
                created_at=now,
            )
            try:
                return await self._store.enrol_hub(
                    hub, room, now=now, most=self._settings.max_hubs
                )
            except NameTaken:
                continue
        raise HubLimit("no free Hub ID was found")

    def _digest(self, code: str) -> bytes:
        return hmac.digest(self._key, code.encode("ascii"), "sha256")


def _proved_key(asked: Enrolment, code: str) -> bytes:
    """The public key, if its owner asks. Raises EnrolmentRefused.

    The text that was signed holds the code as it is read here: what is no code
    cannot be proved for, and costs the same.
    """
    try:
        public_key = from_base64url(asked.public_key, KEY_BYTES)
        proof = from_base64url(asked.proof, SIGNATURE_BYTES)
    except ValueError:
        raise EnrolmentRefused from None
    text = enrolment_text(code or "-", public_key)
    if not is_signed(public_key, proof, text) and code:
        raise EnrolmentRefused
    return public_key

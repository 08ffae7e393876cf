"""How hubs and their screens show who they are: by key, by token, by ticket."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mosaic.auth.accounts import RunInThread
from mosaic.auth.hubenrol import is_signed
from mosaic.auth.huberrors import BadTicket, HubClock, HubUnknown, NonceUsed
from mosaic.auth.hubfleet import Fleet, Live
from mosaic.auth.hubtokens import (
    AGENT,
    SCREEN,
    HubSigner,
    HubToken,
    new_serial,
    read_token,
)
from mosaic.auth.interface import InvalidToken, TryLater
from mosaic.auth.passwords import fake_verifier, new_verifier
from mosaic.config.settings import Hubs
from mosaic.wire.hubproofs import NONCE, SIGNATURE_BYTES, from_base64url, token_text
from mosaic.wire.sasl.verifier import ScramVerifier
from mosaic.workspace.hubs import hub_of_account

CLOCK_S = 60.0
"""How far a hub's clock may be off."""
MAX_NONCES = 64
"""Of one hub within two minutes."""
TICKET_S = 60.0
MAX_TICKETS = 16
"""Of one hub at a time."""
ITERATIONS = 4096
"""RFC 7677 section 4's least: the password is random, no guess gets near it."""
_PASSWORD_BYTES = 24
_NO_KEY = bytes(31) + b"\x80"
"""Checked where there is no hub: no point of the curve, and as slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLogin:
    """What a hub gets for its signature. password: for XMPP."""

    token: str
    expires_in_s: int
    password: str


@dataclass(frozen=True, slots=True)
class HubCaller:
    """Whose token it was. live: the hub; it is enrolled."""

    live: Live
    token: HubToken

    @property
    def hub_id(self) -> str:
        """Of the hub."""
        return self.live.hub.hub_id

    @property
    def is_agent(self) -> bool:
        """Whether the agent asks, and not a screen."""
        return self.token.is_agent


class LoginDesk:
    """Tokens, tickets and XMPP passwords. wall: Unix seconds now."""

    def __init__(
        self,
        fleet: Fleet,
        settings: Hubs,
        *,
        server_key: bytes,
        wall: Callable[[], float],
        run_in_thread: RunInThread,
    ) -> None:
        self._fleet = fleet
        self._ttl_s = settings.token_ttl_s
        self._signer = HubSigner(server_key)
        self._server_key = server_key
        self._wall = wall
        self._run_in_thread = run_in_thread
        self._tickets: dict[str, tuple[str, float]] = {}
        # What was signed before cannot be told from what was used before.
        self._since = math.floor(wall())

    # By key ---------------------------------------------------------------
    def log_in(self, hub_id: str, *, time: int, nonce: str, signature: str) -> HubLogin:
        """Raises HubUnknown, HubClock, NonceUsed, TryLater."""
        live = self._fleet.get(hub_id)
        key = _NO_KEY if live is None else live.hub.public_key
        try:
            signed = from_base64url(signature, SIGNATURE_BYTES)
            good = NONCE.fullmatch(nonce) is not None
        except ValueError:
            signed, good = bytes(SIGNATURE_BYTES), False
        text = token_text(hub_id, time, nonce) if good else b""
        if not is_signed(key, signed, text) or live is None or not good:
            self._fleet.tally.tokens_refused += 1
            raise HubUnknown
        self._use_nonce(live, time, nonce)
        self._fleet.heard(live)
        self._fleet.tally.tokens += 1
        now = self._wall()
        live.password = secrets.token_urlsafe(_PASSWORD_BYTES)
        live.password_until = now + self._ttl_s
        live.verifier = None
        return HubLogin(
            token=self._token(live, AGENT, new_serial()),
            expires_in_s=int(self._ttl_s),
            password=live.password,
        )

    def _use_nonce(self, live: Live, time: int, nonce: str) -> None:
        now = self._wall()
        if abs(now - time) > CLOCK_S or time < self._since:
            raise HubClock(now)
        if nonce in live.nonces:
            raise NonceUsed
        if len(live.nonces) >= MAX_NONCES:
            live.nonces = {n: until for n, until in live.nonces.items() if until > now}
            if len(live.nonces) >= MAX_NONCES:
                raise TryLater(CLOCK_S)
        live.nonces[nonce] = time + CLOCK_S + 1

    # By token -------------------------------------------------------------
    def identify(self, token: str) -> HubCaller:
        """Whose token it is. Raises InvalidToken."""
        told = read_token(token)
        live = None if told is None else self._fleet.get(told.hub_id)
        if told is None or live is None or not self._signer.is_genuine(told, live.hub):
            raise InvalidToken("this token is not valid any more")
        if self._wall() > told.expires_at:
            raise InvalidToken("this token is over")
        return HubCaller(live, told)

    def _token(self, live: Live, kind: str, serial: str) -> str:
        expires_at = math.ceil(self._wall() + self._ttl_s)
        return self._signer.mint(
            live.hub, kind=kind, expires_at=expires_at, serial=serial
        )

    # Screens --------------------------------------------------------------
    def new_ticket(self, live: Live) -> str:
        """For one screen of the hub, soon. Raises TryLater."""
        now = self._wall()
        self._tickets = {t: w for t, w in self._tickets.items() if w[1] > now}
        mine = sum(
            1 for hub_id, _ in self._tickets.values() if hub_id == live.hub.hub_id
        )
        if mine >= MAX_TICKETS:
            raise TryLater(TICKET_S)
        ticket = secrets.token_urlsafe(_PASSWORD_BYTES)
        self._tickets[ticket] = (live.hub.hub_id, now + TICKET_S)
        return ticket

    def trade(self, ticket: str) -> tuple[Live, str, int]:
        """The hub, the screen's token, and its life. Raises BadTicket."""
        hub_id, until = self._tickets.pop(ticket, ("", 0.0))
        live = self._fleet.get(hub_id)
        if live is None or self._wall() > until:
            raise BadTicket
        return live, self._token(live, SCREEN, new_serial()), int(self._ttl_s)

    def renew(self, caller: HubCaller) -> tuple[str, int]:
        """The same screen's next token, and its life."""
        token = self._token(caller.live, SCREEN, caller.token.serial)
        return token, int(self._ttl_s)

    # XMPP -----------------------------------------------------------------
    async def verifier(self, account: str) -> ScramVerifier:
        """Of the password that the hub has now; of none, if it has none."""
        live = self._fleet.get(hub_of_account(account) or "")
        if live is None or not live.password or self._wall() > live.password_until:
            key = self._server_key
            return fake_verifier(account, key=key, iterations=ITERATIONS)
        password = live.password
        if live.verifier is None:
            made = await self._run_in_thread(
                new_verifier, password, iterations=ITERATIONS
            )
            if live.password != password:
                return await self.verifier(account)
            live.verifier = made
        verifier: ScramVerifier = live.verifier
        return verifier

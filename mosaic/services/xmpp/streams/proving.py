"""Who a client is: SCRAM and tokens behind the Door, whatever the syntax."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from mosaic.auth.fast import FastToken
from mosaic.auth.interface import Door, TryLater
from mosaic.wire.sasl.errors import (
    CredentialsExpired,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
    TemporaryAuthFailure,
)
from mosaic.wire.sasl.grammar import BINDING_TYPE, DIGESTS, MECHANISM
from mosaic.wire.sasl.offer import offer_hash
from mosaic.wire.sasl.scram import ClientFirst, ScramServer
from mosaic.wire.sasl.tokens import (
    HT_EXPORTER,
    HT_NONE,
    initiator_tag,
    read_initiation,
    responder_tag,
)
from mosaic.wire.xmpp.jid import JidError, is_prepared_local, parse_jid
from mosaic.workspace.names import account_name

MAX_FAILURES = 5
"""Tries on one stream (RFC 6120 section 6.4.5 asks for 2 to 5)."""
_TOKENS = 2
"""What a client may have at a time; so many are always compared."""


@dataclass(frozen=True, slots=True)
class Proved:
    """The account is proved. data: what proves us to the client. token: the one
    that it came with."""

    account: str
    data: bytes
    token: FastToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """How a client presents a token (XEP-0484 section 3.4). client: SHA-256 of
    what it calls itself."""

    client: bytes
    count: int | None = None
    invalidate: bool = False


class Proving:
    """One stream's tries.

    address: the peer's IP address. binding: its tls-exporter bytes, or None
    where TLS ends elsewhere; then -PLUS is not offered. scram_sha_1: whether
    that is offered.
    """

    def __init__(
        self,
        door: Door,
        *,
        domain: str,
        address: str,
        binding: bytes | None,
        scram_sha_1: bool,
    ) -> None:
        self._door = door
        self._domain = domain
        self._address = address
        self._binding = binding
        self._scram_sha_1 = scram_sha_1
        self._scram: ScramServer | None = None
        self._digest = ""
        self._account = ""
        self.failures = 0

    @property
    def exhausted(self) -> bool:
        """Whether this stream has had its tries."""
        return self.failures >= MAX_FAILURES

    @property
    def mechanisms(self) -> list[str]:
        """What is offered, strongest first."""
        names = list(DIGESTS) if self._scram_sha_1 else [MECHANISM]
        if self._binding is None:
            return names
        return [offer for name in names for offer in (f"{name}-PLUS", name)]

    @property
    def token_mechanisms(self) -> list[str]:
        """The same for tokens."""
        return [HT_NONE] if self._binding is None else [HT_EXPORTER, HT_NONE]

    @property
    def bindings(self) -> list[str]:
        """Types of channel binding (XEP-0440)."""
        return [] if self._binding is None else [BINDING_TYPE]

    @property
    def under_way(self) -> bool:
        """Whether a login has begun and not ended."""
        return self._scram is not None

    def fail(self) -> None:
        """This try is over."""
        self._scram = None
        self._account = ""
        self.failures += 1

    # SCRAM.

    async def begin(self, mechanism: str, message: bytes, *, nonce: str) -> bytes:
        """client-first in, server-first out; b"" asks for what is missing.

        nonce: as ScramServer wants it, new for each try. Raises SaslError.
        """
        if mechanism not in self.mechanisms:
            raise InvalidMechanism
        base = mechanism.removesuffix("-PLUS")
        self._digest = DIGESTS[base]
        scram = ScramServer(
            nonce=nonce,
            plus=mechanism != base,
            binding=self._binding,
            digest=self._digest,
            offer=offer_hash(self.mechanisms, self.bindings, self._digest),
        )
        if not message:
            # RFC 6120 section 6.4.2: no initial response, so ask for it.
            self._scram = scram
            return b""
        return await self._look_up(scram, scram.client_first(message))

    async def go_on(self, message: bytes) -> bytes | Proved:
        """The next message. Raises SaslError."""
        if self._scram is not None and not self._account:
            scram, self._scram = self._scram, None
            return await self._look_up(scram, scram.client_first(message))
        return self._finish(message)

    async def _look_up(self, scram: ScramServer, first: ClientFirst) -> bytes:
        account = _account_name(first.username)
        self._check_authzid(first.authzid, account)
        self._check_tries(account)
        # Unknown names get a verifier too: both fail at the proof, alike.
        if self._digest == "sha1":
            verifier = await self._door.scram_sha_1_verifier(account)
        else:
            verifier = await self._door.scram_verifier(account)
        self._account = account
        self._scram = scram
        return scram.server_first(verifier)

    def _check_authzid(self, authzid: str | None, account: str) -> None:
        """Nobody may act as somebody else (RFC 6120 section 6.3.8)."""
        if authzid is None:
            return
        try:
            wished = parse_jid(authzid).bare
        except JidError as error:
            raise InvalidAuthzid from error
        if wished != f"{account}@{self._domain}":
            raise InvalidAuthzid

    def _check_tries(self, account: str) -> None:
        try:
            self._door.check_tries(account=account, address=self._address)
        except TryLater as error:
            raise TemporaryAuthFailure(str(error)) from error

    def _finish(self, message: bytes) -> Proved:
        """client-final in, success with server-final out."""
        scram, self._scram = self._scram, None
        if scram is None or not self._account:
            raise MalformedRequest("<response/> without a challenge")
        account, self._account = self._account, ""
        # Tries that began together must not get past the back-off.
        self._check_tries(account)
        try:
            server_final = scram.client_final(message)
        except NotAuthorized:
            self._door.note_failure(account=account, address=self._address)
            raise
        self._door.note_success(account=account, address=self._address)
        return Proved(account, server_final)

    # Tokens.

    async def by_token(
        self, mechanism: str, message: bytes, presented: Presented
    ) -> Proved:
        """The whole login of HT-SHA-256. Raises SaslError."""
        if mechanism not in self.token_mechanisms:
            raise InvalidMechanism
        initiation = read_initiation(message)
        account = _account_name(initiation.username)
        self._check_tries(account)
        binding = (self._binding or b"") if mechanism == HT_EXPORTER else b""
        tokens = await self._door.fast.find(account, presented.client)
        found = _matching(tokens, mechanism, initiation.tag, binding)
        if found is None:
            self._door.note_failure(account=account, address=self._address)
            raise NotAuthorized
        if found.expired:
            raise CredentialsExpired
        if presented.invalidate:
            await self._door.fast.revoke(found.serial)
        elif (presented.count is not None or len(tokens) > 1) and (
            not await self._door.fast.used(found.serial, count=presented.count)
        ):
            raise NotAuthorized
        self._door.note_success(account=account, address=self._address)
        return Proved(account, responder_tag(found.secret, binding), found)


def client_key(name: str) -> bytes:
    """What is kept of a client's own name (XEP-0388 section 2.4)."""
    return hashlib.sha256(name.encode()).digest()


def _matching(
    tokens: list[FastToken], mechanism: str, tag: bytes, binding: bytes
) -> FastToken | None:
    """The token that makes this tag; the same work whether there are any."""
    usable = [token for token in tokens if token.mechanism == mechanism][:_TOKENS]
    found = None
    for number in range(_TOKENS):
        token = usable[number] if number < len(usable) else None
        secret = token.secret if token is not None else ""
        if hmac.compare_digest(initiator_tag(secret, binding), tag):
            found = token or found
    return found


def _account_name(username: str) -> str:
    """The account as it is kept, if it can stand in an address as it is."""
    try:
        kept = account_name(username)
    except ValueError as error:
        raise NotAuthorized from error
    if not is_prepared_local(kept):
        raise NotAuthorized
    return kept

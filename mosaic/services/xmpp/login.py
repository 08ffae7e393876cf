"""SASL on one stream (RFC 6120 section 6): SCRAM behind the Door."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from mosaic.auth.interface import Door, TryLater
from mosaic.wire.sasl.errors import (
    Aborted,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
    SaslError,
    TemporaryAuthFailure,
)
from mosaic.wire.sasl.grammar import BINDING_TYPE, MECHANISM, MECHANISM_PLUS
from mosaic.wire.sasl.scram import ClientFirst, ScramServer
from mosaic.wire.xmpp.jid import JidError, is_prepared_local, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element, read_node
from mosaic.workspace.names import account_name

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"
MAX_FAILURES = 5
"""Tries on one stream (RFC 6120 section 6.4.5 asks for 2 to 5)."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The account is proved; reply: the `<success/>` to send."""

    account: str
    reply: Xml


class Login:
    """One stream's way in.

    address: the peer's IP address. binding: its tls-exporter bytes, or None
    where TLS ends elsewhere; then -PLUS is not offered. nonce: as ScramServer
    wants it, new for each try.
    """

    def __init__(
        self, door: Door, *, domain: str, address: str, binding: bytes | None
    ) -> None:
        self._door = door
        self._domain = domain
        self._address = address
        self._binding = binding
        self._scram: ScramServer | None = None
        self._account = ""
        self._failures = 0

    @property
    def exhausted(self) -> bool:
        """Whether this stream has had its tries."""
        return self._failures >= MAX_FAILURES

    def features(self) -> Xml:
        """Mechanisms, strongest first, and the binding types (XEP-0440)."""
        names = [MECHANISM] if self._binding is None else [MECHANISM_PLUS, MECHANISM]
        offer = element(
            "mechanisms",
            None,
            *(element("mechanism", None, name) for name in names),
            ns=NS_SASL,
        )
        if self._binding is None:
            return offer
        binding = element(
            "sasl-channel-binding",
            None,
            element("channel-binding", {"type": BINDING_TYPE}),
            ns=NS_CHANNEL_BINDING,
        )
        return Xml(offer + binding)

    async def answer(self, stanza: Stanza, *, nonce: str) -> Xml | LoggedIn:
        """The reply to one element of the SASL namespace."""
        try:
            return await self._step(stanza, nonce)
        except SaslError as error:
            self._scram = None
            self._failures += 1
            return element(
                "failure",
                None,
                element(error.condition),
                element("text", {"xml:lang": "en"}, str(error))
                if isinstance(error, TemporaryAuthFailure)
                else "",
                ns=NS_SASL,
            )

    async def _step(self, stanza: Stanza, nonce: str) -> Xml | LoggedIn:
        node = read_node(stanza)
        if node.name == "auth":
            if self._scram is not None:
                raise MalformedRequest("a second <auth/> before the first ended")
            first = _decoded(node.text)
            return await self._begin(node.attributes.get("mechanism", ""), first, nonce)
        if node.name == "response":
            message = _decoded(node.text)
            if self._scram is not None and not self._account:
                scram, self._scram = self._scram, None
                return await self._look_up(scram, scram.client_first(message))
            return self._finish(message)
        if node.name == "abort":
            raise Aborted
        raise MalformedRequest(f"unknown element {node.name}")

    async def _begin(self, mechanism: str, message: bytes, nonce: str) -> Xml:
        """client-first in, server-first out."""
        plus = mechanism == MECHANISM_PLUS and self._binding is not None
        if not plus and mechanism != MECHANISM:
            raise InvalidMechanism
        scram = ScramServer(nonce=nonce, plus=plus, binding=self._binding)
        if not message:
            # RFC 6120 section 6.4.2: no initial response, so ask for it.
            self._scram = scram
            return _challenge(b"")
        return await self._look_up(scram, scram.client_first(message))

    async def _look_up(self, scram: ScramServer, first: ClientFirst) -> Xml:
        account = _account_name(first.username)
        self._check_authzid(first.authzid, account)
        try:
            self._door.check_tries(account=account, address=self._address)
        except TryLater as error:
            raise TemporaryAuthFailure(str(error)) from error
        # Unknown names get a verifier too: both fail at the proof, alike.
        verifier = await self._door.scram_verifier(account)
        self._account = account
        self._scram = scram
        return _challenge(scram.server_first(verifier))

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

    def _finish(self, message: bytes) -> LoggedIn:
        """client-final in, success with server-final out."""
        scram, self._scram = self._scram, None
        if scram is None or not self._account:
            raise MalformedRequest("<response/> without a challenge")
        account, self._account = self._account, ""
        try:
            # Tries that began together must not get past the back-off.
            self._door.check_tries(account=account, address=self._address)
            server_final = scram.client_final(message)
        except TryLater as error:
            raise TemporaryAuthFailure(str(error)) from error
        except NotAuthorized:
            self._door.note_failure(account=account, address=self._address)
            raise
        self._door.note_success(account=account, address=self._address)
        return LoggedIn(
            account, element("success", None, _base64(server_final), ns=NS_SASL)
        )


def _account_name(username: str) -> str:
    """The account as it is kept, if it can stand in an address as it is."""
    try:
        kept = account_name(username)
    except ValueError as error:
        raise NotAuthorized from error
    if not is_prepared_local(kept):
        raise NotAuthorized
    return kept


def _challenge(data: bytes) -> Xml:
    return element("challenge", None, _base64(data), ns=NS_SASL)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    """RFC 6120 section 6.4.2: "=" stands for empty data."""
    if text == "=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IncorrectEncoding from error

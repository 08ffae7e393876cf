"""SASL on one stream in its two syntaxes: RFC 6120 section 6, and XEP-0388."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mosaic.services.xmpp.streams.proving import (
    Presented,
    Proved,
    Proving,
    client_key,
)
from mosaic.wire.sasl.errors import (
    Aborted,
    IncorrectEncoding,
    MalformedRequest,
    SaslError,
    TemporaryAuthFailure,
)
from mosaic.wire.xmpp.acks import NS_SM, read_count
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element, read_leaf, read_node

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_SASL2 = "urn:xmpp:sasl:2"
NS_BIND2 = "urn:xmpp:bind:0"
NS_FAST = "urn:xmpp:fast:0"
NS_CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"
MAX_CLIENT_NAME = 256
"""Characters of what a client calls itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The account is proved.

    data: what proves us to the client. request: the `<authenticate/>` of SASL2,
    whose other wishes are to be fulfilled now; None for RFC 6120's profile.
    client: what the client calls itself, or "".
    """

    proved: Proved
    request: Node | None = None
    client: str = ""

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.proved.account


class Login:
    """One stream's way in: which syntax, then proving.py.

    at_bind: namespaces of what a client may turn on while it binds.
    """

    def __init__(self, proving: Proving, at_bind: list[str]) -> None:
        self._proving = proving
        self._at_bind = at_bind
        self._ns = NS_SASL
        self._request: Node | None = None

    @property
    def exhausted(self) -> bool:
        """Whether this stream has had its tries."""
        return self._proving.exhausted

    @property
    def token_mechanisms(self) -> list[str]:
        """What tokens can be had for."""
        return self._proving.token_mechanisms

    def features(self) -> Xml:
        """Both profiles with their mechanisms, strongest first, and the binding
        types (XEP-0440)."""
        return _features(
            tuple(self._proving.mechanisms),
            tuple(self._proving.token_mechanisms),
            tuple(self._proving.bindings),
            tuple(self._at_bind),
        )

    async def answer(
        self, stanza: Stanza, *, nonce: Callable[[], str]
    ) -> Xml | LoggedIn:
        """The reply to one element of either SASL namespace. nonce: makes one."""
        self._ns = stanza.ns
        try:
            node = read_leaf(stanza) or read_node(stanza)
            if node.ns == NS_SASL:
                return self._told(await self._step(node, nonce))
            return self._told(await self._step_2(node, nonce))
        except SaslError as error:
            self._request = None
            self._proving.fail()
            return self._failure(error)

    def _told(self, answer: bytes | Proved) -> Xml | LoggedIn:
        if isinstance(answer, bytes):
            return element("challenge", None, _base64(answer), ns=self._ns)
        request, self._request = self._request, None
        client = "" if request is None else _client_name(request)
        return LoggedIn(proved=answer, request=request, client=client)

    def _failure(self, error: SaslError) -> Xml:
        ns = None if self._ns == NS_SASL else NS_SASL
        text: str | Xml = ""
        if isinstance(error, TemporaryAuthFailure):
            text = element("text", {"xml:lang": "en"}, str(error))
        return element(
            "failure", None, element(error.condition, ns=ns), text, ns=self._ns
        )

    async def _step(self, node: Node, nonce: Callable[[], str]) -> bytes | Proved:
        """RFC 6120 section 6.4."""
        if node.name == "auth":
            if self._proving.under_way:
                raise MalformedRequest("a second <auth/> before the first ended")
            self._request = None
            return await self._proving.begin(
                node.attributes.get("mechanism", ""),
                b"" if node.text == "=" else _decoded(node.text),
                nonce=nonce(),
            )
        return await self._go_on(node, b"" if node.text == "=" else None)

    async def _step_2(self, node: Node, nonce: Callable[[], str]) -> bytes | Proved:
        """XEP-0388 sections 2.3 to 2.5."""
        if node.name != "authenticate":
            return await self._go_on(node, None)
        if self._proving.under_way:
            raise MalformedRequest("a second <authenticate/> before the first ended")
        self._request = node
        mechanism = node.attributes.get("mechanism", "")
        initial = node.child(NS_SASL2, "initial-response")
        message = b"" if initial is None else _decoded(initial.text.strip())
        fast = node.child(NS_FAST, "fast")
        if fast is None:
            return await self._proving.begin(mechanism, message, nonce=nonce())
        presented = Presented(
            client=client_key(_client_name(node)),
            count=_count(fast),
            invalidate=fast.attributes.get("invalidate") in ("true", "1"),
        )
        return await self._proving.by_token(mechanism, message, presented)

    async def _go_on(self, node: Node, message: bytes | None) -> bytes | Proved:
        if node.name == "abort":
            raise Aborted
        if node.name != "response":
            raise MalformedRequest(f"unknown element {node.name}")
        if (self._request is not None) != (node.ns == NS_SASL2):
            raise MalformedRequest("a response in the other profile")
        return await self._proving.go_on(
            _decoded(node.text.strip()) if message is None else message
        )


@lru_cache(maxsize=16)
def _features(
    mechanisms: tuple[str, ...],
    for_tokens: tuple[str, ...],
    bindings: tuple[str, ...],
    at_bind: tuple[str, ...],
) -> Xml:
    names = [element("mechanism", None, name) for name in mechanisms]
    offer = element("mechanisms", None, *names, ns=NS_SASL)
    # SASL2 and what can be had along with it (XEP-0388 section 2.1).
    variables = (element("feature", {"var": ns}) for ns in at_bind)
    bind = element("bind", None, element("inline", None, *variables), ns=NS_BIND2)
    tokens = (element("mechanism", None, name) for name in for_tokens)
    fast = element("fast", None, *tokens, ns=NS_FAST)
    inline = element("inline", None, bind, element("sm", ns=NS_SM), fast)
    offer = Xml(offer + element("authentication", None, *names, inline, ns=NS_SASL2))
    types = [element("channel-binding", {"type": kind}) for kind in bindings]
    if not types:
        return offer
    binding = element("sasl-channel-binding", None, *types, ns=NS_CHANNEL_BINDING)
    return Xml(offer + binding)


def _client_name(request: Node) -> str:
    """The id of `<user-agent/>`. Raises MalformedRequest if it is too long."""
    agent = request.child(NS_SASL2, "user-agent")
    name = "" if agent is None else agent.attributes.get("id", "")
    if len(name) > MAX_CLIENT_NAME:
        raise MalformedRequest("the client's id is too long")
    return name


def _count(fast: Node) -> int | None:
    text = fast.attributes.get("count")
    count = read_count(text)
    if text is not None and (count is None or count >= 1 << 31):
        raise MalformedRequest("count is no number")
    return count


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IncorrectEncoding from error

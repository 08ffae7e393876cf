"""What a client negotiates before it has a session.

Order of a stream: header, features, (STARTTLS, header, features,) SASL, header,
features, bind or resume, then stanzas (streams/base.py). Whoever is not bound
by the deadline is closed.
"""

from __future__ import annotations

import base64
from functools import cache, lru_cache
from typing import Any

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator

from mosaic.services.xmpp.answers import NS_SESSION
from mosaic.services.xmpp.exchange import Undeliverable, error_reply
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.login import (
    NS_BIND2,
    NS_FAST,
    NS_SASL,
    NS_SASL2,
    LoggedIn,
    Login,
)
from mosaic.services.xmpp.session import Session
from mosaic.services.xmpp.streams.base import (
    NS_STANZAS,
    Phase,
    StreamBase,
    sm_failed,
)
from mosaic.services.xmpp.streams.inline import resource_for, token_element
from mosaic.services.xmpp.streams.proving import Proving, client_key
from mosaic.tls.addresses import peer_address
from mosaic.wire.sasl.grammar import EXPORTER_BYTES, EXPORTER_LABEL
from mosaic.wire.xmpp.acks import NS_SM, AckError, read_count
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid, prepare_resource
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamStart
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node
from mosaic.workspace.hubs import hub_of_account

NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"


class ClientStream(StreamBase):
    """A client-to-server stream (RFC 6120).

    tls: given, the stream begins in the clear and must be upgraded with it
    before login; None, the transport is as safe as it will be.
    """

    _login: Login | None = None

    def __init__(
        self, house: Household, tls: IOpenSSLServerConnectionCreator | None = None
    ) -> None:
        super().__init__(house)
        self._tls = tls

    # The header.

    def _stream_started(self, start: StreamStart) -> None:
        """Answer a header with ours and the features (sections 4.7, 4.3.2)."""
        if self._phase is not Phase.HEADER:
            # On a WebSocket nothing else keeps a client from opening for ever.
            self.close("policy-violation", "the stream is open")
            return
        self._send_header()
        if self._house.draining:
            self.close("system-shutdown")
        elif not _is_version_1(start.attributes.get("version", "")):
            self.close("unsupported-version")
        elif not self._is_our_domain(start.attributes.get("to")):
            self.close("host-unknown")
        elif self._account:
            self._phase = Phase.BIND
            self._send_features(*_bind_features(), *self._house_features())
        elif self._tls is not None:
            self._phase = Phase.STARTTLS
            self._send_features(
                element("starttls", None, element("required"), ns=NS_TLS)
            )
        else:
            self._phase = Phase.LOGIN
            if self._login is None:
                self._login = self._new_login()
            self._send_features(self._login.features())

    def _is_our_domain(self, to: str | None) -> bool:
        if to is None:
            return True
        try:
            return parse_jid(to) == Jid("", self._house.exchange.domain, "")
        except JidError:
            return False

    def _negotiate(self, stanza: Stanza) -> None:
        """An element before the session is bound."""
        if self._phase is Phase.STARTTLS and stanza.ns == NS_TLS:
            self._start_tls(stanza)
        elif self._phase is Phase.LOGIN and stanza.ns in (NS_SASL, NS_SASL2):
            self._phase = Phase.BUSY
            self._run(self._answer_login(stanza))
        elif self._phase is Phase.BIND and stanza.payload == (NS_BIND, "bind"):
            self._bind(stanza)
        elif self._phase is Phase.BIND and stanza.ns == NS_SM:
            self._manage_before_bind(stanza)
        elif self._phase is Phase.STARTTLS:
            self.close("policy-violation", "TLS first")
        else:
            # Stanzas before login or bind, and two <auth/> at a time.
            self.close("not-authorized")

    # Negotiation.

    def _start_tls(self, stanza: Stanza) -> None:
        """RFC 6120 section 5.4: what was said in the clear is forgotten."""
        if stanza.name != "starttls":
            self.say(element("failure", ns=NS_TLS))
            self.close()
            return
        self.say(element("proceed", ns=NS_TLS))
        self._outbox.flush()
        self.transport.unregisterProducer()
        self.transport.startTLS(self._tls)
        self.transport.registerProducer(self._outbox, True)
        self._tls = None
        self._restart(self._house.settings.max_stanza_bytes_before_login)

    def _new_login(self) -> Login:
        house = self._house
        settings = house.settings
        proving = Proving(
            house.door,
            domain=house.exchange.domain,
            address=peer_address(self.transport),
            binding=tls_exporter(self.transport) if settings.channel_binding else None,
            scram_sha_1=settings.scram_sha_1,
        )
        return Login(proving, [*house.at_bind.namespaces(), NS_SM])

    async def _answer_login(self, stanza: Stanza) -> None:
        login = self._login
        assert login is not None
        answer = await login.answer(stanza, nonce=self._house.new_token)
        if isinstance(answer, LoggedIn) and hub_of_account(answer.account) is None:
            # Known before it is bound: whom it blocks, and who may see it.
            await self._house.persons.load(answer.account)
        if self._phase is not Phase.BUSY:
            return  # closed meanwhile
        if isinstance(answer, LoggedIn):
            self._house.counters.logins += 1
            self._account = answer.account
            if answer.request is not None:
                await self._welcome(answer, answer.request)
                return
            data = base64.b64encode(answer.proved.data).decode()
            self.say(element("success", None, data, ns=NS_SASL))
            self._restart(self._house.settings.max_stanza_bytes)
            return
        self._phase = Phase.LOGIN
        self._outbox.collect()
        self.say(answer)
        self._outbox.send()
        if answer.startswith("<failure"):
            self._house.counters.logins_refused += 1
        if login.exhausted:
            self.close("policy-violation", "too many tries")

    # SASL2: no restart, and a session in the same breath.

    async def _welcome(self, login: LoggedIn, request: Node) -> None:
        """XEP-0388 section 2.6.1. What waits comes first: between the session's
        beginning and `<success/>` nobody else may get a word in."""
        token = await self._next_token(login, request)
        pieces: list[Xml] = []
        resume = request.child(NS_SM, "resume")
        if resume is not None:
            previous = resume.attributes.get("previd", "")
            if await self._took_over(previous, resume.attributes.get("h")):
                assert self._managed is not None
                pieces.append(self._managed.resumed())
            else:
                ended = self._house.ended.handled(previous, self._account)
                pieces.append(sm_failed("item-not-found", ended))
        if self._phase is Phase.CLOSED:
            return
        self.allow_stanzas(self._house.settings.max_stanza_bytes)
        bind = request.child(NS_BIND2, "bind")
        if bind is not None and self._session is None:
            pieces.append(self._bound_inline(bind, login.client))
        if token is not None:
            pieces.append(token)
        me = f"{self._account}@{self._house.exchange.domain}"
        data = base64.b64encode(login.proved.data).decode()
        self.say(
            element(
                "success",
                None,
                element("additional-data", None, data),
                element(
                    "authorization-identifier",
                    None,
                    me if self._session is None else self._session.address,
                ),
                *pieces,
                ns=NS_SASL2,
            )
        )
        if self._session is None:
            self._phase = Phase.BIND
            self._login = None
            self._send_features(*_bind_features(), *self._house_features())
            return
        self._send_features(*self._house_features())
        if self._managed is not None:
            self._managed.resend()

    async def _next_token(self, login: LoggedIn, request: Node) -> Xml | None:
        """XEP-0484: if the client asks for one, or its own is getting old."""
        used = login.proved.token
        fast = request.child(NS_FAST, "fast")
        invalidated = fast is not None and "invalidate" in fast.attributes
        wish = request.child(NS_FAST, "request-token")
        mechanism = ""
        if wish is not None:
            mechanism = wish.attributes.get("mechanism", "")
        elif used is not None and used.due and not invalidated:
            mechanism = used.mechanism
        assert self._login is not None
        if not login.client or mechanism not in self._login.token_mechanisms:
            return None
        token = await self._house.door.fast.issue(
            self._account,
            client_key(login.client),
            mechanism,
            keep=None if used is None else used.serial,
        )
        return None if token is None else token_element(token)

    def _bound_inline(self, bind: Node, client: str) -> Xml:
        """XEP-0386 section 3.2: bind, and turn on what the client wishes."""
        house = self._house
        resource = resource_for(bind, self._account, client, house.new_token())
        try:
            session = self._new_session(resource)
        except Undeliverable as error:
            why = element(error.condition, ns=NS_STANZAS)
            return element("failed", None, why, ns=NS_BIND2)
        answers = house.at_bind.turn_on(session, bind)
        enable = bind.child(NS_SM, "enable")
        if enable is not None:
            answers += self._enabled(session, enable.attributes)
        return element("bound", None, Xml(answers), ns=NS_BIND2)

    # Binding (RFC 6120 section 7).

    def _bind(self, stanza: Stanza) -> None:
        """RFC 6120 section 7: a resource of the client's choice or ours."""
        domain = self._house.exchange.domain
        try:
            session = self._new_session(self._wished(stanza))
        except Undeliverable as error:
            me = f"{self._account}@{domain}"
            reply = error_reply(stanza, error, sender=domain, to=me)
            self.say(reply or "")
            return
        jid = element("jid", None, session.address)
        self.say(
            element(
                "iq",
                {"type": "result", "id": stanza.id},
                element("bind", None, jid, ns=NS_BIND),
            )
        )

    def _new_session(self, resource: str) -> Session:
        """Bind a resource. Raises Undeliverable (resource-constraint)."""
        session = Session(
            jid=Jid(self._account, self._house.exchange.domain, resource),
            send=self.write,
            close=self.close,
        )
        self._house.exchange.bind(session)
        self._house.counters.sessions += 1
        self._enter(session)
        return session

    def _wished(self, stanza: Stanza) -> str:
        bind = read_node(stanza).child(NS_BIND, "bind")
        wish = bind.child(NS_BIND, "resource") if bind is not None else None
        if stanza.type != "set" or stanza.id is None:
            raise Undeliverable("bad-request")
        if wish is None or not wish.text:
            return self._house.new_token()
        try:
            return prepare_resource(wish.text)
        except JidError as error:
            raise Undeliverable("bad-request") from error

    def _enter(self, session: Session) -> None:
        """The stream has a session: nothing of the login is needed any more."""
        self._session = session
        self._phase = Phase.BOUND
        self._cancel_deadline()
        self._login = None

    # Coming back (XEP-0198 section 5).

    def _manage_before_bind(self, stanza: Stanza) -> None:
        if stanza.name == "resume":
            self._phase = Phase.BUSY
            self._run(self._resume(stanza))
        else:
            self.say(sm_failed("unexpected-request"))

    async def _resume(self, stanza: Stanza) -> None:
        """Take the session over, or say why not; then the client may bind."""
        previous = stanza.attributes.get("previd", "")
        if not await self._took_over(previous, stanza.attributes.get("h")):
            if self._phase is Phase.BUSY:
                self._phase = Phase.BIND
                ended = self._house.ended.handled(previous, self._account)
                self.say(sm_failed("item-not-found", ended))
            return
        assert self._managed is not None
        self.say(self._managed.resumed())
        self._managed.resend()

    async def _took_over(self, previous: str, h: str | None) -> bool:
        """Whether the session is ours now. Closes the stream if the client
        claims to have got what it was not sent."""
        managed = self._house.resumable.get(previous)
        if managed is None or managed.session.jid.local != self._account:
            return False
        handled = read_count(h)
        if handled is None:
            return False
        try:
            managed.acknowledged(handled)
        except AckError as error:
            self.close("undefined-condition", str(error))
            return False
        if not await managed.take_over(self):
            return False
        if self._phase is not Phase.BUSY:  # closed meanwhile
            managed.detach(self)
            return False
        self._managed = managed
        self._enter(managed.session)
        return True

    # Sending.

    def _house_features(self) -> list[Xml]:
        """What is there for whoever has logged in."""
        return [*self._house.features, self._house.answers.capabilities()]

    def _send_features(self, *features: Xml) -> None:
        self.say(_features(features))

    def _restart(self, max_stanza_bytes: int) -> None:
        """RFC 6120 section 4.3.3: a new stream on the same connection."""
        self._phase = Phase.HEADER
        self._header_sent = False
        self._login = None
        self._parser = self.new_parser(max_stanza_bytes)


@lru_cache(maxsize=64)
def _features(features: tuple[Xml, ...]) -> Xml:
    return element("stream:features", None, *features)


@cache
def _bind_features() -> list[Xml]:
    optional = element("optional")
    return [
        element("bind", ns=NS_BIND),
        element("session", {}, optional, ns=NS_SESSION),
        element("sm", {}, optional, ns=NS_SM),
    ]


def tls_exporter(transport: object) -> bytes | None:
    """The channel binding of a connection (RFC 9266), or None.

    TLS 1.3 only: older versions need the extended master secret, which OpenSSL
    does not let us see here.
    """
    handle: Any = getattr(transport, "getHandle", lambda: None)()
    if not hasattr(handle, "export_keying_material"):  # a plain socket
        return None
    if handle.get_protocol_version_name() != "TLSv1.3":
        return None
    return bytes(handle.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES))


def _is_version_1(version: str) -> bool:
    major, _, minor = version.partition(".")
    digits = major.isascii() and major.isdigit() and minor.isdigit()
    return digits and len(major) < 5 and int(major) >= 1

"""One client's stream: bytes between a transport and the parts that think.

Order of a stream: header, features, (STARTTLS, header, features,) SASL, header,
features, bind, then stanzas. Whoever is not bound by the deadline is closed.
"""

from __future__ import annotations

from collections.abc import Coroutine
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.answers import NS_SESSION
from mosaic.services.xmpp.bound import route_stanza
from mosaic.services.xmpp.exchange import Undeliverable, error_reply
from mosaic.services.xmpp.household import Household
from mosaic.services.xmpp.login import NS_SASL, LoggedIn, Login
from mosaic.services.xmpp.outbox import Outbox
from mosaic.services.xmpp.session import Session
from mosaic.tls.addresses import peer_address
from mosaic.wire.sasl.grammar import EXPORTER_BYTES, EXPORTER_LABEL
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid, prepare_resource
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.stream import (
    NS_STREAM,
    Event,
    StreamEnd,
    StreamFault,
    StreamParser,
    StreamStart,
)
from mosaic.wire.xmpp.xml import Xml, element, read_node

NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
CLOSE_TIMEOUT_S = 5.0
"""How long a peer may take to close its side (RFC 6120 section 4.4)."""
OUTBOX_BYTES = 4 << 20
"""What may wait for a slow reader before it is dropped."""

_log = Logger()


class _Phase(Enum):
    HEADER = auto()
    STARTTLS = auto()
    LOGIN = auto()
    BUSY = auto()
    BIND = auto()
    BOUND = auto()
    CLOSED = auto()


class ClientStream(Protocol):
    """A client-to-server stream (RFC 6120).

    tls: given, the stream begins in the clear and must be upgraded with it
    before login; None, the transport is as safe as it will be.
    """

    transport: Any

    def __init__(
        self, house: Household, tls: IOpenSSLServerConnectionCreator | None = None
    ) -> None:
        self._house = house
        self._tls = tls
        self._phase = _Phase.HEADER
        self._account = ""
        self._login: Login | None = None
        self._session: Session | None = None
        self._header_sent = False
        self._deadline: IDelayedCall | None = None
        self._gone: Deferred[None] = Deferred()
        self._new_parser(house.settings.max_stanza_bytes_before_login)

    # What the transport tells.

    def connectionMade(self) -> None:
        """The deadline is absolute: no trickle of bytes moves it."""
        self._house.streams.add(self)
        self._house.counters.streams += 1
        self._outbox = Outbox(
            self.transport,
            self._house.clock,
            limit_bytes=OUTBOX_BYTES,
            overflow=self._too_slow,
        )
        self.transport.registerProducer(self._outbox, True)
        self._deadline = self._house.clock.callLater(
            self._house.settings.auth_timeout_s, self.close, "connection-timeout"
        )

    def dataReceived(self, data: bytes) -> None:
        """Act on each event in order; a restart drops what came behind it."""
        parser = self._parser
        for event in parser.feed(data):
            if self._parser is not parser or self._phase is _Phase.CLOSED:
                return
            self._perform(event)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave the house, and tell those who saw this session."""
        self._phase = _Phase.CLOSED
        self._outbox.close()
        self._cancel_deadline()
        self._house.streams.discard(self)
        self._house.counters.streams -= 1
        self._leave()
        self._gone.callback(None)

    # Closing.

    def close(self, condition: str | None = None, text: str = "") -> None:
        """End the stream, with a stream error if one is named."""
        if self._phase is _Phase.CLOSED:
            return
        if not self._header_sent:
            self._send_header()
        self._phase = _Phase.CLOSED
        self._cancel_deadline()
        if condition is not None:
            self._send(_stream_error(condition, text))
        self._send("</stream:stream>")
        self._outbox.flush()
        self._outbox.close()
        self._leave()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._deadline = self._house.clock.callLater(
            CLOSE_TIMEOUT_S, self.transport.abortConnection
        )

    def closed(self) -> Deferred[None]:
        """Fires when the connection is truly gone."""
        waiter: Deferred[None] = Deferred()
        self._gone.chainDeferred(waiter)
        return waiter

    def _too_slow(self) -> None:
        if self._phase is _Phase.CLOSED:
            return
        self._house.counters.slow_closed += 1
        _log.info("a slow reader was dropped: {account}", account=self._account)
        self._phase = _Phase.CLOSED
        self._leave()
        self.transport.abortConnection()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._house.counters.sessions -= 1
            self._house.exchange.unbind(session)
            self._house.presence.gone(session)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    # What the parser tells.

    def _perform(self, event: Event) -> None:
        if isinstance(event, StreamStart):
            self._stream_started(event)
        elif isinstance(event, StreamFault):
            self._house.counters.streams_refused += 1
            self.close(event.condition, event.text)
        elif isinstance(event, StreamEnd):
            self.close()
        elif self._phase is _Phase.BOUND:
            assert self._session is not None
            self._house.counters.stanzas_in += 1
            self._run(route_stanza(self._house, self._session, event))
        else:
            self._negotiate(event)

    def _stream_started(self, start: StreamStart) -> None:
        """Answer a header with ours and the features (sections 4.7, 4.3.2)."""
        self._send_header()
        if not _is_version_1(start.attributes.get("version", "")):
            self.close("unsupported-version")
        elif not self._is_our_domain(start.attributes.get("to")):
            self.close("host-unknown")
        elif self._account:
            self._phase = _Phase.BIND
            optional = element("optional")
            self._send_features(
                element("bind", ns=NS_BIND),
                element("session", {}, optional, ns=NS_SESSION),
                self._house.answers.capabilities(),
            )
        elif self._tls is not None:
            self._phase = _Phase.STARTTLS
            self._send_features(
                element("starttls", None, element("required"), ns=NS_TLS)
            )
        else:
            self._phase = _Phase.LOGIN
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
        if self._phase is _Phase.STARTTLS and stanza.ns == NS_TLS:
            self._start_tls(stanza)
        elif self._phase is _Phase.LOGIN and stanza.ns == NS_SASL:
            self._phase = _Phase.BUSY
            self._run(self._answer_login(stanza))
        elif self._phase is _Phase.BIND and stanza.payload == (NS_BIND, "bind"):
            self._bind(stanza)
        elif self._phase is _Phase.STARTTLS:
            self.close("policy-violation", "TLS first")
        else:
            # Stanzas before login or bind, and two <auth/> at a time.
            self.close("not-authorized")

    # Negotiation.

    def _start_tls(self, stanza: Stanza) -> None:
        """RFC 6120 section 5.4: what was said in the clear is forgotten."""
        if stanza.name != "starttls":
            self._send(element("failure", ns=NS_TLS))
            self.close()
            return
        self._send(element("proceed", ns=NS_TLS))
        self._outbox.flush()
        self.transport.unregisterProducer()
        self.transport.startTLS(self._tls)
        self.transport.registerProducer(self._outbox, True)
        self._tls = None
        self._restart(self._house.settings.max_stanza_bytes_before_login)

    def _new_login(self) -> Login:
        return Login(
            self._house.door,
            domain=self._house.exchange.domain,
            address=peer_address(self.transport),
            binding=tls_exporter(self.transport),
        )

    async def _answer_login(self, stanza: Stanza) -> None:
        login = self._login
        assert login is not None
        answer = await login.answer(stanza, nonce=self._house.new_token())
        if self._phase is not _Phase.BUSY:
            return  # closed meanwhile
        if isinstance(answer, LoggedIn):
            self._house.counters.logins += 1
            self._send(answer.reply)
            self._account = answer.account
            self._restart(self._house.settings.max_stanza_bytes)
            return
        self._phase = _Phase.LOGIN
        self._send(answer)
        if answer.startswith("<failure"):
            self._house.counters.logins_refused += 1
        if login.exhausted:
            self.close("policy-violation", "too many tries")

    def _bind(self, stanza: Stanza) -> None:
        """RFC 6120 section 7: a resource of the client's choice or ours."""
        domain = self._house.exchange.domain
        try:
            session = Session(
                jid=Jid(self._account, domain, self._wished(stanza)),
                send=self._outbox.write,
                close=self.close,
            )
            self._house.exchange.bind(session)
        except Undeliverable as error:
            me = f"{self._account}@{domain}"
            reply = error_reply(stanza, error, sender=domain, to=me)
            self._send(reply or "")
            return
        self._house.counters.sessions += 1
        self._session = session
        self._phase = _Phase.BOUND
        self._cancel_deadline()
        jid = element("jid", None, session.address)
        self._send(
            element(
                "iq",
                {"type": "result", "id": stanza.id},
                element("bind", None, jid, ns=NS_BIND),
            )
        )

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

    # Sending.

    def _send(self, xml: str) -> None:
        self._outbox.write(xml.encode())

    def _send_features(self, *features: Xml) -> None:
        self._send(element("stream:features", None, *features))

    def _send_header(self) -> None:
        """Ours (RFC 6120 section 4.7); the element stays open."""
        attributes = {
            "xmlns:stream": NS_STREAM,
            "id": self._house.new_token(),
            "from": self._house.exchange.domain,
            "version": "1.0",
            "xml:lang": "en",
        }
        opened = element("stream:stream", attributes, ns=NS_CLIENT)
        self._send("<?xml version='1.0'?>" + opened.removesuffix("/>") + ">")
        self._header_sent = True

    def _restart(self, max_stanza_bytes: int) -> None:
        """RFC 6120 section 4.3.3: a new stream on the same connection."""
        self._phase = _Phase.HEADER
        self._header_sent = False
        self._login = None
        self._new_parser(max_stanza_bytes)

    def _new_parser(self, max_stanza_bytes: int) -> None:
        self._parser = StreamParser(max_stanza_bytes=max_stanza_bytes)

    def _run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Start steps that may wait; a fault of ours ends the stream."""

        def failed(reason: Failure) -> None:
            _log.failure("an XMPP stream failed", reason)
            self.close("internal-server-error")

        Deferred.fromCoroutine(steps).addErrback(failed)


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


def _stream_error(condition: str, text: str) -> Xml:
    told = element("text", {"xml:lang": "en"}, text, ns=NS_STREAMS) if text else ""
    return element("stream:error", None, element(condition, ns=NS_STREAMS), told)

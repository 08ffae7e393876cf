# slixmpp's and Twisted's functions are not all annotated.
# mypy: allow-untyped-calls
"""The hub on XMPP: available while it works, and poked when there is news.

slixmpp speaks XMPP; the connection is the Dialler's, so it goes through the same
proxies as all else and its TLS is the one that is verified everywhere. That TLS
also gives the channel binding, which Python's own has not for TLS 1.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.hub.backoff import Backoff
from mosaic.hub.server import XmppLogin
from mosaic.proxy.client import Dialler

_log = Logger()

ALPN = b"xmpp-client"
LOOK = "{urn:mosaic:hub:1}look"
EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_BYTES = 32
LAST_RETRY_S = 60.0
LOGIN_S = 30.0
PING_S = 30.0
"""The server takes a stream that says nothing for one that is gone."""

MECHANISMS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


class _AsyncioTransport:
    """A Twisted transport, as slixmpp (asyncio) calls it."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send it."""
        self._transport.write(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._transport.loseConnection()

    def abort(self) -> None:
        """close() came before; what waits may still go."""

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return not self._transport.connected

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing that slixmpp would need: TLS is not its own."""
        return default


class _Wire(Protocol):
    """Bytes between the two."""

    def __init__(self, stream: Any, gone: Callable[[], None]) -> None:
        self._stream = stream
        self._gone = gone
        self._sending: asyncio.Future[Any] | None = None

    def connectionMade(self) -> None:
        """TLS stands; slixmpp opens its stream."""
        self._stream.bind_tls(tls_exporter(self.transport))
        self._stream.init_plugins()
        self._sending = asyncio.ensure_future(
            self._stream.run_filters(), loop=self._stream.loop
        )
        self._stream.connection_made(_AsyncioTransport(self.transport))

    def dataReceived(self, data: bytes) -> None:
        """From the server."""
        self._stream.data_received(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """Both must know."""
        if self._sending is not None:
            self._sending.cancel()
        self._stream.connection_lost(None)
        self._gone()


def tls_exporter(transport: Any) -> bytes | None:
    """The channel binding of a TLS 1.3 connection (RFC 9266), or None."""
    handle: Any = getattr(transport, "getHandle", lambda: None)()
    if not hasattr(handle, "export_keying_material"):
        return None
    if handle.get_protocol_version_name() != "TLSv1.3":
        return None
    return bytes(handle.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES))


def make_stream(login: XmppLogin) -> Any:
    """A slixmpp client that dials nothing itself."""
    from slixmpp import ClientXMPP

    binding: list[bytes | None] = [None]
    local = login.jid.partition("@")[0]

    def credentials(required: set[str], optional: set[str]) -> dict[str, Any]:
        known = {
            "username": local,
            "password": login.password,
            "channel_binding": binding[0],
            "host": login.domain,
            "realm": login.domain,
            "service": "xmpp",
            "service-name": login.domain,
        }
        return {name: known[name] for name in required | optional if name in known}

    def security(wanted: set[str]) -> dict[str, Any]:
        facts = {
            "encrypted": True,
            # slixmpp's way to say tls-exporter in place of tls-unique.
            "tls_version": "TLSv1.3",
            "binding_proposed": any(
                name.endswith("-PLUS")
                for name in client["feature_mechanisms"].mech_list
            ),
        }
        return {name: facts.get(name, False) for name in wanted}

    def offered() -> set[str]:
        return set(client["feature_mechanisms"].mech_list)

    client: Any = ClientXMPP(
        login.jid,
        login.password,
        plugin_config={
            "feature_mechanisms": {
                "sasl_callback": credentials,
                "security_callback": security,
                "use_mechs": set(MECHANISMS),
            }
        },
    )
    client.loop = asyncio.get_event_loop()
    client.bind_tls = lambda exported: binding.__setitem__(0, exported)
    # Reconnecting is ours: it needs another password each time.
    client.auto_reconnect = False
    return client


class HubPresence:
    """Keeps one stream to the server as long as it is started.

    login: gives what to log in with, newly for each attempt; True where the last
    was refused (a server that was restarted knows no passwords). poked: there is
    news. random: from 0 to 1.
    """

    def __init__(
        self,
        reactor: Any,
        dialler: Dialler,
        url: str,
        login: Callable[[bool], Awaitable[XmppLogin | None]],
        *,
        poked: Callable[[], None],
        random: Callable[[], float],
        make: Callable[[XmppLogin], Any] = make_stream,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._reactor = reactor
        self._dialler = dialler
        self._login = login
        self._poked = poked
        self._make = make
        self._backoff = Backoff(random, first_s=1.0, last_s=LAST_RETRY_S)
        self._stream: Any = None
        self._wire: Any = None
        self._wanted = False
        self._was_refused = False
        self._trying = False
        self._retry: IDelayedCall | None = None
        self.online = False
        self.mechanism: str | None = None

    def start(self) -> None:
        """Be online from now on."""
        self._wanted = True
        if not self._trying and self._wire is None and self._retry is None:
            self._connect()

    def stop(self) -> None:
        """Be gone: the stream ends politely."""
        self._wanted = self.online = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._wire is not None:
            wire = self._wire
            if self._stream is not None and self._stream.transport is not None:
                self._stream.send_raw("</stream:stream>")
            wire.transport.loseConnection()

    def _connect(self) -> None:
        self._retry = None
        self._trying = True
        work = Deferred.fromCoroutine(self._dial())
        work.addErrback(self._failed)

    async def _dial(self) -> None:
        try:
            refused, self._was_refused = self._was_refused, False
            login = await self._login(refused)
            if login is None or not self._wanted:
                self._trying = False
                return
            stream = self._make(login)
            stream.add_event_handler("session_start", self._started)
            stream.add_event_handler("message", self._message)
            stream.add_event_handler("failed_all_auth", self._refused)
            endpoint = self._dialler.endpoint(
                self._host, self._port, tls=True, alpn=ALPN
            )
            self._stream = stream
            self._wire = await endpoint.connect(
                Factory.forProtocol(lambda: _Wire(stream, self._gone))
            )
        finally:
            self._trying = False
        self._reactor.callLater(LOGIN_S, self._late, stream)
        self._still_wanted()

    def _late(self, stream: Any) -> None:
        if stream is self._stream and not self.online:
            self._wire.transport.abortConnection()

    def _still_wanted(self) -> None:
        if not self._wanted:
            self.stop()

    def _failed(self, failure: Failure) -> None:
        _log.info("no XMPP: {reason}", reason=failure.getErrorMessage())
        self._gone()

    def _refused(self, event: Any) -> None:
        _log.info("XMPP does not take the hub's password")
        self._was_refused = True
        if self._wire is not None:
            self._wire.transport.loseConnection()

    def _gone(self) -> None:
        self.online = False
        self._stream = self._wire = None
        if self._wanted and self._retry is None:
            self._retry = self._reactor.callLater(self._backoff.next_s(), self._connect)

    def _started(self, event: Any) -> None:
        self._backoff.worked()
        self.online = True
        self.mechanism = self._stream["feature_mechanisms"].mech.name
        _log.info("XMPP: online by {mechanism}", mechanism=self.mechanism)
        self._stream.send_presence()
        self._ping(self._stream)
        # What was said while nobody listened.
        self._poked()

    def _ping(self, stream: Any) -> None:
        if stream is self._stream and self.online:
            stream.send_raw(" ")
            self._reactor.callLater(PING_S, self._ping, stream)

    def _message(self, message: Any) -> None:
        if message["type"] == "headline" and any(
            child.tag == LOOK for child in message.xml
        ):
            self._poked()

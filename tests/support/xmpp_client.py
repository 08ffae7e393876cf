"""A small XMPP client on asyncio, for conversations with any server.

It negotiates and splits; what a stanza means is the caller's affair. Where a
session is managed (XEP-0198) it counts and acknowledges by itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.stream import StreamEnd, StreamFault, StreamParser, StreamStart
from mosaic.wire.xmpp.xml import element

NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_SASL2 = "urn:xmpp:sasl:2"
NS_SM = "urn:xmpp:sm:3"
NS_FAST = "urn:xmpp:fast:0"
FAST_MECHANISM = "HT-SHA-256-NONE"
WAIT_S = 30.0


class Gone(Exception):
    """The connection ended while something was awaited."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server takes direct TLS, and the domain that it serves."""

    port: int
    host: str = "127.0.0.1"
    domain: str = "localhost"


class XmppClient:
    """One connection. `stanzas` holds what came and nobody has taken.

    heard: called with each stanza first; True keeps it out of `stanzas`.
    handled: stanzas that came since acknowledgements began (XEP-0198). carried:
    those of the session that is resumed.
    """

    def __init__(
        self, address: Address, *, heard: Callable[[Stanza], bool] | None = None
    ) -> None:
        self.address = address
        self.stanzas: list[Stanza] = []
        self.jid = ""
        self.gone = False
        self.managed = False
        self.handled = 0
        self.carried = 0
        self.acknowledged = 0
        self._heard = heard
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._parser = StreamParser(max_stanza_bytes=1 << 22)

    # The connection.

    async def connect(self) -> None:
        """TCP, TLS (nobody's certificate is checked on loopback), a stream."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        tls.set_alpn_protocols(["xmpp-client"])
        reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(
                self.address.host,
                self.address.port,
                ssl=tls,
                server_hostname=self.address.domain,
            ),
            WAIT_S,
        )
        self._task = asyncio.create_task(self._read(reader))

    async def open_stream(self) -> Stanza:
        """A header (again); the features."""
        self._parser = StreamParser(max_stanza_bytes=1 << 22)
        self.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' "
            "xmlns:stream='http://etherx.jabber.org/streams' "
            f"to='{self.address.domain}'>"
        )
        return await self.take(lambda stanza: stanza.name == "features")

    def send(self, data: str | bytes) -> None:
        """Write; to a dead connection, nothing."""
        if self._writer is not None and not self.gone:
            self._writer.write(data.encode() if isinstance(data, str) else data)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(65536):
                parser = self._parser
                for event in parser.feed(data):
                    if isinstance(event, Stanza):
                        self._take_in(event)
                    elif isinstance(event, StreamFault):
                        raise AssertionError(f"the server said bad XML: {event}")
                    elif isinstance(event, StreamEnd):
                        self.send("</stream:stream>")
                    else:
                        assert isinstance(event, StreamStart)
        except (OSError, ssl.SSLError):
            pass
        finally:
            self.gone = True
            self._news.set()

    def _take_in(self, stanza: Stanza) -> None:
        if stanza.ns == NS_SM:
            if stanza.name == "r":
                self.send(f"<a xmlns='{NS_SM}' h='{self.handled}'/>")
                return
            self._counting(stanza)
        elif self.managed and stanza.ns == NS_CLIENT:
            self.handled = (self.handled + 1) % (1 << 32)
        if self._heard is None or not self._heard(stanza):
            self.stanzas.append(stanza)
        self._news.set()

    def _counting(self, stanza: Stanza) -> None:
        """Counts begin with `<enabled/>` or go on with `<resumed/>`."""
        if stanza.name == "enabled":
            self.managed, self.handled = True, 0
        elif stanza.name == "resumed":
            self.managed, self.handled = True, self.carried
        if stanza.name in ("a", "resumed"):
            self.acknowledged = int(stanza.attributes["h"])

    async def changed(self, until: float) -> bool:
        """Wait for anything to arrive; False when the loop's time until is over."""
        left = until - asyncio.get_running_loop().time()
        self._news.clear()
        if left <= 0:
            return False
        try:
            await asyncio.wait_for(self._news.wait(), left)
        except TimeoutError:
            return False
        return True

    async def take(
        self, wanted: Callable[[Stanza], bool], wait_s: float = WAIT_S
    ) -> Stanza:
        """Remove and return the first stanza that is wanted.

        Raises Gone, or TimeoutError with what came instead.
        """
        until = asyncio.get_running_loop().time() + wait_s
        while True:
            for place, stanza in enumerate(self.stanzas):
                if wanted(stanza):
                    return self.stanzas.pop(place)
            if self.gone:
                raise Gone(self._said())
            if not await self.changed(until):
                raise TimeoutError(self._said())

    def _said(self) -> str:
        return b"\n".join(stanza.raw for stanza in self.stanzas).decode()

    def pause(self) -> None:
        """Read no more, and say nothing of it."""
        self.gone = True
        if self._writer is not None:
            transport = self._writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()

    def cut(self) -> None:
        """The network fails: no goodbye of any kind."""
        self.gone = True
        if self._writer is not None:
            self._writer.transport.abort()

    async def close(self) -> None:
        """Say goodbye, and wait until the connection is gone."""
        self.send("</stream:stream>")
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, 3)
            except TimeoutError:
                pass
        self.cut()

    # Login.

    async def log_in(self, name: str, password: str) -> Stanza:
        """SCRAM-SHA-256; the features after it."""
        if self._writer is None:
            await self.connect()
        await self.open_stream()
        scram = ScramClient(name, password, nonce=secrets.token_hex(12))
        self.send(_sasl("auth", scram.first(), {"mechanism": "SCRAM-SHA-256"}))
        answer = await self._sasl_answer(NS_SASL)
        if answer.name == "challenge":
            final = scram.final(base64.b64decode(_text(answer)))
            self.send(_sasl("response", final))
            answer = await self._sasl_answer(NS_SASL)
        if answer.name != "success":
            raise PermissionError(answer.raw.decode())
        scram.verify(base64.b64decode(_text(answer)))
        return await self.open_stream()

    async def _sasl_answer(self, ns: str) -> Stanza:
        return await self.take(lambda stanza: stanza.ns == ns)

    async def bind(self, resource: str) -> str:
        """The full address that the server gave."""
        wish = element("resource", None, resource)
        request = element("bind", None, wish, ns=NS_BIND)
        self.send(element("iq", {"type": "set", "id": "bind"}, request))
        bound = await self.take(lambda stanza: stanza.attributes.get("id") == "bind")
        if bound.type != "result":
            raise PermissionError(bound.raw.decode())
        _, _, rest = bound.raw.decode().partition("<jid>")
        self.jid = rest.partition("</jid>")[0]
        return self.jid

    async def log_in_2(
        self, name: str, password: str, inside: str, *, token: str = ""
    ) -> Stanza:
        """SASL2 (XEP-0388) with SCRAM, or with a token (XEP-0484); `<success/>`.

        inside: what else `<authenticate/>` holds.
        """
        if self._writer is None:
            await self.connect()
        await self.open_stream()
        scram = ScramClient(name, password, nonce=secrets.token_hex(12))
        mechanism, first = "SCRAM-SHA-256", scram.first()
        if token:
            mechanism = FAST_MECHANISM
            proof = hmac.digest(token.encode(), b"Initiator", hashlib.sha256)
            first = name.encode() + b"\0" + proof
            inside += f"<fast xmlns='{NS_FAST}'/>"
        initial = element("initial-response", None, base64.b64encode(first).decode())
        self.send(
            f"<authenticate xmlns='{NS_SASL2}' mechanism='{mechanism}'>"
            f"{initial}{inside}</authenticate>"
        )
        answer = await self._sasl_answer(NS_SASL2)
        if answer.name == "challenge":
            final = base64.b64encode(scram.final(base64.b64decode(_text(answer))))
            self.send(element("response", None, final.decode(), ns=NS_SASL2))
            answer = await self._sasl_answer(NS_SASL2)
        if answer.name != "success":
            raise PermissionError(answer.raw.decode())
        return answer

    # XEP-0198.

    async def manage(self) -> Stanza:
        """Switch on acknowledgements with resumption; `<enabled/>`."""
        self.send(f"<enable xmlns='{NS_SM}' resume='true'/>")
        enabled = await self.take(lambda stanza: stanza.ns == NS_SM)
        if enabled.name != "enabled":
            raise PermissionError(enabled.raw.decode())
        return enabled

    async def resume(self, previous: str, handled: int) -> Stanza:
        """Go on with a session; `<resumed/>` or `<failed/>`."""
        self.carried = handled
        self.send(f"<resume xmlns='{NS_SM}' previd='{previous}' h='{handled}'/>")
        answers = ("resumed", "failed")
        return await self.take(lambda it: it.ns == NS_SM and it.name in answers)


def _sasl(name: str, data: bytes, more: dict[str, str | None] | None = None) -> str:
    return element(name, more, base64.b64encode(data).decode(), ns=NS_SASL)


def _text(stanza: Stanza) -> str:
    """The text of an element that may hold one more with text."""
    raw = stanza.raw.decode()
    return raw.rpartition("</")[0].rpartition(">")[2]

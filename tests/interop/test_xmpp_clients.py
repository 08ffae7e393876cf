"""Real clients over real TLS: slixmpp, and our own with channel binding."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

import mosaic
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.c2s import tls_exporter
from mosaic.services.xmpp.service import XmppService
from mosaic.tls.context import ServerContext
from mosaic.tls.endpoints import server_endpoint
from mosaic.tls.transports import PlainServer
from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.tokens import HT_EXPORTER, initiator_tag, responder_tag
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import StreamParser
from mosaic.wire.xmpp.xml import Node, read_node
from tests.support.certificate import self_signed_pem
from tests.support.door import FakeDoor
from tests.support.xmpp import (
    ACCOUNTS,
    HEADER,
    FakeBus,
    condition,
    furnished_store,
    sasl,
)

ROOT = Path(mosaic.__file__).parent.parent
reactor: Any = _reactor


class Caller(Protocol):
    """A client that says one thing and waits for one element."""

    def connectionMade(self) -> None:
        """Begin a stream."""
        self._waiter: Deferred[Node] | None = None
        self._queue: list[Node] = []
        self.gone: Deferred[None] = Deferred()
        self.open()

    def open(self) -> None:
        """Open a stream (again)."""
        self._parser = StreamParser(max_stanza_bytes=1 << 20)
        self.say(HEADER)

    def say(self, text: str) -> None:
        """Send."""
        assert self.transport is not None
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Keep each element for whoever waits."""
        for event in self._parser.feed(data):
            if isinstance(event, Stanza):
                self._queue.append(read_node(event))
        if self._waiter is not None and self._queue:
            waiter, self._waiter = self._waiter, None
            waiter.callback(self._queue.pop(0))

    def hear(self) -> Deferred[Node]:
        """The next element."""
        waiter: Deferred[Node] = Deferred()
        if self._queue:
            waiter.callback(self._queue.pop(0))
        else:
            self._waiter = waiter
        return waiter

    def connectionLost(self, reason: Any = None) -> None:
        """Tell the test."""
        self.gone.callback(None)


class ClientTests(TestCase):
    """The service behind direct TLS and STARTTLS on loopback."""

    timeout = 180

    def setUp(self) -> None:
        self.pem = self_signed_pem()
        self.certificate = Path(self.mktemp())
        self.certificate.write_text(
            self.pem[self.pem.index("-----BEGIN CERTIFICATE") :]
        )
        self.door = FakeDoor(ACCOUNTS)
        self.service = XmppService(
            reactor,
            Xmpp(),
            domain="localhost",
            door=cast(Any, self.door),
            store=furnished_store(time.time),
            bus=FakeBus(),
        )
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.open_ports()

    def open_ports(self) -> None:
        """Direct TLS and STARTTLS, with Twisted's TLS."""
        pair = PrivateCertificate.loadPEM(self.pem)
        tls = CertificateOptions(
            privateKey=pair.privateKey.original,
            certificate=pair.original,
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[b"xmpp-client"],
        )
        streams = self.service.stream_factory()
        upgraded = self.service.starttls_factory(tls)
        self.direct = self.listen(
            reactor.listenSSL(0, streams, tls, interface="127.0.0.1")
        )
        self.plain = self.listen(reactor.listenTCP(0, upgraded, interface="127.0.0.1"))

    def listen(self, port: Any) -> int:
        """The number of a port that is closed after the test."""
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def call(self, port: int, *, newest: Any = None) -> Caller:
        """Connect over direct TLS, or in the clear to the STARTTLS port."""
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        if port == self.direct:
            trust = Certificate.loadPEM(self.certificate.read_bytes())
            how = {"lowerMaximumSecurityTo": newest} if newest else {}
            options = optionsForClientTLS(
                "localhost", trust, extraCertificateOptions=how
            )
            endpoint = wrapClientTLS(options, endpoint)
        caller = await endpoint.connect(Factory.forProtocol(Caller))
        self.addCleanup(self.hang_up, caller)
        return cast(Caller, caller)

    async def hang_up(self, caller: Caller) -> None:
        """Leave nothing behind."""
        assert caller.transport is not None
        caller.transport.loseConnection()
        await caller.gone

    async def scram(self, caller: Caller, **how: Any) -> Node:
        """Success or failure of ann."""
        client = ScramClient("ann", "secret", nonce="mine", **how)
        plus = "-PLUS" if how.get("binding") else ""
        caller.say(sasl("auth", client.first(), f"SCRAM-SHA-256{plus}"))
        answer = await caller.hear()
        if answer.name == "challenge":
            final = client.final(base64.b64decode(answer.text))
            caller.say(sasl("response", final))
            answer = await caller.hear()
        if answer.name == "success":
            client.verify(base64.b64decode(answer.text))
        return answer

    async def upgraded(self) -> Caller:
        """A caller on the STARTTLS port, after the upgrade."""
        caller = await self.call(self.plain)
        await caller.hear()
        caller.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.assertEqual((await caller.hear()).name, "proceed")
        trust = Certificate.loadPEM(self.certificate.read_bytes())
        cast(Any, caller.transport).startTLS(optionsForClientTLS("localhost", trust))
        caller.open()
        return caller

    async def test_channel_binding_matrix(self) -> None:
        """On TLS 1.3 a good binding is let in, a wrong one and the downgrade
        flag are not; a client that cannot bind may come without. On both doors:
        from the start, and after STARTTLS."""
        for upgrade in (False, True):
            for how, expected in (
                ("good", "success"),
                ("wrong", "not-authorized"),
                ("other connection", "not-authorized"),
                ("y", "not-authorized"),
                ("none", "success"),
            ):
                caller = await (self.upgraded() if upgrade else self.call(self.direct))
                offered, two, binding = (await caller.hear()).children
                for offer in (offered, two):
                    self.assertEqual(
                        [m.text for m in offer.children if m.name == "mechanism"],
                        ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
                    )
                types = [kind.attributes["type"] for kind in binding.children]
                self.assertEqual(types, ["tls-exporter"])
                ours = tls_exporter(caller.transport)
                other = await self.call(self.direct)
                await other.hear()
                theirs = tls_exporter(other.transport)
                assert ours is not None
                assert theirs is not None
                keys: dict[str, dict[str, Any]] = {
                    "good": {"binding": ours},
                    "wrong": {"binding": bytes(32)},
                    "other connection": {"binding": theirs},
                    "y": {"can_bind": True},
                    "none": {},
                }
                answer = await self.scram(caller, **keys[how])
                said = answer.name if answer.name == "success" else condition(answer)
                self.assertEqual(said, expected, (how, upgrade))

    async def test_types_of_binding_that_were_not_offered(self) -> None:
        """A client that insists on another is not let in without one."""
        for kind in ("tls-unique", "tls-server-end-point"):
            caller = await self.call(self.direct)
            await caller.hear()
            first = f"p={kind},,n=ann,r=mine".encode()
            caller.say(sasl("auth", first, "SCRAM-SHA-256-PLUS"))
            self.assertEqual(condition(await caller.hear()), "not-authorized")

    async def test_tokens_are_bound_to_their_connection(self) -> None:
        """HT-SHA-256-EXPR (XEP-0484): good with the exporter of this connection,
        and with no other."""
        client = hashlib.sha256(b"box").digest()
        token = await self.door.fast.issue("ann", client, HT_EXPORTER, keep=None)
        assert token is not None
        for wrong, expected in ((False, "success"), (True, "failure")):
            caller = await self.call(self.direct)
            await caller.hear()
            ours = tls_exporter(caller.transport)
            assert ours is not None
            tag = initiator_tag(token.secret, bytes(32) if wrong else ours)
            data = base64.b64encode(b"ann\0" + tag).decode()
            caller.say(
                f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{HT_EXPORTER}'>"
                f"<initial-response>{data}</initial-response><user-agent id='box'/>"
                "<fast xmlns='urn:xmpp:fast:0'/></authenticate>"
            )
            answer = await caller.hear()
            self.assertEqual(answer.name, expected)
            if not wrong:
                shown = base64.b64decode(answer.children[0].text)
                self.assertEqual(shown, responder_tag(token.secret, ours))

    async def test_binding_can_be_switched_off(self) -> None:
        """Where a proxy ends TLS, its exporter is not the client's: nothing is
        offered, and `y` is honest."""
        self.service._house.settings = Xmpp(channel_binding=False)
        caller = await self.call(self.direct)
        features = await caller.hear()
        self.assertEqual(
            [n.name for n in features.children], ["mechanisms", "authentication"]
        )
        answer = await self.scram(caller, can_bind=True)
        self.assertEqual(answer.name, "success")

    async def test_tls_1_2_is_not_offered_plus(self) -> None:
        """tls-exporter is safe there only with an extension we cannot see, so
        `y` is honest."""
        caller = await self.call(self.direct, newest=TLSVersion.TLSv1_2)
        handle = cast(Any, caller.transport).getHandle()
        features = await caller.hear()
        self.assertIsInstance(handle, SSL.Connection)
        self.assertEqual(handle.get_protocol_version_name(), "TLSv1.2")
        self.assertEqual(
            [m.text for m in features.children[0].children], ["SCRAM-SHA-256"]
        )
        answer = await self.scram(caller, can_bind=True)
        self.assertEqual(answer.name, "success")

    async def test_starttls_is_required(self) -> None:
        """No login in the clear, and what was injected before is forgotten."""
        caller = await self.call(self.plain)
        features = await caller.hear()
        self.assertEqual(
            [n.name for n in features.children], ["starttls"], features.children
        )
        caller.say(sasl("auth", b"n,,n=ann,r=x", "SCRAM-SHA-256"))
        self.assertEqual(condition(await caller.hear()), "policy-violation")

    async def test_drain_over_tls(self) -> None:
        """The last words arrive before the connection ends."""
        caller = await self.call(self.direct)
        await caller.hear()
        stopped = self.service.stopService()
        self.assertEqual(condition(await caller.hear()), "system-shutdown")
        await caller.gone
        await stopped

    async def talk(self, port: int, kind: str) -> dict[str, Any]:
        """Run the slixmpp conversation in its own process."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            [
                "-m", "tests.support.slixmpp_talk",
                str(port), str(self.certificate.resolve()), kind,
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )  # fmt: skip
        self.assertEqual(code, 0, err.decode()[-3000:])
        seen: dict[str, Any] = json.loads(out)
        return seen

    async def test_slixmpp_over_direct_tls(self) -> None:
        """Login, roster, ping, disco, presence and messages of two people."""
        self.check(await self.talk(self.direct, "direct"))

    async def test_slixmpp_over_starttls(self) -> None:
        """The same after an upgrade."""
        self.check(await self.talk(self.plain, "starttls"))

    def check(self, seen: dict[str, Any]) -> None:
        """What both conversations must have seen."""
        self.assertEqual(
            seen,
            {
                "mechanism": "SCRAM-SHA-256",
                "roster": ["bob@localhost", "eve@localhost"],
                "localhost": ["Mosaic"],
                "mosaic.localhost": ["Mosaic"],
                "message": ["ann@localhost/a", "Grüße <&> 🐎"],
                "reply": "back",
            },
        )


class ClientOnSocketTests(ClientTests):
    """The same, with OpenSSL on the socket: from the start, and from STARTTLS on."""

    def open_ports(self) -> None:
        """As Mosaic opens them."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "server.pem").write_text(self.pem)
        context = ServerContext(folder)
        numbers = []
        for kind, factory in (
            ("mosaic-tls", self.service.stream_factory()),
            ("tcp", self.service.starttls_factory(context)),
        ):
            endpoint = server_endpoint(
                reactor,
                f"{kind}:0:interface=127.0.0.1",
                default_context=context,
                transport="socket",
            )
            listening = cast("Deferred[Any]", endpoint.listen(factory))
            numbers.append(self.listen(self.successResultOf(listening)))
        self.direct, self.plain = numbers

    async def test_starttls_for_who_reads_nothing(self) -> None:
        """What was said in clear must not follow encrypted: it is cut off."""
        caller = await self.call(self.plain)
        await caller.hear()
        (server,) = (
            it
            for it in reactor.getReaders()
            if isinstance(it, PlainServer) and it.connected
        )
        server._tempDataBuffer.append(b"unsent")
        server._tempDataLen = 6
        caller.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await caller.gone

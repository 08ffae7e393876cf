"""XMPP over WebSocket through the web site, on real sockets."""

from __future__ import annotations

import base64
import re
import socket
import time
from typing import Any, cast

from twisted.internet import reactor as installed
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from mosaic.config.settings import Xmpp
from mosaic.services.rest.root import WebSocketEntry
from mosaic.services.rest.site import MosaicSite
from mosaic.services.xmpp.service import XmppService
from mosaic.wire.sasl.client import ScramClient
from tests.support.door import FakeDoor
from tests.support.websocket import TEXT, frame
from tests.support.xmpp import ACCOUNTS, FakeBus, furnished_store
from tests.support.xmpp_websocket import END, OPEN

reactor: Any = installed
LOGIN = (
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>"
    "<initial-response>%s</initial-response><user-agent id='%s'/>%s</authenticate>"
)
BIND = (
    "<bind xmlns='urn:xmpp:bind:0'><tag>web</tag>"
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
)


class Browser:
    """A client that blocks, for a thread of its own."""

    def __init__(self, port: int, origin: str = "") -> None:
        self.link = socket.create_connection(("127.0.0.1", port), 10)
        head = (
            f"GET /xmpp-websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Origin: {origin or f'http://127.0.0.1:{port}'}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        self.link.sendall(head.encode())
        self.reader = self.link.makefile("rb")
        self.status = self.reader.readline().decode()
        while self.reader.readline() != b"\r\n":
            pass

    def say(self, text: str) -> None:
        """One message."""
        self.link.sendall(frame(TEXT, text.encode()))

    def hear(self) -> str:
        """The next one; "" for the end."""
        head = self.reader.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return ""
        size = head[1]
        if size == 126:
            size = int.from_bytes(self.reader.read(2), "big")
        return self.reader.read(size).decode()

    def log_in(self, name: str, wishes: str) -> str:
        """`<success/>`."""
        self.say(OPEN)
        self.hear(), self.hear()
        scram = ScramClient(name, ACCOUNTS[name], nonce="mine")
        first = base64.b64encode(scram.first()).decode()
        self.say(LOGIN % (first, name, wishes))
        challenge = base64.b64decode(self.hear().split(">")[1].split("<")[0])
        final = base64.b64encode(scram.final(challenge)).decode()
        self.say(f"<response xmlns='urn:xmpp:sasl:2'>{final}</response>")
        success = self.hear()
        self.hear()  # the features
        return success

    def cut(self) -> None:
        """Gone without a word."""
        self.reader.close()
        self.link.close()


class WebSocketTests(TestCase):
    """The site, the service and two browsers."""

    timeout = 120

    def setUp(self) -> None:
        self.service = XmppService(
            reactor,
            Xmpp(),
            domain="localhost",
            door=cast(Any, FakeDoor(ACCOUNTS)),
            store=furnished_store(time.time),
            bus=FakeBus(),
        )
        self.service.startService()
        self.addCleanup(self.service.stopService)
        root = Resource()
        for name, child in self.service.resources().items():
            root.putChild(name.encode(), WebSocketEntry(child, allowed=()))
        site = MosaicSite(root, reactor=reactor)
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    async def test_a_browser_that_is_cut_off_comes_back(self) -> None:
        """Login, bind and acknowledgements in one breath; then the connection
        breaks, and what was said meanwhile is there after the next login."""

        def talk() -> list[str]:
            ann, bob = Browser(self.port), Browser(self.port)
            success = ann.log_in("ann", BIND)
            me = re.findall("identifier>(.*?)</authorization-identifier", success)[0]
            previous = re.findall('enabled [^>]*id="(.*?)"', success)[0]
            bob.log_in("bob", BIND)
            ann.cut()
            for body in ("1", "2"):
                bob.say(
                    f"<message xmlns='jabber:client' to='{me}'><body>{body}</body>"
                    "</message>"
                )
            bob.say("<r xmlns='urn:xmpp:sm:3'/>")
            heard = [bob.hear()]
            again = Browser(self.port)
            resume = f"<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='0'/>"
            heard += [again.log_in("ann", resume + BIND)]
            heard += [again.hear() for _ in range(3)]
            again.say("<a xmlns='urn:xmpp:sm:3' h='2'/>" + "")
            again.say(END)
            heard += [again.hear(), again.hear()]
            again.cut()
            bob.cut()
            return heard

        acked, success, one, two, asked, end, over = await deferToThread(talk)
        self.assertIn("h='2'", acked)
        self.assertIn("<resumed ", success)
        self.assertIn("<body>1</body>", one)
        self.assertIn("<body>2</body>", two)
        self.assertIn("<r ", asked)
        self.assertEqual(end, END.replace("'", '"'))
        self.assertEqual(over, "")

    async def test_foreign_pages_are_refused(self) -> None:
        """Before XMPP hears of them."""
        browser = await deferToThread(Browser, self.port, "https://evil.example")
        self.assertIn(" 403 ", browser.status)
        browser.cut()

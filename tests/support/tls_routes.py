"""Three small services that tell which route a connection took."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from mosaic.tls.addresses import peer_address
from mosaic.tls.sharedport import SharedPort


class WhoAmI(Resource):
    """Answers GET with the address it sees, and POST with the length."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """The client's address."""
        transport: Any = request.transport
        return f"http {peer_address(transport)}".encode()

    def render_POST(self, request: Request) -> bytes:
        """How much came through."""
        assert request.content is not None
        return f"{len(request.content.read())} bytes".encode()


class Echo(Protocol):
    """Sends back what comes, behind its name."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connectionMade(self) -> None:
        """Speak first, so that the client knows where it is."""
        transport: Any = self.transport
        transport.write(self._name + peer_address(transport).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:
        """Echo."""
        transport: Any = self.transport
        transport.write(data)


@implementer(IHalfCloseableProtocol)
class HalfCloseEcho(Echo):
    """Says so when the client has finished, and closes."""

    def readConnectionLost(self) -> None:
        """The client's end of file."""
        transport: Any = self.transport
        transport.write(b"eof")
        transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Not used: the server closes both ways."""


class EchoFactory(Factory):
    """Builds echoes of one name."""

    noisy = False

    def __init__(self, name: bytes, kind: type[Echo] = Echo) -> None:
        self._name = name
        self._kind = kind

    def buildProtocol(self, addr: object) -> Echo:
        """One echo."""
        return self._kind(self._name)


def shared_port(
    clock: IReactorTime, timeout_s: float = 10.0, root: Resource | None = None
) -> SharedPort:
    """A port with all three routes."""
    site = Site(root or WhoAmI(), reactor=clock)
    site.noisy = False
    return SharedPort(
        {
            "http": site,
            "xmpp": EchoFactory(b"xmpp "),
            "turn": EchoFactory(b"turn ", HalfCloseEcho),
        },
        clock,
        timeout_s,
        timeout_s,
    )

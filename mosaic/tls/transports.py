# mypy: disable-error-code="no-untyped-call"
# (Twisted's transports have few annotations)
"""The transports of our ports: TCP and UNIX sockets, plain and with TLS."""

from __future__ import annotations

from errno import ENOBUFS
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.main import CONNECTION_LOST

from mosaic.tls.context import ServerContext
from mosaic.tls.direct import SENT_BYTES, DirectWrites
from mosaic.tls.onsocket import TlsOnSocket


class TlsServer(TlsOnSocket, tcp.Server):
    """TLS on a TCP connection."""


class TlsUnixServer(TlsOnSocket, unix.Server):
    """TLS on a UNIX socket, behind a proxy on this machine."""


class UpgradesInPlace(DirectWrites):
    """A plain connection that can become one of TLS (STARTTLS)."""

    with_tls: type[TlsOnSocket]

    def startTLS(self, ctx: ServerContext, normal: bool = True) -> None:
        """Speak TLS from here on; what was read before belongs to the protocol.

        A client that has not even taken what was said so far is cut off: it
        would get those bytes encrypted.
        """
        unsent = self.dataBuffer or self._tempDataLen
        # The same socket and the same buffers; only what is done with them changes.
        self.__class__ = self.with_tls  # type: ignore[assignment]
        upgraded: Any = self
        upgraded.begin_tls(ctx.connection_on(self.socket))
        if unsent:
            self.abortConnection()


class PlainServer(UpgradesInPlace, tcp.Server):
    """A TCP connection."""

    with_tls = TlsServer

    def writeSomeData(self, data: bytes | memoryview) -> int | Exception:  # type: ignore[override]  # doWrite gives both
        """As Twisted's, which wraps what is short, and sends less at a time."""
        if len(data) > SENT_BYTES:
            data = memoryview(data)[:SENT_BYTES]
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            return 0 if error.errno == ENOBUFS else CONNECTION_LOST


class PlainUnixServer(UpgradesInPlace, unix.Server):
    """A connection on a UNIX socket."""

    with_tls = TlsUnixServer

# mypy: disable-error-code="no-untyped-call"
# (Twisted's transports have few annotations)
"""TLS with OpenSSL directly on the socket: a transport of Twisted's.

Nothing stands between OpenSSL and the kernel: what a protocol writes is
encrypted and sent before `write` returns, what the kernel does not take waits
in the transport's own buffer, and that is where back-pressure comes from.
docs/decisions/010-tls-on-the-socket.md says why this is not Twisted's own TLS.
"""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    ISSLTransport,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.tls import openssl
from mosaic.tls.direct import SENT_BYTES, DirectWrites

CLOSE_S = 10.0
"""How long a connection that is being closed may go without progress, which
shows in whole records: 16 KiB at most."""

_TCP_ULP = 31
"""From Linux's tcp.h; Python does not name it."""
_DISCARD_BYTES = 65536
_DISCARDS = 16
MAX_HANDSHAKE_READS = 512
"""A handshake in so many pieces is none: a ClientHello has two kilobytes at most,
and each piece costs as much as a small request."""
_CRUMB_BYTES = 1024
_LINGERING_CRUMBS = 256
"""Reads of less, after the end, before the connection is cut."""


@implementer(ISSLTransport, INegotiated)
class TlsOnSocket(DirectWrites):
    """One server-side connection; begin_tls() comes before makeConnection().

    A protocol sees what Twisted's TLS shows it: handshakeCompleted where it
    provides IHandshakeListener, SSL.Error for a handshake that failed,
    ConnectionDone after close_notify and ConnectionLost for an end without it.
    One that provides IHalfCloseableProtocol hears of the peer's close_notify
    and may go on writing (RFC 8446 section 6.1).
    """

    _open = False  # until the handshake is done
    _connection: SSL.Connection | None = None
    _ssl: Any = None
    _paused = False
    _handshake_reads = 0
    _crumbs = 0
    _held: Exception | None = None
    """The end, which came together with data that made the protocol pause."""
    _read_waits_for_room = False
    _write_waits_for_input = False
    _lingers = False
    _close_timer: IDelayedCall | None = None
    _left_at_check = 0

    def begin_tls(self, connection: SSL.Connection) -> None:
        """Speak TLS with this connection, which stands on our socket."""
        connection.set_accept_state()
        self._connection = connection
        self._ssl = openssl.pointer(connection)

    def getHandle(self) -> SSL.Connection | None:  # type: ignore[override]  # as Twisted's TLS
        """OpenSSL's connection; None once it is lost."""
        return self._connection

    def getPeerCertificate(self) -> Any:
        """The client's certificate, or None."""
        connection = self._connection
        return None if connection is None else connection.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The ALPN protocol, or None."""
        connection = self._connection
        if connection is None:
            return None
        return connection.get_alpn_proto_negotiated() or None

    def is_in_kernel(self) -> bool:
        """Whether the kernel encrypts (docs/decisions/011-a-door-for-kernel-tls.md)."""
        try:
            protocol = self.socket.getsockopt(socket.IPPROTO_TCP, _TCP_ULP, 16)
        except (AttributeError, OSError):  # it is lost, or no TCP
            return False
        return protocol.startswith(b"tls")

    def may_be_lent(self) -> bool:
        """Whether nothing of OpenSSL's waits for the socket."""
        waits = self._read_waits_for_room or self._write_waits_for_input
        return self._open and self._held is None and not waits

    def lent(self) -> openssl.Lent:
        """OpenSSL, for a thread that reads and writes while this is paused."""
        assert self._connection is not None
        return openssl.Lent(self._connection)

    # Reading --------------------------------------------------------------
    def doRead(self) -> Any:
        """The socket has something, or has ended."""
        if not self._open:
            return self._shake_hands()
        if self._lingers:
            return self._discard()
        data, reason = openssl.receive(self._ssl)
        why = None
        if reason != openssl.WANT_READ and reason != openssl.DONE:
            why = self._cannot_read(reason)
        if data:
            self.protocol.dataReceived(data)
        if self._write_waits_for_input:
            self._write_waits_for_input = False
            self.startWriting()
        if self._aborting or not self.connected:
            return None
        if self._paused:
            self._held = why
            return None
        return why

    def pauseProducing(self) -> None:
        """Deliver nothing, nor the end."""
        self._paused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again, and first the end that came in the meantime."""
        self._paused = False
        super().resumeProducing()
        if self._held is not None and self.connected and not self.disconnecting:
            self.startWriting()

    def _cannot_read(self, reason: int) -> Exception | None:
        if reason == openssl.WANT_WRITE:
            self._read_waits_for_room = True
            self.startWriting()
            return None
        if reason == openssl.CLOSED:
            return CONNECTION_DONE
        return openssl.failure(reason)

    def _shake_hands(self) -> Any:
        """Go on with the handshake."""
        assert self._connection is not None
        openssl.forget_errors()
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._handshake_reads += 1
            self.stopWriting()
            if self._handshake_reads > MAX_HANDSHAKE_READS:
                return CONNECTION_LOST
            return None
        except SSL.WantWriteError:
            self.startWriting()
            return None
        except SSL.SysCallError:
            openssl.forget_errors()
            return CONNECTION_LOST
        except SSL.Error as error:
            # Input that nobody read would turn the close into a reset, and a
            # reset overtakes the alert that tells the client why.
            self._discard()
            reasons = error.args[0] if error.args else []
            return CONNECTION_LOST if openssl.is_end(reasons) else error
        self._open = True
        self.stopWriting()
        if IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        if not self.connected or self._aborting:
            return None
        if self.disconnecting:
            self.stopReading()
        pulled = self.producer is not None and not self.streamingProducer
        if self._tempDataLen or pulled or self._is_closing():
            self.startWriting()
        return None

    def _discard(self) -> Any:
        """Read and forget, without TLS; a peer that goes on for ever in small
        pieces is cut off."""
        total = 0
        for _ in range(_DISCARDS):
            try:
                got = len(self.socket.recv(_DISCARD_BYTES))
            except BlockingIOError:
                break
            except OSError:
                return CONNECTION_LOST
            if not got:
                return CONNECTION_DONE
            total += got
        self._crumbs += total < _CRUMB_BYTES
        return CONNECTION_LOST if self._crumbs > _LINGERING_CRUMBS else None

    def readConnectionLost(self, reason: Failure) -> None:
        """The peer has said, or shown, that nothing more comes."""
        if not self._lingers and not self._peer_said_goodbye():
            self.connectionLost(Failure(CONNECTION_LOST))
        elif self.disconnecting and not self._lingers:
            pass  # doWrite closes when everything has left
        elif not self._lingers and IHalfCloseableProtocol.providedBy(self.protocol):
            super().readConnectionLost(reason)
        else:
            if self._open and not self._writeDisconnected:
                self._say_goodbye()
            self.connectionLost(reason)

    def _let_go(self) -> Exception | None:
        """Tell the end that was held."""
        why, self._held = self._held, None
        if why is not CONNECTION_DONE:
            return why
        self.stopReading()
        self.readConnectionLost(Failure(CONNECTION_DONE))
        return None

    def _peer_said_goodbye(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        return bool(connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    # Writing --------------------------------------------------------------
    def writeSomeData(self, data: bytes | memoryview) -> int | Exception:  # type: ignore[override]  # doWrite gives both
        """Encrypt and send: how many bytes have left, or what ends the connection."""
        if not data:
            return 0
        sent, reason = openssl.send(self._ssl, data, SENT_BYTES)
        if reason == openssl.DONE or reason == openssl.WANT_WRITE:
            return sent
        if reason == openssl.WANT_READ:
            self._write_waits_for_input = True
            return sent
        why = openssl.failure(reason)
        return sent or why

    def doWrite(self) -> Any:
        """The socket has room."""
        if not self._open:
            return self._shake_hands()
        if self._read_waits_for_room:
            self._read_waits_for_room = False
            self._held = self.doRead() or self._held
        if self._held is not None and not self._paused:
            why = self._let_go()
            if why is not None:
                return why
        if not self.connected:
            return None
        if self._lingers:
            self.stopWriting()
            return None
        why = super().doWrite()
        if self._write_waits_for_input and why is None:
            self.stopWriting()
        return why

    # Closing --------------------------------------------------------------
    def _is_closing(self) -> bool:
        return bool(self.disconnecting or self._writeDisconnecting)

    def loseConnection(self) -> None:
        """Send what waits, say goodbye, and wait a while for the peer's.

        Before the handshake is done there is nobody to say goodbye to: the
        connection is aborted then, unless something waits to be sent.
        """
        if not self.connected or self.disconnecting:
            return
        if not self._open:
            if not self._tempDataLen:
                self.abortConnection()
                return
            self.disconnecting = True
        else:
            super().loseConnection()
        if self.connected:
            self._left_at_check = self._unsent()
            self._check_the_close_later()

    def loseWriteConnection(self) -> None:
        """Send what waits, then close_notify; go on reading."""
        self._writeDisconnecting = True
        if self._open:
            self.startWriting()

    def abortConnection(self) -> None:
        """Close at once: nothing more leaves, and nothing more is heard."""
        self.disconnecting = True
        self._writeDisconnected = True
        super().abortConnection()

    def _postLoseConnection(self) -> Any:
        """Everything has left: say goodbye, and linger until the peer has closed.

        To close a socket with input that nobody has read resets it, and then
        the peer may lose what it was sent last.
        """
        reason = self._say_goodbye()
        if reason == openssl.WANT_WRITE:
            return None
        self._writeDisconnected = True
        if reason != openssl.DONE:
            return CONNECTION_DONE
        self._lingers = True
        self._end_output()
        self.startReading()
        return None

    def _closeWriteConnection(self) -> None:
        """Everything has left: the half of the connection that is ours ends."""
        if self._say_goodbye() != openssl.WANT_WRITE:
            super()._closeWriteConnection()

    def _say_goodbye(self) -> int:
        """close_notify (RFC 8446 section 6.1); comes again if there is no room."""
        reason = openssl.shut_down(self._ssl)
        if reason == openssl.WANT_WRITE:
            self.startWriting()
        elif reason not in (openssl.DONE, openssl.CLOSED):
            openssl.forget_errors()
        return reason

    def _end_output(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer has gone; the reactor tells us next

    def _unsent(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def _check_the_close_later(self) -> None:
        clock: Any = self.reactor  # annotated as less than it is
        self._close_timer = clock.callLater(CLOSE_S, self._check_the_close)

    def _check_the_close(self) -> None:
        """Wait no longer for a peer that neither reads nor closes."""
        self._close_timer = None
        unsent = self._unsent()
        if unsent != self._left_at_check or self.producer is not None:
            self._left_at_check = unsent
            self._check_the_close_later()
        elif self._lingers:
            self.connectionLost(Failure(CONNECTION_DONE))
        else:
            self.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """It is over: forget OpenSSL's side too."""
        timer, self._close_timer = self._close_timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._open = False
        self._connection = self._ssl = None
        super().connectionLost(reason)

# mypy: disable-error-code="no-untyped-call"
# (Twisted's transports have few annotations)
"""Transports that send what is written before `write` returns.

To ask the reactor for a turn and to be called back costs more than the system
call that it is about. Every TCP and UNIX port of ours has them, plain and TLS:
a service says `transport.write`, and joins small pieces before it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp

if TYPE_CHECKING:
    Base = tcp.Server
else:
    Base = object


SENT_BYTES = 1 << 20
"""About this much leaves in one go, then others have their turn: a turn of the
reactor costs as much as to encrypt and send 100 KB, and a large board is 4 MB."""


class DirectWrites(Base):
    """Mixed into one of Twisted's transports, from the left."""

    _open = True
    """Whether bytes can leave."""

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent now waits, and pauses the producer."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not self.connected or self._writeDisconnected or not data:
            return
        if self.disconnecting and self.producer is None:
            return
        if self._open and not self._tempDataLen and not self.dataBuffer:
            sent = self.writeSomeData(data)
            if sent == len(data):
                if self.producer is not None and not self.streamingProducer:
                    self.startWriting()  # doWrite asks it for more
                return
            if isinstance(sent, int) and sent > 0:
                # What is left waits where it is: megabytes are not copied.
                self.dataBuffer, self.offset = data, sent
                self._maybePauseProducer()
                self.startWriting()
                return
            # An error is met again, and told, by doWrite.
        self._tempDataBuffer.append(data)
        self._tempDataLen += len(data)
        self._maybePauseProducer()
        if self._open:
            self.startWriting()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """As Twisted's; one that is to be pulled is asked on by doWrite, also if all
        that was written before has left already."""
        super().registerProducer(producer, streaming)
        if not streaming and self.producer is not None and self._open:
            self.startWriting()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send the pieces as one."""
        try:
            data = b"".join(iovec)
        except TypeError:
            raise TypeError("Data must be bytes") from None
        self.write(data)

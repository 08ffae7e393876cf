"""Writing to a connection without waiting for the reactor's next turn.

To ask the reactor for a turn and to be called back costs more than the system
call that it is about; what a relay passes on goes to the kernel at once.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOProtocol


def be_eager(transport: ITransport) -> None:
    """Let what TLS makes of writes go out at once too."""
    if isinstance(transport, TLSMemoryBIOProtocol):
        below: Any = transport.transport
        if isinstance(below, Connection):
            below.write = partial(_write_tcp, below)  # type: ignore[method-assign] # of this one connection


def write_now(transport: ITransport, data: bytes) -> None:
    """As `transport.write`, but the kernel has the bytes after it, if it takes
    them. All writes to one connection must come by here, for their order."""
    if isinstance(transport, Connection):
        _write_tcp(transport, data)
    elif isinstance(transport, TLSMemoryBIOProtocol):
        # past the collecting of small writes: these are joined already
        TLSMemoryBIOProtocol.write(transport, data)  # type: ignore[no-untyped-call] # Twisted's
    else:
        transport.write(data)


def _write_tcp(connection: Any, data: bytes) -> None:
    idle = not connection.dataBuffer and not connection._tempDataBuffer
    if idle and connection.connected and not connection.disconnecting:
        sent = connection.writeSomeData(data)
        if isinstance(sent, int):
            data = data[sent:]
    # What the kernel did not take, and errors, are the reactor's.
    if data:
        Connection.write(connection, data)  # type: ignore[no-untyped-call] # Twisted's

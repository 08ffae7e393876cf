"""Writing without waiting for the reactor's next turn.

Twisted's TCP transport keeps what is written, asks the reactor to watch the
socket, and sends in the next turn: three more system calls a member and flush
than the one it is about. Transports that send at once by themselves (ours, with
`tls.transport = "socket"`) are left alone.
"""

# Twisted's transports are not annotated.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.protocols.tls import TLSMemoryBIOProtocol


def eager_write(transport: Any) -> Callable[[bytes], None]:
    """As transport.write, but the kernel has the bytes after it, if it takes
    them. Order is kept between the two, whoever else writes."""
    if type(transport) in (tcp.Server, unix.Server):
        return partial(_write_socket, transport)
    if isinstance(transport, TLSMemoryBIOProtocol):
        below: Any = transport.transport
        if type(below) in (tcp.Server, unix.Server):
            below.write = partial(_write_socket, below)
        # Past the collecting of small writes: these are joined already.
        return partial(TLSMemoryBIOProtocol.write, transport)
    write: Callable[[bytes], None] = transport.write
    return write


def _write_socket(transport: Any, data: bytes) -> None:
    if (
        not transport.dataBuffer
        and not transport._tempDataBuffer
        and transport.connected
        and not transport.disconnecting
        and not transport.TLS
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:
            # Full, or broken: the reactor finds out, and tells.
            sent = 0
        if sent == len(data):
            return
        if sent:
            data = data[sent:]
    FileDescriptor.write(transport, data)

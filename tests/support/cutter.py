"""A TCP proxy on loopback whose network can be taken away."""

from __future__ import annotations

import contextlib
import socket
import threading


class Cutter:
    """Forwards to a port of this machine, until it is told not to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._down = threading.Event()
        self._pairs: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection ends; new ones are refused until mend()."""
        self._down.set()
        for end in list(self._pairs):
            _end(end)

    def mend(self) -> None:
        """The network is back."""
        self._down.clear()

    def close(self) -> None:
        """No more."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._down.is_set():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._pairs |= {client, server}
            if self._down.is_set():  # since a moment ago
                _end(client)
                _end(server)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            _end(end)
        for end in (source, sink):
            self._pairs.discard(end)
            end.close()


def _end(end: socket.socket) -> None:
    """Tell the peer. To close is not enough: as long as another thread waits in
    recv() the kernel keeps the connection, and says nothing to the other side."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

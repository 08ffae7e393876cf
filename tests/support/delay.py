"""A TCP path with a round trip: what leaves arrives later, and only so much
is on the way at once. No kernel support needed (netem is not everywhere)."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType


class DelayProxy:
    """Forwards one connection; a context manager. `port` is where it listens.

    delay_s: each way. window_bytes: on the way at once, in each direction,
    as a TCP connection of that window over such a path has it.
    """

    def __init__(self, target: tuple[str, int], *, delay_s: float, window_bytes: int):
        self._target = target
        self._delay_s = delay_s
        self._window = window_bytes
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> DelayProxy:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, run: object, *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)  # type: ignore[arg-type] # any callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            near, _ = self._listener.accept()
            far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            # What waits in our kernel is not on the way: keep it small.
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            far.connect(self._target)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                self._forward(source, sink)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        """A reader that waits for acknowledgements, a writer that is late."""
        travelling: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

        def read() -> None:
            unacknowledged: deque[tuple[float, int]] = deque()
            with suppress(OSError):
                data = b"begun"
                while data:
                    _wait_for_room(unacknowledged, self._window)
                    data = source.recv(4096)
                    now = time.monotonic()
                    unacknowledged.append((now + 2 * self._delay_s, len(data)))
                    travelling.put((now + self._delay_s, data))
            travelling.put((0.0, b""))

        def write() -> None:
            with suppress(OSError):
                while True:
                    due, data = travelling.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)

        self._start(read)
        self._start(write)


def _wait_for_room(unacknowledged: deque[tuple[float, int]], window: int) -> None:
    while unacknowledged:
        acknowledged_at = unacknowledged[0][0]
        if acknowledged_at <= time.monotonic():
            unacknowledged.popleft()
        elif sum(size for _, size in unacknowledged) >= window:
            time.sleep(max(0.0, acknowledged_at - time.monotonic()))
        else:
            return


class DelayedDatagrams:
    """The same for datagrams to one server, of one client at a time; in a thread,
    so that it also works while a test waits for a process."""

    def __init__(self, target: tuple[str, int], *, delay_s: float) -> None:
        self._target = target
        self._delay_s = delay_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._open = True
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """No more."""
        self._open = False

    def _run(self) -> None:
        waiting: deque[tuple[float, bytes, tuple[str, int]]] = deque()
        client = self._target
        with self._socket:
            while self._open:
                now = time.monotonic()
                while waiting and waiting[0][0] <= now:
                    _, data, to = waiting.popleft()
                    with suppress(OSError):
                        self._socket.sendto(data, to)
                self._socket.settimeout(
                    max(waiting[0][0] - now, 0.0005) if waiting else 0.2
                )
                try:
                    data, sender = self._socket.recvfrom(65536)
                except OSError:
                    continue
                if sender == self._target:
                    to = client
                else:
                    client, to = sender, self._target
                waiting.append((time.monotonic() + self._delay_s, data, to))

"""A TCP path with a round trip: what leaves arrives later, and only so much
is on the way at once. No kernel support needed (netem is not everywhere)."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from selectors import EVENT_READ, DefaultSelector
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
    """The same for datagrams to one server, of any clients; in a thread, so that it
    also works while a test waits for a process. at: where it listens; port 0 for
    any."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        delay_s: float,
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._target = target
        self._delay_s = delay_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(at)
        self.port = int(self._socket.getsockname()[1])
        self._selector = DefaultSelector()
        self._selector.register(self._socket, EVENT_READ)
        self._clients: dict[tuple[str, int], socket.socket] = {}
        self._waiting: deque[tuple[float, socket.socket, bytes, tuple[str, int]]]
        self._waiting = deque()
        self._open = True
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """No more."""
        self._open = False

    def _run(self) -> None:
        while self._open:
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, by, data, to = self._waiting.popleft()
                with suppress(OSError):
                    by.sendto(data, to)
            due = self._waiting[0][0] - now if self._waiting else 0.2
            for key, _ in self._selector.select(max(due, 0.0005)):
                with suppress(OSError):
                    self._read(key.fileobj)  # type: ignore[arg-type]  # we registered
        for each in (self._socket, *self._clients.values()):
            each.close()
        self._selector.close()

    def _read(self, source: socket.socket) -> None:
        data, sender = source.recvfrom(65536)
        late = time.monotonic() + self._delay_s
        if source is not self._socket:
            client = next(c for c, by in self._clients.items() if by is source)
            self._waiting.append((late, self._socket, data, client))
            return
        if sender not in self._clients:
            by = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            by.bind(("127.0.0.1", 0))
            self._clients[sender] = by
            self._selector.register(by, EVENT_READ)
        self._waiting.append((late, self._clients[sender], data, self._target))

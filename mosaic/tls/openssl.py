"""OpenSSL's two calls per record, as pyOpenSSL makes them but without exceptions.

`SSL.Connection.recv` and `send` cost two to four times the call below, most of it
in the WantReadError that ends every read. pyOpenSSL's own binding is used, so
there is one OpenSSL in the process; see docs/decisions/010-tls-on-the-socket.md.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL
from twisted.internet.main import CONNECTION_LOST

RECORD_BYTES = 16384
"""What one record holds at most (RFC 8446 section 5.1): a read that has this
much room leaves nothing behind in OpenSSL, so the socket alone says what is
there to be read."""
JOINED_BYTES = 65536
"""Records that wait are joined, up to this and one record more."""
JOINED_RECORDS = 256
"""So many at most: a record of one byte costs as much time as one of hundreds."""

_lib: Any = Binding.lib
_ffi: Any = Binding.ffi
_read = _lib.SSL_read
_write = _lib.SSL_write
_error = _lib.SSL_get_error
_buffer = _ffi.buffer
# One for all connections: a read is copied out before anybody else can read.
_input: Any = _ffi.new("char[]", JOINED_BYTES + RECORD_BYTES)

DONE = 0
WANT_READ: int = _lib.SSL_ERROR_WANT_READ
WANT_WRITE: int = _lib.SSL_ERROR_WANT_WRITE
CLOSED: int = _lib.SSL_ERROR_ZERO_RETURN
"""The peer has sent close_notify."""


def pointer(connection: SSL.Connection) -> Any:
    """OpenSSL's own object; the connection must outlive it."""
    return connection._ssl


def receive(ssl: Any) -> tuple[bytes, int]:
    """Read what has arrived: the bytes, and why there are no more.

    The reason is DONE where there may be more, WANT_READ, WANT_WRITE, CLOSED,
    or a code for failure().
    """
    forget_errors()
    total = 0
    for _ in range(JOINED_RECORDS):
        got = _read(ssl, _input + total, RECORD_BYTES)
        if got <= 0:
            return _buffer(_input, total)[:], _error(ssl, got)
        total += got
        if total > JOINED_BYTES:
            break
    return _buffer(_input, total)[:], DONE


def send(ssl: Any, data: bytes | memoryview, at_most: int) -> tuple[int, int]:
    """Write what the kernel takes: how many bytes, and why not all.

    The reason is as in receive(); DONE also where at_most bytes were reached.
    After WANT_WRITE the next call must begin with the bytes that are left.
    """
    forget_errors()
    size = len(data)
    if size <= RECORD_BYTES and type(data) is bytes:
        sent = _write(ssl, data, size)
        return (sent, DONE) if sent > 0 else (0, _error(ssl, sent))
    total = 0
    with _ffi.from_buffer(data) as start:
        while total < min(size, at_most):
            # One record at a time: of several, OpenSSL says nothing before the
            # last has left, and its progress would not be seen.
            sent = _write(ssl, start + total, min(size - total, RECORD_BYTES))
            if sent <= 0:
                return total, _error(ssl, sent)
            total += sent
    return total, DONE


def shut_down(ssl: Any) -> int:
    """Send close_notify: DONE, CLOSED if the peer's has come too, or the reason."""
    forget_errors()
    result = _lib.SSL_shutdown(ssl)
    if result < 0:
        return int(_error(ssl, result))
    return CLOSED if result else DONE


def failure(code: int) -> Exception:
    """What a protocol is told: SSL.Error, or ConnectionLost for the end of the
    socket (also where it came without close_notify, RFC 8446 section 6.1)."""
    reasons = []
    while number := _lib.ERR_get_error():
        reasons.append(
            tuple(
                _text(part(number))
                for part in (
                    _lib.ERR_lib_error_string,
                    _lib.ERR_func_error_string,
                    _lib.ERR_reason_error_string,
                )
            )
        )
    if code != _lib.SSL_ERROR_SSL or is_end(reasons):
        return CONNECTION_LOST
    return SSL.Error(reasons)


class Lent:
    """A connection's OpenSSL, for a thread that reads and writes without Python.

    address: of the SSL object, which lives as long as this does. calls: addresses
    of SSL_read, SSL_write, SSL_get_error and ERR_clear_error. One thread at a time.
    """

    calls: tuple[int, int, int, int] = tuple(
        int(_ffi.cast("uintptr_t", _ffi.addressof(_read.__self__, name)))
        for name in ("SSL_read", "SSL_write", "SSL_get_error", "ERR_clear_error")
    )  # type: ignore[assignment] # four of them

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self.address = int(_ffi.cast("uintptr_t", pointer(connection)))

    def stand_on(self, fd: int) -> None:
        """Read and write another descriptor of the same socket from now on."""
        if not _lib.SSL_set_fd(pointer(self._connection), fd):
            forget_errors()
            raise MemoryError


def forget_errors() -> None:
    """Empty OpenSSL's queue of errors, which belongs to the thread.

    SSL_get_error(3) wants it empty before each call: before OpenSSL 4 what is
    left in it is taken for an error of this connection. To look costs a quarter
    of emptying it.
    """
    if _lib.ERR_peek_error():
        _lib.ERR_clear_error()


def is_end(reasons: list[tuple[str, ...]]) -> bool:
    """Whether OpenSSL's reasons mean that the peer's end of the socket is gone."""
    return not reasons or any(
        reason[-1].startswith("unexpected eof") for reason in reasons
    )


def _text(characters: Any) -> str:
    return _ffi.string(characters).decode() if characters else ""

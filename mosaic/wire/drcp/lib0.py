"""lib0's numbers, byte arrays and strings, as Yjs and DRCP write them."""

from __future__ import annotations

MAX_VAR_UINT = 2**53 - 1
"""JavaScript's largest safe integer: larger ones are refused."""


class ProtocolError(Exception):
    """The peer broke the protocol. code: a DRCP close or error code."""

    code = 4400

    def __init__(self, message: str, *, code: int = 4400) -> None:
        super().__init__(message)
        self.code = code


def var_uint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the top bit set while more follow."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def var_bytes(data: bytes) -> bytes:
    """A length and that many bytes (lib0 varUint8Array)."""
    return var_uint(len(data)) + data


def var_string(text: str) -> bytes:
    """A length in bytes and UTF-8."""
    return var_bytes(text.encode())


class Reader:
    """Reads from one frame; ProtocolError (4400) past its end."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.at

    def var_uint(self) -> int:
        """A number of at most 53 bits."""
        data, at = self.data, self.at
        value = shift = 0
        while True:
            if at >= len(data):
                raise ProtocolError("the frame ends inside a number")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 49:
                raise ProtocolError("a number has more than 53 bits")
        if value > MAX_VAR_UINT:
            raise ProtocolError("a number has more than 53 bits")
        self.at = at
        return value

    def bytes(self) -> bytes:
        """A byte array."""
        size = self.var_uint()
        start = self.at
        if size > len(self.data) - start:
            raise ProtocolError(f"{size} bytes announced, {self.left} are left")
        self.at = start + size
        return self.data[start : self.at]

    def string(self) -> str:
        """A UTF-8 string."""
        try:
            return self.bytes().decode()
        except UnicodeDecodeError:
            raise ProtocolError("a string is not UTF-8") from None

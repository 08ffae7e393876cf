"""What was sent and not yet acknowledged (XEP-0198 section 4), sans I/O."""

from __future__ import annotations

NS_SM = "urn:xmpp:sm:3"
MODULUS = 1 << 32
"""Counters are xs:unsignedInt and start again at zero."""


class AckError(ValueError):
    """The peer acknowledged what it was never sent."""


class AckQueue:
    """Stanzas in the order of sending, until they are acknowledged.

    size_bytes: what they hold together. acked: how many the peer has handled,
    modulo 2**32. sent: how many were sent in all. unasked: how many of them since
    the last request.
    """

    __slots__ = ("_waiting", "acked", "sent", "size_bytes", "unasked")

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self.size_bytes = 0
        self.acked = 0
        self.sent = 0
        self.unasked = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, stanza: bytes) -> int:
        """One more was sent; how many since the last request."""
        self._waiting.append(stanza)
        self.size_bytes += len(stanza)
        self.sent += 1
        self.unasked += 1
        return self.unasked

    def acknowledge(self, handled: int) -> None:
        """The peer has handled so many in all, modulo 2**32.

        Raises AckError if that is more than were sent. An old count that comes
        late looks like that too: on one stream none does.
        """
        gone = (handled - self.acked) % MODULUS
        waiting = self._waiting
        if gone > len(waiting):
            raise AckError(f"{gone} acknowledged of {len(waiting)}")
        if gone == len(waiting):
            waiting.clear()
            self.size_bytes = 0
        elif gone:
            self.size_bytes -= sum(map(len, waiting[:gone]))
            del waiting[:gone]
        self.acked = handled % MODULUS

    def stanzas(self) -> list[bytes]:
        """What is not acknowledged, oldest first."""
        return list(self._waiting)

    def clear(self) -> list[bytes]:
        """Take everything out, unacknowledged."""
        waiting, self._waiting = self._waiting, []
        self.size_bytes = self.unasked = 0
        return waiting


def read_count(text: str | None) -> int | None:
    """The `h` of an element: 0 to 2**32-1, or None if it is no such number."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    count = int(text)
    return count if count < MODULUS else None

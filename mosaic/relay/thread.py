"""The thread of C that moves packets, as the reactor sees it.

Commands go to it in a list and take effect in their order; what it has to say
comes back as records, of which an event descriptor tells.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.relay._plane import (  # type: ignore[import-not-found,unused-ignore] # built from C
    ffi,
    lib,
)
from mosaic.relay.interface import Control, PlaneCounters
from mosaic.relay.packing import five_tuple_of, new_five_tuple, new_tuple
from mosaic.wire.turn.known import KnownAsk

# size, kind, number, client, server, length of what follows, unused
_RECORD = struct.Struct("=IIQ20s20sII")
_FRAME_RECORD = struct.Struct("=IIQ40xI4x")
_KNOWN_RECORD = struct.Struct("=16x40s4xI8x12s")
_CONTROL, _FRAME, _SETTLED, _STREAM_CONTROL, _STREAM_GONE, _KNOWN = 1, 2, 3, 5, 6, 7
_NO_LIFETIME, _WITH_FINGERPRINT = 0xFFFF, 1 << 16
_BROKEN_AT = 60
_TAKE_BYTES = 512 << 10
_TAKES = 4
NS = 1_000_000_000
COUNTERS = (
    "from_clients",
    "from_clients_bytes",
    "from_peers",
    "from_peers_bytes",
    "hairpins",
    "from_clients_no_route",
    "from_peers_no_route",
    "to_clients_failed",
    "to_peers_failed",
    "to_peers_refused",
    "over_limit",
    "icmp",
    "not_stun",
    "bindings",
    "bindings_over_budget",
    "challenges",
    "challenges_over_budget",
    "challenges_too_short",
    "controls_dropped",
    "frames_dropped",
    "stream_frames_dropped",
)
"""In the order of plane.c."""


@implementer(IReadDescriptor)
class PlaneThread:
    """One such thread: its life, its commands, its records and its counters.

    clock: seconds, never backwards; the thread has its own, and is told what is
    left of each time. options: as `plane_new` takes them. Whoever inherits says
    what becomes of the records about streams.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        *,
        clock: Callable[[], float],
        options: tuple[bool, float, float, bool],
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._options = options
        self._control: Control = lambda data, five_tuple: None
        self._plane: Any = None
        self._take = ffi.new("unsigned char[]", _TAKE_BYTES)
        self._taken = memoryview(ffi.buffer(self._take))
        self._counters = PlaneCounters()
        self._before = [0] * len(COUNTERS)
        self._failed = 0
        self._commands = self._done = self._tickets = 0
        self._waiting: dict[int, tuple[int, Callable[[], None]]] = {}
        self._in_batch = self._to_wake = False
        self._more = ffi.new("int *")

    # Life

    def start(self, control: Control) -> None:
        """Start the thread (after daemonising: a fork would lose it).

        Raises OSError if the machine gives no thread or descriptors.
        """
        self._control = control
        plane = lib.plane_new(*self._options)
        if plane == ffi.NULL:
            raise OSError("no memory or descriptors for the data plane")
        self._plane = ffi.gc(plane, lib.plane_free)
        error = lib.plane_start(self._plane)
        if error:
            self._plane = None
            raise OSError(error, os.strerror(error))
        self._reactor.addReader(self)

    def stop(self) -> None:
        """End the thread, which closes every socket."""
        if self._plane is None:
            return
        self._reactor.removeReader(self)
        lib.plane_stop(self._plane)
        self._before = self._counted()
        self._plane = None
        self._waiting.clear()
        self._done = self._commands

    def fileno(self) -> int:
        """Readable when the thread has something to say."""
        return -1 if self._plane is None else int(lib.plane_event_fd(self._plane))

    def logPrefix(self) -> str:
        """Twisted's name for this reader."""
        return "turn-plane"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives up on the descriptor (at its end)."""
        self.stop()

    # Counters

    @property
    def counters(self) -> PlaneCounters:
        """What has moved so far; one object, brought up to date."""
        for name, value in zip(COUNTERS, self._counted(), strict=True):
            setattr(self._counters, name, value)
        self._counters.to_clients_failed += self._failed
        return self._counters

    def _counted(self) -> list[int]:
        if self._plane is None:
            return self._before
        now = ffi.new("uint64_t[]", len(COUNTERS))
        lib.plane_counters(self._plane, now, len(COUNTERS))
        return [old + new for old, new in zip(self._before, now, strict=True)]

    # Commands

    def _running(self) -> Any:
        if self._plane is None:
            raise OSError("the data plane is not started")
        return self._plane

    def _command(self, failed: int) -> None:
        if failed:
            raise MemoryError
        self._commands += 1
        self._wake()

    def _wake(self) -> None:
        if self._in_batch:
            self._to_wake = True
        else:
            lib.plane_wake(self._plane)

    def _until(self, expires_at: float) -> int:
        """The thread's time for one of ours."""
        left = int((expires_at - self._clock()) * NS)
        return int(lib.plane_now(self._plane)) + left

    def settled(self, done: Callable[[], None]) -> None:
        """Call back when the thread has run every command so far."""
        if self._plane is None:
            return
        self._tickets += 1
        self._waiting[self._tickets] = (self._commands, done)
        if lib.plane_settle(self._plane, self._tickets):
            raise MemoryError
        self._wake()

    # What the thread says

    def doRead(self) -> None:
        """Take what is there, but leave the reactor its turn."""
        self._in_batch = True
        try:
            for _ in range(_TAKES):
                if not self._take_some():
                    return
            lib.plane_again(self._plane)
        finally:
            wake, self._in_batch, self._to_wake = self._to_wake, False, False
            if wake and self._plane is not None:
                lib.plane_wake(self._plane)

    def _take_some(self) -> bool:
        """Perform some records; False when there are none, or we have stopped."""
        used = lib.plane_take(self._plane, self._take, _TAKE_BYTES, self._more)
        taken, at = self._taken, 0
        frames: dict[int, list[bytes]] = {}
        known: list[KnownAsk] = []
        while at < used and self._plane is not None:
            size, kind, number, length = _FRAME_RECORD.unpack_from(taken, at)
            start = at + _RECORD.size
            data = bytes(taken[start : start + length])
            if kind == _FRAME:
                frames.setdefault(number, []).append(data)
            elif kind == _KNOWN:
                ends, asks, transaction = _KNOWN_RECORD.unpack_from(taken, at)
                lifetime = asks & _NO_LIFETIME
                known.append(
                    new_tuple(
                        KnownAsk,
                        (
                            number,
                            new_five_tuple(ends),
                            ends,
                            transaction,
                            None if lifetime == _NO_LIFETIME else lifetime,
                            asks >= _WITH_FINGERPRINT,
                            data,
                        ),
                    )
                )
            elif known:  # who asks something after it has been granted
                self._known_ask(known)
                known = []
                continue
            elif kind == _CONTROL:
                _, _, _, client, server, _, _ = _RECORD.unpack_from(taken, at)
                self._control(data, five_tuple_of(client, server))
            elif kind == _SETTLED:
                self._settle(number)
            elif kind == _STREAM_CONTROL:
                self._stream_said(number, data)
            elif kind == _STREAM_GONE:
                self._stream_gone(number, broken=taken[at + _BROKEN_AT] != 0)
            at += size
        if known and self._plane is not None:
            self._known_ask(known)
        for relay, found in frames.items():
            self._frames_came(relay, found)
        return self._more[0] != 0 and self._plane is not None

    def _known_ask(self, asks: list[KnownAsk]) -> None:
        """Those whose credentials the thread has found to be right."""
        raise NotImplementedError

    def _frames_came(self, relay: int, frames: list[bytes]) -> None:
        """All that came in this wake-up for a relay whose client is a stream."""
        raise NotImplementedError

    def _stream_said(self, number: int, data: bytes) -> None:
        """A message that is no data, on a connection that the thread has."""
        raise NotImplementedError

    def _stream_gone(self, number: int, *, broken: bool) -> None:
        """A connection that the thread had has ended."""
        raise NotImplementedError

    def _settle(self, ticket: int) -> None:
        held = self._waiting.pop(ticket, None)
        if held is not None:
            self._done, done = held
            done()

    # For tests

    def turn_forward(self, seconds: float) -> None:
        """Let time pass for the thread at once."""
        if self._plane is not None:
            lib.plane_turn_forward(self._plane, round(seconds * NS))

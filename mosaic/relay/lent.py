"""Connections of TCP clients that the native plane's thread has for a while."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from mosaic.relay._plane import (  # type: ignore[import-not-found,unused-ignore] # built from C
    ffi,
    lib,
)
from mosaic.relay.interface import Lender, Secured
from mosaic.relay.packing import packed
from mosaic.wire.stun.address import FiveTuple

_UNREAD_BYTES = 192 << 10
_UNSENT_SLACK = 128 << 10
_NS = 1_000_000_000


class _Lent(NamedTuple):
    """A connection that the thread has."""

    number: int
    lender: Lender
    queue_bytes: int
    fd: int
    secured: Secured | None


class LentConnections:
    """Which they are, and whose.

    command: told of each call of the thread that takes effect in its order.
    settled: calls back when all of them have.
    """

    def __init__(
        self,
        command: Callable[[int], None],
        settled: Callable[[Callable[[], None]], None],
    ) -> None:
        self._command = command
        self._settled = settled
        self._speaks_tls = False
        self._last = 0
        self._lent: dict[FiveTuple, _Lent] = {}
        self._lenders: dict[int, Lender] = {}
        self._numbers_of: dict[FiveTuple, list[int]] = {}

    def __contains__(self, five_tuple: FiveTuple) -> bool:
        return five_tuple in self._lent

    def adopt(
        self,
        plane: Any,
        five_tuple: FiveTuple,
        transport: int,
        fd: int,
        unread: bytes,
        lender: Lender,
        *,
        queue_bytes: int,
        queue_s: float,
        secured: Secured | None,
    ) -> None:
        """See `mosaic.relay.interface.AdoptingPlane`; raises OSError."""
        own = os.dup(fd)
        tls = ffi.NULL
        if secured is not None:
            if not self._speaks_tls:
                lib.plane_tls(plane, *secured.calls)
                self._speaks_tls = True
            # not on the lender's descriptor, whose number may be another's
            # before the thread has heard that the client is gone
            try:
                secured.stand_on(own)
            except MemoryError:
                os.close(own)
                raise
            tls = ffi.cast("void *", secured.address)
        self._last += 1
        number = self._last
        self._lent[five_tuple] = _Lent(number, lender, queue_bytes, fd, secured)
        self._lenders[number] = lender
        self._numbers_of.setdefault(five_tuple, []).append(number)
        self._command(
            lib.plane_adopt(
                plane,
                number,
                own,
                packed(*five_tuple.client),
                packed(*five_tuple.server),
                transport,
                tls,
                unread,
                len(unread),
                queue_bytes,
                int(queue_s * _NS),
            )
        )

    def send(self, plane: Any, to: FiveTuple, data: bytes) -> None:
        """An answer, after the commands so far."""
        number = self._lent[to].number
        self._command(lib.plane_send_stream(plane, number, data, len(data)))

    def detach(self, plane: Any, five_tuple: FiveTuple) -> None:
        """The client has gone."""
        # what the thread has said of it may still lie in a ring until now
        for number in self._numbers_of.pop(five_tuple, ()):
            del self._lenders[number]
        lent = self._lent.pop(five_tuple, None)
        if lent is not None and plane is not None:
            self._command(lib.plane_leave(plane, lent.number))
            if lent.secured is not None:
                self._settled(partial(_let_go, lent.secured))

    def give_back(self, plane: Any, five_tuple: FiveTuple) -> None:
        """Its last relay has ended."""
        lent = self._lent.pop(five_tuple, None)
        if lent is None:
            return
        room = lent.queue_bytes + _UNSENT_SLACK
        unread = ffi.new("unsigned char[]", _UNREAD_BYTES)
        unsent, unsent_size = ffi.new("unsigned char[]", room), ffi.new("int *")
        size = lib.plane_give_back(
            plane, lent.number, unread, _UNREAD_BYTES, unsent, room, unsent_size
        )
        if lent.secured is not None:
            lent.secured.stand_on(lent.fd)
        if size < 0:
            lent.lender.lent_lost(broken=False)
            return
        waits = bytes(ffi.buffer(unsent, unsent_size[0]))
        lent.lender.given_back(bytes(ffi.buffer(unread, size)), waits)

    def received(self, number: int, data: bytes) -> None:
        """The thread has read a message that is no data."""
        lender = self._lenders.get(number)
        if lender is not None:
            lender.lent_received(data)

    def lost(self, number: int, *, broken: bool) -> None:
        """The connection has ended."""
        lender = self._lenders.get(number)
        if lender is not None:
            lender.lent_lost(broken=broken)

    def clear(self) -> None:
        """The thread has ended, and closed them all."""
        for held in (self._lent, self._lenders, self._numbers_of):
            held.clear()
        self._speaks_tls = False


def _let_go(_secured: Secured) -> None:
    """The thread uses it no more: whoever called us held it until now."""

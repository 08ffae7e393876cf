"""Addresses as the native plane has them (plane_api.h)."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from mosaic.wire.stun.address import Address, FiveTuple, unpack_host

_ADDRESS = struct.Struct("=16sHH")


@lru_cache(maxsize=4096)
def packed(host: str, port: int) -> bytes:
    """An address in 20 bytes."""
    if ":" in host:
        raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return _ADDRESS.pack(raw, port, 6)
    return _ADDRESS.pack(socket.inet_aton(host), port, 4)


def _unpacked(data: bytes) -> Address:
    raw, port, family = _ADDRESS.unpack(data)
    return Address(unpack_host(raw if family == 6 else raw[:4]), port)


@lru_cache(maxsize=4096)
def five_tuple_of(client: bytes, server: bytes) -> FiveTuple:
    """A UDP client and where it reached us."""
    return FiveTuple("udp", _unpacked(client), _unpacked(server))

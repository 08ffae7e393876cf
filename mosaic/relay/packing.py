"""Addresses as the native plane has them (plane_api.h)."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from mosaic.wire.stun.address import Address, FiveTuple, unpack_host

_ADDRESS = struct.Struct("=16sHH")
_BOTH = struct.Struct("=16sHH20s")
new_tuple = tuple.__new__
"""Makes a named tuple without a call of Python: for hundreds at once."""


@lru_cache(maxsize=4096)
def packed(host: str, port: int) -> bytes:
    """An address in 20 bytes."""
    if ":" in host:
        raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return _ADDRESS.pack(raw, port, 6)
    return _ADDRESS.pack(socket.inet_aton(host), port, 4)


@lru_cache(maxsize=4096)
def _host(raw: bytes, family: int) -> str:
    return unpack_host(raw if family == 6 else raw[:4])


def _unpacked(data: bytes) -> Address:
    raw, port, family = _ADDRESS.unpack(data)
    return Address(_host(raw, family), port)


@lru_cache(maxsize=64)
def _server(data: bytes) -> Address:
    return _unpacked(data)


def new_five_tuple(ends: bytes) -> FiveTuple:
    """A UDP client, who has not been seen before, and where it reached us: both
    addresses."""
    raw, port, family, server = _BOTH.unpack(ends)
    client = new_tuple(Address, (_host(raw, family), port))
    return new_tuple(FiveTuple, ("udp", client, _server(server)))


@lru_cache(maxsize=4096)
def five_tuple_of(client: bytes, server: bytes) -> FiveTuple:
    """A UDP client and where it reached us."""
    return FiveTuple("udp", _unpacked(client), _server(server))

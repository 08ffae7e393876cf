"""Servers and their keys as they were at first contact, to tell inspected TLS.

One file, `known_servers.json`, readable by its owner alone: `{"format": 1,
"servers": {"host:port": {"spki_sha256": […], "issuer": "…", "at": 1790000000}}}`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

MAX_SERVERS = 1000
MAX_FILE_BYTES = 1048576

INSPECTORS = (
    "avast", "barracuda", "bitdefender", "blue coat", "bluecoat", "broadcom",
    "burp", "charles proxy", "check point", "cisco umbrella", "contentkeeper",
    "eset ssl", "fiddler", "forcepoint", "fortinet", "fortigate", "iboss",
    "kaspersky", "lightspeed", "mcafee", "menlo security", "mitmproxy", "netskope",
    "palo alto", "securly", "smoothwall", "sonicwall", "sophos", "squid",
    "symantec web", "trend micro", "untangle", "watchguard", "websense", "zscaler",
)  # fmt: skip
"""Words in the names of authorities that boxes and programs make for inspection."""


class KnownServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server. spki_sha256: of its certificates' keys, in hexadecimal."""

    spki_sha256: tuple[str, ...]
    issuer: str
    at: int


class _File(msgspec.Struct, kw_only=True):
    servers: dict[str, KnownServer] = {}
    format: int = 1


class KnownServers:
    """What is remembered. path: None to remember nothing after this run."""

    def __init__(
        self, path: Path | None = None, wall: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._wall = wall
        self._servers = _read(path)

    def get(self, host: str, port: int) -> KnownServer | None:
        """As it was last seen without a doubt."""
        return self._servers.get(f"{host}:{port}")

    def learn(self, host: str, port: int, keys: Sequence[str], issuer: str) -> None:
        """The server's own words, over a connection that showed one of these keys."""
        key = f"{host}:{port}"
        before = self._servers.get(key)
        if before and (before.spki_sha256, before.issuer) == (tuple(keys), issuer):
            return
        self._servers.pop(key, None)
        while len(self._servers) >= MAX_SERVERS:
            del self._servers[next(iter(self._servers))]
        self._servers[key] = KnownServer(
            spki_sha256=tuple(keys), issuer=issuer, at=int(self._wall())
        )
        self._write()

    def _write(self) -> None:
        """In one step; a folder that cannot be written is no reason to fail."""
        if self._path is None:
            return
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with open(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(msgspec.json.encode(_File(servers=self._servers)))
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)


def inspected_by(
    key: str, issuer: str, *, told: Sequence[str], known: KnownServer | None
) -> str:
    """Why a key on the wire is not the server's; "" if nothing speaks against it.

    told: what the server says over REST that its keys are; empty if it said
    nothing. known: from an earlier contact.
    """
    if told:
        return "" if key in told else "the server says that it has other keys"
    if known is not None:
        if key in known.spki_sha256:
            return ""
        if issuer != known.issuer:
            return f"at an earlier contact it was signed by {short_name(known.issuer)}"
    if any(word in issuer.lower() for word in INSPECTORS):
        return "such authorities are made for inspection"
    return ""


def short_name(distinguished: str) -> str:
    """The common name, else the organisation, else all of an RFC 4514 name."""
    for wanted in ("CN=", "O="):
        for part in distinguished.split(","):
            if part.strip().startswith(wanted):
                return part.strip()
    return distinguished


def _read(path: Path | None) -> dict[str, KnownServer]:
    """What is there; a broken file is begun anew."""
    if path is None:
        return {}
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return {}
        return msgspec.json.decode(path.read_bytes(), type=_File).servers
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}

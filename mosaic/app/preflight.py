"""What can be known before anything starts: folder, ports, certificates."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mosaic.app.keys import load_or_make_keys, make_private_folder
from mosaic.config.errors import ConfigError
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.config.xmpp import read_secret, secret_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that stands in the way. key: as in etc/mosaic.toml."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class PreflightError(Exception):
    """Mosaic cannot start; the text is one line."""


class StateLock:
    """Held by the one server that works in a state folder."""

    def __init__(self, state: Path) -> None:
        self._descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> bool:
        """Whether the folder is now ours; survives the fork of a daemon."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Let go; the end of the process does the same."""
        os.close(self._descriptor)


def check_start(settings: Settings) -> None:
    """Raise PreflightError for the first problem that `problems` finds."""
    for problem in problems(settings):
        raise PreflightError(str(problem))


def problems(settings: Settings) -> Iterator[Problem]:
    """Everything that would keep a server with these settings from starting."""
    state = state_folder(settings)
    try:
        make_private_folder(state)
        for name in ("server", "turn"):
            load_or_make_keys(state, name)
    except OSError as error:
        yield Problem(
            key="state",
            message=f"{error.filename or state} cannot be used ({error.strerror}); "
            "choose another with --state",
        )
        return
    except ValueError as error:
        yield Problem(key="state", message=str(error))
    lock = StateLock(state)
    running = not lock.take()
    lock.release()
    if running:
        yield Problem(
            key="state",
            message=f"{state} is in use by a running Mosaic; stop it first",
        )
    else:
        yield from _taken_ports(settings)
    yield from _certificates(settings, state)
    for key, path in secret_files(settings.xmpp):
        try:
            read_secret(key, path)
        except ConfigError as error:
            yield Problem(key=key, message=str(error).removeprefix(f"{key}: "))


def _certificates(settings: Settings, state: Path) -> Iterator[Problem]:
    from mosaic.tls.certificates import load_certificates
    from mosaic.tls.errors import CertificateError

    try:
        if settings.tls.certs:
            load_certificates(Path(settings.tls.certs))
        for text in {t for name in _TLS_SERVICES for t in _strings(settings, name)}:
            if given := re.search(r"[:,]certs=((?:\\.|[^:\\])+)", text):
                load_certificates(Path(re.sub(r"\\(.)", r"\1", given[1])))
    except CertificateError as error:
        yield Problem(key="tls.certs", message=str(error))


_TLS_SERVICES = ("rest", "drcp", "xmpp", "turn_tls")
_PORT = re.compile(r"(?:^|:)(tcp|tcp6|ssl|tls|mosaic-tls|udp):(?:port=)?(\d+)")
_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])+)")


def _strings(settings: Settings, name: str) -> tuple[str, ...]:
    strings: tuple[str, ...] = getattr(settings.endpoints, name)
    return strings


def _taken_ports(settings: Settings) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in settings.endpoints.__struct_fields__:
        for text in _strings(settings, name):
            if text in seen or not (found := _PORT.search(text)):
                continue
            seen.add(text)
            kind, port = found[1], int(found[2])
            given = _INTERFACE.search(text)
            host = re.sub(r"\\(.)", r"\1", given[1]) if given else ""
            if port and (why := _cannot_bind(kind == "udp", host, port)):
                yield Problem(
                    key=f"endpoints.{name}",
                    message=f"{text!r} cannot be opened: {why}",
                )


def _cannot_bind(datagram: bool, host: str, port: int) -> str | None:
    """Why a port cannot be bound, or None; a missing family is no reason."""
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    families = [socket.AF_INET6 if ":" in host else socket.AF_INET]
    for family in families:
        try:
            with socket.socket(family, kind) as probe:
                if not datagram:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except PermissionError:
            return (
                f"port {port} needs a privilege; use a port above 1023, systemd "
                "socket activation or CAP_NET_BIND_SERVICE"
            )
        except OSError as error:
            if error.errno in _TAKEN:
                return (
                    f"port {port} is taken by another program; stop that or "
                    "choose another port"
                )
            if ":" not in host:
                return f"{host or 'the machine'}: {error.strerror}"
    return None


_TAKEN = {98, 48, 10048}

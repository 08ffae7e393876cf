"""A way in for the `mosaic` command while the server runs.

A UNIX socket in the state folder, for its owner alone: one line of JSON in,
one line of JSON out, then it closes. `{"verb": "turn.sessions"}` is answered
with `{"result": …}` or `{"error": "one line"}`. Further keys of the request
are the verb's own.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

_log = Logger()
NAME = "control"
MAX_REQUEST_BYTES = 65536
TIMEOUT_S = 10.0
_PATH_BYTES = 100
"""sun_path holds 107; some systems hold less."""

Verb = Callable[[Mapping[str, Any]], Any]
"""Takes the request; what it returns, or its Deferred fires with, is encoded
as JSON. ControlError is told to the caller, other exceptions are logged."""


class ControlError(Exception):
    """The server would not do it, or there is no server; the text says why."""


class NoServer(ControlError):
    """Nothing listens there."""


class ControlProtocol(LineReceiver, TimeoutMixin):
    """One request, one response."""

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = MAX_REQUEST_BYTES

    def __init__(self, verbs: Mapping[str, Verb], owner: int) -> None:
        self._verbs = verbs
        self._owner = owner
        self._asked = False

    def connectionMade(self) -> None:
        """Nobody but the owner of the process, and root."""
        self.setTimeout(TIMEOUT_S)  # type: ignore[no-untyped-call] # Twisted's
        if _user_of(self.transport.getHandle()) not in (self._owner, 0):
            self.transport.abortConnection()

    def lineReceived(self, line: bytes) -> None:
        """The request; whatever follows it is ignored."""
        if self._asked:
            return
        self._asked = True
        self.setTimeout(None)  # type: ignore[no-untyped-call] # Twisted's
        asked = maybeDeferred(self._perform, line)
        asked.addCallbacks(lambda result: {"result": result}, _explain)
        asked.addCallback(self._answer)

    def _perform(self, line: bytes) -> Any:
        try:
            request = json.loads(line)
            verb = self._verbs[request["verb"]]
        except (ValueError, RecursionError) as error:
            raise ControlError("the request is no JSON") from error
        except (TypeError, KeyError) as error:
            raise ControlError("this server knows no such verb") from error
        return verb(request)

    def _answer(self, response: dict[str, Any]) -> None:
        self.transport.write(json.dumps(response).encode() + b"\n")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The caller has gone."""
        self.setTimeout(None)  # type: ignore[no-untyped-call] # Twisted's


def _user_of(sock: Any) -> int:
    """The user on the other end; -1 where the system does not tell."""
    with suppress(OSError, AttributeError):
        size = struct.calcsize("3i")
        told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", told)[1])
    return -1


def _explain(failure: Failure) -> dict[str, str]:
    if isinstance(failure.value, ControlError):
        return {"error": failure.getErrorMessage()}
    _log.failure("a control verb failed", failure=failure)
    return {"error": "the server could not do it; its log says why"}


class ControlSocket:
    """The listening end. state: the folder, which this process has locked."""

    def __init__(self, reactor: Any, state: Path, verbs: Mapping[str, Verb]) -> None:
        self._reactor = reactor
        self._state = state
        self._verbs = verbs
        self._port: IListeningPort | None = None
        self._folder = -1

    async def start(self) -> None:
        """Listen; what an earlier process left behind is removed."""
        with suppress(FileNotFoundError):
            (self._state / NAME).unlink()
        factory = Factory.forProtocol(self._build)
        factory.noisy = False
        self._folder = os.open(self._state, os.O_RDONLY | os.O_DIRECTORY)
        path = _short(self._state, self._folder)
        before = os.umask(0o177)
        try:
            self._port = self._reactor.listenUNIX(path, factory, mode=0o600)
        finally:
            os.umask(before)

    def _build(self) -> ControlProtocol:
        return ControlProtocol(self._verbs, os.geteuid())

    async def stop(self) -> None:
        """Close it and remove the file."""
        port, self._port = self._port, None
        if port is not None:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
            os.close(self._folder)


def _short(state: Path, folder: int) -> str:
    """A name for the socket that fits into an address, however deep it lies."""
    name = str(state / NAME)
    if len(os.fsencode(name)) <= _PATH_BYTES:
        return name
    return f"/proc/self/fd/{folder}/{NAME}"


def ask(state: Path, verb: str, **more: Any) -> Any:
    """Ask the server that runs on a state folder. Raises ControlError, NoServer."""
    try:
        response = _exchange(state, json.dumps({"verb": verb, **more}).encode())
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoServer(f"no server runs on {state}") from error
    except OSError as error:
        raise ControlError(
            f"the server on {state} does not answer: {error.strerror or error}"
        ) from error
    try:
        decoded = json.loads(response)
    except ValueError as error:
        raise ControlError(f"the server on {state} broke off") from error
    if "error" in decoded:
        raise ControlError(str(decoded["error"]))
    return decoded["result"]


def _exchange(state: Path, request: bytes) -> bytes:
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(_short(state, folder))
            sock.sendall(request + b"\n")
            return b"".join(iter(lambda: sock.recv(65536), b""))
    finally:
        os.close(folder)

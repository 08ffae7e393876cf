"""Blocking TLS clients, for use in threads. Every wait is bounded."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mosaic

TIMEOUT_S = 30.0
ROOT = Path(mosaic.__file__).parent.parent


def client_context(
    folder: Path,
    *,
    alpn: list[str] | None = None,
    ciphers: str = "",
    version: ssl.TLSVersion | None = None,
    curve: str = "",
) -> ssl.SSLContext:
    """A client that trusts the folder's authority."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if alpn:
        context.set_alpn_protocols(alpn)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if curve:
        context.set_ecdh_curve(curve)
    return context


def connect(
    port: int, context: ssl.SSLContext, *, before: bytes = b"", host: str = "127.0.0.1"
) -> ssl.SSLSocket:
    """Shake hands; `before` goes in clear in front (a PROXY header)."""
    plain = socket.create_connection((host, port), timeout=TIMEOUT_S)
    try:
        if before:
            plain.sendall(before)
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def converse(connection: socket.socket, *parts: bytes, until: bytes) -> bytes:
    """Send the parts and read until `until` has come, or the end."""
    for part in parts:
        connection.sendall(part)
    received = b""
    while until not in received:
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        received += chunk
    return received


@contextlib.contextmanager
def server_process(
    state: Path, *descriptions: str, listener: socket.socket | None = None
) -> Iterator[list[int]]:
    """Run tests.support.tls_server; gives its ports.

    listener: handed over as systemd does, as descriptor 3 with the name "web".
    """
    command = [sys.executable, "-m", "tests.support.tls_server", str(state)]
    command += descriptions
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OPENSSL_CONF", None)
    descriptors: tuple[int, ...] = ()
    if listener is not None:
        # LISTEN_PID must name the process itself, so it is set just before exec.
        inherit = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',"
            "LISTEN_FDNAMES='web'); os.execv(sys.argv[2], sys.argv[2:])"
        )
        descriptors = (3, listener.fileno())
        command = [sys.executable, "-c", inherit, str(listener.fileno()), *command]
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # A server that fails ends, and with it this line.
        line = process.stdout.readline()
        if not line:
            raise AssertionError("the server did not start")
        yield [int(port) for port in line.split()]
    finally:
        process.stdin.close()
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

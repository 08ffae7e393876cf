"""Debian's Prosody in a process of its own: the second opinion on what is right."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from mosaic.wire.sasl.verifier import derive_verifier
from tests.support.certificate import self_signed_pem
from tests.support.running import free_port

PROSODY = Path("/usr/bin/prosody")
SALT = b"salt of a test.."
ITERATIONS = 4096
START_S = 60.0
TURN_S = 120.0

CONFIG = """\
run_as_root = {root}
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
log = {{ warn = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
c2s_direct_tls_ports = {{ {port} }}
s2s_ports = {{ }}
http_ports = {{ {http} }}
http_interfaces = {{ "127.0.0.1" }}
http_external_url = "http://127.0.0.1:{http}/"
http_default_host = "upload.localhost"
https_ports = {{ }}
component_ports = {{ }}
ssl = {{ certificate = "{folder}/both.pem"; key = "{folder}/both.pem" }}
c2s_direct_tls_ssl = {{ certificate = "{folder}/both.pem"; key = "{folder}/both.pem" }}
modules_enabled = {{
    "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "bookmarks"; "carbons";
    "pep"; "private"; "smacks"; "mam"; "vcard4"; "vcard_legacy"; "csi_simple";
    "ping"; "time"; "uptime"; "version"; "lastactivity"; "admin_adhoc"; "groups";
    "turn_external"; "offline"; "websocket";
}}
modules_disabled = {{ "s2s"; "limits" }}
authentication = "internal_hashed"
password_hash = "SHA-256"
c2s_require_encryption = true
consider_websocket_secure = true
admins = {{ {admins} }}
groups_file = "{folder}/groups"
turn_external_secret = "secret"
turn_external_host = "turn.localhost"
VirtualHost "localhost"
Component "rooms.localhost" "muc"
    modules_enabled = {{ "muc_mam" }}
    muc_room_locking = false
Component "upload.localhost" "http_file_share"
"""


class RunningProsody:
    """One server for localhost, rooms.localhost and upload.localhost.

    accounts: name -> password. contacts: accounts that are in each other's
    rosters. admins: accounts that may administer.
    """

    def __init__(
        self,
        accounts: dict[str, str],
        *,
        contacts: Iterable[Sequence[str]] = (),
        admins: Iterable[str] = (),
    ) -> None:
        self.port, self.http_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="prosody-test-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._turn: IO[str] | None = None
        text = CONFIG.format(
            root="true" if os.getuid() == 0 else "false",
            folder=self.folder,
            port=self.port,
            http=self.http_port,
            admins="; ".join(f'"{name}@localhost"' for name in admins),
        )
        (self.folder / "prosody.cfg.lua").write_text(text)
        (self.folder / "both.pem").write_text(self_signed_pem())
        with open(self.folder / "groups", "w") as file:
            for number, names in enumerate(contacts):
                file.write(f"[Group {number}]\n")
                file.writelines(f"{name}@localhost={name}\n" for name in names)
        self._write_accounts(accounts)

    def _write_accounts(self, accounts: dict[str, str]) -> None:
        folder = self.folder / "data" / "localhost" / "accounts"
        folder.mkdir(parents=True)
        known = {
            password: derive_verifier(password, salt=SALT, iterations=ITERATIONS)
            for password in set(accounts.values())
        }
        for name, password in accounts.items():
            keys = known[password]
            (folder / f"{name}.dat").write_text(
                f'return {{ ["salt"] = "{SALT.decode()}"; '
                f'["iteration_count"] = {ITERATIONS}; '
                f'["stored_key"] = "{keys.stored_key.hex()}"; '
                f'["server_key"] = "{keys.server_key.hex()}"; }};\n'
            )

    def start(self) -> RunningProsody:
        """Start it and wait until it listens. RuntimeError with what it said.

        One at a time on a machine, within reason: of two, one may leave a question
        to its archive unanswered.
        """
        if self._turn is None:
            self._turn = _wait_for_turn()
        self._process = subprocess.Popen(
            [str(PROSODY), "--config", str(self.folder / "prosody.cfg.lua")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Prosody did not start: {self.log()}")
            time.sleep(0.05)
        return self

    def log(self) -> str:
        """Its warnings and errors."""
        file = self.folder / "prosody.log"
        return file.read_text() if file.exists() else ""

    def kill(self) -> None:
        """As when the power fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._turn is not None:
            self._turn.close()
            self._turn = None


def _wait_for_turn() -> IO[str]:
    """A lock that other processes of the tests want too; not waited for for ever."""
    turn = (Path(tempfile.gettempdir()) / "mosaic-tests-prosody.lock").open("w")
    deadline = time.monotonic() + TURN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.1)
    return turn


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True

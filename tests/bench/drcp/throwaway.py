"""A throwaway Mosaic for the comparison: one process, one room, its tokens."""

import contextlib
import itertools
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import benchlib as bl

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Every other limit has its default: the loads make 30 messages a second a client
# at most, of the 120 that are allowed. Only in the trace and the board does one
# connection flood.
FLOOD = """\
[drcp]
messages_per_s = 1e9
message_burst = 1000000000
bytes_per_s = 1e12
"""

TOKENS = """\
import sys
from mosaic.cli.office import open_office
from mosaic.config.flags import settings_from_flags
from mosaic.workspace.model import Role
settings = settings_from_flags({"state": sys.argv[1]})
with open_office(settings) as office:
    for n in range(int(sys.argv[3])):
        issued = office.wait(office.door.room_token(
            sys.argv[2], role=Role.EDITOR, name=f"Client {n}",
            ttl_s=settings.auth.room_token_ttl_s, account=None))
        print(issued.token)
"""


class Mosaic:
    """One side of the comparison, with what compare.measure() asks for.

    door: "y", "hocuspocus" or "drcp". tls: "socket" or "memory", the transport
    of the TLS port; "" for plain. flood: the limits on messages and bytes are
    off. peers: tokens to make for "drcp".
    """

    def __init__(self, door, *, tls="", flood=False, peers=1):
        scheme = {"": "ws", "socket": "wss", "memory": "wss-memory"}[tls]
        self.name = f"mosaic-{scheme}" if door == "y" else f"mosaic-{scheme}-{door}"
        self.door, self.tls, self.flood, self.peers = door, bool(tls), flood, peers
        self._settings = f'[tls]\ntransport = "{tls}"\n' if tls else ""
        self.hocus, self.drcp = door == "hocuspocus", door == "drcp"
        self.doc = self.path = self.token = self.tokens = ""

    @contextlib.contextmanager
    def running(self, _tls, _certificate, core):
        """Yield (pid, port, tls); a fresh process and a fresh state folder."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-mosaic-"))
        state, config = folder / "state", folder / "mosaic.toml"
        config.write_text(self._settings + (FLOOD if self.flood else ""))
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        base = ["--config", config, "--state", state]
        ports = _free_ports(3)
        try:
            hub = self._prepare(base, state, folder, env)
            launch = "from twisted.scripts.twistd import run; run()"
            process = subprocess.Popen(
                [
                    *("taskset", "-c", str(core), sys.executable, "-c", launch),
                    *("--pidfile=", "-n", "mosaic", *base, "--port", str(ports[0])),
                    *("--http-port", str(ports[1]), "--turn-port", str(ports[2])),
                ],
                env=env,
                stdout=subprocess.DEVNULL,
            )
            try:
                self._address(hub)
                _wait(process, ports[:2])
                yield process.pid, ports[0] if self.tls else ports[1], self.tls
            finally:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare(self, base, state, folder, env):
        """A room and tokens, by the command line."""
        cli = [sys.executable, "-m", "mosaic.cli", *base]
        made = _json([*cli, "room", "create", "Bench", "--json"], env)
        hub = made["hub_id"]
        token = [*cli, "room", "token", hub, "--role", "editor", "--json"]
        self.token = _json(token, env)["token"]
        if self.drcp:
            self.tokens = folder / "tokens"
            make = [sys.executable, "-c", TOKENS, state, hub, str(self.peers)]
            with open(self.tokens, "w") as f:
                subprocess.run(make, env=env, check=True, stdout=f)
        return hub

    def _address(self, hub):
        self.path = {
            "y": f"/y/{hub}/notes/{{doc}}?token={self.token}",
            "hocuspocus": "/hocuspocus",
            "drcp": "/drcp",
        }[self.door]
        self.doc = "notes/{doc}" if self.drcp else f"{hub}/notes/{{doc}}"


def _free_ports(count):
    """Ports that neither TCP nor UDP has, below those that the system gives to
    whoever connects."""
    tried = random.sample(range(20_000, 32_000), 1000)
    free = (port for port in tried if bl.port_is_free(port))
    return list(itertools.islice(free, count))


def _json(argv, env):
    done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _wait(process, ports):
    deadline = time.monotonic() + 30
    while not all(map(bl.is_listening, ports)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("mosaic did not start")
        time.sleep(0.1)
    time.sleep(0.5)  # let it finish starting before memory is read

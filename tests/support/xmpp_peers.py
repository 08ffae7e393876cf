"""Other people's XMPP servers as parents of our component, on loopback: throwaway
configurations in folders of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import SkipTest

from tests.support.running import free_port

SECRET = "open sesame"
ACCOUNTS = {"ann": "secret", "bob": "hidden"}
COMPONENTS = (
    "mosaic.localhost",
    "upload.mosaic.localhost",
    "rooms.mosaic.localhost",
)
START_S = 60.0

PROSODY = """\
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_ports = {{ }}
component_ports = {{ {component} }}
component_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_require_encryption = false
authentication = "internal_hashed"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/log" }} }}

VirtualHost "localhost"
"""
PROSODY_COMPONENT = """
Component "{host}"
  component_secret = "{secret}"
"""
EJABBERD = """\
hosts: [localhost]
loglevel: info
listen:
  - port: {c2s}
    ip: "127.0.0.1"
    module: ejabberd_c2s
  - port: {component}
    ip: "127.0.0.1"
    module: ejabberd_service
    hosts:
"""
EJABBERD_COMPONENT = '      {host}: {{password: "{secret}"}}\n'
EJABBERD_MODULES = """\
s2s_access: none
auth_method: [internal]
auth_password_format: scram
modules:
  mod_disco: {}
  mod_ping: {}
"""


class Peer:
    """A server with the accounts of this test. c2s, component: its ports."""

    program = ""

    def __init__(self) -> None:
        if not shutil.which(self.program):
            if os.environ.get("CI"):
                raise RuntimeError(f"{self.program} is missing")
            raise SkipTest(f"{self.program} is not installed")
        self.folder = Path(tempfile.mkdtemp(prefix="mosaic-peer-"))
        self.c2s = free_port()
        self.component = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Of the process."""
        return dict(os.environ)

    def start(self) -> None:
        """Start it and wait for its ports."""
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if _open(self.c2s) and _open(self.component) and self.ready():
                return
            time.sleep(0.05)
        said = (self.folder / "out").read_text(errors="replace")[-3000:]
        self.stop()
        raise RuntimeError(f"{self.program} did not start:\n{said}")

    def ready(self) -> bool:
        """Whether it may be used, once its ports are open."""
        return True

    def halt(self) -> None:
        """End the process; it may be started again."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """End it and leave nothing."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)


class Prosody(Peer):
    """Prosody of the distribution."""

    program = "prosody"

    def __init__(self) -> None:
        super().__init__()
        text = PROSODY.format(
            folder=self.folder, c2s=self.c2s, component=self.component
        )
        for host in COMPONENTS:
            text += PROSODY_COMPONENT.format(host=host, secret=SECRET)
        self._config = self.folder / "prosody.cfg.lua"
        self._config.write_text(text)
        for name, password in ACCOUNTS.items():
            subprocess.run(
                [
                    "prosodyctl", "--root", "--config", str(self._config),
                    "register", name, "localhost", password,
                ],
                check=True,
                capture_output=True,
                timeout=90,
            )  # fmt: skip

    def command(self) -> list[str]:
        """In the foreground."""
        return ["prosody", "-F", "--config", str(self._config)]


class Ejabberd(Peer):
    """ejabberd of the distribution: as an Erlang program without a node's name,
    so that nothing listens for other nodes."""

    program = "ejabberdctl"

    def __init__(self) -> None:
        super().__init__()
        text = EJABBERD.format(c2s=self.c2s, component=self.component)
        for host in COMPONENTS:
            text += EJABBERD_COMPONENT.format(host=host, secret=SECRET)
        (self.folder / "ejabberd.yml").write_text(text + EJABBERD_MODULES)

    def command(self) -> list[str]:
        """Start it, and make the accounts."""
        made = "".join(
            f'ejabberd_auth:try_register(<<"{name}">>,<<"localhost">>,<<"{word}">>),'
            for name, word in ACCOUNTS.items()
        )
        done = f'file:write_file("{self.folder}/ready", <<"yes">>).'
        return [
            "erl", "-noinput", "-start_epmd", "false",
            "-mnesia", "dir", f'"{self.folder}/db"',
            "-eval", f"application:ensure_all_started(ejabberd), {made} {done}",
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """As Debian's ejabberdctl sets it, in our folder."""
        libraries = next(Path("/usr/lib").glob("*-linux-gnu*/ejabberd-*"), None)
        where = libraries.parent if libraries else Path("/usr/lib")
        return {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_LIBS": str(where),
            "ERL_CRASH_DUMP": str(self.folder / "crash"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
        }

    def ready(self) -> bool:
        """The accounts are there."""
        return (self.folder / "ready").exists()

    def halt(self) -> None:
        """The next start makes the accounts, or finds them."""
        super().halt()
        (self.folder / "ready").unlink(missing_ok=True)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""A server and two headless hubs behind NATs: pairs in turn, on one start of each."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hubs import HubProcess, media_took_s, sees_and_hears
from tests.support.nats import ALL_OF_IT, SERVER, SIDES, Lab
from tests.support.running import environment, run_command

CONFIG = f"""
public_host = "{SERVER}"
[endpoints]
rest = ["mosaic-tls:443"]
drcp = ["mosaic-tls:443"]
xmpp = ["mosaic-tls:443"]
turn_tls = ["mosaic-tls:443"]
turn_tcp = ["tcp:3478"]
turn_udp = ["udp:3478", "udp:53"]
[turn]
allow_peers = ["{ALL_OF_IT}"]
"""
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Met:
    """How two hubs met. took_s: from both being in the room to media both ways.
    secured: DTLS, cipher, SRTP. relays: what each said of the ways it tried."""

    kinds: tuple[str, str]
    took_s: float
    paths: tuple[str, str]
    relays: tuple[str | None, str | None]
    generation: int
    secured: tuple[str, str, str]
    facts: tuple[dict[str, Any], dict[str, Any]]


class NatLab:
    """Namespaces, `twistd mosaic` in the middle, a hub at each end.

    first, second: flags of the hubs. meet() takes the kinds of the two NATs.
    """

    def __init__(self, first: Sequence[str] = (), second: Sequence[str] = ()) -> None:
        self._flags = (first, second)
        self.lab = Lab()
        self.state = Path(tempfile.mkdtemp(prefix="mosaic-nat-"))
        self.server: subprocess.Popen[bytes] | None = None
        self.hubs: list[HubProcess] = []
        self._proxies: list[subprocess.Popen[bytes]] = []
        self.passes: list[dict[str, str]] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        config = self.state / "mosaic.toml"
        config.write_text(CONFIG)
        run = "from twisted.scripts.twistd import run; run()"
        command = [sys.executable, "-c", run, "--pidfile=", "-n", "mosaic"]
        command += ["--config", str(config), "--state", str(self.state)]
        with (self.state / "output").open("wb") as log:
            self.server = subprocess.Popen(
                self.lab.inside("net", *command),
                cwd=self.state,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_S
        while not (self.state / "run.json").exists():
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.state / "output").read_text())
            time.sleep(0.05)
        for side in SIDES:
            self.lab.nat(side, "full-cone")
        self.hubs = [
            self._hub(side, flags)
            for side, flags in zip(SIDES, self._flags, strict=True)
        ]
        room = self.command("room", "create", "Hubs")["hub_id"]
        for _ in SIDES:
            made = self.command("room", "token", room, "--role", "editor")
            self.passes.append({"room": room, "token": made["token"]})
        for hub in self.hubs:
            hub.ready()

    def _hub(self, side: str, flags: Sequence[str]) -> HubProcess:
        def around(*words: str) -> list[str]:
            return self.lab.inside(f"hub-{side}", *words)

        ca = self.state / "tls" / "ca.pem"
        return HubProcess(f"wss://{SERVER}", ca, *flags, around=around)

    def meet(
        self, first: str, second: str, within_s: float = 30.0, *, leave: bool = True
    ) -> Met:
        """Both join behind such NATs; AssertionError if media never come."""
        for side, kind in zip(SIDES, (first, second), strict=True):
            self.lab.nat(side, kind)
        for hub, pass_ in zip(self.hubs, self.passes, strict=True):
            hub.do("forget")
            hub.do("join", **pass_)
        try:
            one, two = (hub.until(_done, within_s) for hub in self.hubs)
        except AssertionError as error:
            others = "\n".join(f"{hub.facts()}\n{hub.log()}" for hub in self.hubs)
            raise AssertionError(f"{error}\n{others}") from None
        calls = [next(iter(facts["calls"].values())) for facts in (one, two)]
        for hub in self.hubs if leave else ():
            hub.do("leave")
        return Met(
            (first, second),
            media_took_s((one, two)),
            (calls[0]["path"], calls[1]["path"]),
            (calls[0]["relay"], calls[1]["relay"]),
            calls[0]["generation"],
            tuple(calls[0]["secured"]),
            (one, two),
        )

    def proxy(self, *command: str) -> None:
        """Run a proxy in the network between the two."""
        self._proxies.append(
            subprocess.Popen(
                self.lab.inside("net", *command),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def command(self, *words: str) -> Any:
        """`mosaic … --json` on the server's state."""
        done = run_command("--state", str(self.state), *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        """End everything."""
        for hub in self.hubs:
            hub.stop()
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        for proxy in self._proxies:
            proxy.kill()
            proxy.wait()
        self.lab.remove()
        shutil.rmtree(self.state, ignore_errors=True)


def _done(facts: dict[str, Any]) -> bool:
    connected = any(call["connected"] for call in facts["calls"].values())
    return connected and sees_and_hears(facts)

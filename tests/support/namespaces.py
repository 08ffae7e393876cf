"""Two network namespaces and a cable between them: a server's and a person's.

The names are of this process; they go with the test. Wants root, `ip` and
`nft`; a machine without them skips here and fails in CI.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any
from unittest import SkipTest

SERVER_HOST, CLIENT_HOST = "10.77.0.1", "10.77.0.2"


class Cable:
    """SERVER_HOST in one namespace, CLIENT_HOST in the other."""

    def __init__(self) -> None:
        self.server = f"mosaic-s{os.getpid()}"
        self.client = f"mosaic-c{os.getpid()}"
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            self.remove()
            if os.environ.get("CI"):
                raise
            raise SkipTest(f"no network namespaces here: {error}") from error

    def _make(self) -> None:
        subprocess.run(["nft", "--version"], check=True, capture_output=True)
        _ip("netns", "add", self.server)
        _ip("netns", "add", self.client)
        _ip(
            "-n", self.server, "link", "add", "eth0", "type", "veth",
            "peer", "name", "eth0", "netns", self.client,
        )  # fmt: skip
        for name, host in ((self.server, SERVER_HOST), (self.client, CLIENT_HOST)):
            _ip("-n", name, "addr", "add", f"{host}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")

    def inside(self, name: str, *command: str) -> list[str]:
        """The command as it is run in a namespace."""
        return ["ip", "netns", "exec", name, *command]

    def nft(self, name: str, rules: str) -> None:
        """Load rules into a namespace, in place of those before."""
        subprocess.run(
            self.inside(name, "nft", "-f", "-"),
            input=f"flush ruleset\n{rules}\n",
            text=True,
            check=True,
            capture_output=True,
        )

    def remove(self) -> None:
        """The cable goes with the namespaces."""
        for name in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _ip(*words: str) -> Any:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

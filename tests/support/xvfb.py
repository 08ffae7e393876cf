"""An X server without a screen, on a display of its own."""

from __future__ import annotations

import os
import shutil
import subprocess


class Xvfb:
    """Xvfb at 1920x1080; display is what DISPLAY is to be."""

    def __init__(self, size: str = "1920x1080") -> None:
        if not shutil.which("Xvfb"):
            raise RuntimeError("Xvfb is not installed: apt-get install xvfb")
        read, write = os.pipe()
        words = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24"]
        self._process = subprocess.Popen(
            [*words, "-nolisten", "tcp"],
            pass_fds=[write],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with open(read, encoding="ascii") as said:
            self.display = f":{said.readline().strip()}"

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)

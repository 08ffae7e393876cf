"""The native plane in tests: whether it is here, and at a clock of one's own."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any
from unittest import SkipTest

from mosaic.relay.choose import is_native


def need_native() -> None:
    """Skip without the compiled plane; in CI that is a failure.

    A machine of CI without a compiler has nothing to build it with.
    """
    if is_native():
        return
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if os.environ.get("CI") == "true" and compiler is not None:
        raise AssertionError("there is a compiler, and no native plane")
    raise SkipTest("the native plane is not built")


def prompt_plane(
    readers: Any, *, ports: tuple[int, int], clock: Any, preserve_dscp: bool = False
) -> Any:
    """A native plane whose commands have taken effect when they return.

    Packets of a test follow its commands at once, which no client can do: it
    waits for the answer, and that leaves after the commands.
    """
    from mosaic.relay.native import NativePlane

    class PromptPlane(NativePlane):
        """See above."""

        def _command(self, failed: int) -> None:
            super()._command(failed)
            there: list[bool] = []
            self.settled(lambda: there.append(True))
            until = time.monotonic() + 5.0
            while not there and self.fileno() >= 0:
                self.doRead()
                assert time.monotonic() < until, "the thread does not answer"
                time.sleep(0)

    return PromptPlane(readers, ports=ports, clock=clock, preserve_dscp=preserve_dscp)

"""How often Python looks for garbage that holds on to itself."""

from __future__ import annotations

import gc

YOUNG = 10_000


def calm_collector() -> None:
    """Leave what the start has made alone for good, and look less often.

    Thousands of allocations and rooms stand for hours: to walk through them
    after each 700 new objects takes up to a tenth of a busy server's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)

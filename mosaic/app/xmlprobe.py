"""Whether this Python's expat scans unfinished tokens again and again."""

from __future__ import annotations

import time
from xml.parsers import expat

_PIECE = b"a" * 1024


def expat_is_quadratic(*, kibibytes: int = 512, limit_s: float = 0.08) -> bool:
    """Feed one long attribute in 1 KiB pieces and see what it costs.

    Versions do not tell: distributions repair expat without a new number.
    Measured: 0.29 s for 512 KiB where it is quadratic, below 0.01 s elsewhere.
    """
    parser = expat.ParserCreate()
    began = time.process_time()
    parser.Parse(b"<a b='", False)
    for _ in range(kibibytes):
        parser.Parse(_PIECE, False)
    return time.process_time() - began > limit_s

"""What the server offered, hashed, so that nobody in the middle can shorten the
list (XEP-0474 version 0.5 section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from mosaic.wire.sasl.grammar import base64_text


@lru_cache(maxsize=64)
def _offer_hash(
    mechanisms: tuple[str, ...], bindings: tuple[str, ...], digest: str
) -> str:
    text = "\x1e".join(sorted(mechanisms))
    if bindings:
        text += "\x1f" + "\x1e".join(sorted(bindings))
    return base64_text(hashlib.new(digest, text.encode()).digest())


def offer_hash(mechanisms: Iterable[str], bindings: Iterable[str], digest: str) -> str:
    """The value of the attribute `h` of server-first-message.

    mechanisms: as offered in the SASL profile in use. bindings: types of channel
    binding as announced (XEP-0440), none if there was no such feature.
    """
    return _offer_hash(tuple(mechanisms), tuple(bindings), digest)

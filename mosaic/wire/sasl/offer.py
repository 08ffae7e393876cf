"""What the server offered, hashed, so that nobody in the middle can shorten the
list (XEP-0474 version 0.5 section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from mosaic.wire.sasl.grammar import base64_text


def offer_hash(mechanisms: Iterable[str], bindings: Iterable[str], digest: str) -> str:
    """The value of the attribute `h` of server-first-message.

    mechanisms: as offered in the SASL profile in use. bindings: types of channel
    binding as announced (XEP-0440), none if there was no such feature.
    """
    text = "\x1e".join(sorted(mechanisms))
    types = sorted(bindings)
    if types:
        text += "\x1f" + "\x1e".join(types)
    return base64_text(hashlib.new(digest, text.encode()).digest())

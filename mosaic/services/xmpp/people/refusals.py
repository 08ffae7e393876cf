"""Errors that several parts give."""

from __future__ import annotations

from mosaic.services.xmpp.exchange import Undeliverable

NOT_ACCEPTABLE = Undeliverable(
    "not-acceptable",
    kind="cancel",
    detail="<blocked xmlns='urn:xmpp:blocking:errors'/>",
)
"""XEP-0191 section 3.3: to somebody whom the sender blocks."""

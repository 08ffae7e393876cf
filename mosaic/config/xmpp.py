"""Rules for the values of [xmpp]."""

from __future__ import annotations

from mosaic.config.errors import ConfigError
from mosaic.config.settings import Xmpp

CONTACTS = ("abuse", "admin", "feedback", "sales", "security", "status", "support")
"""Kinds of addresses (XEP-0157 and its registry)."""


def check_xmpp(xmpp: Xmpp) -> None:
    """Raise ConfigError for the first value that cannot work."""
    for line in xmpp.contact_addresses:
        kind, _, uri = line.partition(" ")
        if kind not in CONTACTS or ":" not in uri:
            raise ConfigError(
                "xmpp.contact_addresses",
                f"{line!r} is no kind ({', '.join(CONTACTS)}) and URI; "
                "for example 'admin mailto:ops@example.org'",
            )

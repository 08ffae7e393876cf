"""Whom a question may be about."""

from __future__ import annotations

from enum import Flag, auto


class About(Flag):
    """The domain, the account that asks, or the account of another."""

    DOMAIN = auto()
    OWN = auto()
    OTHER = auto()
    ACCOUNT = OWN | OTHER
    SELF = DOMAIN | OWN

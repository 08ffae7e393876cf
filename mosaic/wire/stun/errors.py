"""What can be wrong with bytes that claim to be STUN."""

from __future__ import annotations


class StunError(Exception):
    """Bytes that are not the STUN message or attribute they claim to be."""


class MalformedMessage(StunError):
    """The header, the attribute list or the fingerprint is broken."""


class MalformedAttribute(StunError):
    """One attribute's value is broken; the message around it is sound."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


class FramingLost(StunError):
    """A byte stream is neither STUN nor ChannelData; it cannot recover."""

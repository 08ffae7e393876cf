"""Somebody in a room, and the sessions by which they are there."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from xml.sax.saxutils import quoteattr

from mosaic.services.xmpp.rooms.pace import Pace
from mosaic.wire.xmpp.jid import Jid
from mosaic.workspace.attendance import Attendee, Via
from mosaic.workspace.model import Role


class Affiliation(StrEnum):
    """A standing in the room (XEP-0045 section 5.2).

    Mosaic has no `admin`: a standing host is an owner.
    """

    OWNER = "owner"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


MUC_ROLES = {
    Role.HOST: "moderator",
    Role.EDITOR: "participant",
    Role.VIEWER: "visitor",
}
"""XEP-0045 section 5.1."""
ROLES = {name: role for role, name in MUC_ROLES.items()}


def affiliation_of(standing: Role | None) -> Affiliation:
    """From the role that an account has in a room whether it is there or not."""
    if standing is None:
        return Affiliation.NONE
    return Affiliation.OWNER if standing is Role.HOST else Affiliation.MEMBER


def occupant_id(secret: bytes, identity: str) -> str:
    """XEP-0421: the same in this room for ever, and nothing elsewhere.

    identity: a bare address, or what stands for a guest of the browser.
    """
    digest = hmac.new(secret, identity.encode(), hashlib.sha256)
    return digest.hexdigest()[:40]


@dataclass(eq=False, slots=True, kw_only=True)
class Seat:
    """One session in the room.

    jid: its full address. via: the local part by which it came (Hub ID or
    alias): everything it hears comes from there. since: entries of the archive
    up to this one it has had as history. sparse: it has not been told of
    everybody. presence: what goes between the tags of its presence.
    """

    jid: Jid
    via: str
    occupant: Occupant
    pace: Pace
    since: int = 0
    sparse: bool = False
    presence: bytes = b""
    declared: bytes = b""
    unnamed: int = 0
    to: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.to = quoteattr(str(self.jid)).encode()


@dataclass(eq=False, slots=True, kw_only=True)
class Occupant:
    """Somebody under a nickname.

    name: as the other doors show it. id: of the participant, the same at every
    door. real: the address that is
    told to all; "" for a guest. token: by which the participant may be here,
    and until when; None if another door let them in. seats: none then.
    announced: everybody has been told that they are here.
    """

    nick: str
    name: str
    id: str
    role: Role
    account: str | None
    affiliation: Affiliation
    occupant_id: str
    via: Via = Via.XMPP
    real: str = ""
    token: str | None = None
    expires_at: float = 0.0
    hand: bool = False
    announced: bool = True
    seats: list[Seat] = field(default_factory=list)

    @property
    def is_moderator(self) -> bool:
        """Hosts are (XEP-0045 section 5.1)."""
        return self.role is Role.HOST

    def attendee(self) -> Attendee:
        """As the other doors see them."""
        return Attendee(
            id=self.id,
            name=self.name,
            role=self.role,
            account=self.account,
            via=self.via,
            hand=self.hand,
        )

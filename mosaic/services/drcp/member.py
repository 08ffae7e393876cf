"""Somebody in a room by one connection, and the documents that they opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from mosaic.services.drcp.outbound import Outbound
from mosaic.wire.drcp.events import Channel
from mosaic.wire.drcp.framing import Framing, websocket_frames
from mosaic.workspace.model import Principal, Role

if TYPE_CHECKING:
    from mosaic.services.drcp.document import LiveDocument


class MemberOwner(Protocol):
    """The connection of a member."""

    def member_ended(self, member: Member, code: int, reason: str) -> None:
        """The room puts the member out; the connection says so to the peer."""

    def role_changed(self, member: Member) -> None:
        """Tell the peer what it may do now."""


class Member:
    """A principal on a connection.

    native: it speaks DRCP and so hears the room's events. A Hocuspocus
    connection has one member for each document address.
    """

    def __init__(
        self,
        owner: MemberOwner,
        principal: Principal,
        *,
        framing: Framing,
        outbound: Outbound,
        native: bool,
    ) -> None:
        self.owner = owner
        self.principal = principal
        self.framing = framing
        self.outbound = outbound
        self.native = native
        self.participant_id = principal.participant_id
        self.name = principal.name
        self.account = principal.account
        self.role = principal.role or Role.VIEWER
        self.waiting = principal.waiting
        self.attachments: dict[Channel, Attachment] = {}

    def send(self, payloads: Iterable[bytes]) -> None:
        """Messages for this member alone."""
        data = websocket_frames(payloads)
        if data:
            self.outbound.write(data)

    def detach_all(self) -> None:
        """Leave every document."""
        for attachment in list(self.attachments.values()):
            attachment.close()

    def end(self, code: int, reason: str) -> None:
        """Put the member out."""
        self.owner.member_ended(self, code, reason)


class Attachment:
    """A member at a document, on a channel.

    behind: the state vector of what the member has, while updates are not
    queued for it. awareness_stale: awareness was dropped.
    """

    def __init__(
        self, member: Member, channel: Channel, document: LiveDocument
    ) -> None:
        self.member = member
        self.outbound = member.outbound
        self.channel = channel
        self.document = document
        self.key = member.framing.key(channel)
        self.behind: bytes | None = None
        self.awareness_stale = False
        self.closed = False

    def open(self) -> None:
        """From now on the member gets the document's updates."""
        self.member.attachments[self.channel] = self
        self.document.attach(self)

    def close(self) -> None:
        """Leave the document."""
        if not self.closed:
            self.closed = True
            self.member.attachments.pop(self.channel, None)
            self.document.detach(self)

    def error(self, code: int, message: str) -> None:
        """Something about this document that does not close the socket."""
        self.member.send(self.member.framing.error(self.channel, code, message))

    def status(self, saved: bool, count: int = 1) -> None:
        """So many updates are committed, or refused."""
        if not self.closed:
            self.member.send(self.member.framing.status(self.channel, saved, count))

    def acknowledge(self, saved: bool, count: int) -> None:
        """The journal's answer."""
        if self.closed:
            return
        if not saved:
            self.error(507, "not saved: the disk is full; trying again")
        self.status(saved, count)

    def refuse(self, code: int, message: str) -> None:
        """An update that will never be taken."""
        self.error(code, message)
        self.status(False)

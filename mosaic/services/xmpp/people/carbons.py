"""Carbons (XEP-0280): every device of an account sees both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.people.csi import tell_message
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.payloads import NS_CARBONS, Carries, forwarded
from mosaic.wire.xmpp.stanza import quoted


def is_eligible(kind: str, carries: int, *, received_from_room: bool) -> bool:
    """Whether a message is to be copied (section 6.1).

    kind: its type. received_from_room: came from an address of a room.
    """
    if kind in ("groupchat", "headline", "error"):
        return False
    if carries & (Carries.PRIVATE | Carries.NO_COPY):
        return False
    if carries & Carries.INVITATION:
        return True
    if received_from_room:
        return False
    if kind == "chat":
        return True
    return bool(carries & (Carries.BODY | Carries.IM))


def copy(
    raw: bytes,
    way: str,
    peer: str,
    sessions: Iterable[Session],
    but: Collection[Session],
    kind: str,
    *,
    only_state: bool = False,
) -> None:
    """Send a copy to the account's sessions that want one.

    way: "sent" or "received". peer: to or from whom. but: those that have the
    message itself.
    """
    inner = b""
    for session in sessions:
        if not session.carbons or session in but:
            continue
        if not inner:
            inner = b"<%b xmlns='%b'>%b</%b></message>" % (
                way.encode(),
                NS_CARBONS.encode(),
                forwarded(raw),
                way.encode(),
            )
        type_ = b" type='chat'" if kind == "chat" else b""
        head = b"<message from=%b to=%b%b>" % (
            quoted(session.bare),
            quoted(session.address),
            type_,
        )
        tell_message(session, peer, head + inner, only_state=only_state)


class Carbons:
    """Turns them on and off for one session."""

    def register(self, answers: Answers) -> None:
        """Answer <enable/> and <disable/>."""
        answers.add("set", NS_CARBONS, "enable", self._enable, About.SELF)
        answers.add("set", NS_CARBONS, "disable", self._disable, About.SELF)

    async def _enable(self, question: Question) -> str:
        question.session.carbons = True
        return ""

    async def _disable(self, question: Question) -> str:
        question.session.carbons = False
        return ""

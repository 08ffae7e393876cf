"""Client state (XEP-0352): what an inactive client need not hear at once."""

from __future__ import annotations

from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.stanza import Stanza

NS_CSI = "urn:xmpp:csi:0"
MAX_HELD = 2000
"""Stanzas held back for one client; past it they are let go."""


class Quiet:
    """Holds presence and chat states back, the newest of each sender.

    Anything else that is sent lets them go first, so that order stays.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[tuple[str, str], bytes] = {}

    def hold(self, kind: str, sender: str, raw: bytes) -> None:
        """Keep it in place of an older one of that kind and sender."""
        # Last of all again: it may say less than what stands before it.
        self._held.pop((kind, sender), None)
        self._held[kind, sender] = raw
        if len(self._held) > MAX_HELD:
            self.let_go()

    def let_go(self) -> None:
        """Send what is held."""
        held, self._held = self._held, {}
        for raw in held.values():
            self._session.send(raw)


def tell_presence(session: Session, sender: str, raw: bytes) -> None:
    """Send presence, or hold it back."""
    if session.quiet is None:
        session.send(raw)
    else:
        session.quiet.hold("presence", sender, raw)


def tell_message(
    session: Session, sender: str, raw: bytes, *, only_state: bool
) -> None:
    """Send a message; a mere chat state may be held back."""
    if session.quiet is None:
        session.send(raw)
    elif only_state:
        session.quiet.hold("state", sender, raw)
    else:
        session.quiet.let_go()
        session.send(raw)


def client_state(session: Session, said: Stanza) -> None:
    """`<active/>` or `<inactive/>`, as a client says of itself."""
    if said.name == "inactive":
        become_inactive(session)
        return
    quiet, session.quiet = session.quiet, None
    if quiet is not None:
        quiet.let_go()


def become_inactive(session: Session) -> None:
    """Hold back from now on."""
    if session.quiet is None:
        session.quiet = Quiet(session)

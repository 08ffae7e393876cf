"""The call with one person: connections come and go, the call stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import Logger

from mosaic.hub.media.negotiated import Incoming, NegotiatedConnection, Published
from mosaic.hub.media.peer import HubPeerConnection, Secured
from mosaic.hub.media.recovery import Recovery
from mosaic.hub.media.signals import (
    Body,
    CallSignal,
    Candidate,
    Description,
    Hello,
    Renew,
)
from mosaic.hub.media.tasks import Tasks

MAX_CANDIDATES = 100
"""Of one description: more are a burden, not a path (RFC 8445 6.1.2.5)."""
SILENCE_S = 6.0
"""A connection on which something is sent is never silent for so long."""

_log = Logger()


class CallHost(Protocol):
    """What a call needs of the mesh. instance names this life of the hub."""

    instance: str
    clock: Any
    tasks: Tasks

    def connection(self, person: str, *, relay: bool) -> HubPeerConnection:
        """A new one, with the servers of this call."""

    def send(self, person: str, signal: CallSignal) -> bool:
        """False if it could not be sent."""

    def local(self) -> Published:
        """What we publish now."""

    def changed(self, person: str) -> None:
        """Look at the call again."""


class PeerCall:
    """One call. Told of signals, it keeps a connection with the person.

    failed: every way was tried; attempts go on. generation: counts connections.
    """

    def __init__(self, me: str, person: str, host: CallHost) -> None:
        self.person = person
        self.failed = False
        self.generation = 0
        self._host = host
        self._polite = me < person
        self._recovery = Recovery(
            host.clock,
            polite=self._polite,
            by_relay=self._recover,
            failed=self._gave_up,
        )
        self._connection: NegotiatedConnection | None = None
        self._their_instance: str | None = None
        self._relay = False
        self._started = False
        self._lost = False
        self._candidates: list[Candidate] = []
        self._last_state = "new"
        self._heard: tuple[int, float] = (0, 0.0)

    # How it stands ----------------------------------------------------------
    @property
    def connected(self) -> bool:
        """Media can flow."""
        return self._connection is not None and self._connection.state == "connected"

    @property
    def path(self) -> str | None:
        """ "direct" or "relay"."""
        return self._connection.pc.path if self._connection else None

    @property
    def relay(self) -> str | None:
        """Our relay and the way to it, whether packets take it or not."""
        return self._connection.pc.relay if self._connection else None

    @property
    def secured(self) -> Secured | None:
        """How media are encrypted."""
        return self._connection.pc.secured if self._connection else None

    @property
    def incoming(self) -> list[Incoming]:
        """What the person sends, and did send, on the present connection."""
        return self._connection.incoming if self._connection else []

    # What the mesh says -----------------------------------------------------
    def greet(self) -> None:
        """Tell the person that this hub is here."""
        self._send(Hello())

    def publish(self) -> None:
        """Our tracks changed."""
        connection = self._connection
        if connection is None:
            if self._host.local():
                self._open()
            return
        self._run(connection, lambda: connection.publish(self._host.local()))

    def receive(self, signal: CallSignal) -> None:
        """A signal of the person's."""
        body = signal.body
        if signal.to is not None and signal.to != self._host.instance:
            # Meant for the life before this one: let them know of it.
            if not isinstance(body, Candidate):
                self.greet()
            return
        if self._their_instance not in (None, signal.instance):
            self._reset()
        self._their_instance = signal.instance
        if isinstance(body, Hello):
            if self._connection is None:
                self.publish()
            return
        if signal.generation < self.generation:
            if not isinstance(body, Candidate):
                self._send(Renew())
            return
        # Closed by them: whoever calls again has a new connection.
        connection = self._connection
        over = connection is None or connection.state == "closed"
        if signal.generation > self.generation or over:
            self._replace(signal.generation, relay=signal.relay, offer=False)
            if isinstance(body, Renew):
                self.publish()
        if isinstance(body, Description):
            self._begun()
            self._take(body)
            self._candidates = []
        elif isinstance(body, Candidate) and len(self._candidates) < MAX_CANDIDATES:
            self._candidates.append(body)
            self._take(body)

    def resume(self) -> None:
        """Signalling is back: repair what was lost in between."""
        connection = self._connection
        if connection is None:
            return
        if (
            self._lost
            or not connection.stable
            or (self._started and not self.connected)
        ):
            self._renew(relay=self._relay)

    def suspend(self) -> None:
        """Signalling is away: a repair could not be agreed upon."""
        self._recovery.stop()

    def watch(self) -> None:
        """Called now and then: is the other side silent though it should not be?"""
        connection, now = self._connection, self._host.clock.seconds()
        if connection is None or not self.connected:
            self._heard = (0, now)
            return
        packets, since = connection.pc.packets_received, self._heard[1]
        if packets != self._heard[0]:
            self._heard = (packets, now)
            return
        flows = connection.sends or any(track.active for track in connection.incoming)
        if flows and now - since > SILENCE_S:
            self._heard = (packets, now)
            _log.info("silence from {person}", person=self.person)
            self._renew(relay=self._relay)

    async def close(self) -> None:
        """Hang up."""
        self._recovery.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # ------------------------------------------------------------------------
    def _take(self, body: Description | Candidate) -> None:
        connection = self._connection
        assert connection is not None

        async def take() -> None:
            outcome = await connection.receive(body)
            if self._connection is not connection:
                return
            if outcome == "renew":
                self._renew(relay=self._relay)
            elif outcome == "take-over":
                # Glare at the very beginning: answer on a fresh connection.
                self._drop()
                self._make()
                self._begun()
                for again in (body, *self._candidates):
                    self._take(again)
            elif isinstance(body, Description) and outcome == "done":
                self.publish()

        self._run(connection, take)

    def _run(self, connection: NegotiatedConnection, work: Callable[[], Any]) -> None:
        """Negotiate; a connection on which that fails is given up."""

        async def negotiate() -> None:
            try:
                await work()
            except Exception as error:
                if connection.closed or self._connection is not connection:
                    return
                _log.warn(
                    "negotiation with {person} failed: {error!r}",
                    person=self.person,
                    error=error,
                )
                self._recovery.broken()

        self._host.tasks.start(negotiate())

    def _open(self) -> None:
        connection = self._make()
        self._run(connection, lambda: connection.publish(self._host.local()))

    def _make(self) -> NegotiatedConnection:
        connection = NegotiatedConnection(
            self._host.connection(self.person, relay=self._relay),
            polite=self._polite,
            send=lambda body: self._describe(connection, body),
            changed=lambda: self._state_changed(connection),
        )
        self._connection = connection
        self._last_state = "new"
        self._started = self._lost = False
        return connection

    def _describe(self, connection: NegotiatedConnection, body: Description) -> None:
        if self._connection is connection:
            self._begun()
            self._send(body)

    def _begun(self) -> None:
        self._started = True
        if not self.connected:
            self._recovery.started()

    def _state_changed(self, connection: NegotiatedConnection) -> None:
        if self._connection is not connection:
            return
        if connection.state != self._last_state:
            self._last_state = connection.state
            if connection.state == "connected":
                self.failed = False
                self._heard = (0, self._host.clock.seconds())
                self._recovery.connected()
            elif connection.state in ("failed", "closed"):
                # Closed by them: aiortc then closes ours.
                self._recovery.broken()
        self._host.changed(self.person)

    def _recover(self) -> None:
        if self._started:
            self._renew(relay=True)
        else:
            self._recovery.stop()  # nobody has anything to send

    def _gave_up(self) -> None:
        self.failed = True
        self._host.changed(self.person)

    def _renew(self, *, relay: bool) -> None:
        """Ask the person for a new connection on both sides."""
        self._replace(self.generation + 1, relay=relay, offer=True)
        self._send(Renew())

    def _replace(self, generation: int, *, relay: bool, offer: bool) -> None:
        renewing = self._connection is not None
        self._drop()
        self.generation, self._relay = generation, relay
        if offer:
            self._open()
        else:
            self._make()
        if renewing:
            self._recovery.renewed(relay=relay)

    def _reset(self) -> None:
        """The person has another page now: nothing of before holds."""
        self._recovery.connected()
        self._drop()
        self.generation = 0
        self._relay = self._started = self.failed = False
        self._their_instance = None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._host.tasks.start(connection.close())

    def _send(self, body: Body) -> None:
        sent = self._host.send(
            self.person,
            CallSignal(
                instance=self._host.instance,
                to=self._their_instance,
                generation=self.generation,
                relay=self._relay,
                body=body,
            ),
        )
        if not sent:
            self._lost = True

"""What the core decides is done here: on the data plane, over TCP, and in time."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mosaic.relay.interface import (
    AdmittingPlane,
    HostUnavailable,
    RelayError,
    RelayPlane,
)
from mosaic.services.turn.admissions import Admissions
from mosaic.services.turn.bandwidth import Bandwidth
from mosaic.services.turn.listen import RelayHosts
from mosaic.services.turn.tcpside import TcpSide
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.events import (
    Answer,
    Bind,
    ClosePeer,
    CloseRelay,
    ConnectPeer,
    Event,
    Extend,
    JoinPeer,
    Move,
    OpenRelay,
    Permit,
    Vouch,
)
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.server import TurnServer

_log = Logger()


class CoreEvents:
    """Performs the core's events, and wakes it when it has something to do.

    tcp: the side of TCP allocations, whose events come back to `perform`.
    lend: told of a client who gets a relay or has moved, before the answer leaves.
    counted: told how many allocations stand, after every change.
    verbose: asked whether each allocation is logged.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        core: TurnServer,
        plane: RelayPlane,
        tcp: TcpSide,
        hosts: RelayHosts,
        bandwidth: Bandwidth,
        clock: Callable[[], float],
        lend: Callable[[FiveTuple], None],
        counted: Callable[[int], None],
        verbose: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._core = core
        self._plane = plane
        self._tcp = tcp
        self._hosts = hosts
        self._bandwidth = bandwidth
        self._clock = clock
        self._lend = lend
        self._counted = counted
        self._verbose = verbose
        self._admissions: Admissions | None = None
        if isinstance(plane, AdmittingPlane):
            self._admissions = Admissions(core, plane, hosts, bandwidth, verbose)
        self._awake = False
        self._wake: IDelayedCall | None = None
        self._wakes_at = self._now = 0.0

    def start(self) -> None:
        """Wake the core from now on."""
        self._awake = True

    def stop(self) -> None:
        """Wake it no more; events are still performed."""
        self._awake = False
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def received(self, data: bytes, five_tuple: FiveTuple) -> None:
        """A STUN message has come."""
        self._now = now = self._clock()
        self.perform(self._core.datagram_received(data, five_tuple, now))

    def admit(self, asks: list[KnownAsk]) -> None:
        """Allocates of known credentials have come; what is not granted at once
        goes the full way."""
        self._now = now = self._clock()
        if self._admissions is not None:
            self._do(self._core.expire(now))
            asks = self._admissions.grant(asks, now)
        for ask in asks:
            self._do(self._core.datagram_received(ask.data, ask.five_tuple, now))
        self._counted(len(self._core))
        self._schedule()

    def perform(self, events: list[Event]) -> None:
        """Do what the core says, in its order."""
        self._do(events)
        self._counted(len(self._core))
        self._schedule()

    def _do(self, events: list[Event]) -> None:
        plane = self._plane
        for event in events:
            match event:
                case Answer(to, data):
                    plane.send(to, data)
                case OpenRelay():
                    (self._open_tcp if event.tcp else self._open_relay)(event)
                case ConnectPeer() | JoinPeer() | ClosePeer():
                    self._tcp.perform(event)
                case Extend(relay, expires_at):
                    plane.extend(relay, expires_at)
                case Permit(relay, host, expires_at, own_only):
                    plane.permit(relay, host, expires_at, own_only=own_only)
                case Bind(relay, channel, peer, expires_at):
                    plane.bind(relay, channel, peer, expires_at)
                case Move(relay, five_tuple):
                    plane.move(relay, five_tuple)
                    self._lend(five_tuple)
                case Vouch(username, key):
                    if self._admissions is not None:
                        self._admissions.vouch(username, key)
                case CloseRelay(relay):
                    plane.close(relay)
                    self._tcp.close(relay)
                    self._bandwidth.closed(relay)
                    if self._verbose():
                        _log.debug("allocation {relay} ended", relay=relay)

    def _open_relay(self, wanted: OpenRelay) -> None:
        try:
            relayed = self._relay_socket(wanted)
        except HostUnavailable:
            self._do(self._core.relay_refused(wanted.relay, 440))
        except RelayError as error:
            _log.warn("no relay socket: {error}", error=error)
            self._do(self._core.relay_refused(wanted.relay, 508))
        else:
            if self._verbose():
                _log.debug(
                    "allocation {relay} made: {host} port {port} over {transport}",
                    relay=wanted.relay,
                    host=relayed.host,
                    port=relayed.port,
                    transport=wanted.five_tuple.transport,
                )
            self._lend(wanted.five_tuple)
            self._do(self._core.relay_opened(wanted.relay, relayed, self._now))

    def _relay_socket(self, wanted: OpenRelay) -> Address:
        """Open it; raises RelayError."""
        hosts = self._hosts.choose(wanted.family, wanted.five_tuple.server.host)
        if hosts is None:
            raise HostUnavailable(f"no IPv{wanted.family} address")
        bind, advertise = hosts
        owner, user = self._bandwidth.user(self._core.made_by(wanted.five_tuple))
        held: dict[str, int] = {}  # planes without this ability are never asked for it
        if wanted.reserve:
            held["reserve"] = wanted.reserve
        if wanted.claims:
            held["claims"] = wanted.claims
        try:
            relayed = self._plane.open_relay(
                wanted.relay,
                wanted.five_tuple,
                bind=bind,
                advertise=advertise,
                expires_at=wanted.expires_at,
                even=wanted.even,
                bytes_per_s=self._bandwidth.bytes_per_s,
                user=user,
                **held,
            )
        except RelayError:
            self._bandwidth.refused(owner)
            raise
        self._bandwidth.opened(wanted.relay, owner)
        return relayed

    def _open_tcp(self, wanted: OpenRelay) -> None:
        owner, user = self._bandwidth.user(self._core.made_by(wanted.five_tuple))
        # known before it opens: what comes of it may end it again
        self._bandwidth.opened(wanted.relay, owner)
        bytes_per_s = self._bandwidth.bytes_per_s
        if not self._tcp.open(wanted, user=user, bytes_per_s=bytes_per_s):
            self._bandwidth.closed(wanted.relay)

    def _schedule(self) -> None:
        """Wake at the core's next deadline; a wake-up too early does no harm."""
        deadline = self._core.next_deadline()
        if deadline is None or not self._awake:
            return
        if self._wake is not None and deadline >= self._wakes_at:
            return
        self._wakes_at = deadline
        delay = max(0.0, deadline - self._clock())
        if self._wake is not None:
            self._wake.reset(delay)
        else:
            self._wake = self._reactor.callLater(delay, self._expire)

    def _expire(self) -> None:
        self._wake = None
        self.perform(self._core.expire(self._clock()))

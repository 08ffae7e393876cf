"""The STUN/TURN service: one core, one data plane, every transport."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs
from OpenSSL import SSL
from twisted.application import service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.logger import Logger

from mosaic.auth.turn_credentials import is_of_a_call, owner_of
from mosaic.config.settings import Turn
from mosaic.relay.choose import choose_plane
from mosaic.relay.descriptors import make_room
from mosaic.relay.interface import (
    AdmittingPlane,
    AdoptingPlane,
    ChallengingPlane,
    RelayPlane,
)
from mosaic.services.turn.bandwidth import Bandwidth
from mosaic.services.turn.counters import TurnCounters
from mosaic.services.turn.drain import Drain
from mosaic.services.turn.dtls import DtlsDoor, DtlsSession
from mosaic.services.turn.listen import RelayHosts, discovery_pairs
from mosaic.services.turn.people import Passwords, UserNames
from mosaic.services.turn.performing import CoreEvents
from mosaic.services.turn.ports import Ports
from mosaic.services.turn.sessions import row_of
from mosaic.services.turn.stream import TurnStream, TurnStreamFactory
from mosaic.services.turn.tcpside import TcpSide
from mosaic.services.turn.tuning import draining, with_extensions, with_quotas
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.discovery import Discovery
from mosaic.wire.turn.forwarding import STREAMS
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy, parse_networks
from mosaic.wire.turn.server import TurnServer

_log = Logger()
DEFAULT_REALM = "mosaic"
IDLE_STREAM_S = 120.0


class TurnService(service.Service):
    """Opens on start what the endpoint strings say, closes everything on stop.

    realm: at most 12 bytes, "" for the default; users never see it.
    credentials: asked with the wall clock, since its expiry is of that clock.
    names: asked for USERHASH; without it the feature is not offered.
    udp, dtls: endpoint strings of the datagram listeners.
    dtls_context: the present context of DTLS, where `dtls` is not empty.
    drain_s: how long a stop waits for allocations to end.
    clock: the core's and the plane's, never backwards.
    verbose: log each allocation, at level debug. Twisted's logger takes as
    long to drop an event as it takes to open a socket.

    Raises ValueError for a realm too long or a setting that is no address.
    """

    name = "turn"

    def __init__(
        self,
        reactor: IReactorTime,
        settings: Turn,
        *,
        realm: str = "",
        credentials: Passwords,
        names: UserNames | None = None,
        udp: tuple[str, ...] = (),
        dtls: tuple[str, ...] = (),
        dtls_context: Callable[[], SSL.Context] | None = None,
        drain_s: float = 0.0,
        plane: RelayPlane | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        verbose: bool = True,
    ) -> None:
        self.verbose = verbose
        self._reactor = reactor
        self._settings = settings
        self._udp = udp
        self._dtls = dtls
        self._dtls_context = dtls_context
        self._drain_s = drain_s
        self._draining: Drain | None = None
        self._waiting = False
        self._clock = clock
        self._plane = plane or choose_plane(
            IReactorFDSet(reactor),
            ports=settings.relay_ports,
            clock=clock,
            quarantine_s=settings.port_quarantine_s,
            # RFC 5780 has more to say in them, which only the core knows.
            answer_bindings=not settings.nat_discovery,
            preserve_dscp=settings.preserve_dscp,
        )
        self._hosts = RelayHosts(settings.relay_address_v4, settings.relay_address_v6)
        self._policy = PeerPolicy(
            parse_networks(settings.allow_peers), parse_networks(settings.deny_peers)
        )
        self._counters = TurnCounters()
        self._discovery = Discovery(discovery_pairs(settings.nat_discovery))
        realm = realm or DEFAULT_REALM
        self._limits = with_extensions(
            limits or with_quotas(Limits(), settings), self._plane, settings
        )
        self._core = TurnServer(
            realm=realm,
            passwords_for=lambda username, _: credentials.passwords_for(
                username, wall_clock()
            ),
            username_of=None
            if names is None
            else lambda digest: names.username_of(digest, realm),
            policy=self._policy,
            nonce_key=secrets.token_bytes(32),
            limits=self._limits,
            counters=self._counters.core,
            discovery=self._discovery,
            owner_of=lambda username: owner_of(username) or username,
        )
        self._streams: set[TurnStream | DtlsSession] = set()
        self._stream_by_tuple: dict[FiveTuple, TurnStream] = {}
        self._tcp = TcpSide(
            reactor,
            core=self._core,
            plane=self._plane,
            hosts=self._hosts,
            ports=settings.relay_ports,
            quarantine_s=settings.port_quarantine_s,
            clock=clock,
            perform=lambda events: self._events.perform(events),  # made below
            stream_of=self._stream_of,
        )
        self._bandwidth = Bandwidth(self._plane, self._tcp, settings)
        self._events = CoreEvents(
            reactor,
            core=self._core,
            plane=self._plane,
            tcp=self._tcp,
            hosts=self._hosts,
            bandwidth=self._bandwidth,
            clock=clock,
            lend=self._lend,
            counted=self._count,
            verbose=lambda: self.verbose,
        )
        self._stopped: Deferred[None] | None = None
        self._opened = False
        self._ports = Ports(
            self._plane,
            self._policy,
            lambda: IReactorFDSet(reactor),
            self,
            self._make_dtls_door,
        )

    @property
    def counters(self) -> TurnCounters:
        """What has happened so far."""
        self._counters.plane = self._plane.counters
        return self._counters

    # Life

    def change(self, name: str, value: Any) -> None:
        """Another value for a setting of RELOADABLE, while it runs.

        Peers that are refused from now on lose their permissions; bandwidth
        limits hold for what is open; quotas for what comes.
        """
        settings = structs.replace(self._settings, **{name: value})
        self._settings = settings
        match name:
            case "allow_peers":
                self._policy.allow_networks(parse_networks(value))
                self._events.perform(self._core.enforce_policy(self._clock()))
            case "deny_peers":
                self._policy.deny_networks(parse_networks(value))
                self._events.perform(self._core.enforce_policy(self._clock()))
            case "bytes_per_s_allocation":
                self._bandwidth.limit_relays(value)
            case "bytes_per_s_user":
                self._bandwidth.limit_users(value)
            case _:
                self._limits = with_quotas(self._limits, settings)
                self._set_limits()

    def _set_limits(self) -> None:
        drains = self._draining is not None
        limits = draining(self._limits, self._settings) if drains else self._limits
        self._core.set_limits(limits)

    def sessions(self) -> list[dict[str, Any]]:
        """What is open now, for an operator's eyes; see `mosaic turn sessions`."""
        now = self._clock()
        return [row_of(held, now) for held in self._core.allocations() if held.relayed]

    def privilegedStartService(self) -> None:
        """Open the listeners while low ports may still be bound."""
        self._open()

    def startService(self) -> None:
        """Open, if that has not happened, and begin to answer."""
        super().startService()  # type: ignore[no-untyped-call] # Twisted's
        self._open()

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._events.start()
            room, wanted = make_room(self._limits.total), self._limits.total
            if room < wanted:
                _log.warn(
                    "the descriptor limit leaves room for {room} allocations of"
                    " {wanted}",
                    room=room,
                    wanted=wanted,
                )
            self._plane.start(self._events.received)
            if isinstance(self._plane, ChallengingPlane):
                self._plane.challenge_with(self._core.challenge_terms())
            if isinstance(self._plane, AdmittingPlane):
                self._plane.admit_with(self._events.admit)
            self.listen_udp(self._udp)
            self._ports.listen_dtls(self._dtls)
            self._ports.listen_for_discovery(self._discovery.addresses())

    def listen_udp(self, endpoints: Iterable[str]) -> list[Address]:
        """Open UDP listeners from strings such as `udp:3478:interface=127.0.0.1`.

        Without an interface both families are opened on one port. Returns what
        was bound; raises ValueError for a bad string, OSError for a taken port.
        """
        return self._ports.listen_udp(endpoints)

    @property
    def udp_addresses(self) -> list[Address]:
        """What listens on UDP."""
        return self._ports.udp

    @property
    def dtls_addresses(self) -> list[Address]:
        """What listens on DTLS."""
        return self._ports.dtls

    def _make_dtls_door(self) -> DtlsDoor:
        if self._dtls_context is None:
            raise ValueError("DTLS needs a certificate")
        return DtlsDoor(
            self,
            self._reactor,
            self._dtls_context,
            handshake_s=self._settings.first_message_timeout_s,
            idle_s=IDLE_STREAM_S,
            per_address=self._settings.allocations_per_address,
        )

    def certificates_changed(self) -> None:
        """DTLS clients who come from now on see the new certificates."""
        self._ports.certificates_changed()

    def stopService(self) -> Deferred[None]:
        """Drain, then close sockets and connections; fires when all have gone.

        Allocations live on until the last one of strangers has ended, or
        `drain_s` is over since `begin_drain`. Whoever is in a room has been
        told to come back, and gives no allocation up: those are not waited for.
        """
        super().stopService()  # type: ignore[no-untyped-call] # Twisted's
        self.begin_drain()
        strangers = self._count_strangers()
        if strangers and self._drain_s:
            _log.info("TURN drains {count} allocations", count=strangers)
        drain, self._waiting = self._draining, True
        if drain is None:
            return self._close()
        drain.remaining(strangers)
        return drain.over.addCallback(lambda _: self._close())

    def begin_drain(self) -> None:
        """From now on new clients are sent to `turn.alternate_server`, or
        refused with 508 where there is none; the time of the drain begins."""
        if self._draining is None and self._drain_s:
            self._draining = Drain(self._reactor, self._drain_s)
            self._set_limits()

    def _count_strangers(self) -> int:
        return sum(not is_of_a_call(held.username) for held in self._core.allocations())

    def _count(self, standing: int) -> None:
        before, self._counters.allocations = self._counters.allocations, standing
        if self._waiting and standing < before and self._draining is not None:
            self._draining.remaining(self._count_strangers())

    def _close(self) -> Deferred[None]:
        if self._draining is not None:
            self._draining.cancel()
        self._draining, self._waiting = None, False
        self._set_limits()
        self._opened = False
        self._events.stop()
        self._events.perform(self._core.drop(lambda username: True))
        self._ports.close()
        self._plane.stop()
        self._tcp.stop()
        self._stopped = Deferred()
        stopped = self._stopped
        for stream in list(self._streams):
            stream.abort()
        self._fire_when_empty()
        return stopped

    def _fire_when_empty(self) -> None:
        if self._stopped is not None and not self._streams:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def stream_factory(self, transport_name: str) -> TurnStreamFactory:
        """The factory for TURN on a stream: "tcp" or "tls"."""
        return TurnStreamFactory(
            self,
            self._reactor,
            transport_name,
            first_message_timeout_s=self._settings.first_message_timeout_s,
            idle_s=IDLE_STREAM_S,
            queue_bytes=self._settings.queue_bytes,
            queue_s=self._settings.queue_s,
        )

    def drop(self, matches: Callable[[str], bool]) -> None:
        """End the allocations of usernames that match, at once.

        For credentials that have been revoked: a participant who leaves.
        """
        self._events.perform(self._core.drop(matches))

    # Streams

    def attach(self, five_tuple: FiveTuple, sink: Callable[[bytes], None]) -> None:
        """A client behind a balancer has been heard."""
        self._plane.attach_stream(five_tuple, sink)

    def detach(self, five_tuple: FiveTuple) -> None:
        """The way back to it is forgotten."""
        self._plane.detach_stream(five_tuple)

    def stream_opened(
        self, stream: TurnStream | DtlsSession, five_tuple: FiveTuple
    ) -> None:
        """A client has connected."""
        if not self._opened:
            stream.abort()
        self._streams.add(stream)
        self._counters.streams += 1
        many = None
        if isinstance(stream, TurnStream):
            many = stream.send_all
            self._stream_by_tuple[five_tuple] = stream
        self._plane.attach_stream(five_tuple, stream.send, many)

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message of a client."""
        self._plane.stream_received(five_tuple, message)

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """The data messages that a client's bytes begin with."""
        return self._plane.stream_run(five_tuple, data)

    def stream_closed(
        self, stream: TurnStream | DtlsSession, five_tuple: FiveTuple
    ) -> None:
        """It has gone, and its allocation with it."""
        self._streams.discard(stream)
        self._stream_by_tuple.pop(five_tuple, None)
        self._counters.streams -= 1
        self._plane.detach_stream(five_tuple)
        self._events.perform(self._core.client_lost(five_tuple))
        self._fire_when_empty()

    def is_idle(self, five_tuple: FiveTuple) -> bool:
        """Whether the client has no allocation."""
        return not self._core.has_allocation(five_tuple)

    def _stream_of(self, five_tuple: FiveTuple) -> TurnStream | None:
        return self._stream_by_tuple.get(five_tuple)

    def _lend(self, five_tuple: FiveTuple) -> None:
        """A plane that can has the connection for as long as there is a relay."""
        if five_tuple.transport in STREAMS and isinstance(self._plane, AdoptingPlane):
            stream = self._stream_by_tuple.get(five_tuple)
            if stream is not None:
                stream.lend(self._plane)

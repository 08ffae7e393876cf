"""The composition root: every object of the server is made here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mosaic import __version__
from mosaic.app.addresses import Addresses
from mosaic.app.banner import banner
from mosaic.app.chores import DAY_S, HOUR_S, Chores
from mosaic.app.clock import use_monotonic_clock
from mosaic.app.collector import calm_collector
from mosaic.app.control import ControlSocket
from mosaic.app.credentials import CredentialDesk
from mosaic.app.feedkeeper import FeedKeeper
from mosaic.app.firstrun import Welcome, prepare
from mosaic.app.house import House, Readiness
from mosaic.app.hubverbs import hub_verbs
from mosaic.app.keys import load_or_make_key, load_or_make_keys
from mosaic.app.listeners import Listeners, make_endpoints, routes_for
from mosaic.app.logs import LevelledLog, json_log, plain_log
from mosaic.app.preflight import StateLock
from mosaic.app.reload import Reloader
from mosaic.app.revocation import revoke_with_the_door
from mosaic.app.runfile import RunFile, write_run_file
from mosaic.app.signals import install_signals
from mosaic.auth.door import HouseDoor
from mosaic.auth.hubfleet import LEVELS
from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.bus.memory import MemoryBus
from mosaic.config.flags import settings_from_flags
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.metrics.lag import ReactorLag
from mosaic.metrics.registry import Metrics
from mosaic.services.drcp.apart import Processes
from mosaic.services.drcp.history import DocumentHistory
from mosaic.services.drcp.service import DrcpService
from mosaic.services.rest.collection import Collection
from mosaic.services.rest.health import NotReady
from mosaic.services.rest.netcheck import NetcheckFacts
from mosaic.services.rest.origin import origin_allowed
from mosaic.services.rest.redirect import redirect_site
from mosaic.services.rest.root import build_rest
from mosaic.services.turn.service import TurnService
from mosaic.services.turn.tuning import RELOADABLE
from mosaic.services.xmpp.extras.surroundings import Surroundings
from mosaic.services.xmpp.service import XmppService
from mosaic.store.sql import SqlStore
from mosaic.tls.authority import ensure_certificates
from mosaic.tls.context import Certificates
from mosaic.tls.errors import CertificateError
from mosaic.tls.sharedport import SharedPort

_log = Logger()
STATIC = Path(__file__).parents[1] / "static"


def build(
    settings: Settings, reactor: Any, *, options: Mapping[str, Any] | None = None
) -> House:
    """Everything that `twistd mosaic` runs, as one service.

    options: the parsed flags (for a reload) whose parent holds twistd's own.
    """
    use_monotonic_clock(reactor)
    return _Builder(settings, reactor, options or {}).house()


class _Builder:
    """Holds what the parts share while they are put together."""

    def __init__(
        self, settings: Settings, reactor: Any, options: Mapping[str, Any]
    ) -> None:
        self.settings = settings
        self.reactor = reactor
        self.options = options
        self.state = state_folder(settings)
        self.readiness = Readiness()
        self.log = _make_log(settings)
        self.bus = MemoryBus(reactor)
        self.in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        self.metrics = Metrics()
        self.lag = ReactorLag(reactor, self.metrics.reactor_was_late)
        self.store = SqlStore(
            settings.store.url or self.state / "mosaic.db",
            reactor,
            commit_window_s=settings.store.commit_window_s,
            check_s=settings.store.check_s,
            on_commit=self.metrics.committed,
            on_foreign_change=lambda: self.bus.publish("store", {"type": "changed"}),
        )
        self.turn_secrets = TurnSecrets(
            load_or_make_keys(self.state, "turn"),
            ttl_s=settings.turn.credential_ttl_s,
            digest=settings.turn.credential_hash,
        )
        self.addresses = Addresses(public_host=settings.public_host)
        self.welcome = Welcome(room=None, setup_code=None)
        self._build_services()
        self._build_ports()
        self._watch()

    def _build_services(self) -> None:
        settings = self.settings
        self.door = HouseDoor(
            self.store,
            self.bus,
            clock=self.reactor,
            wall=time.time,
            settings=settings.auth,
            server_key=load_or_make_key(self.state, "server"),
            run_in_thread=self.in_thread,
            credentials=CredentialDesk(self.turn_secrets),
            credential_ttl_s=settings.turn.credential_ttl_s,
            turn_urls=lambda host: self.addresses.turn_urls(host),
            scram_sha_1=settings.xmpp.scram_sha_1,
            hubs=settings.hubs,
        )
        self.turn = TurnService(
            self.reactor,
            settings.turn,
            realm=settings.turn.realm,
            credentials=self.turn_secrets,
            names=self.turn_secrets,
            udp=settings.endpoints.turn_udp,
            dtls=settings.endpoints.turn_dtls,
            dtls_context=lambda: self.context.for_datagrams(),
            drain_s=settings.drain_s,
            verbose=settings.log_level == "debug",
        )
        revoke_with_the_door(
            self.bus, secrets=self.turn_secrets, relay=self.turn, now=time.time
        )
        self.apart = Processes(
            self.reactor,
            seconds=settings.export.worker_timeout_s,
            memory_bytes=settings.export.worker_memory_bytes,
        )
        self.drcp = DrcpService(
            self.reactor,
            settings.drcp,
            door=self.door,
            store=self.store,
            bus=self.bus,
            origin_allowed=self._origin_allowed,
            wall_clock=time.time,
            history=settings.history,
            run_in_thread=self.in_thread,
            apart=self.apart,
        )
        self.xmpp = XmppService(
            self.reactor,
            settings.xmpp,
            domain=settings.xmpp.domain or settings.public_host,
            door=self.door,
            store=self.store,
            bus=self.bus,
            hubs=self.door.hubs.fleet,
            around=Surroundings(
                public_host=settings.public_host,
                web=lambda: self.addresses.https_url or self.addresses.base_url,
                max_upload_bytes=settings.http.max_upload_bytes,
                listen=lambda text: self._endpoint(text),
                connect=partial(clientFromString, self.reactor),
            ),
        )
        updates = Path(settings.updates.folder or self.state / "updates")
        self.feed = FeedKeeper(
            folder=updates,
            keys=self.state / "keys",
            settings=settings.updates,
            clock=self.reactor,
            run_in_thread=self.in_thread,
        )
        self.rest = build_rest(
            settings=settings,
            door=self.door,
            store=self.store,
            bus=self.bus,
            reactor=self.reactor,
            now=time.time,
            run_in_thread=self.in_thread,
            state=self.state,
            static=STATIC,
            join_url=lambda hub_id, pin=None: self.addresses.join_url(hub_id, pin),
            live=DocumentHistory(self.drcp, self.store),
            readiness={"house": self._check_ready},
            metrics_text=self.metrics.text,
            children={**self.drcp.resources(), **self.xmpp.resources()},
            xmpp_websocket=lambda: self.addresses.xmpp_websocket_url,
            find_state=self.drcp.find_state,
            netcheck=self._netcheck_facts,
            updates=updates,
            warnings={"updates": self.feed.warning},
        )

        self.collection = Collection(
            store=self.store,
            files=self.rest.blobs,
            grace_s=self.settings.history.blob_grace_s,
            keep_days=self.settings.xmpp.upload_keep_days,
        )

    def _build_ports(self) -> None:
        self.certificates = Certificates()
        certs = Path(self.settings.tls.certs) if self.settings.tls.certs else None
        self.context = self.certificates.context(
            certs
            or ensure_certificates(self.state, self.settings.public_host, time.time())
        )
        self._endpoint = make_endpoints(
            self.reactor,
            default_context=self.context,
            certificates=self.certificates,
            transport=self.settings.tls.transport,
        )
        self.listeners = Listeners(
            self.settings.endpoints,
            make_endpoint=self._endpoint,
            make_factory=self._port_factory,
        )

    def _port_factory(self, services: frozenset[str]) -> IProtocolFactory:
        if services == {"xmpp_starttls"}:
            return self.xmpp.starttls_factory(self.context)
        if services == {"redirect"}:
            webroot = self.settings.http.acme_webroot
            return redirect_site(
                self.reactor,
                https_url=lambda: self.addresses.https_url,
                acme_webroot=Path(webroot) if webroot else None,
                deadlines=self.rest.deadlines,
            )
        local = bool(services & {"http", "metrics"})
        leg = "tls" if "turn_tls" in services else "tcp"
        routes = routes_for(
            services,
            {
                "http": lambda: self.rest.site(metrics=local),
                "xmpp": self.xmpp.stream_factory,
                "turn": lambda: self.turn.stream_factory(leg),
            },
        )
        return SharedPort(
            routes,
            self.reactor,
            first_bytes_timeout_s=self.settings.tls.first_bytes_timeout_s,
            handshake_timeout_s=self.settings.tls.handshake_timeout_s,
        )

    def house(self) -> House:
        """The stages in the order of their start."""
        parent = getattr(self.options, "parent", None) or {}
        to_terminal = bool(parent.get("nodaemon")) and not (
            parent.get("logfile") or parent.get("syslog") or parent.get("logger")
        )
        self.to_terminal = to_terminal
        house = House(
            self.reactor,
            observer=self.log.observer if to_terminal else None,
            readiness=self.readiness,
            on_running=self._announce,
        )
        lock = StateLock(self.state)
        if not lock.take():
            raise RuntimeError(f"{self.state} is in use by a running Mosaic")
        # The lock lives as long as the process: no stage lets go of it.
        self.lock = lock
        control = ControlSocket(
            self.reactor,
            self.state,
            {"turn.sessions": self._turn_sessions, **hub_verbs(self.door.hubs)},
        )
        house.add_stage("store", self._open_store, self._close_store)
        house.add_stage("first run", self._first_run, _nothing)
        hubs = self.door.hubs
        house.add_stage("hubs", hubs.start, hubs.stop, hubs.fleet.begin_stop)
        # Its drain runs while the others close.
        house.add_service_stage("turn", self.turn, self.turn.begin_drain)
        house.add_stage("work apart", _nothing, _nothing, self.apart.stop)
        house.add_service_stage("drcp", self.drcp)
        house.add_service_stage("xmpp", self.xmpp)
        house.add_stage("exports", _nothing, self.rest.exports.stop)
        house.add_stage("ports", self.listeners.start, self.listeners.stop)
        house.add_stage("addresses", self._note_addresses, _nothing)
        house.add_service_stage("chores", self._chores())
        house.add_service_stage("update feed", self.feed)
        house.add_stage("control", control.start, control.stop)
        self._install_signals(house)
        return house

    def _turn_sessions(self, request: Mapping[str, Any]) -> Any:
        return {"sessions": self.turn.sessions()}

    def _chores(self) -> Chores:
        chores = Chores(self.reactor)
        chores.every(HOUR_S, "forgetting expired tokens", self.door.forget_expired)
        chores.every(DAY_S, "renewing certificates", self._renew_certificates)
        chores.every(DAY_S / 4, "collecting files", self.collection.run)
        chores.every(HOUR_S, "pruning XMPP archives", self.xmpp.prune)
        chores.every(HOUR_S, "pruning commands to hubs", self.rest.commands.prune)
        return chores

    def _renew_certificates(self) -> None:
        for error in self._reload_certificates():
            _log.error("certificates not renewed: {error}", error=str(error))

    def _reload_certificates(self) -> list[CertificateError]:
        if not self.settings.tls.certs:
            try:
                ensure_certificates(self.state, self.settings.public_host, time.time())
            except CertificateError as error:
                return [error]
        errors = self.certificates.reload()
        self.turn.certificates_changed()
        return errors

    def _reload_turn_keys(self) -> list[Exception]:
        try:
            self.turn_secrets.replace(load_or_make_keys(self.state, "turn"))
        except (OSError, ValueError) as error:
            return [error]
        return []

    async def _open_store(self) -> None:
        self.lag.start()
        await self.store.start()

    async def _close_store(self) -> None:
        self.lag.stop()
        await self.store.stop()

    async def _first_run(self) -> None:
        self.welcome = await prepare(self.store, self.door)

    async def _note_addresses(self) -> None:
        udp = self.turn.udp_addresses
        self.addresses = Addresses(
            public_host=self.settings.public_host,
            tls_port=self.listeners.port_of("rest"),
            http_port=self.listeners.port_of("http"),
            turn_port=udp[0].port if udp else self.listeners.port_of("turn_tcp"),
            turn_tls_port=self.listeners.port_of("turn_tls"),
            more_udp_ports=tuple(sorted({a.port for a in udp[1:]} - {udp[0].port}))
            if udp
            else (),
            turn_udp=bool(udp),
            turn_tcp=bool(self.settings.endpoints.turn_tcp),
        )
        write_run_file(
            self.state,
            RunFile(
                pid=os.getpid(),
                public_host=self.addresses.public_host,
                tls_port=self.addresses.tls_port,
                http_port=self.addresses.http_port,
                turn_port=self.addresses.turn_port,
                turn_tls_port=self.addresses.turn_tls_port,
                version=__version__,
            ),
        )

    def _netcheck_facts(self) -> NetcheckFacts:
        endpoints = self.settings.endpoints
        return NetcheckFacts(
            xmpp_port=self.listeners.port_of("xmpp"),
            xmpp_domain=self.settings.xmpp.domain or self.settings.public_host,
            udp_ports=tuple(
                dict.fromkeys(address.port for address in self.turn.udp_addresses)
            ),
            spki_sha256=tuple(self.context.key_hashes()),
            dtls_ports=tuple(
                dict.fromkeys(address.port for address in self.turn.dtls_addresses)
            ),
            redirect_port=self.listeners.port_of("redirect"),
            drcp=bool(endpoints.drcp),
        )

    def _announce(self) -> None:
        calm_collector()
        _log.info(
            "ready: {https} and {local}",
            https=self.addresses.https_url,
            local=self.addresses.local_url,
        )
        if self.settings.log_format == "json" or sys.__stdout__ is None:
            return
        sys.__stdout__.write(
            banner(
                self.addresses,
                version=__version__,
                state=str(self.state),
                room=self.welcome.room,
                setup_code=self.welcome.setup_code,
                qr=True,
            )
        )
        sys.__stdout__.flush()

    def _install_signals(self, house: House) -> None:
        reloader = Reloader(
            self.settings,
            read=lambda: settings_from_flags(self.options),
            appliers={
                "log_level": self._set_log_level,
                "turn.credential_hash": self.turn_secrets.mint_with,
                **{
                    f"turn.{name}": partial(self.turn.change, name)
                    for name in RELOADABLE
                },
            },
            files=(self._reload_certificates, self._reload_turn_keys),
        )
        install_signals(self.reactor, stop=self.reactor.stop, reload=reloader.reload)

    def _check_ready(self) -> None:
        if reason := self.readiness():
            raise NotReady(reason)
        if self.context.expires.timestamp() < time.time():
            raise NotReady("the certificate has expired")

    def _set_log_level(self, level: str) -> None:
        self.log.set_level(level)
        self.turn.verbose = level == "debug"

    def _origin_allowed(self, origin: str | None, host: str) -> bool:
        return origin_allowed(origin, host, self.settings.http.allowed_origins)

    def _watch(self) -> None:
        metrics = self.metrics
        metrics.count_rooms(lambda: self.drcp.counters.rooms)
        metrics.count_allocations(lambda: self.turn.counters.allocations)
        metrics.watch(
            "mosaic_drcp",
            lambda: self.drcp.counters,
            gauges=("connections", "rooms", "documents", "people", "full"),
        )
        metrics.watch(
            "mosaic_turn_service",
            lambda: self.turn.counters,
            gauges=("allocations", "streams"),
        )
        metrics.watch("mosaic_turn", lambda: self.turn.counters.core)
        metrics.watch(
            "mosaic_xmpp",
            lambda: self.xmpp.counters,
            gauges=("streams", "sessions", "detached"),
        )
        metrics.watch(
            "mosaic_xmpp_rooms",
            lambda: self.xmpp.rooms.counters,
            gauges=("rooms", "occupants", "waiting"),
        )
        metrics.watch(
            "mosaic_hubs", lambda: self.door.hubs.fleet.counters, gauges=LEVELS
        )
        metrics.watch("mosaic_relay", lambda: self.turn.counters.plane)


async def _nothing() -> None:
    """A stage that has nothing to undo."""


def _make_log(settings: Settings) -> LevelledLog:
    make = json_log if settings.log_format == "json" else plain_log
    # twistd redirects sys.stdout into the log: write to the real one.
    return LevelledLog(make(sys.__stdout__ or sys.stderr), settings.log_level)

# mypy: disable-error-code="no-untyped-call"
# (twisted.web has few annotations)
"""Puts the web side together: API, pages, health, websockets, limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus
from mosaic.config.settings import Settings
from mosaic.export.moving import Mover, export_limits
from mosaic.export.places import clear_left
from mosaic.services.rest.avatars import Avatars
from mosaic.services.rest.blobfiles import BlobFiles, RunInThread
from mosaic.services.rest.blobs import BlobOperations, Uploads
from mosaic.services.rest.channel import Deadlines
from mosaic.services.rest.dispatch import ApiResource, Dispatcher
from mosaic.services.rest.exportdesk import ExportDesk
from mosaic.services.rest.exports import ExportOperations
from mosaic.services.rest.gate import Gate, asked_host
from mosaic.services.rest.health import Check, Livez, Metrics, Readyz, Warn
from mosaic.services.rest.hubagents import HubAgents
from mosaic.services.rest.hubcommands import HubCommands
from mosaic.services.rest.hubfiles import HubFiles
from mosaic.services.rest.hubs import HubOperations, HubRights
from mosaic.services.rest.netcheck import NetcheckFacts, NetcheckOperations
from mosaic.services.rest.openapi import describe
from mosaic.services.rest.operations import Operation
from mosaic.services.rest.origin import origin_allowed
from mosaic.services.rest.pages import Pages, plain
from mosaic.services.rest.people import People
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.ratelimit import RateLimit
from mosaic.services.rest.relaying import Relaying
from mosaic.services.rest.rooms import JoinUrl, RoomOperations
from mosaic.services.rest.sessions import Sessions
from mosaic.services.rest.site import MosaicSite, answer_problem
from mosaic.services.rest.states import DocumentStates, FindState
from mosaic.services.rest.updates import UpdateFiles
from mosaic.services.rest.uploads import SharedFiles
from mosaic.services.rest.users import UserAccounts
from mosaic.services.rest.versions import VersionOperations
from mosaic.services.rest.workers import Worker, WorkerProcesses
from mosaic.store.interface import Store
from mosaic.workspace.live import LiveVersions

XMPP_LINK = "urn:xmpp:alt-connections:websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What build_rest() makes; it can serve on several listeners.

    operations: the route table. blobs: the folder of uploads. exports: stop()
    it when the server stops. commands: prune() them from time to time.
    """

    operations: tuple[Operation, ...]
    blobs: BlobFiles
    exports: ExportDesk
    commands: HubCommands
    api: IResource
    pages: IResource
    readyz: IResource
    updates: IResource
    children: Mapping[str, IResource]
    xmpp_websocket: Callable[[], str | None]
    uploads: Uploads
    metrics_text: Callable[[], str] | None
    reactor: IReactorTime
    deadlines: Deadlines

    def root(self, *, metrics: bool = False) -> IResource:
        """The root resource. metrics: serve /metrics too (local listener)."""
        root = Root(self.pages)
        api = Resource()
        api.putChild(b"v1", self.api)
        root.putChild(b"api", api)
        root.putChild(b"livez", Livez())
        root.putChild(b"readyz", self.readyz)
        root.putChild(b"updates", self.updates)
        if metrics and self.metrics_text is not None:
            root.putChild(b"metrics", Metrics(self.metrics_text))
        for name, child in self.children.items():
            root.putChild(name.encode("ascii"), child)
        if "xmpp-websocket" in self.children:
            root.putChild(b".well-known", WellKnown(self.xmpp_websocket))
        return root

    def site(self, *, metrics: bool = False) -> MosaicSite:
        """A protocol factory for a listener (ALPN http/1.1)."""
        return MosaicSite(
            self.root(metrics=metrics),
            reactor=self.reactor,
            bodies=self.uploads,
            deadlines=self.deadlines,
        )


def build_rest(
    *,
    settings: Settings,
    door: Door,
    store: Store,
    bus: Bus,
    reactor: IReactorTime,
    now: Callable[[], float],
    run_in_thread: RunInThread,
    state: Path,
    static: Path,
    join_url: JoinUrl,
    live: LiveVersions,
    readiness: Mapping[str, Check] | None = None,
    metrics_text: Callable[[], str] | None = None,
    children: Mapping[str, IResource] | None = None,
    worker: Worker | None = None,
    find_state: FindState = lambda hub_id, sha256: None,
    netcheck: Callable[[], NetcheckFacts] = NetcheckFacts,
    xmpp_websocket: Callable[[], str | None] = lambda: None,
    updates: Path | None = None,
    warnings: Mapping[str, Warn] | None = None,
) -> Rest:
    """Build the REST service and the web pages.

    reactor: for timers and rate limits. now: Unix seconds. run_in_thread:
    like deferToThread, for fsync. state: the state folder; uploads go to its
    `blobs`. static: the built web client, which may be missing. join_url: see
    join_url_at(). live: documents as they are now. readiness: further checks
    for /readyz by name, beside the store's. children: websocket resources of
    other services by their first path segment ("drcp", "y", "hocuspocus",
    "xmpp-websocket"). find_state: the document states that DRCP refers to.
    netcheck: what a network check is to try.
    xmpp_websocket: the public URL of that one. updates: the feed's folder, in
    the state folder by default. warnings: for /readyz, by name.
    """
    http = settings.http
    limit = RateLimit(
        per_s=http.requests_per_s, burst=http.request_burst, seconds=reactor.seconds
    )
    gate = Gate(door, limit)
    files = BlobFiles(state / "blobs", run_in_thread=run_in_thread)
    files.prepare()
    clear_left(state)
    shared = SharedFiles(
        gate=gate,
        store=store,
        files=files,
        max_upload_bytes=http.max_upload_bytes,
        now=now,
    )
    desk = ExportDesk(
        Mover(
            store,
            blobs_root=state / "blobs",
            fonts=static / "excalidraw" / "fonts",
            limits=export_limits(settings),
            now=now,
            in_thread=run_in_thread,
        ),
        worker or WorkerProcesses(reactor),
        folder=state / "exports",
        settings=settings.export,
        clock=reactor,
        now=now,
        run_in_thread=run_in_thread,
    )
    desk.prepare()
    rooms = RoomOperations(door=door, store=store, bus=bus, join_url=join_url, now=now)
    rights = HubRights(door=door, hubs=door.hubs)
    commands = HubCommands(
        hubs=door.hubs,
        store=store,
        bus=bus,
        rights=rights,
        files=HubFiles(
            state / "hub-files",
            max_bytes=settings.hubs.max_files_bytes,
            run_in_thread=run_in_thread,
        ),
        now=now,
    )
    agents = HubAgents(
        hubs=door.hubs,
        store=store,
        join_url=join_url,
        domain=settings.xmpp.domain or settings.public_host,
        now=now,
        forgive=gate.forgive,
    )
    operations = (
        *Sessions(door=door, store=store).operations(),
        *UserAccounts(door=door, store=store).operations(),
        *rooms.operations(),
        *People(
            door=door, store=store, token_ttl_s=settings.auth.room_token_ttl_s
        ).operations(),
        *BlobOperations(store=store, files=files, now=now).operations(),
        *VersionOperations(
            store=store, live=live, settings=settings.history
        ).operations(),
        *ExportOperations(desk=desk, files=files, view=rooms.own_view).operations(),
        *Relaying(door=door, regions=settings.regions).operations(),
        *DocumentStates(find=find_state).operations(),
        *NetcheckOperations(
            door=door,
            facts=netcheck,
            seconds=reactor.seconds,
            region=settings.region,
            regions=settings.regions,
        ).operations(),
        *shared.operations(),
        *Avatars(store=store).operations(),
        *HubOperations(
            door=door, hubs=door.hubs, store=store, rights=rights
        ).operations(),
        *agents.operations(),
        *commands.operations(),
    )
    description = json.dumps(describe(operations), indent=1).encode()
    dispatcher = Dispatcher(operations, gate=gate, description=description)
    checks: dict[str, Check] = {"store": store.ping, **(readiness or {})}
    return Rest(
        operations=operations,
        blobs=files,
        exports=desk,
        commands=commands,
        api=ApiResource(dispatcher, allowed_origins=http.allowed_origins),
        pages=Pages(static),
        readyz=Readyz(checks, clock=reactor, warnings=warnings),
        updates=UpdateFiles(updates or state / "updates"),
        children={
            name: WebSocketEntry(child, allowed=http.allowed_origins)
            for name, child in (children or {}).items()
        },
        uploads=Uploads(
            gate=gate,
            files=files,
            shared=shared,
            max_upload_bytes=http.max_upload_bytes,
            max_body_bytes=http.max_body_bytes,
            max_archive_bytes=settings.export.max_archive_bytes,
            max_hub_file_bytes=settings.hubs.max_file_bytes,
            check_import=desk.check_turn,
        ),
        xmpp_websocket=xmpp_websocket,
        metrics_text=metrics_text,
        reactor=reactor,
        deadlines=Deadlines(
            headers_s=http.headers_timeout_s,
            body_s=http.body_timeout_s,
            upload_s=10 * http.body_timeout_s,
        ),
    )


def join_url_at(base: str) -> JoinUrl:
    """Join links below a base such as "https://meet.example.org:8443".

    The PIN is in the fragment, which a browser sends to nobody.
    """

    def join_url(hub_id: str, pin: str | None = None) -> str:
        url = f"{base.rstrip('/')}/join/{hub_id}"
        return url if pin is None else f"{url}#pin={pin}"

    return join_url


class Root(Resource):
    """Named children, and the pages for every other path."""

    def __init__(self, pages: IResource) -> None:
        super().__init__()
        self._pages = pages

    def getChild(self, path: bytes, request: Any) -> IResource:
        """The pages look at the whole path themselves."""
        return self._pages


class WebSocketEntry(Resource):
    """Another service's websocket resource, behind the Origin check (T12).

    The HTTP channel leaves the transport before the service takes it over, so
    that the service can register its own producer there.
    """

    isLeaf = True

    def __init__(self, resource: IResource, *, allowed: Collection[str]) -> None:
        super().__init__()
        self._resource = resource
        self._allowed = frozenset(allowed)

    def render(self, request: Any) -> Any:
        """Refuse foreign origins and what is no upgrade, else hand over."""
        upgrade = request.getHeader("upgrade") or ""
        if request.method != b"GET" or upgrade.lower() != "websocket":
            headers = {"Upgrade": "websocket", "Connection": "Upgrade, close"}
            return self._refuse(request, Refusal(426, headers=headers))
        origins = request.requestHeaders.getRawHeaders("origin") or [None]
        host = request.getHeader("host") or ""
        if len(origins) > 1 or not origin_allowed(origins[0], host, self._allowed):
            return self._refuse(request, Refusal(403, "this origin is not allowed"))
        request.channel.hand_over()
        return self._resource.render(request)

    def _refuse(self, request: Any, refusal: Refusal) -> Any:
        answer_problem(request, refusal)
        return b""


class WellKnown(Resource):
    """Tells XMPP clients where the websocket is (XEP-0156, RFC 6415).

    public_url: where it is for everybody, if there is a TLS port.
    """

    isLeaf = True

    def __init__(self, public_url: Callable[[], str | None]) -> None:
        super().__init__()
        self._public_url = public_url

    def render_GET(self, request: Any) -> bytes:
        """host-meta as XRD or JSON; anybody may read it (XEP-0156 section 3)."""
        urls = self._urls(request)
        name = b"/".join(request.postpath)
        if name == b"host-meta.json":
            kind = "application/json"
            links = [{"rel": XMPP_LINK, "href": url} for url in urls]
            text = json.dumps({"links": links})
        elif name == b"host-meta":
            kind = "application/xrd+xml"
            entries = "".join(
                f"<Link rel='{XMPP_LINK}' href={quoteattr(url)}/>" for url in urls
            )
            text = (
                "<?xml version='1.0' encoding='utf-8'?>\n"
                "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
                f"{entries}</XRD>\n"
            )
        else:
            return plain(request, 404, "There is no such page.\n")
        body = plain(request, 200, text)
        request.setHeader("Content-Type", kind)
        request.setHeader("Access-Control-Allow-Origin", "*")
        return body

    def _urls(self, request: Any) -> list[str]:
        """The public one; and for who asked in the clear, which is on this
        machine, what needs no certificate."""
        public = self._public_url()
        urls = [] if public is None else [public]
        if public is None or not request.isSecure():
            scheme = "wss" if request.isSecure() else "ws"
            port = (request.getHeader("host") or "").removeprefix(asked_host(request))
            urls.append(f"{scheme}://{asked_host(request)}{port}/xmpp-websocket")
        return urls

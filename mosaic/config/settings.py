"""Every setting, with its default. etc/mosaic.toml explains each of them.

msgspec structs: frozen, checked against their types, unknown keys refused.
Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mosaic.workspace.hubs import COMMANDS


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


class Endpoints(Section, frozen=True):
    """Where each service listens: Twisted endpoint strings.

    Services that are given the same string share that port.
    """

    rest: tuple[str, ...] = ("mosaic-tls:8443",)
    drcp: tuple[str, ...] = ("mosaic-tls:8443",)
    xmpp: tuple[str, ...] = ("mosaic-tls:8443",)
    turn_tls: tuple[str, ...] = ("mosaic-tls:8443",)
    http: tuple[str, ...] = (
        "tcp:8080:interface=127.0.0.1",
        "tcp:8080:interface=\\:\\:1",
    )
    redirect: tuple[str, ...] = ()
    turn_tcp: tuple[str, ...] = ("tcp:3478",)
    turn_udp: tuple[str, ...] = ("udp:3478",)
    turn_dtls: tuple[str, ...] = ()
    xmpp_starttls: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


class Tls(Section, frozen=True):
    """Certificates and deadlines of the shared TLS port."""

    certs: str = ""
    transport: Literal["socket", "memory"] = "socket"
    handshake_timeout_s: float = 10.0
    first_bytes_timeout_s: float = 10.0


class Turn(Section, frozen=True):
    """The STUN/TURN relay."""

    realm: str = ""
    relay_ports: tuple[int, int] = (49152, 65535)
    relay_address_v4: str = ""
    relay_address_v6: str = ""
    allow_peers: tuple[str, ...] = ()
    deny_peers: tuple[str, ...] = ()
    credential_ttl_s: int = 43200
    credential_hash: Literal["sha1", "sha256"] = "sha1"
    allocations_per_credential: int = 10
    allocations_per_user: int = 100
    allocations_per_address: int = 200
    allocations_total: int = 8000
    first_message_timeout_s: float = 10.0
    queue_bytes: int = 1048576
    queue_s: float = 5.0
    bytes_per_s_allocation: float = 0.0
    bytes_per_s_user: float = 0.0
    port_quarantine_s: float = 30.0
    alternate_server: str = ""
    mobility: bool = False
    tcp_relay: bool = False
    preserve_dscp: bool = False
    nat_discovery: tuple[str, ...] = ()


class Drcp(Section, frozen=True):
    """Real-time collaboration."""

    max_frame_bytes: int = 1048576
    max_sync_bytes: int = 20971520
    max_awareness_bytes: int = 65536
    max_state_vector_bytes: int = 4096
    max_document_bytes: int = 20971520
    messages_per_s: float = 120.0
    message_burst: int = 240
    bytes_per_s: float = 1048576.0
    queue_bytes: int = 262144
    max_behind_bytes: int = 4194304
    max_behind_s: float = 10.0
    handshake_timeout_s: float = 10.0
    snapshot_ref_bytes: int = 262144
    snapshot_after_s: float = 300.0
    unload_after_s: float = 60.0


class XmppComponent(Section, frozen=True):
    """A component of others that may connect (XEP-0114)."""

    domain: str
    secret_file: str


class Xmpp(Section, frozen=True):
    """XMPP client-to-server."""

    domain: str = ""
    contact_addresses: tuple[str, ...] = ()
    avatar_max_bytes: int = 131072
    upload_bytes_per_day: int = 1073741824
    upload_keep_days: int = 0
    upload_slot_s: float = 300.0
    component: str = ""
    component_domain: str = ""
    component_secret_file: str = ""
    component_accounts: str = ""
    components_listen: str = ""
    components: tuple[XmppComponent, ...] = ()
    auth_timeout_s: float = 10.0
    max_stanza_bytes_before_login: int = 65536
    max_stanza_bytes: int = 262144
    idle_s: float = 120.0
    answer_s: float = 30.0
    resume_s: float = 300.0
    unacked_stanzas: int = 5000
    unacked_bytes: int = 2097152
    channel_binding: bool = True
    scram_sha_1: bool = False
    everyone_is_contact: bool = True
    archive_days: float = 0.0
    offline_messages: int = 1000
    roster_items: int = 1000
    blocked_addresses: int = 1000
    pep_nodes: int = 100
    pep_items: int = 1000
    pep_item_bytes: int = 65536
    create_rooms: bool = True
    presence_limit: int = 200
    max_occupants: int = 2000
    room_stanzas_per_s: float = 120.0
    room_stanza_burst: int = 240


class Http(Section, frozen=True):
    """REST, uploads and the web pages."""

    headers_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    max_body_bytes: int = 1048576
    max_upload_bytes: int = 52428800
    requests_per_s: float = 50.0
    request_burst: int = 200
    allowed_origins: tuple[str, ...] = ()
    acme_webroot: str = ""


class Export(Section, frozen=True):
    """Export and import of rooms, in worker processes."""

    worker_timeout_s: float = 300.0
    worker_memory_bytes: int = 1073741824
    max_archive_bytes: int = 1073741824
    keep_s: float = 3600.0
    waiting: int = 8


class Auth(Section, frozen=True):
    """Passwords, PINs and tokens."""

    tries: int = 5
    backoff_s: float = 30.0
    max_backoff_s: float = 900.0
    session_ttl_s: float = 604800.0
    room_token_ttl_s: float = 43200.0
    scram_iterations: int = 10000
    fast_token_ttl_s: float = 1814400.0


class Store(Section, frozen=True):
    """The database."""

    url: str = ""
    commit_window_s: float = 0.01
    check_s: float = 20.0


class History(Section, frozen=True):
    """Versions of documents, old tombstones, files that nothing refers to."""

    keep_all_s: float = 86400.0
    keep_daily_s: float = 2592000.0
    keep_weekly_s: float = 31536000.0
    room_bytes: int = 268435456
    max_named: int = 100
    prune_after_s: float = 86400.0
    blob_grace_s: float = 604800.0


class Hubs(Section, frozen=True):
    """Room boxes."""

    max_hubs: int = 10000
    code_ttl_s: float = 864000.0
    code_uses: int = 1
    token_ttl_s: float = 900.0
    offline_after_s: float = 60.0
    commands: tuple[str, ...] = COMMANDS
    waiting_commands: int = 32
    command_timeout_s: float = 86400.0
    command_keep_s: float = 604800.0
    max_file_bytes: int = 5242880
    max_files_bytes: int = 268435456


class Updates(Section, frozen=True):
    """The feed of signed releases for hubs."""

    folder: str = ""
    timestamp_life_s: float = 86400.0
    resign_s: float = 21600.0
    warn_s: float = 2592000.0


class Region(Section, frozen=True):
    """Another place with relays that know our secret."""

    name: str
    urls: tuple[str, ...]


class Settings(Section, frozen=True):
    """The whole configuration."""

    state: str = ""
    public_host: str = "localhost"
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    drain_s: float = 10.0
    region: str = ""
    regions: tuple[Region, ...] = ()
    endpoints: Endpoints = Endpoints()
    tls: Tls = Tls()
    turn: Turn = Turn()
    drcp: Drcp = Drcp()
    xmpp: Xmpp = Xmpp()
    http: Http = Http()
    export: Export = Export()
    auth: Auth = Auth()
    store: Store = Store()
    history: History = History()
    hubs: Hubs = Hubs()
    updates: Updates = Updates()

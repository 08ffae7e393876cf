"""Throwaway servers with the accounts u0 ... u1100, password pw, on loopback.

All verifiers have one salt, so that the generator runs PBKDF2 once. Every
server archives, keeps its usual modules and limits no rate.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import benchlib as bl

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACCOUNTS = 1101
SALT = b"bench salt of 16"
ROUNDS = 10000
LITE_SQL = "/usr/share/ejabberd/sql/lite.sql"
SQLITE = pathlib.Path("/usr/share/doc/erlang-p1-sqlite3")

MAKE_ACCOUNTS = """\
import sys
from mosaic.cli.office import open_office
from mosaic.config.flags import settings_from_flags
from mosaic.wire.sasl.verifier import derive_verifier
state, salt, rounds, count = sys.argv[1:]
verifier = derive_verifier("pw", salt=salt.encode(), iterations=int(rounds))
with open_office(settings_from_flags({"state": state})) as office:
    for n in range(int(count)):
        office.wait(office.store.add_account(
            f"u{n}", verifier, admin=False))
"""

PROSODY = """\
run_as_root = {root}
daemonize = false
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
certificates = "{dir}"
log = {{ warn = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
c2s_direct_tls_ports = {{ {port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
ssl = {{ certificate = "{dir}/cert.pem"; key = "{dir}/key.pem" }}
c2s_direct_tls_ssl = {{ certificate = "{dir}/cert.pem"; key = "{dir}/key.pem" }}
modules_enabled = {{
    "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "bookmarks"; "carbons";
    "pep"; "private"; "smacks"; {mam} "vcard4"; "vcard_legacy"; "csi_simple";
    "ping"; "time"; "uptime"; "version"; "admin_adhoc";
}}
modules_disabled = {{ "s2s"; "limits" }}
authentication = "internal_hashed"
storage_archive_item_limit = 10000000
password_hash = "SHA-256"
c2s_require_encryption = true
VirtualHost "localhost"
Component "rooms.localhost" "muc"
    modules_enabled = {{ {muc_mam} }}
    muc_room_locking = false
"""

EJABBERD = """\
loglevel: warning
log_rotate_count: 0
hosts: [localhost]
certfiles: ["{dir}/both.pem"]
auth_method: [internal]
sql_type: sqlite
sql_database: "{dir}/archive.db"
auth_password_format: scram
auth_scram_hash: sha256
disable_sasl_mechanisms: [digest-md5, plain, X-OAUTH2]
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
    max_stanza_size: 262144
    shaper: none
    access: everyone
access_rules:
  everyone:
    allow: all
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages: 100
modules:
  mod_adhoc: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam:
    default: {archive}
    db_type: sql
  mod_muc:
    host: rooms.localhost
    access_create: everyone
    default_room_options:
      mam: {mam}
  mod_offline:
    access_max_user_messages: max_user_offline_messages
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub:
    plugins: [flat, pep]
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
  mod_time: {{}}
  mod_vcard: {{}}
  mod_version: {{}}
"""

REGISTER = """\
{{ok, _}} = application:ensure_all_started(ejabberd),
[mnesia:dirty_write({{passwd, {{list_to_binary("u" ++ integer_to_list(N)),
  <<"localhost">>}}, {{scram, <<"{stored}">>, <<"{server}">>, <<"{salt}">>, sha256,
  {rounds}}}}}) || N <- lists:seq(0, {last})],
mnesia:dump_log(),
file:write_file("{dir}/ready", <<>>)."""


class Side:
    """A server of the comparison. running() starts and stops one process."""

    name = ""
    domain = "localhost"
    muc = "rooms.localhost"

    @contextlib.contextmanager
    def running(self, core):
        """Yield (pid, port); a fresh process and a fresh folder."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"bench-{self.name}-"))
        port, process = _free_port(), None
        try:
            argv, env = self.prepare(folder, port)
            pinned = ["taskset", "-c", str(core), *map(str, argv)]
            with open(folder / "out", "wb") as out:
                process = subprocess.Popen(
                    pinned, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
                )
            self.wait(process, folder, port)
            yield process.pid, port
        finally:
            if process is not None:
                _end(process)
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, folder, port):
        """Write configuration and accounts; the command and its environment."""
        raise NotImplementedError

    def wait(self, process, folder, port):
        """Until it listens and has finished starting."""
        deadline = time.monotonic() + 40
        while not (bl.is_listening(port) and self.settled(folder)):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "out").read_text(errors="replace")[-800:]
                raise RuntimeError(f"{self.name} did not start: {said}")
            time.sleep(0.1)
        time.sleep(0.5)

    def settled(self, _folder):
        """Whether it has its accounts."""
        return True


class Mosaic(Side):
    """twistd mosaic, every setting at its default but `settings` (TOML)."""

    def __init__(self, settings="", name="mosaic"):
        self.settings = settings
        self.name = name
        self._made = None

    def prepare(self, folder, port):
        """The accounts go straight into the store, once for all rounds."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        (folder / "mosaic.toml").write_text(self.settings)
        if self._made is None:
            self._made = tempfile.TemporaryDirectory(prefix="bench-state-")
            make = [MAKE_ACCOUNTS, self._made.name, SALT.decode(), ROUNDS, ACCOUNTS]
            subprocess.run([sys.executable, "-c", *map(str, make)], env=env, check=True)
        shutil.copytree(self._made.name, folder / "state")
        launch = "from twisted.scripts.twistd import run; run()"
        argv = [sys.executable, "-c", launch, "--pidfile=", "-n", "mosaic"]
        argv += ["--config", folder / "mosaic.toml", "--state", folder / "state"]
        argv += ["--port", port, "--http-port", _free_port()]
        return [*argv, "--turn-port", _free_port()], env


class Prosody(Side):
    """Debian's, with the modules of an ordinary installation and its own storage.

    archive: whether people's and rooms' messages are kept (XEP-0313).
    """

    def __init__(self, archive=True):
        self.archive = archive
        self.name = "prosody" if archive else "prosody-noarchive"

    def prepare(self, folder, port):
        """The files of its own account storage."""
        bl.need_program(pathlib.Path("/usr/bin/prosody"), "apt-get install prosody")
        bl.self_signed(folder)
        root = "true" if os.getuid() == 0 else "false"
        mam = ('"mam";', '"muc_mam";') if self.archive else ("", "")
        text = PROSODY.format(
            dir=folder, port=port, root=root, mam=mam[0], muc_mam=mam[1]
        )
        (folder / "prosody.cfg.lua").write_text(text)
        stored, server = _keys()
        # Prosody hashes the salt as it is written
        account = (
            f'return {{ ["salt"] = "{SALT.decode()}"; ["iteration_count"] = {ROUNDS}; '
            f'["stored_key"] = "{stored.hex()}"; ["server_key"] = "{server.hex()}"; }};'
        )
        accounts = folder / "data" / "localhost" / "accounts"
        accounts.mkdir(parents=True)
        for n in range(ACCOUNTS):
            (accounts / f"u{n}.dat").write_text(account + "\n")
        argv = ["/usr/bin/prosody", "--config", folder / "prosody.cfg.lua"]
        return argv, dict(os.environ)


class Ejabberd(Side):
    """Debian's, with one scheduler, without distribution.

    archive: whether messages are kept, in SQLite; Mnesia, its default, slows
    down with every message. Everything else is in Mnesia.
    """

    def __init__(self, archive=True):
        self.archive = archive
        self.name = "ejabberd" if archive else "ejabberd-noarchive"

    def prepare(self, folder, port):
        """The accounts are written into Mnesia once it runs."""
        bl.need_program(pathlib.Path("/usr/bin/erl"), "apt-get install ejabberd")
        cert, key = bl.self_signed(folder)
        (folder / "both.pem").write_text(cert.read_text() + key.read_text())
        (folder / "ejabberd.yml").write_text(
            EJABBERD.format(
                dir=folder,
                port=port,
                archive="always" if self.archive else "never",
                mam="true" if self.archive else "false",
            )
        )
        bl.need_program(SQLITE, "apt-get install erlang-p1-sqlite3")
        with contextlib.closing(sqlite3.connect(folder / "archive.db")) as database:
            database.executescript(pathlib.Path(LITE_SQL).read_text())
        stored, server = (base64.b64encode(x).decode() for x in _keys())
        register = REGISTER.format(
            dir=folder,
            stored=stored,
            server=server,
            salt=base64.b64encode(SALT).decode(),
            rounds=ROUNDS,
            last=ACCOUNTS - 1,
        )
        argv = ["/usr/bin/erl", "+S", "1:1", "+K", "true", "+P", "250000", "-noinput"]
        argv += ["-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"]
        env = {
            **os.environ,
            "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_LIBS": "/usr/lib/x86_64-linux-gnu",
            "ERL_CRASH_DUMP": str(folder / "crash"),
            "HOME": str(folder),
        }
        return [*argv, "-eval", register], env

    def settled(self, folder):
        """The accounts are there."""
        return (folder / "ready").exists()


def _keys():
    """StoredKey and ServerKey."""
    salted = hashlib.pbkdf2_hmac("sha256", b"pw", SALT, ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    return hashlib.sha256(client).digest(), server


def _free_port():
    """A port below those that the system gives to whoever connects."""
    tried = random.sample(range(20_000, 32_000), 1000)
    return next(port for port in tried if bl.port_is_free(port))


def _end(process):
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

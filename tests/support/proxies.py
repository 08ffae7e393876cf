"""Real proxies on loopback: squid, tinyproxy, dante and microsocks."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.support.ntlm_helper import CARRIER, NtlmOracle, carrier_python
from tests.support.running import free_port

USER, PASSWORD = "alice", "s3cret"
START_S = 60.0
_SQUID_HELPERS = Path("/usr/lib/squid")


def need(*programs: str) -> list[str]:
    """Where the programs are; skips here and fails in CI without them."""
    found = []
    for program in programs:
        at = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if at is None and os.environ.get("CI"):
            raise AssertionError(f"{program} is missing")
        if at is None:
            raise SkipTest(f"{program} is not installed")
        found.append(at)
    return found


class ProxyProcess:
    """A proxy in a process of its own, with a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mosaic-proxy-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.at_end: list[Callable[[], None]] = []

    def write(self, name: str, text: str) -> Path:
        """A file that the proxy reads."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def run(self, *command: Any) -> ProxyProcess:
        """Start it and wait until its port is open."""
        log = (self.folder / "output").open("wb")
        self._process = subprocess.Popen(
            [str(word) for word in command],
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        output = (self.folder / "output").read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"{command[0]} did not start: {output[-2000:]}")

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for call in self.at_end:
            call()
        shutil.rmtree(self.folder, ignore_errors=True)


def squid(
    scheme: str = "",
    *,
    tls_pem: str = "",
    extra: str = "",
    login: Sequence[str] = (),
) -> ProxyProcess:
    """scheme: "" for no login, else Basic, Digest, NTLM (squid's fake helper, which
    checks the form of the messages alone), or NTLM-checked and Negotiate (a helper
    of ours that knows the password). tls_pem: key and certificate of https_port.
    extra: a line more. login: lines of one's own in place of the scheme's."""
    (program,) = need("squid")
    proxy = ProxyProcess()
    rules = ["http_access allow all"]
    if scheme:
        rules = [
            *(login or _squid_login(proxy, scheme)),
            "acl known proxy_auth REQUIRED",
            "http_access allow known",
            "http_access deny all",
        ]
    user = ["cache_effective_user proxy"] if os.getuid() == 0 else []
    listen = f"http_port 127.0.0.1:{proxy.port}"
    if tls_pem:
        pem = proxy.write("proxy.pem", tls_pem)
        listen = f"https_port 127.0.0.1:{proxy.port} tls-cert={pem} tls-key={pem}"
    config = [
        listen,
        "pid_filename none",
        "cache deny all",
        "access_log none",
        "cache_log /dev/null",
        f"coredump_dir {proxy.folder}",
        "shutdown_lifetime 0 seconds",
        "visible_hostname squid.test",
        "connect_timeout 3 seconds",
        "pinger_enable off",
        *user,
        *rules,
        extra,
    ]
    path = proxy.write("squid.conf", "\n".join(config) + "\n")
    return proxy.run(program, "-N", "-f", path)


def kerberos_squid(
    keytab: Path, environment: dict[str, str], *, before: Sequence[str] = ()
) -> ProxyProcess:
    """squid with its Kerberos helper, which has the keys in the keytab. before: words
    in front of the helper."""
    given = [f"{name}={value}" for name, value in environment.items()]
    helper = f"{_SQUID_HELPERS}/negotiate_kerberos_auth"
    words = ["/usr/bin/env", *given, *before, helper, "-k", str(keytab)]
    login = [
        f"auth_param negotiate program {' '.join(words)} -s GSS_C_NO_NAME",
        "auth_param negotiate children 1",
    ]
    return squid("Negotiate", login=login)


def samba_squid(scheme: str) -> ProxyProcess:
    """squid with Samba's ntlm_auth, which knows PASSWORD and takes any user. scheme:
    NTLM, or Negotiate (NTLM in SPNEGO)."""
    (program,) = need("ntlm_auth")
    folder = Path(tempfile.mkdtemp(prefix="mosaic-samba-"))
    folder.chmod(0o777)
    names = ["private dir", "lock directory", "state directory", "cache directory"]
    names += ["ncalrpc dir", "pid directory"]
    lines = ["[global]", "workgroup = CORP", "netbios name = PROXY"]
    lines += [f"{name} = {folder}" for name in names]
    (folder / "smb.conf").write_text("\n".join(lines) + "\n")
    protocol = {"NTLM": "squid-2.5-ntlmssp", "Negotiate": "gss-spnego"}[scheme]
    words = [program, f"--helper-protocol={protocol}", f"--password={PASSWORD}"]
    kind = scheme.lower()
    login = [
        f"auth_param {kind} program {' '.join(words)} --configfile={folder}/smb.conf",
        f"auth_param {kind} children 1",
    ]
    proxy = squid(scheme, login=login)
    proxy.at_end.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    return proxy


def _squid_login(proxy: ProxyProcess, scheme: str) -> list[str]:
    if scheme == "Basic":
        made = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD],
            capture_output=True,
            text=True,
            check=True,
        )
        users = proxy.write("users", f"{USER}:{made.stdout.strip()}\n")
        helper = f"{_SQUID_HELPERS}/basic_ncsa_auth {users}"
        return [
            f"auth_param basic program {helper}",
            "auth_param basic children 1",
            "auth_param basic realm test",
        ]
    if scheme == "Digest":
        secret = hashlib.md5(f"{USER}:test:{PASSWORD}".encode()).hexdigest()
        users = proxy.write("users", f"{USER}:test:{secret}\n")
        return [
            f"auth_param digest program {_SQUID_HELPERS}/digest_file_auth -c {users}",
            "auth_param digest children 1",
            "auth_param digest realm test",
        ]
    if scheme in ("NTLM-checked", "Negotiate"):
        users = proxy.write("users", f"CORP:{USER}:{PASSWORD}\n")
        kind = "ntlm" if scheme == "NTLM-checked" else "negotiate"
        oracle = NtlmOracle(kind, users)
        proxy.at_end.append(oracle.close)
        carrier = proxy.write("carrier.py", CARRIER)
        command = f"{carrier_python()} {carrier} {oracle.port}"
        return [
            f"auth_param {kind} program {command}",
            f"auth_param {kind} children 1",
        ]
    return [
        f"auth_param ntlm program {_SQUID_HELPERS}/ntlm_fake_auth",
        "auth_param ntlm children 1",
    ]


def tinyproxy(*, login: bool) -> ProxyProcess:
    """With Basic or without."""
    (program,) = need("tinyproxy")
    proxy = ProxyProcess()
    config = [
        f"Port {proxy.port}",
        "Listen 127.0.0.1",
        "MaxClients 20",
        "Timeout 60",
        f'LogFile "{proxy.folder}/log"',
    ]
    if login:
        config.append(f"BasicAuth {USER} {PASSWORD}")
    path = proxy.write("tinyproxy.conf", "\n".join(config) + "\n")
    return proxy.run(program, "-d", "-c", path)


def microsocks(*, login: bool) -> ProxyProcess:
    """With user and password or without."""
    (program,) = need("microsocks")
    proxy = ProxyProcess()
    who = ["-u", USER, "-P", PASSWORD] if login else []
    return proxy.run(program, "-i", "127.0.0.1", "-p", proxy.port, *who)


def dante() -> ProxyProcess:
    """Without a login: dante's own users are the machine's."""
    (program,) = need("danted")
    proxy = ProxyProcess()
    config = [
        "logoutput: stderr",
        f"internal: 127.0.0.1 port = {proxy.port}",
        "external: lo",
        "clientmethod: none",
        "socksmethod: none",
        "user.unprivileged: nobody",
        "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
        "socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
    ]
    path = proxy.write("danted.conf", "\n".join(config) + "\n")
    return proxy.run(program, "-f", path, "-N", "1")

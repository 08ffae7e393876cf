"""A Kerberos realm of our own on loopback: MIT's KDC, in a folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from tests.support.proxies import need
from tests.support.running import free_port

REALM = "TEST.MOSAIC"
START_S = 30.0


class Realm:
    """A KDC with its database. environment: what its clients and services need in
    theirs; `keytab()` and `ticket()` make files in the folder, readable by all.

    skew: such as "+1h", the KDC's clock beside ours (Debian's faketime). options:
    lines more of [libdefaults].
    """

    def __init__(self, *, skew: str = "", options: str = "") -> None:
        if find_spec("gssapi") is None:
            if os.environ.get("CI"):
                raise AssertionError("gssapi is missing")
            raise SkipTest("gssapi is not installed (the extra hub-kerberos)")
        self._programs = dict(
            zip(
                ("krb5kdc", "kdb5_util", "kadmin.local", "kinit"),
                need("krb5kdc", "kdb5_util", "kadmin.local", "kinit"),
                strict=True,
            )
        )
        self.folder = Path(tempfile.mkdtemp(prefix="mosaic-kdc-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        (self.folder / "krb5.conf").write_text(
            f"[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n"
            "dns_lookup_realm = false\ndns_canonicalize_hostname = false\n"
            f"udp_preference_limit = 1\n{options}\n"
            f"[realms]\n{REALM} = {{\n kdc = 127.0.0.1:{self.port}\n}}\n"
            f"[domain_realm]\nlocalhost = {REALM}\n127.0.0.1 = {REALM}\n"
        )
        (self.folder / "kdc.conf").write_text(
            f'[kdcdefaults]\nkdc_listen = ""\nkdc_tcp_listen = 127.0.0.1:{self.port}\n'
            f"[realms]\n{REALM} = {{\n database_name = {self.folder}/principal\n"
            f" key_stash_file = {self.folder}/stash\n acl_file = {self.folder}/acl\n"
            " supported_enctypes = aes256-cts-hmac-sha1-96:normal\n}\n"
            f"[logging]\nkdc = FILE:{self.folder}/kdc.log\n"
        )
        self.environment = {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder}/nobody",
            "KRB5RCACHENAME": "none:",
        }
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        command = [*late(skew), self._programs["krb5kdc"], "-n"]
        self._kdc = subprocess.Popen(
            [*command, "-P", str(self.folder / "pid")],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self._kdc.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError("krb5kdc did not start") from None
                time.sleep(0.02)
            else:
                break

    def _run(self, program: str, *words: str, text: str = "", cache: str = "") -> None:
        environment = {**os.environ, **self.environment, "LC_ALL": "C"}
        if cache:
            environment["KRB5CCNAME"] = cache
        done = subprocess.run(
            [self._programs[program], *words],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {words}: {done.stdout}{done.stderr}")

    def add(self, principal: str, password: str = "") -> None:
        """A user with a password, or a service or box with a random key."""
        how = f'-pw "{password}"' if password else "-randkey"
        self._run("kadmin.local", "-q", f"addprinc {how} {principal}")

    def keytab(self, principal: str) -> Path:
        """A file with its key, which is made anew."""
        path = self.folder / f"{principal.replace('/', '_')}.keytab"
        self._run("kadmin.local", "-q", f"ktadd -k {path} {principal}")
        path.chmod(0o644)
        return path

    def ticket(self, principal: str, password: str, *, life: str = "1h") -> str:
        """A cache as kinit leaves it, for KRB5CCNAME."""
        cache = f"FILE:{self.folder}/{principal}.cache"
        self._run("kinit", "-l", life, principal, text=f"{password}\n", cache=cache)
        return cache

    def away(self) -> None:
        """Nobody answers any more."""
        if self._kdc.poll() is None:
            self._kdc.kill()
            self._kdc.wait()

    def stop(self) -> None:
        """End it, and remove its folder."""
        self.away()
        shutil.rmtree(self.folder, ignore_errors=True)


def late(skew: str) -> list[str]:
    """The words before a command whose clock is another one. (faketime itself would
    be a parent that leaves its child behind.)"""
    if not skew:
        return []
    need("faketime")
    [library, *_] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return ["/usr/bin/env", f"LD_PRELOAD={library}", f"FAKETIME={skew}"]

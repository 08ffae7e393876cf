"""Radicale, a CalDAV server, over TLS with Basic authentication."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from tests.support.certificate import self_signed_pem
from tests.support.running import free_port

USER, PASSWORD = "room", "s3cret of the room"
START_S = 60.0
_CALENDAR = b"""<?xml version="1.0"?>
<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop>
<d:displayname>Lisbon</d:displayname></d:prop></d:set></c:mkcalendar>"""


class Radicale:
    """One user with one calendar, `url`. pem: the certificate to trust; it is
    listened at localhost. Started anew it is at the same port with the same data."""

    def __init__(self) -> None:
        if find_spec("radicale") is None:
            missing = AssertionError if os.environ.get("CI") else SkipTest
            raise missing("radicale is not installed")
        self.folder = Path(tempfile.mkdtemp(prefix="mosaic-radicale-"))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/{USER}/lisbon/"
        pem = self_signed_pem()
        self.pem = pem[pem.index("-----BEGIN CERTIFICATE") :]
        (self.folder / "both.pem").write_text(pem)
        (self.folder / "users").write_text(f"{USER}:{PASSWORD}\n")
        (self.folder / "config").write_text(
            f"[server]\nhosts = localhost:{self.port}\nssl = True\n"
            f"certificate = {self.folder}/both.pem\nkey = {self.folder}/both.pem\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {self.folder}/users\n"
            "htpasswd_encryption = plain\ndelay = 0\n"
            f"[storage]\nfilesystem_folder = {self.folder}/data\n"
            "[logging]\nlevel = info\nmask_passwords = True\n"
        )
        self._trust = ssl.create_default_context(cadata=self.pem)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Radicale:
        """Start it and wait until it answers; the first time the calendar is made."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "radicale", "--config", self.folder / "config"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if self.call("OPTIONS", "/") == 200:
                    break
            except OSError:
                time.sleep(0.05)
        else:
            raise RuntimeError(f"Radicale did not start:\n{self.log()}")
        if not (self.folder / "data" / "collection-root" / USER / "lisbon").exists():
            assert self.call("MKCALENDAR", f"/{USER}/lisbon/", _CALENDAR) == 201
        return self

    def away(self) -> None:
        """End it; its data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it for good."""
        self.away()
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(self, name: str, text: str) -> None:
        """Store an event, or another in its place."""
        content = "\r\n".join(text.strip().splitlines()).encode() + b"\r\n"
        status = self.call("PUT", f"/{USER}/lisbon/{name}.ics", content)
        assert status in (201, 204), (status, self.log())

    def delete(self, name: str) -> None:
        """Take an event away."""
        assert self.call("DELETE", f"/{USER}/lisbon/{name}.ics") in (200, 204)

    def call(self, method: str, path: str, body: bytes | None = None) -> int:
        """The status of one request of the room's user."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "text/calendar"}
        request = urllib.request.Request(
            f"https://localhost:{self.port}{path}", body, headers, method=method
        )
        try:
            opened = urllib.request.urlopen(request, timeout=10, context=self._trust)
            with opened as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")

    def asked(self, method: str = "REPORT") -> int:
        """How many requests of this kind have come."""
        return self.log().count(f"{method} request for")

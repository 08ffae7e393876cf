"""Kerberos for proxies (RFC 4559), by python-gssapi (the extra `hub-kerberos`).

A ticket comes from another machine and the library waits for it, so a scheme is
prepared in a thread before it can answer.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from mosaic.wire.hops import HopError, Login, TicketFailed, TicketRefused, TicketTrouble
from mosaic.wire.httpauth import Challenge

MISSING = "Kerberos needs more: pip install 'mosaic-meetings[hub-kerberos]'"
_KRB5 = "1.2.840.113554.1.2.2"
_SPNEGO = "1.3.6.1.5.5.2"
_TROUBLES: dict[int, TicketTrouble] = {
    # Of krb5_err.et, the table of MIT's and Heimdal's libraries.
    -1765328378: "login",  # the client is not in the database
    -1765328377: "service",  # the server is not
    -1765328366: "login",  # locked
    -1765328361: "login",  # the password has expired
    -1765328360: "login",  # preauthentication failed
    -1765328353: "login",  # decrypting failed: another key
    -1765328352: "expired",
    -1765328351: "clock",  # not yet valid
    -1765328347: "clock",
    -1765328243: "none",
    -1765328236: "clock",  # in the KDC's reply
    -1765328230: "kdc",  # of this realm nobody knows one
    -1765328228: "kdc",  # none answers
    -1765328189: "none",
    -1765328164: "kdc",  # its name has no address
}


class Context(Protocol):
    """A security context of the library, as far as it is used here."""

    @property
    def complete(self) -> bool:
        """Whether it waits for nothing more."""

    def step(self, token: bytes | None = None) -> bytes | None:
        """The next token for the other side."""


Ask = Callable[[str, Login | None], tuple[Context, bytes]]
"""A context and its first token for HTTP at a host; blocks, and raises Trouble."""


class Trouble(Exception):
    """No ticket. The text is the library's."""

    def __init__(self, kind: TicketTrouble, text: str) -> None:
        super().__init__(text)
        self.kind: TicketTrouble = kind


@cache
def is_installed() -> bool:
    """Whether the extra is there, and the system's library that it wants."""
    try:
        return find_spec("gssapi") is not None and bool(import_module("gssapi"))
    except (ImportError, OSError):
        return False


class KerberosScheme:
    """Negotiate with a ticket: of a keytab, of a password, or, without a login, what
    kinit or KRB5_CLIENT_KTNAME has brought. host: the proxy's name."""

    name = "Negotiate"
    bound = True

    def __init__(
        self, host: str, login: Login | None, *, hop: str, ask: Ask | None = None
    ) -> None:
        self._host = host
        self._login = login
        self._hop = hop
        self._ask = ask or ask_the_library
        self._context: Context | None = None
        self._token: bytes | None = None
        self.failure: TicketFailed | None = None

    @property
    def wanted(self) -> object:
        """What it asks for: tells it from others."""
        return self._host, self._login

    @property
    def ready(self) -> bool:
        """Whether respond may be called."""
        return self._context is not None or self.failure is not None

    @property
    def decides(self) -> bool:
        """Whether its failure is the end, as there is nothing else to try."""
        if self._login is not None:
            return bool(self._login.keytab)
        return self.failure is not None and self.failure.kind != "none"

    def prepare(self) -> None:
        """Get a ticket; blocks for as long as the KDC takes. Raises nothing."""
        try:
            self._context, self._token = self._ask(self._host, self._login)
        except Trouble as error:
            self.fail(error.kind, str(error))

    def fail(self, kind: TicketTrouble, text: str) -> None:
        """There is no ticket, and why."""
        self.failure = TicketFailed(self._hop, kind, text)

    def respond(self, challenge: Challenge) -> str | None:
        """The ticket, once; and what a proxy wants beside it."""
        if self._context is None or self.failure is not None:
            return None
        token, self._token = self._token, None
        if token is None:
            if not challenge.token or self._context.complete:
                return None
            try:
                token = self._context.step(base64.b64decode(challenge.token))
            except Exception:  # the library's, or base64's; in either case its no
                return None
        return f"Negotiate {base64.b64encode(token).decode()}" if token else None

    def refused(self, hop: str) -> HopError:
        """The proxy has seen the ticket and says no."""
        return TicketRefused(hop, f"HTTP/{self._host}")


def ask_the_library(host: str, login: Login | None) -> tuple[Context, bytes]:
    """See Ask. Tickets of a login are kept in this process's memory, and those of a
    keytab are renewed by the library."""
    import gssapi
    from gssapi.raw import GSSError

    service = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
    who = None
    if login is not None and login.username != "*":
        who = gssapi.Name(login.username, gssapi.NameType.kerberos_principal)

    def first(mechanism: str, store: dict[str, str] | None) -> tuple[Context, bytes]:
        oid = gssapi.OID.from_int_seq(mechanism)
        own = None
        if store is not None:
            # Of this mechanism: with another's it would silently take the defaults.
            own = gssapi.Credentials(
                name=who, usage="initiate", mechs=[oid], store=store
            )
        context = gssapi.SecurityContext(
            name=service, creds=own, mech=oid, usage="initiate", flags=0
        )
        return context, context.step() or b""

    try:
        store = _store(login)
        try:
            return first(_SPNEGO, store)
        except GSSError:
            # SPNEGO's errors hide Kerberos's: ask for that alone to hear them.
            first(_KRB5, store)
            raise
    except GSSError as error:
        raise _trouble(error, login) from error


def _store(login: Login | None) -> dict[str, str] | None:
    """Where the library finds tickets of this login."""
    if login is None:
        return None
    secret = f"{login.username}\n{login.password}\n{login.keytab}".encode()
    cache = f"MEMORY:mosaic-{hashlib.sha256(secret).hexdigest()[:32]}"
    if login.keytab:
        try:
            os.close(os.open(login.keytab, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            text = f"keytab {login.keytab}: {error.strerror}"
            raise Trouble("login", text) from error
        return {"client_keytab": f"FILE:{login.keytab}", "ccache": cache}
    import gssapi

    kerberos = gssapi.OID.from_int_seq(_KRB5)
    store = {"ccache": cache}
    try:
        kept = gssapi.Credentials(usage="initiate", mechs=[kerberos], store=store)
        if kept.lifetime > 300:
            return store
    except gssapi.raw.GSSError:  # none is kept yet, or it is over
        pass
    name = gssapi.Name(login.username, gssapi.NameType.kerberos_principal)
    made = gssapi.raw.acquire_cred_with_password(
        name, login.password.encode(), mechs=[kerberos], usage="initiate"
    )
    gssapi.Credentials(base=made.creds).store(
        store, usage="initiate", mech=kerberos, overwrite=True
    )
    return store


def _trouble(error: Any, login: Login | None) -> Trouble:
    """The library's error in one of our words."""
    code = ctypes.c_int32(error.min_code & 0xFFFFFFFF).value
    texts = error.get_all_statuses(error.min_code, False) or [str(error)]
    kind = _TROUBLES.get(code, "other")
    if kind == "none" and login is not None and login.keytab:
        return Trouble(
            "login",
            f"keytab {login.keytab} holds no key for {login.username}, or an old one",
        )
    return Trouble(kind, " ".join(" ".join(texts).split())[:200])

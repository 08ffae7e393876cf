"""The door and the store for verbs: the same rules, without a reactor."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.task import Clock

from mosaic.app.addresses import Addresses
from mosaic.app.credentials import CredentialDesk
from mosaic.app.keys import load_or_make_key, load_or_make_keys, make_private_folder
from mosaic.app.planned import known_addresses
from mosaic.auth.door import HouseDoor
from mosaic.auth.interface import AuthError
from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.bus.memory import MemoryBus
from mosaic.cli.errors import Refused
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings
from mosaic.export.jobs import WorkFailed, WorkRefused
from mosaic.store.direct import open_direct
from mosaic.store.interface import NameTaken, NotFound, Store, StoreError

P = ParamSpec("P")
T = TypeVar("T")


def _at_once(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
    """Nobody waits for this thread: do it here."""
    return maybeDeferred(cast("Callable[..., T]", call), *args, **kwargs)


class InlineStore:
    """A synchronous store under the interface of the asynchronous one."""

    def __init__(self, direct: Any) -> None:
        self._direct = direct

    def __getattr__(self, name: str) -> Callable[..., Deferred[Any]]:
        method = getattr(self._direct, name)
        return lambda *args, **kwargs: maybeDeferred(method, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class Office:
    """Where the verbs of the administrator work."""

    door: HouseDoor
    store: Store
    addresses: Addresses

    def wait(self, work: Awaitable[T]) -> T:
        """The result of work that never has to wait; Refused for a failure."""
        results: list[Any] = []
        deferred = (
            work
            if isinstance(work, Deferred)
            else ensureDeferred(cast("Coroutine[Any, Any, T]", work))
        )
        deferred.addBoth(results.append)
        if not results:
            raise Refused("the store is busy; try again")
        outcome = results[0]
        error = getattr(outcome, "value", None)
        if isinstance(error, NotFound | NameTaken | StoreError | AuthError):
            raise Refused(str(error)) from error
        if isinstance(error, ValueError | WorkRefused | WorkFailed):
            raise Refused(str(error)) from error
        if isinstance(error, BaseException):
            raise error
        return cast("T", outcome)


@contextmanager
def open_office(settings: Settings) -> Iterator[Office]:
    """The office over a state folder, whether a server runs or not."""
    state = state_folder(settings)
    try:
        make_private_folder(state)
        server_key = load_or_make_key(state, "server")
        turn_keys = load_or_make_keys(state, "turn")
    except (OSError, ValueError) as error:
        raise Refused(f"state folder {state}: {error}") from error
    addresses = known_addresses(settings, state)
    with open_direct(state / "mosaic.db") as direct:
        store = cast("Store", InlineStore(direct))
        clock = Clock()
        yield Office(
            door=HouseDoor(
                store,
                MemoryBus(clock),
                clock=clock,
                wall=time.time,
                settings=settings.auth,
                server_key=server_key,
                run_in_thread=_at_once,
                credentials=CredentialDesk(
                    TurnSecrets(
                        turn_keys,
                        ttl_s=settings.turn.credential_ttl_s,
                        digest=settings.turn.credential_hash,
                    )
                ),
                credential_ttl_s=settings.turn.credential_ttl_s,
                turn_urls=addresses.turn_urls,
                scram_sha_1=settings.xmpp.scram_sha_1,
                hubs=settings.hubs,
            ),
            store=store,
            addresses=addresses,
        )

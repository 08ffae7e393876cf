"""Which data plane: the native one where it was built, else its Python twin."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec

from twisted.internet.interfaces import IReactorFDSet

from mosaic.relay.interface import RelayPlane
from mosaic.relay.ports import QUARANTINE_S
from mosaic.relay.pure import PurePlane


def is_native() -> bool:
    """Whether the compiled plane is here and MOSAIC_PURE_PYTHON=1 is not set."""
    return (
        os.environ.get("MOSAIC_PURE_PYTHON") != "1"
        and find_spec("mosaic.relay._plane") is not None
    )


def choose_plane(
    reactor: IReactorFDSet,
    *,
    ports: tuple[int, int],
    clock: Callable[[], float],
    quarantine_s: float = QUARANTINE_S,
    answer_bindings: bool = True,
) -> RelayPlane:
    """The fastest plane that this installation has.

    ports: first and last relay port. clock: seconds, never backwards.
    quarantine_s: how long a freed port rests. answer_bindings: a plane that can
    may answer plain Binding requests itself.
    """
    if is_native():
        from mosaic.relay.native import NativePlane

        return NativePlane(
            reactor,
            ports=ports,
            clock=clock,
            quarantine_s=quarantine_s,
            answer_bindings=answer_bindings,
        )
    return PurePlane(reactor, ports=ports, clock=clock, quarantine_s=quarantine_s)

"""Work on whole documents that takes too long for a server's own thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mosaic.workspace.documents import UpdateSummary, check_update
from mosaic.workspace.prune import pruning_update
from mosaic.workspace.restore import restoring_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """restoring_update: of the states now and then. at_ms: Unix milliseconds."""

    document: str
    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """pruning_update: of one state. before_ms: Unix milliseconds."""

    before_ms: float


Task = Restoring | Pruning


@dataclass(frozen=True, slots=True)
class Outcome:
    """The update that came out, and what it says about clocks."""

    update: bytes
    summary: UpdateSummary


def perform(task: Task, states: Sequence[bytes], random: Callable[[], int]) -> Outcome:
    """Do it. random: gives numbers of 31 bits.

    Raises NotRestored, and whatever pycrdt raises.
    """
    match task:
        case Restoring():
            now, then = states
            update = restoring_update(
                now, then, document=task.document, at_ms=task.at_ms, random=random
            )
        case Pruning():
            (state,) = states
            update = pruning_update(state, before_ms=task.before_ms, random=random)
    return Outcome(update, check_update(update))

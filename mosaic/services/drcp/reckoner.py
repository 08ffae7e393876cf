"""The child that computes one task on whole documents; see apart.py.

    python -m mosaic.services.drcp.reckoner

Its input is a line of JSON (Order) and the states; its output a line of JSON
(Answer) and the update. Whatever a document does to the CRDT, it does to this
process.
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
from dataclasses import dataclass

import msgspec

from mosaic.workspace.documents import UpdateSummary
from mosaic.workspace.tasks import Outcome, Pruning, Restoring, Task, perform
from mosaic.workspace.versions import NotRestored


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One of the tasks; how long the states are; what the child may use."""

    sizes: tuple[int, ...]
    seconds: int
    memory_bytes: int
    restoring: Restoring | None = None
    pruning: Pruning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of the update that follows, or why there is none."""

    summary: UpdateSummary | None = None
    refused: str = ""


def write_order(
    task: Task, states: tuple[bytes, ...], *, seconds: int, memory_bytes: int
) -> bytes:
    """The child's input."""
    order = Order(
        sizes=tuple(map(len, states)),
        seconds=seconds,
        memory_bytes=memory_bytes,
        restoring=task if isinstance(task, Restoring) else None,
        pruning=task if isinstance(task, Pruning) else None,
    )
    return b"".join([msgspec.json.encode(order), b"\n", *states])


def read_answer(output: bytes) -> Outcome:
    """What the child said. Raises NotRestored, ValueError."""
    head, _, update = output.partition(b"\n")
    answer = msgspec.json.decode(head, type=Answer)
    if answer.summary is None:
        raise NotRestored(answer.refused or "it cannot be done")
    return Outcome(update, answer.summary)


def answer(data: bytes) -> bytes:
    """The output for an input."""
    head, _, body = data.partition(b"\n")
    order = msgspec.json.decode(head, type=Order)
    task = order.restoring or order.pruning
    assert task is not None
    _limit_this_process(order)
    states, at = [], 0
    for size in order.sizes:
        states.append(body[at : at + size])
        at += size
    try:
        outcome = perform(task, states, lambda: secrets.randbits(31))
    except NotRestored as error:
        return msgspec.json.encode(Answer(refused=str(error))) + b"\n"
    head = msgspec.json.encode(Answer(summary=outcome.summary))
    return head + b"\n" + outcome.update


def _limit_this_process(order: Order) -> None:
    """Memory and time; the processor is the meetings' first."""
    for what, most in (
        (resource.RLIMIT_AS, order.memory_bytes),
        (resource.RLIMIT_CPU, order.seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))
    os.nice(10)


if __name__ == "__main__":
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))

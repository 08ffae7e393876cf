"""Coroutines that hardly ever wait, without the cost of a Deferred each."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

from twisted.internet.defer import Deferred


def begin(steps: Coroutine[Any, Any, None]) -> Deferred[None] | None:
    """Run steps up to where they first wait: None if they never did.

    What they raise before they wait is raised here; afterwards the Deferred
    fails with it.
    """
    try:
        waited = steps.send(None)
    except StopIteration:
        return None
    return Deferred.fromCoroutine(_go_on(waited, steps))


def _go_on(
    waited: Deferred[Any], steps: Coroutine[Any, Any, None]
) -> Generator[Deferred[Any], Any, None]:
    """The rest of steps that already wait for something."""
    while True:
        try:
            result = yield waited
        except BaseException as error:
            try:
                waited = steps.throw(error)
            except StopIteration:
                return
        else:
            try:
                waited = steps.send(result)
            except StopIteration:
                return

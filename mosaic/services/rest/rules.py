"""Turns the domain's own checks into refusals that name the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mosaic.services.rest.problems import Refusal


def checked(rule: Callable[[str], str], text: str, *, field: str) -> str:
    """The text in the form that is kept; 422 with the rule's sentence."""
    try:
        return rule(text)
    except ValueError as error:
        raise Refusal(422, f"{error} - at `$.{field}`") from None


@contextmanager
def shown_as_422() -> Iterator[None]:
    """ValueError inside is the caller's fault, and its message is for them."""
    try:
        yield
    except ValueError as error:
        raise Refusal(422, str(error)) from None

"""What the server core counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain numbers for metrics; they only grow.

    strangers_*: answers that were not given: over the budget of their source
    prefix, or longer than twice the request.
    """

    malformed: int = 0
    bindings: int = 0
    challenges: int = 0
    allocations_made: int = 0
    allocations_ended: int = 0
    refused: int = 0
    peers_refused: int = 0
    strangers_over_budget: int = 0
    strangers_too_short: int = 0

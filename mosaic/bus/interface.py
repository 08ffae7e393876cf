"""The bus: what happens now. It is a hint; the database is the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Payload = dict[str, Any]
Listener = Callable[[str, Payload], None]


class Subscription(Protocol):
    """Held by the listener; cancel() is safe to call twice."""

    def cancel(self) -> None:
        """Stop the delivery."""


class Bus(Protocol):
    """Topics are dotted words; payloads are JSON-like dictionaries.

    Topics in use:
      room.<hub_id>         {"type": "updated"|"closed"|"reopened"|"pin"}
      room.<hub_id>.people  {"type": "admitted"|"refused"|"role"|"kicked"|
                             "waiting", "participant_id": ..., "role"?, "name"?}
                            {"type": "member", "account": ...}
      room.<hub_id>.attendance  workspace.attendance: who is there, by which door
      room.<hub_id>.chat        workspace.conversation: what was said
      attendance            {"type": "question"}: a door has opened and asks
      account.<name>        {"type": "removed"|"password"}
      hub.<hub_id>          {"type": "changed"|"removed"}: what a room box shall do
      store                 {"type": "changed"}: another process wrote
    """

    def publish(self, topic: str, payload: Payload) -> None:
        """Deliver to every listener of the topic, in order, soon."""

    def subscribe(self, topic: str, listener: Listener) -> Subscription:
        """Hear a topic; "room.*" hears every topic with that prefix."""

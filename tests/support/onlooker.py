"""Somebody in a room who notes who comes and goes, and when."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mosaic.drcpclient.client import DrcpClient
from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.yprotocols import Type


class Onlooker:
    """A DRCP client. people: who is there now, by id, itself included. came and
    went: (reactor's seconds, id) of each that did so while it looked."""

    def __init__(self, reactor: Any, url: str, token: str) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.came: list[tuple[float, str]] = []
        self.went: list[tuple[float, str]] = []
        self._reactor = reactor
        self.client = DrcpClient(reactor, url, token, heard=self._heard)

    async def start(self) -> None:
        """Once it is in the room."""
        self.client.start()
        await self.client.until(lambda: self.client.state == "live")

    def stop(self) -> Deferred[None]:
        """Out of it."""
        return self.client.stop()

    def names(self) -> list[str]:
        """Of all who are there."""
        return sorted(str(person["name"]) for person in self.people.values())

    def _heard(self, message: Message) -> None:
        value = message.value
        if message.type in (Type.WELCOME, Type.RESYNC):
            self.people = {str(person["id"]): person for person in value["people"]}
        elif message.type == Type.EVENT:
            data, now = value.get("data", {}), self._reactor.seconds()
            match value.get("type"):
                case "join":
                    self.people[str(data["id"])] = data
                    self.came.append((now, str(data["id"])))
                case "person":
                    self.people[str(data["id"])] = data
                case "leave":
                    self.people.pop(str(data["id"]), None)
                    self.went.append((now, str(data["id"])))

# mypy: disable-error-code="no-untyped-call"
# (Twisted's processes have few annotations)
"""Asks a PAC script for the ways to a target, in a process that can be killed."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from mosaic.proxy.routes import DIRECT, Proxy, ProxyTextError, parse_proxy
from mosaic.wire.hops import HopError

PASSES = 20
"""Rounds of resolving names; each answer may ask for others."""
START_S = 10.0
"""For Python and the engine to be loaded."""
STEP_S = 1.5
"""For the script to be loaded, and for all its passes together; then it is killed."""
RESOLVING_S = 10.0
"""For all the names that it asks for."""
MAX_LINE_BYTES = 65536
WORKER = Path(__file__).with_name("worker.py")
MISSING = "PAC scripts need more: pip install 'mosaic-meetings[hub]'"

Resolve = Callable[[str], Awaitable[list[str]]]
"""Addresses of a name; empty if there are none, or not in time."""


class PacFailed(HopError):
    """The script gave no answer: the person who wrote it must see why."""

    def __init__(self, hop: str, why: str, advice: str = "") -> None:
        super().__init__(
            hop,
            why,
            stage="proxy",
            advice=advice or "tell who runs the script, or name a proxy with --proxy",
        )


class PacScript:
    """One script. hop: how errors name it. resolve: asked outside the helper.

    my_address: what myIpAddress() says.
    """

    def __init__(
        self,
        reactor: Any,
        script: str,
        *,
        hop: str,
        resolve: Resolve,
        my_address: Callable[[], str],
        step_s: float = STEP_S,
    ) -> None:
        self._reactor = reactor
        self._script = script
        self._hop = hop
        self._resolve = resolve
        self._my_address = my_address
        self._step_s = step_s

    async def find(self, scheme: str, host: str, port: int) -> list[Proxy]:
        """The ways in the script's order. Raises PacFailed.

        The script sees scheme, host and port and no path.
        """
        default = {"https": 443, "wss": 443, "http": 80, "ws": 80}.get(scheme)
        name = f"[{host}]" if ":" in host else host
        shown = name if port == default else f"{name}:{port}"
        helper = _Helper()
        environment: dict[str, str] = {}
        self._reactor.spawnProcess(
            helper,
            sys.executable,
            [sys.executable, "-I", str(WORKER)],
            env=environment,
        )
        try:
            await self._told(helper, None, START_S)
            await self._told(helper, {"script": self._script}, self._step_s)
            question = {
                "url": f"{scheme}://{shown}/",
                "host": host,
                "dns": {},
                "my": self._my_address(),
            }
            text = await self._passes(helper, question)
        finally:
            helper.kill()
            await helper.ended
        return parse_answer(text)

    async def _passes(self, helper: _Helper, question: dict[str, Any]) -> str:
        seconds, running_s, resolving_s = self._reactor.seconds, 0.0, 0.0
        for _ in range(PASSES):
            began = seconds()
            answer = await self._told(helper, question, self._step_s - running_s)
            running_s += seconds() - began
            if "wanted" not in answer:
                return str(answer.get("result", ""))
            if running_s >= self._step_s:
                raise PacFailed(self._hop, "the script takes too long")
            began = seconds()
            for name in answer["wanted"]:
                if resolving_s + seconds() - began > RESOLVING_S:
                    raise PacFailed(self._hop, "its names take too long to resolve")
                question["dns"][name] = await self._resolve(name)
            resolving_s += seconds() - began
        raise PacFailed(self._hop, f"asks for names again after {PASSES} rounds")

    async def _told(self, helper: _Helper, line: Any, limit_s: float) -> dict[str, Any]:
        """One line to the helper, if any, and its answer."""
        answered = helper.answer()
        timer = self._reactor.callLater(limit_s, helper.kill, late=True)
        if line is not None:
            helper.say(line)
        try:
            answer = await answered
        finally:
            if timer.active():
                timer.cancel()
        if answer is None:
            why = "takes too long" if helper.was_late else "ended its helper process"
            raise PacFailed(self._hop, f"the script {why} and was stopped")
        if answer.get("error") == "missing":
            raise PacFailed(self._hop, "cannot be run here", MISSING)
        if "error" in answer:
            raise PacFailed(self._hop, f"the script failed: {answer['error']}")
        return answer


class _Helper(ProcessProtocol):
    """The other end of the pipe: one answer at a time, None at its end."""

    transport: Any

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: Deferred[dict[str, Any] | None] | None = None
        self._ended = False
        self.ended: Deferred[None] = Deferred()
        self.was_late = False

    def answer(self) -> Deferred[dict[str, Any] | None]:
        """The next line."""
        self._waiting = Deferred()
        waiting = self._waiting
        if self._ended:
            self._give(None)
        return waiting

    def say(self, line: Any) -> None:
        """One line to its input."""
        if not self._ended:
            self.transport.write(json.dumps(line).encode() + b"\n")

    def outReceived(self, data: bytes) -> None:
        """A line, or a part of one."""
        self._buffer += data
        if len(self._buffer) > MAX_LINE_BYTES:
            self.kill()
        elif b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            try:
                self._give(json.loads(line))
            except ValueError:
                self.kill()

    def errReceived(self, data: bytes) -> None:
        """Python's words when memory ends; the end says enough."""

    def processEnded(self, reason: Failure = Failure(ProcessDone(0))) -> None:  # noqa: B008
        """No more answers."""
        self._ended = True
        self._give(None)
        self.ended.callback(None)

    def kill(self, *, late: bool = False) -> None:
        """End it at once; safe to call twice."""
        self.was_late = self.was_late or late
        if not self._ended:
            try:
                self.transport.signalProcess("KILL")
            except Exception:  # noqa: S110 - it has ended by itself
                pass

    def _give(self, answer: dict[str, Any] | None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(answer)


_KINDS = {
    "PROXY": "http",
    "HTTP": "http",
    "HTTPS": "https",
    "SOCKS": "socks5h",
    "SOCKS5": "socks5h",
}


def parse_answer(text: str) -> list[Proxy]:
    """`PROXY a:1; SOCKS5 b:2; DIRECT` as proxies; nothing at all is direct.

    What is unknown or malformed is passed over.
    """
    found: list[Proxy] = []
    for part in text.split(";")[:20]:
        kind, _, where = part.strip().partition(" ")
        if kind.upper() == "DIRECT":
            found.append(DIRECT)
        elif kind.upper() in _KINDS and "@" not in where and "/" not in where:
            try:
                found.append(parse_proxy(f"{_KINDS[kind.upper()]}://{where.strip()}"))
            except ProxyTextError:
                continue
    return list(dict.fromkeys(found)) or [DIRECT]

"""Headless hubs in processes of their own, driven from a test or a bench."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.running import ROOT, environment

ANSWER_S = 30.0


class HubProcess:
    """One of tests/support/headless.py. around: wraps its command, for a namespace."""

    def __init__(
        self,
        url: str,
        ca: Path,
        *flags: str,
        around: Callable[..., list[str]] = lambda *words: list(words),
    ) -> None:
        words = (sys.executable, "-m", "tests.support.headless", url, str(ca), *flags)
        self._lines: queue.Queue[str] = queue.Queue()
        self._errors: list[str] = []
        self.process = subprocess.Popen(
            around(*words),
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=reader, daemon=True)
            for reader in (self._read, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()

    def ready(self) -> HubProcess:
        """Wait until it has started."""
        self._answer()
        return self

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """One command and its answer; AssertionError with its log if it fails."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, f"{answer['error']}\n{self.log()}"
        return answer

    def facts(self) -> dict[str, Any]:
        """How it goes."""
        return self.do("facts")

    def until(
        self, condition: Callable[[dict[str, Any]], Any], within_s: float = 20.0
    ) -> dict[str, Any]:
        """The facts, once the condition holds; AssertionError if it never does."""
        deadline = time.monotonic() + within_s
        while True:
            facts = self.facts()
            if condition(facts):
                return facts
            if time.monotonic() > deadline:
                raise AssertionError(f"{json.dumps(facts, indent=1)}\n{self.log()}")
            time.sleep(0.05)

    def log(self) -> str:
        """The end of what it logged."""
        return "".join(self._errors[-60:])

    def stop(self) -> None:
        """Leave, and end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        for thread in self._threads:
            thread.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def _answer(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._lines.get(timeout=ANSWER_S))
        except queue.Empty:
            raise AssertionError(f"the hub says nothing\n{self.log()}") from None
        return answer

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)


def sees_and_hears(
    facts: dict[str, Any], kind: str = "camera", frames: int = 3
) -> bool:
    """Pictures and sound of somebody's arrive."""
    return any(
        it["kind"] == kind
        and it["video"] >= frames
        and (kind == "screen" or (it["audio"] >= frames and it["level"] > -40))
        for it in facts["heard"]
    )


def media_took_s(facts: Sequence[dict[str, Any]]) -> float:
    """From when both were in the room until both saw the other's first picture."""
    both_in: float = max(fact["joined_at"] for fact in facts)
    first: list[float] = [
        min(it["first_at"] for it in fact["heard"] if it["first_at"]) for fact in facts
    ]
    return max(first) - both_in

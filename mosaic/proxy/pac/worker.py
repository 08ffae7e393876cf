"""The helper process: one PAC script in QuickJS, under limits.

It imports nothing of Mosaic and is run by its path. Lines of JSON come in and
go out: first the script, then questions. Memory, stack and CPU time are
limited in the engine and by the kernel; the caller kills it by the clock.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

JS_MEMORY_BYTES = 32 * 1024 * 1024
JS_STACK_BYTES = 512 * 1024
JS_TIME_S = 1
PROCESS_BYTES = 512 * 1024 * 1024
CPU_S = 10
"""For all passes of one question together; the engine's own limit is nearer."""


def main() -> None:
    """Answer until the input ends."""
    try:
        import quickjs
    except ImportError:
        _say({"error": "missing"})
        return
    functions = Path(__file__).with_name("functions.js").read_text()
    context = quickjs.Context()
    context.set_memory_limit(JS_MEMORY_BYTES)
    context.set_max_stack_size(JS_STACK_BYTES)
    context.set_time_limit(JS_TIME_S)
    context.eval(functions)
    _limit_process()
    _say({"ready": True})
    loaded = False
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if not loaded:
                context.eval(question["script"])
                loaded = True
                _say({"loaded": True})
            else:
                _say(_asked(context, question))
        except Exception as error:  # whatever a script can make of it
            _say({"error": _words(error)})


def _asked(context: Any, question: dict[str, Any]) -> dict[str, Any]:
    known = json.dumps(question["dns"])
    mine = json.dumps(question["my"])
    context.eval(f"__mosaic.dns = {known}; __mosaic.my = {mine}; __mosaic.wanted = [];")
    url, host = json.dumps(question["url"]), json.dumps(question["host"])
    call = f"FindProxyForURL({url}, {host})"
    wrapped = (
        "(function () { var r = null, e = null;"
        f"try {{ r = {call}; }} catch (x) {{ e = String(x); }}"
        "return JSON.stringify({ result: r === null || r === undefined ? '' :"
        " String(r).slice(0, 4096), error: e, wanted: __mosaic.wanted.slice(0, 20) });"
        "})()"
    )
    found: dict[str, Any] = json.loads(context.eval(wrapped))
    # A missing name makes the answer, and an error, worthless.
    if found["wanted"]:
        return {"wanted": [str(name)[:255] for name in found["wanted"]]}
    if found["error"]:
        return {"error": found["error"][:200]}
    return {"result": found["result"]}


def _limit_process() -> None:
    """Whatever breaks out of the engine finds little here."""
    try:
        import resource
    except ImportError:  # Windows: the caller's clock and the engine remain
        return
    for kind, value in (
        (resource.RLIMIT_AS, PROCESS_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(kind, (value, value))


def _words(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if text == "null":  # the engine has no memory left for words
        return "out of memory"
    return text.splitlines()[0][:200]


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

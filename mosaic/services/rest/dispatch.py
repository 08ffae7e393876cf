# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""From a request to an operation of the table, and from its result to bytes."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Sequence
from typing import IO, Any

import msgspec
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException

from mosaic.services.rest.filestream import FileStream
from mosaic.services.rest.gate import Gate
from mosaic.services.rest.operations import (
    PARAMETERS,
    WITH_SLASHES,
    BytesAnswer,
    Call,
    FileAnswer,
    Operation,
)
from mosaic.services.rest.problems import Refusal, status_of
from mosaic.services.rest.security import SANDBOX_POLICY
from mosaic.services.rest.site import answer_problem
from mosaic.store.interface import NotFound

BASE = "/api/v1"
JSON = "application/json"

_log = Logger()


class Dispatcher:
    """Serves the operations of a table. description: the OpenAPI document."""

    def __init__(
        self, operations: Sequence[Operation], *, gate: Gate, description: bytes
    ) -> None:
        self._gate = gate
        self._description = description
        self.app = Klein()
        self.app.url_map.strict_slashes = True
        self.app.url_map.merge_slashes = False
        for operation in operations:
            self._route(operation)
        self.app.route("/openapi.json", methods=["GET"])(self._describe)
        self.app.handle_errors(Exception)(self._failed)

    def _route(self, operation: Operation) -> None:
        def serve(request: IRequest, **path: str) -> Deferred[bytes]:
            return shielded(self._serve(operation, request, path))

        serve.__name__ = operation.id
        rule = re.sub(r"{(\w+)}", _placeholder, operation.path)
        self.app.route(rule, methods=[operation.method])(serve)

    async def _serve(
        self, operation: Operation, request: IRequest, path: dict[str, str]
    ) -> bytes:
        """Check in the order of the statuses: 404, 429 and 401, 403, then 4xx."""
        try:
            for name, value in path.items():
                if not re.fullmatch(PARAMETERS[name][0], value):
                    raise NotFound("there is no such thing")
            caller = await self._gate.admit(
                request, operation.who, hub_id=path.get("hub_id")
            )
            query = decode_query(request, operation.query)
            body = decode_body(request, operation.body)
            call = Call(request=request, caller=caller, path=path, query=query)
            result = await operation.run(call, body)
        except Exception as error:
            return refuse(request, error)
        return await render(request, operation.status, result)

    def _describe(self, request: IRequest) -> bytes:
        request.setHeader("Content-Type", JSON)
        request.setHeader("Cache-Control", "no-cache")
        return self._description

    def _failed(self, request: IRequest, failure: Failure) -> bytes:
        """The router's own refusals: no such path, no such method."""
        return refuse(request, failure.value or Exception())


class ApiResource(Resource):
    """`/api/v1`: Klein behind checks that Klein answers with other than problems.

    allowed_origins: web origins that may read answers (CORS); none by default.
    """

    isLeaf = True

    def __init__(
        self, dispatcher: Dispatcher, *, allowed_origins: Collection[str] = ()
    ) -> None:
        super().__init__()
        self._klein = dispatcher.app.resource()
        self._allowed = frozenset(allowed_origins)

    def render(self, request: Any) -> Any:
        """Route the request; every failure is a problem document."""
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Content-Security-Policy", SANDBOX_POLICY)
        if self._cors(request) and request.method == b"OPTIONS":
            request.setResponseCode(204)
            return b""
        try:
            b"/".join(request.postpath).decode("utf-8")
            if b"" in request.postpath:  # Klein takes //rooms for /rooms
                raise Refusal(404)
            return self._klein.render(request)
        except (UnicodeDecodeError, HTTPException, Refusal):
            refuse(request, Refusal(404))
            request.finish()
            return NOT_DONE_YET

    def _cors(self, request: Any) -> bool:
        """Let an allowed origin read the answer; True if it is one."""
        if not self._allowed:
            return False
        request.responseHeaders.addRawHeader("Vary", "Origin")
        origin = request.getHeader("origin")
        if origin is None or origin == "null" or origin not in self._allowed:
            return False
        request.setHeader("Access-Control-Allow-Origin", origin)
        request.setHeader("Access-Control-Allow-Headers", "Authorization, Content-Type")
        request.setHeader(
            "Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"
        )
        request.setHeader("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
        request.setHeader("Access-Control-Max-Age", "600")
        return True


def _placeholder(match: re.Match[str]) -> str:
    name = match[1]
    return f"<path:{name}>" if name in WITH_SLASHES else f"<{name}>"


def shielded(steps: Any) -> Deferred[bytes]:
    """A Deferred whose cancellation does not reach the steps.

    A client that hangs up in the middle must not leave half of an operation
    done: what was begun is finished, only nobody hears the answer.
    """
    heard: Deferred[bytes] = Deferred()
    Deferred.fromCoroutine(steps).addBoth(heard.callback)
    return heard


def refuse(request: IRequest, error: BaseException) -> bytes:
    """Write the problem document of an error; a 500 also goes to the log, unless
    it is meant."""
    if status_of(error) >= 500 and not isinstance(error, CancelledError | Refusal):
        _log.failure(
            "request {id} failed",
            Failure(error),
            id=getattr(request, "request_id", None),
        )
    answer_problem(request, error)
    return b""


def decode_body(request: IRequest, type_: type | None) -> Any:
    """The typed body. Raises Refusal(415), DecodeError, ValidationError."""
    if type_ is None:
        return None
    bare = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if bare != JSON:
        raise Refusal(415, "the body must be application/json")
    try:
        return msgspec.json.decode(request.content.read(), type=type_)
    except (RecursionError, UnicodeError):
        raise Refusal(400, "the body is not JSON") from None


def decode_query(request: Any, type_: type | None) -> Any:
    """The typed query; what is not declared is refused, like a body's."""
    if type_ is None:
        return None
    given: dict[str, str] = {}
    for name, values in request.args.items():
        if len(values) > 1:
            raise Refusal(422, "a parameter is given twice")
        try:
            given[name.decode("ascii")] = values[0].decode("ascii")
        except UnicodeDecodeError:
            raise Refusal(422, "a parameter is not ASCII") from None
    return msgspec.convert(given, type_, strict=False)


async def render(request: Any, status: int, result: object) -> bytes:
    """Bytes for the result of an operation; a file is sent from here."""
    if isinstance(result, FileAnswer):
        return await send_file(request, result)
    if isinstance(result, BytesAnswer):
        return await send_bytes(request, result)
    request.setResponseCode(status)
    if result is None:
        return b""
    body = msgspec.json.encode(result)
    request.setHeader("Content-Type", JSON)
    request.setHeader("Content-Length", str(len(body)))
    return body


async def send_file(request: Any, answer: FileAnswer) -> bytes:
    """Stream a file that no symbolic link leads to."""
    try:
        fd = os.open(answer.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return refuse(request, NotFound("there is no such file"))
    with open(fd, "rb") as file:
        return await _send(request, answer, file, os.fstat(fd).st_size)


async def send_bytes(request: Any, answer: BytesAnswer) -> bytes:
    """Send as fast as the peer reads, like a file."""
    return await _send(request, answer, io.BytesIO(answer.data), len(answer.data))


async def _send(
    request: Any, answer: FileAnswer | BytesAnswer, file: IO[bytes], size: int
) -> bytes:
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    request.setHeader("Content-Type", answer.media_type)
    tag = answer.headers.get("ETag")
    if tag is not None and request.setETag(tag.encode("ascii")):
        return b""
    request.setHeader("Content-Length", str(size))
    if request.method != b"HEAD":
        await FileStream(file, request).send()
    return b""

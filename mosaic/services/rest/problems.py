"""Errors as problem documents (RFC 9457): one mapping from classes to statuses."""

from __future__ import annotations

import math
from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from mosaic.auth.huberrors import (
    EnrolmentRefused,
    HubClock,
    HubIdle,
    HubLimit,
    NotProved,
)
from mosaic.auth.interface import (
    Forbidden,
    InvalidToken,
    LastAdministrator,
    RoomUnavailable,
    TryLater,
    WrongCredentials,
)
from mosaic.export.jobs import DocumentNotFound, WorkFailed, WorkRefused
from mosaic.store.interface import NameTaken, NotFound, StoreError, StoreFull

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="mosaic"'


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457 section 3).

    type is about:blank, title says what the status says; hubs are told more by
    types of their own (docs/protocols/hub.md). retry_after_s comes with 429.
    reason comes with 423: "locked", "closed". server_time, Unix seconds, comes
    with hub-clock. request_id is the X-Request-Id of the answer.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str | UnsetType = UNSET
    retry_after_s: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    server_time: float | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class Refusal(Exception):
    """A request that is refused with this status; detail may be shown."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (WrongCredentials, 401),
    (NotProved, 401),
    (EnrolmentRefused, 403),
    (HubLimit, 409),
    (HubIdle, 409),
    (InvalidToken, 401),
    (Forbidden, 403),
    (LastAdministrator, 409),
    (RoomUnavailable, 423),
    (TryLater, 429),
    (NotFound, 404),
    (NameTaken, 409),
    (DocumentNotFound, 404),
    (WorkRefused, 422),
    (WorkFailed, 500),
    (StoreFull, 507),
    (StoreError, 503),
    (msgspec.ValidationError, 422),
    (msgspec.DecodeError, 400),
)
"""The first class that matches decides; whatever is not here is a 500."""


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; 500 for those that are our fault."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, HTTPException):
        # Klein's router: redirects to "better" paths are not for an API.
        return error.code if error.code in {400, 404, 405} else 404
    for cls, status in STATUSES:
        if isinstance(error, cls):
            return status
    return 500


def problem_for(
    error: BaseException, *, request_id: str | None = None
) -> tuple[Problem, dict[str, str]]:
    """The document and the headers that answer an error.

    A 500 or 503 says nothing about its cause: that is in the log, under the
    request's id.
    """
    status = status_of(error)
    problem = Problem(
        type=getattr(error, "problem_type", "about:blank"),
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_detail(error, status),
        retry_after_s=error.retry_after_s if isinstance(error, TryLater) else UNSET,
        reason=error.reason if isinstance(error, RoomUnavailable) else UNSET,
        server_time=error.server_time if isinstance(error, HubClock) else UNSET,
        request_id=request_id or UNSET,
    )
    return problem, _headers(error, status)


def _detail(error: BaseException, status: int) -> str | UnsetType:
    if status in {500, 503} and not isinstance(error, Refusal | WorkFailed):
        return UNSET
    if isinstance(error, HTTPException):
        return UNSET
    if isinstance(error, StoreFull):  # its message is for the log
        return "the disk is full: nothing was saved"
    return str(error) or UNSET


def _headers(error: BaseException, status: int) -> dict[str, str]:
    headers = dict(error.headers) if isinstance(error, Refusal) else {}
    if status == 401:
        # RFC 6750 section 3.1: the error code only when a token was shown.
        shown = isinstance(error, InvalidToken) and error.args
        suffix = ', error="invalid_token"' if shown else ""
        headers["WWW-Authenticate"] = CHALLENGE + suffix
    if isinstance(error, TryLater):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return headers

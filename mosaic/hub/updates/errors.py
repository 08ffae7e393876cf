"""What was refused, said for people."""

from __future__ import annotations

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)

NO_FEED = "no-feed"
"""Nothing was ever published there: no fault, for a hub that looks by itself."""


class UpdateError(Exception):
    """An update was not looked for, not fetched or not installed. Nothing has
    changed on the hub. why: one word for tests and logs."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


def explained(error: Exception, what: str) -> UpdateError:
    """A failure of TUF in words. what: was being fetched, "the feed"."""
    match error:
        case BadVersionNumberError():
            why, said = "rollback", "is older than what this hub has seen before"
        case ExpiredMetadataError():
            why = "stale"
            said = "has ended: nobody signs it any more, or this hub's clock is wrong"
        case UnsignedMetadataError():
            why, said = "unsigned", "is not signed by those who must sign it"
        case LengthOrHashMismatchError():
            why, said = "changed", "is not what was signed"
        case DownloadLengthMismatchError():
            why, said = "endless", "is longer than what was signed"
        case SlowRetrievalError():
            why, said = "slow", "comes too slowly"
        case DownloadHTTPError():
            why, said = "absent", f"is not there (HTTP {error.status_code})"
        case DownloadError():
            cause = error.__cause__ or error
            why, said = "unreachable", f"cannot be fetched: {cause}"
        case RepositoryError():
            why, said = "wrong", "is not as it must be"
        case _:
            why, said = "failed", f"failed: {error}"
    detail = f" ({error})" if isinstance(error, RepositoryError) else ""
    return UpdateError(why, f"{what} {said}{detail}")

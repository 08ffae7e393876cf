"""Why a hub is not let in. problem_type: of the problem document (RFC 9457)."""

from __future__ import annotations

from mosaic.auth.interface import AuthError

URN = "urn:mosaic:problem:"


class EnrolmentRefused(AuthError):
    """A proof that is wrong, or a code that is wrong, used or over: all alike."""

    problem_type = URN + "enrolment-refused"

    def __init__(self) -> None:
        super().__init__("this activation code cannot be used")


class HubLimit(AuthError):
    """There are as many hubs as there may be."""

    problem_type = URN + "hub-limit"


class NotProved(AuthError):
    """A hub or a screen that has not shown who it is: 401."""

    problem_type = URN + "hub-unknown"


class HubUnknown(NotProved):
    """No such hub, or not its key: it was removed, or never was."""

    def __init__(self) -> None:
        super().__init__("no hub of this Hub ID and key is enrolled here")


class HubClock(NotProved):
    """Signed for another time. server_time: Unix seconds, to sign again with."""

    problem_type = URN + "hub-clock"

    def __init__(self, server_time: float) -> None:
        super().__init__("sign again, for the server's time")
        self.server_time = server_time


class NonceUsed(NotProved):
    """Each is accepted once."""

    problem_type = URN + "hub-nonce"

    def __init__(self) -> None:
        super().__init__("this nonce was used before")


class BadTicket(NotProved):
    """A screen's ticket that is wrong, used or over."""

    problem_type = URN + "ticket"

    def __init__(self) -> None:
        super().__init__("this ticket is not good any more")


class WrongPin(NotProved):
    """There is no such room, or that is not its PIN."""

    problem_type = URN + "wrong-pin"

    def __init__(self) -> None:
        super().__init__("wrong Hub ID or PIN")


class HubIdle(AuthError):
    """It shall be in no room."""

    problem_type = URN + "hub-idle"

    def __init__(self) -> None:
        super().__init__("this hub is to be in no room")

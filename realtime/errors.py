"""The codes that clients see, and the exceptions of the push server. Pure.

GatecastError
├── Refused          a command is answered with an error code
├── Disconnected     the connection is closed with a code
├── PositionLost     a log position means nothing any more: drop state and load afresh
├── Unconfirmed      the broker did not take a change
└── BrokerRefused    the broker cannot be used, and waiting does not mend that
"""

from msgspec import Struct


class GatecastError(Exception):
    """Base of everything that Gatecast raises on purpose."""


class ErrorCode(Struct, frozen=True):
    """An error reply: the client's command failed, the connection lives."""

    code: int
    message: str
    temporary: bool = False


INTERNAL = ErrorCode(100, "internal server error", temporary=True)
UNAUTHORIZED = ErrorCode(101, "unauthorized")
UNKNOWN_CHANNEL = ErrorCode(102, "unknown channel")
PERMISSION_DENIED = ErrorCode(103, "permission denied")
ALREADY_SUBSCRIBED = ErrorCode(105, "already subscribed")
LIMIT_EXCEEDED = ErrorCode(106, "limit exceeded")
BAD_REQUEST = ErrorCode(107, "bad request")
NOT_AVAILABLE = ErrorCode(108, "not available")
TOKEN_EXPIRED = ErrorCode(109, "token expired")
TOO_MANY_REQUESTS = ErrorCode(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = ErrorCode(112, "unrecoverable position")


class DisconnectCode(Struct, frozen=True):
    """A close frame; 3000 to 3499 clients come back, 3500 to 3999 they stop for good."""

    code: int
    reason: str

    @property
    def reconnect(self) -> bool:
        return self.code < 3500


SHUTDOWN = DisconnectCode(3001, "shutdown")
SERVER_ERROR = DisconnectCode(3004, "server error")
EXPIRED = DisconnectCode(3005, "connection expired")
SLOW = DisconnectCode(3008, "slow")
FORCE_RECONNECT = DisconnectCode(3011, "force reconnect")
NO_PONG = DisconnectCode(3012, "no pong")
INVALID_TOKEN = DisconnectCode(3500, "invalid token")
BAD_COMMAND = DisconnectCode(3501, "bad request")
STALE = DisconnectCode(3502, "stale")
SEND_NOT_AVAILABLE = DisconnectCode(3508, "not available")


class Refused(GatecastError):
    """A command is answered with this error code."""

    def __init__(self, error: ErrorCode) -> None:
        super().__init__(error.message)
        self.error = error


class Disconnected(GatecastError):
    """The connection has to be closed with this code."""

    def __init__(self, disconnect: DisconnectCode) -> None:
        super().__init__(disconnect.reason)
        self.disconnect = disconnect


class PositionLost(GatecastError):
    """The epoch changed or the log was pruned: the holder drops its state and loads afresh."""


class Unconfirmed(GatecastError):
    """The broker refused, lost or did not answer a published change in time."""


class BrokerRefused(GatecastError):
    """The broker cannot be used as it is; the text is one sentence for a person."""

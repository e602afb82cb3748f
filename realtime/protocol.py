"""The client protocol (JSON): frames to commands, replies and pushes to bytes. Pure.

Several commands or replies of one frame are joined by newlines; no reply ever holds one inside.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from realtime.errors import BAD_COMMAND, Disconnected, ErrorCode

NULL = Raw(b"null")
PING = b"{}"

# Flag bit of a subscribe request: answer 112 instead of "not recovered".
REJECT_UNRECOVERED = 2
# `type` and `phase` of map subscriptions; phase 0 is "live".
STREAM, MAP = 0, 1
PHASE_STREAM, PHASE_STATE = 1, 2


class Connect(Struct):
    """The first command of a connection."""

    token: str = ""
    name: str = ""
    version: str = ""


class Subscribe(Struct):
    """Join one channel, from a position when `recover`."""

    channel: str = ""
    recover: bool = False
    epoch: str = ""
    offset: int = 0
    flag: int = 0
    type: int = STREAM
    phase: int = 0
    tf: Any = None


class Unsubscribe(Struct):
    channel: str = ""


class StreamPosition(Struct):
    """A place in a stream; an empty epoch is not checked."""

    offset: int = 0
    epoch: str = ""


class History(Struct):
    """Publications of a flight: `limit` 0 only the position, below 0 all; `since` is exclusive."""

    channel: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class Refresh(Struct):
    """A new token before the old one ends."""

    token: str = ""


class Rpc(Struct):
    method: str = ""
    data: Raw = NULL


class Command(Struct):
    """One thing a client wants; exactly one method is set, none means pong."""

    id: int = 0
    connect: Connect | None = None
    subscribe: Subscribe | None = None
    unsubscribe: Unsubscribe | None = None
    rpc: Rpc | None = None
    publish: Any = None
    history: History | None = None
    presence: Any = None
    presence_stats: Any = None
    refresh: Refresh | None = None
    sub_refresh: Any = None
    send: Any = None
    ping: Any = None

    def methods(self) -> list[str]:
        """Names of the methods that are set."""
        return [name for name in METHODS if getattr(self, name) is not None]


METHODS = tuple(name for name in Command.__struct_fields__ if name != "id")


class Publication(Struct, omit_defaults=True):
    """One state in a channel; `key` and `removed` only on boards."""

    data: Raw
    offset: int = 0
    key: str = ""
    removed: bool = False


class Ack(Struct):
    """A receipt: what a visible screen displayed, by leg key up to a version."""

    epoch: str
    legs: dict[str, int]
    attentive: bool = False


_commands = msgspec.json.Decoder(Command)
_acks = msgspec.json.Decoder(Ack)
_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Compact JSON without a newline."""
    return _encoder.encode(value)


def decode_commands(frame: bytes | str) -> list[Command]:
    """Disconnected(3501) when any line is not a command."""
    try:
        lines = frame.strip().split(b"\n" if isinstance(frame, bytes) else "\n")  # type: ignore[arg-type]
        found = [_commands.decode(line) for line in lines]
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise Disconnected(BAD_COMMAND) from None
    for command in found:
        methods = command.methods()
        needs_id = methods != [] and methods != ["send"]
        if len(methods) > 1 or not 0 <= command.id < 2**32 or (command.id == 0) == needs_id:
            raise Disconnected(BAD_COMMAND)
    return found


def decode_ack(data: Raw) -> Ack | None:
    """None when it is not a receipt."""
    try:
        return _acks.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def reply(command_id: int, method: str, result: Any) -> bytes:
    """The answer to one command."""
    return encode({"id": command_id, method: result})


def error_reply(command_id: int, error: ErrorCode) -> bytes:
    """`temporary` is left out when false."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.temporary:
        body["temporary"] = True
    return encode({"id": command_id, "error": body})


def publication_push(channel: str, publication: Publication) -> bytes:
    """The bytes that every subscriber of the channel gets."""
    return encode({"push": {"channel": channel, "pub": publication}})


def unsubscribe_push(channel: str, code: int, reason: str) -> bytes:
    """Codes from 2500 on make clients subscribe again at once."""
    return encode({"push": {"channel": channel, "unsubscribe": {"code": code, "reason": reason}}})


def join(frames: list[bytes]) -> bytes:
    """One WebSocket frame out of several messages."""
    return b"\n".join(frames)

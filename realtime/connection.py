"""The slim owner of a socket after the handshake: parser, limits, what waits for a slow reader.

No task, queue, timer or dict of its own while nothing has to wait.
"""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, Protocol, cast

import structlog

from realtime.audience import DIRECT, ENCRYPTED, Encode, Slot, json_frames
from realtime.errors import SERVER_ERROR, SLOW, DisconnectCode, Disconnected
from realtime.frames import (
    BAD_TEXT,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    BadFrame,
    Frame,
    close_frame,
    frame,
    parse,
    parse_close,
)
from realtime.outbox import MAX_UNREAD_REPLIES, MOVED, STATE_INVALIDATED, Backlog
from realtime.protocol import PING as EMPTY
from realtime.protocol import join, unsubscribe_push
from realtime.traffic import Traffic
from realtime.wheel import Session

MAX_FRAME = 64 * 1024
FRAMES_A_TURN = 64
FRAMES_A_BEAT = 512
CLOSED_WITHIN = 10.0
SLOW_WITHIN = 30.0  # who reads on within this time finds out why it was left
LINGER = 1.0
KEEPALIVE = frame(EMPTY)
KEPT: Slot = ("ping", "")


class Peer(Session, Protocol):
    """Who obeys what the socket brings."""

    @property
    def channels(self) -> Collection[str]:
        """What it has joined."""
        ...

    def obey(self, frame: bytes | str) -> Coroutine[Any, Any, None] | None:
        """Obey one frame; what is returned is awaited before the next one."""
        ...

    def leave(self) -> None:
        """Nothing can be sent any more."""
        ...


class Owner(Protocol):
    """Who keeps account of connections and beats for all of them."""

    beats: int
    traffic: Traffic

    def opened(self, connection: "Connection") -> None: ...

    def throttled(self, connection: "Connection") -> None:
        """It reads on at the next beat."""
        ...

    def closing(self, connection: "Connection", within: float) -> None:
        """It is aborted when the peer has not closed it in so many seconds."""
        ...

    def slowed(self, connection: "Connection") -> None:
        """Something waits for it from now on."""
        ...

    def drained(self, connection: "Connection") -> None:
        """It takes what is written again."""
        ...

    def lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """One detached socket, and the sink of its client."""

    __slots__ = (
        "_backlog",
        "_beat",
        "_buffer",
        "_corked",
        "_deaf",
        "_opcode",
        "_parts",
        "_pong",
        "_resting",
        "_spent",
        "_task",
        "code",
        "descriptor",
        "encode",
        "ended",
        "lane",
        "owner",
        "peer",
        "transport",
    )

    transport: asyncio.Transport
    peer: Peer

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.encode: Encode = json_frames
        self.ended = False
        self.code = 0  # with which it was closed from here
        self.lane = ENCRYPTED
        self.descriptor = -1
        self._backlog: Backlog | None = None  # None: the socket takes what is written
        self._beat = 0  # in which `_spent` frames came
        self._buffer: bytes | bytearray = b""
        self._corked: list[bytes] | None = None
        self._deaf = False  # what follows a broken frame means nothing
        self._opcode = 0  # of the message whose fragments `_parts` holds
        self._parts: bytearray | None = None
        self._pong: bytes | None = None
        self._resting = False  # not reading
        self._spent = 0
        self._task: asyncio.Task[None] | None = None

    # The sink ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return 0 if self._backlog is None else len(self._backlog)

    @property
    def slow(self) -> bool:
        """The socket has not taken everything."""
        return self._backlog is not None

    def reply(self, frame: bytes) -> None:
        if self._backlog is not None:
            self._backlog.reply(frame)
        elif self._corked is not None:
            self._corked.append(frame)
        else:
            self._write([frame])

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        if self._backlog is not None:
            self.owner.traffic.conflated += self._backlog.publish(frames)
        else:
            self._write([each for _, each in frames])

    def took(self, wire: bytes, count: int) -> None:
        """Leave the rest to the transport, which calls `pause_writing` when there is one."""
        if count < 0:
            self.transport.abort()
        elif self._backlog is None and not self.ended:
            self.transport.write(wire[count:])

    def ping(self) -> None:
        if self._backlog is not None:
            self._backlog.publish([(KEPT, EMPTY)])
        else:
            self.transport.write(KEEPALIVE)

    def forget(self, channel: str) -> None:
        if self._backlog is not None:
            self._backlog.forget(channel)

    def invalidate(self, channel: str) -> None:
        self.forget(channel)
        self.reply(unsubscribe_push(channel, *STATE_INVALIDATED))

    def end(self, channel: str) -> None:
        self.reply(unsubscribe_push(channel, *MOVED))

    def disconnect(self, disconnect: DisconnectCode) -> None:
        slow = disconnect is SLOW
        if slow:
            self._backlog = None
        if not self.ended:
            self.code = disconnect.code
        self._close(disconnect.code, disconnect.reason, SLOW_WITHIN if slow else CLOSED_WITHIN)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Write one message as it is."""
        self.transport.write(frame(payload, opcode))

    def abort(self) -> None:
        """Cut it."""
        self.transport.abort()

    # The transport -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("sslcontext") is None:
            self.transport.set_write_buffer_limits(0)
            self.descriptor = transport.get_extra_info("socket").fileno()
            self.lane = DIRECT
        else:  # there the limit itself counts as reached
            self.transport.set_write_buffer_limits(1, 0)
        self.owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if self._task is not None:
            self._task.cancel()
        self.peer.leave()
        self.owner.lost(self)

    def pause_writing(self) -> None:
        """The socket did not take all: from here on only the newest state waits for it."""
        if self._backlog is None and not self.ended:
            self._backlog = Backlog()
            self.owner.slowed(self)

    def resume_writing(self) -> None:
        backlog, self._backlog = self._backlog, None
        if self.ended:
            return
        if backlog:
            self._write(backlog.take())
        if self._backlog is None:
            self.owner.drained(self)
        self._uncork()
        self.go_on()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._buffer:
            self._buffer += data
        else:
            self._buffer = data
        if not self._resting:
            self._read()

    def eof_received(self) -> None:
        """Half a connection is of no use: the transport closes."""

    # Reading -------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Read what was left, unless there still is a reason to rest."""
        if self._resting and not self._must_rest() and not self.transport.is_closing():
            self._resting = False
            self.transport.resume_reading()
            self._read()

    def _must_rest(self) -> bool:
        if self._beat != self.owner.beats:
            self._beat, self._spent = self.owner.beats, 0
        return (
            self._task is not None
            or self._spent >= FRAMES_A_BEAT
            or len(self) >= MAX_UNREAD_REPLIES
        )

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self.transport.pause_reading()
            if self._spent >= FRAMES_A_BEAT:
                self.owner.throttled(self)

    def _read(self) -> None:
        """Obey the whole frames that have come, some a turn, and answer them with one write."""
        buffer, at = self._buffer, 0
        self._corked = None if self.ended else []
        try:
            for _ in range(FRAMES_A_TURN):
                held = 0 if self._parts is None else len(self._parts)
                found = parse(buffer, at, MAX_FRAME - held)
                if found is None:
                    break
                at = found.end
                self._spent += 1
                self._take(found)
                if self.transport.is_closing():
                    at = len(buffer)
                    break
                if self._must_rest():
                    self._rest()
                    break
            else:
                self._rest()
                asyncio.get_running_loop().call_soon(self.go_on)
        except BadFrame as bad:
            at = len(buffer)
            self._fail(bad)
        finally:
            self._buffer = b"" if at >= len(buffer) else bytearray(buffer[at:])
            self._uncork()

    def _take(self, found: Frame) -> None:
        if found.opcode == CLOSE:
            self._closed(found.payload)
        elif found.opcode == PING:
            self._pong = found.payload  # of several only the newest needs an answer
        elif found.opcode != PONG:
            self._take_data(found)

    def _take_data(self, found: Frame) -> None:
        if (found.opcode == CONTINUATION) == (self._parts is None):
            raise BadFrame(PROTOCOL_ERROR, "fragments out of order")
        if self._parts is not None:
            self._parts += found.payload
            payload: bytes | bytearray = self._parts
        else:
            payload, self._opcode = found.payload, found.opcode
        if not found.fin:
            self._parts = bytearray(payload) if self._parts is None else self._parts
            return
        self._parts = None
        if self.ended:
            return
        received: bytes | str = bytes(payload)
        if self._opcode == TEXT:
            try:
                received = payload.decode()
            except UnicodeDecodeError:
                raise BadFrame(BAD_TEXT, "text is not UTF-8") from None
        self._obey(received)

    def _obey(self, received: bytes | str) -> None:
        self._answer_ping()
        try:
            rest = self.peer.obey(received)
        except Disconnected as disconnected:
            self.disconnect(disconnected.disconnect)
            return
        if rest is not None:
            self._task = asyncio.get_running_loop().create_task(rest, name="obey")
            self._task.add_done_callback(self._obeyed)

    def _obeyed(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if task.cancelled() or self.ended:
            return
        error = task.exception()
        if isinstance(error, Disconnected):
            self.disconnect(error.disconnect)
        elif error is not None:
            structlog.get_logger().error("socket failed", exc_info=error)
            self.disconnect(SERVER_ERROR)
        self.go_on()

    # Writing -------------------------------------------------------------------------------------

    def _write(self, frames: list[bytes]) -> None:
        wire = frame(join(frames))
        self.owner.traffic.sent(len(frames), len(wire))
        self.transport.write(wire)

    def _uncork(self) -> None:
        corked, self._corked = self._corked, None
        self._answer_ping()
        for each in corked or ():
            if self._backlog is not None:
                self._backlog.reply(each)
        if corked and self._backlog is None:
            self._write(corked)

    def _answer_ping(self) -> None:
        if self._pong is not None and self._backlog is None and not self.ended:
            pong, self._pong = self._pong, None
            self.transport.write(frame(pong, PONG))

    def _close(self, code: int, reason: str, within: float) -> None:
        """Say why after what is queued, and let the peer close."""
        if self.ended:
            return
        self._uncork()
        self.ended = True
        backlog, self._backlog = self._backlog, None
        if backlog:
            self._write(backlog.take())
        self.transport.write(close_frame(code, reason))
        self.peer.leave()
        self.owner.closing(self, within)

    def _closed(self, payload: bytes) -> None:
        """The peer closes, or answers our close."""
        code, _ = parse_close(payload)
        self._close(code, "", CLOSED_WITHIN)
        self.transport.close()

    def _fail(self, bad: BadFrame) -> None:
        """What follows a broken frame cannot be understood: it is not read any more."""
        self._deaf = True
        if not self.ended:
            self.code = bad.code
        self._close(bad.code, bad.reason, LINGER)
        if bad.code != TOO_BIG:
            self.transport.close()

"""What waits for one connection: frames in order, only the newest of each slot."""

import asyncio
from collections.abc import Callable, Sequence

from realtime.audience import WAITING, Encode, Slot, json_frames
from realtime.errors import DisconnectCode
from realtime.protocol import PING, join, unsubscribe_push

MAX_UNREAD_REPLIES = 256
STATE_INVALIDATED = (2502, "state invalidated")
MOVED = (2000, "moved")  # below 2500 for good: who subscribed again would hear the same again


class Backlog:
    """Frames in order; a newer frame of a slot takes the place of the one that waits."""

    __slots__ = ("_frames", "_replies")

    def __init__(self) -> None:
        self._frames: dict[Slot | int, bytes] = {}
        self._replies = 0

    def __len__(self) -> int:
        return len(self._frames)

    def reply(self, frame: bytes) -> None:
        self._replies += 1
        self._frames[self._replies] = frame

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        for slot, frame in frames:
            self._frames.pop(slot, None)
            self._frames[slot] = frame

    def forget(self, channel: str) -> None:
        """Drop the publications of this channel."""
        gone = [slot for slot in self._frames if isinstance(slot, tuple) and slot[0] == channel]
        for slot in gone:
            del self._frames[slot]

    def take(self) -> list[bytes]:
        """Everything that waits."""
        frames = list(self._frames.values())
        self._frames.clear()
        return frames


class Outbox:
    """The sink of one connection, emptied by its one writer."""

    def __init__(
        self, encode: Encode = json_frames, join: Callable[[list[bytes]], bytes] = join
    ) -> None:
        self.encode = encode
        self.lane = WAITING
        self.descriptor = -1
        self._join = join
        self._backlog = Backlog()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.ended: DisconnectCode | None = None

    def __len__(self) -> int:
        return len(self._backlog)

    def reply(self, frame: bytes) -> None:
        self._backlog.reply(frame)
        if len(self._backlog) >= MAX_UNREAD_REPLIES:
            self._drained.clear()
        self._filled.set()

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        self._backlog.publish(frames)
        self._filled.set()

    def took(self, wire: bytes, count: int) -> None:
        """Nothing is written to it at once."""

    def ping(self) -> None:
        self.reply(PING)

    def forget(self, channel: str) -> None:
        self._backlog.forget(channel)

    def invalidate(self, channel: str) -> None:
        self.forget(channel)
        self.reply(unsubscribe_push(channel, *STATE_INVALIDATED))

    def end(self, channel: str) -> None:
        self.reply(unsubscribe_push(channel, *MOVED))

    def disconnect(self, disconnect: DisconnectCode) -> None:
        self.ended = self.ended or disconnect
        self._filled.set()

    async def take(self) -> bytes:
        """Everything that waits, as one frame; empty when only the end is left."""
        await self._filled.wait()
        self._filled.clear()
        self._drained.set()
        return self._join(self._backlog.take())

    async def drained(self) -> None:
        """Wait while a client asks faster than it reads."""
        await self._drained.wait()

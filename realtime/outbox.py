"""What waits for one connection: frames in order; for a slow one only the newest of each slot."""

import asyncio
from collections.abc import Callable, Sequence

from realtime.audience import WAITING, Encode, Slot, json_frames
from realtime.errors import DisconnectCode
from realtime.protocol import PING, join, unsubscribe_push
from realtime.traffic import Traffic

MAX_UNREAD_REPLIES = 256
STATE_INVALIDATED = (2502, "state invalidated")
MOVED = (2000, "moved")  # below 2500 for good: who subscribed again would hear the same again


Place = tuple[str, str, int]
"""A slot, and a number that is 0 where a newer frame may replace the one that waits."""


class Backlog:
    """Frames in order; of a slot only the newest where that was asked for."""

    __slots__ = ("_frames", "_number")

    def __init__(self) -> None:
        self._frames: dict[Place, bytes] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._frames)

    def reply(self, frame: bytes) -> None:
        self._number += 1
        self._frames["", "", self._number] = frame

    def publish(self, frames: Sequence[tuple[Slot, bytes]], conflate: bool = True) -> int:
        """How many frames gave way to these."""
        gone = 0
        for (channel, key), frame in frames:
            if conflate:
                place = channel, key, 0
                gone += self._frames.pop(place, None) is not None
            else:
                self._number += 1
                place = channel, key, self._number
            self._frames[place] = frame
        return gone

    def forget(self, channel: str) -> None:
        """Drop the publications of this channel."""
        for place in [place for place in self._frames if place[0] == channel]:
            del self._frames[place]

    def take(self) -> list[bytes]:
        """Everything that waits."""
        frames = list(self._frames.values())
        self._frames.clear()
        return frames


class Outbox:
    """The sink of one connection, emptied by its one writer.

    A client is slow from when its writer has frames in hand that the socket does not take.
    """

    def __init__(
        self,
        encode: Encode = json_frames,
        join: Callable[[list[bytes]], bytes] = join,
        traffic: Traffic | None = None,
    ) -> None:
        self.encode = encode
        self.lane = WAITING
        self.descriptor = -1
        self.traffic = Traffic() if traffic is None else traffic
        self._join = join
        self._backlog = Backlog()
        self._in_hand = False
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.ended: DisconnectCode | None = None

    @property
    def code(self) -> int:
        """With which it is closed; 0 while it is not."""
        return 0 if self.ended is None else self.ended.code

    def __len__(self) -> int:
        return len(self._backlog)

    def reply(self, frame: bytes) -> None:
        self._backlog.reply(frame)
        if len(self._backlog) >= MAX_UNREAD_REPLIES:
            self._drained.clear()
        self._filled.set()

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        self.traffic.conflated += self._backlog.publish(frames, self._in_hand)
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
        self._in_hand = False
        await self._filled.wait()
        self._filled.clear()
        self._in_hand = True
        self._drained.set()
        frames = self._backlog.take()
        body = self._join(frames)
        self.traffic.sent(len(frames), len(body))
        return body

    async def drained(self) -> None:
        """Wait while a client asks faster than it reads."""
        await self._drained.wait()

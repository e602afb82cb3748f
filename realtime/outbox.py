"""What waits for one connection: frames in order; for a slow one only the newest of each slot."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct, field

from realtime.errors import DisconnectCode
from realtime.hub import Encode, Slot, json_frames
from realtime.protocol import join, unsubscribe_push

MAX_UNREAD_REPLIES = 256
STATE_INVALIDATED = (2502, "state invalidated")
MOVED = (2000, "moved")  # below 2500 for good: who subscribed again would hear the same again


class Traffic(Struct):
    """What the connections of a node have carried; `conflated` frames gave way to newer ones.

    `closes` are by code, or "left" when the client went; `refused` by the code of the error.
    """

    frames: int = 0
    bytes: int = 0
    conflated: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def closed(self, ended: DisconnectCode | None) -> None:
        """A connection is over."""
        self.closes["left" if ended is None else str(ended.code)] += 1


class Session(Protocol):
    """A connected client as the keepalive sees it."""

    transport: str

    def tick(self, now: float) -> DisconnectCode | None:
        """Send a ping when one is due; the code to close with when the client's time is over."""
        ...


Place = tuple[str, str, int]
"""A slot, and a number that is 0 where a newer frame may replace the one that waits."""


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
        self.traffic = Traffic() if traffic is None else traffic
        self._join = join
        self._waiting: dict[Place, bytes] = {}
        self._number = 0
        self._in_hand = False
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.ended: DisconnectCode | None = None

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._waiting)

    def reply(self, frame: bytes) -> None:
        self._number += 1
        self._waiting["", "", self._number] = frame
        if len(self._waiting) >= MAX_UNREAD_REPLIES:
            self._drained.clear()
        self._filled.set()

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        for (channel, key), frame in frames:
            if self._in_hand:
                place = channel, key, 0
                self.traffic.conflated += self._waiting.pop(place, None) is not None
            else:
                self._number += 1
                place = channel, key, self._number
            self._waiting[place] = frame
        self._filled.set()

    def forget(self, channel: str) -> None:
        for place in [place for place in self._waiting if place[0] == channel]:
            del self._waiting[place]

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
        frames = list(self._waiting.values())
        self._waiting.clear()
        self._in_hand = True
        self._drained.set()
        body = self._join(frames)
        self.traffic.frames += len(frames)
        self.traffic.bytes += len(body)
        return body

    async def drained(self) -> None:
        """Wait while a client asks faster than it reads."""
        await self._drained.wait()

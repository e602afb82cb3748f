"""Sinks that remember what they were given, and a kernel that takes what it is told to take."""

from array import array
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from realtime.audience import DIRECT, Encode, Slot, json_frames
from realtime.errors import DisconnectCode
from realtime.protocol import Publication


def publication(offset: int, size: int = 1) -> Publication:
    """One state of a leg of its own."""
    return Publication(data=Raw(b'"' + b"x" * size + b'"'), offset=offset, key=str(offset))


def offsets_of(lines: bytes) -> list[tuple[str, int]]:
    """Channel and offset of the pushes of one WebSocket payload."""
    pushes = [msgspec.json.decode(line)["push"] for line in lines.split(b"\n")]
    return [(each["channel"], each["pub"]["offset"]) for each in pushes]


class Memory:
    """A sink; `got` is everything that reached it, in order."""

    def __init__(self, descriptor: int, lane: int = DIRECT) -> None:
        self.encode: Encode = json_frames
        self.descriptor = descriptor
        self.lane = lane
        self.got: list[tuple[str, int]] = []
        self.writes = 0
        self.ends: list[str] = []

    def __len__(self) -> int:
        return 0

    def reply(self, frame: bytes) -> None:
        raise AssertionError("nobody asked")

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        for _, each in frames:
            self.got += offsets_of(each)

    def write(self, wire: bytes) -> None:
        """Whole frames, by whatever way."""
        self.writes += 1
        while wire:
            size, at = wire[1], 2
            if size > 125:
                length = 2 if size == 126 else 8
                size, at = int.from_bytes(wire[2 : 2 + length], "big"), 2 + length
            self.got += offsets_of(wire[at : at + size])
            wire = wire[at + size :]

    def took(self, wire: bytes, count: int) -> None:
        assert count == 0
        self.write(wire)

    def forget(self, channel: str) -> None:
        """Nothing waits."""

    def invalidate(self, channel: str) -> None:
        self.ends.append(channel)

    def end(self, channel: str) -> None:
        self.ends.append(channel)

    def ping(self) -> None:
        raise AssertionError("nobody asked")

    def disconnect(self, disconnect: DisconnectCode) -> None:
        raise AssertionError(disconnect.reason)


class Kernel:
    """Writes to memories; those in `full` take nothing."""

    def __init__(self, sinks: Sequence[Memory]) -> None:
        self.sinks = {sink.descriptor: sink for sink in sinks}
        self.full: set[int] = set()
        self.calls: list[int] = []

    def __call__(
        self, descriptors: "array[int]", start: int, stop: int, frame: bytes
    ) -> list[tuple[int, int]]:
        self.calls.append(stop - start)
        short = []
        for at in range(start, stop):
            if descriptors[at] in self.full:
                short.append((at, 0))
            else:
                self.sinks[descriptors[at]].write(frame)
        return short

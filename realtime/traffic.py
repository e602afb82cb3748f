"""What the connections of a node have carried."""

from collections import Counter

from msgspec import Struct, field


class Traffic(Struct):
    """`conflated` frames gave way to newer ones.

    `closes` are by code, or "left" when the client went; `refused` by the code of the error.
    """

    frames: int = 0
    bytes: int = 0
    conflated: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def sent(self, frames: int, size: int) -> None:
        """So many frames of together so many bytes were given to sockets."""
        self.frames += frames
        self.bytes += size

    def closed(self, code: int) -> None:
        """A connection is over; 0 when the client went."""
        self.closes[str(code) if code else "left"] += 1

"""Who listens to a channel: tables kept in place, walked from their end in slices.

A walk gives every sink that was there when it began the same publications once. Whoever comes, goes
or gets slow meanwhile moves within the tables so that none is served twice, and none forgotten.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from realtime.errors import DisconnectCode
from realtime.frames import frame
from realtime.protocol import Publication, join, publication_push
from realtime.traffic import Traffic

Slot = tuple[str, str]
"""What a newer frame of the same slot replaces while it waits: a channel and a leg key."""

Encode = Callable[[str, str, Sequence[Publication]], list[tuple[Slot, bytes]]]
"""Epoch, channel and publications to the frames of one wire format."""

WriteAll = Callable[["array[int]", int, int, bytes], list[tuple[int, int]]]
"""Write a frame to the descriptors of a range; places and bytes taken of those that took less,
below zero of those that are dead."""

# How a sink is served: its descriptor at once, its transport (TLS), or through what waits for it.
DIRECT, ENCRYPTED, WAITING = 0, 1, 2
LANES = 3
ENCRYPTED_COSTS = 4
MOST_BYTES = 32 * 1024
"""Of one walk's publications, unless one seq alone has more."""


def json_frames(
    _: str, channel: str, publications: Sequence[Publication]
) -> list[tuple[Slot, bytes]]:
    """Pushes of the client protocol."""
    return [((channel, each.key), publication_push(channel, each)) for each in publications]


class Sink(Protocol):
    """One connection as the hub sees it; nothing here waits."""

    encode: Encode
    lane: int
    descriptor: int

    def __len__(self) -> int:
        """Frames that wait."""
        ...

    def reply(self, frame: bytes) -> None:
        """Queue a frame that nothing replaces."""
        ...

    def publish(self, frames: Sequence[tuple[Slot, bytes]]) -> None:
        """Queue frames of whole seqs; a waiting frame of the same slot is replaced."""
        ...

    def took(self, wire: bytes, count: int) -> None:
        """The descriptor took only so many of these bytes; below zero it is dead."""
        ...

    def forget(self, channel: str) -> None:
        """Drop what waits for this channel."""
        ...

    def invalidate(self, channel: str) -> None:
        """The subscription has ended, because its position means nothing any more."""
        ...

    def end(self, channel: str) -> None:
        """The channel has come to its end, and has said where its leg goes on."""
        ...

    def ping(self) -> None:
        """Ask whether the client is there."""
        ...

    def disconnect(self, disconnect: DisconnectCode) -> None:
        """Close with this code after what is queued."""
        ...


class Table:
    """Sinks of one lane; those before `left` have still to be served by the walk under way."""

    __slots__ = ("descriptors", "left", "places", "sinks")

    def __init__(self) -> None:
        self.sinks: list[Sink] = []
        self.places: dict[Sink, int] = {}
        self.descriptors: array[int] = array("i")
        self.left = 0

    def add(self, sink: Sink) -> None:
        """It is not served by the walk under way."""
        self.places[sink] = len(self.sinks)
        self.sinks.append(sink)
        self.descriptors.append(sink.descriptor)

    def remove(self, sink: Sink) -> bool:
        """Whether it had still to be served."""
        due = self.serve_first(sink)
        at = self.places.pop(sink)
        last, descriptor = self.sinks.pop(), self.descriptors.pop()
        if last is not sink:
            self.sinks[at], self.descriptors[at], self.places[last] = last, descriptor, at
        return due

    def serve_first(self, sink: Sink) -> bool:
        """Take it out of the walk under way; whether it was still in it."""
        at = self.places[sink]
        if at >= self.left:
            return False
        self.left -= 1
        to, sinks, descriptors = self.left, self.sinks, self.descriptors
        self.places[sinks[to]], self.places[sink] = at, to
        sinks[at], sinks[to] = sinks[to], sinks[at]
        descriptors[at], descriptors[to] = descriptors[to], descriptors[at]
        return True


class Walk:
    """Publications on their way; each wire format is encoded once."""

    __slots__ = ("_encoded", "_wire", "channel", "epoch", "groups")

    def __init__(self, epoch: str, channel: str, groups: list[Sequence[Publication]]) -> None:
        self.epoch = epoch
        self.channel = channel
        self.groups = groups
        self._encoded: dict[Encode, list[tuple[Slot, bytes]]] = {}
        self._wire = b""

    def frames(self, encode: Encode, known: int = 0) -> list[tuple[Slot, bytes]]:
        """For one wire format; without the first `known` seqs."""
        found = self._encoded.get(encode)
        if found is None or known:
            publications = [each for group in self.groups[known:] for each in group]
            found = encode(self.epoch, self.channel, publications)
            if not known:
                self._encoded[encode] = found
        return found

    @property
    def size(self) -> int:
        """How many publications."""
        return sum(map(len, self.groups))

    @property
    def wire(self) -> bytes:
        """All pushes as one WebSocket frame."""
        if not self._wire:
            self._wire = frame(join([each for _, each in self.frames(json_frames)]))
        return self._wire


class Audience:
    """The sinks of one channel, and what has still to reach them."""

    __slots__ = ("channel", "late", "pending", "tables", "walk")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.tables: list[Table | None] = [None] * LANES
        self.pending: list[Sequence[Publication]] = []  # one element a seq
        self.late: dict[Sink, int] = {}  # who came meanwhile, and how many of `pending` they know
        self.walk: Walk | None = None

    def __len__(self) -> int:
        return len(self.late) + sum(len(table.sinks) for table in self.tables if table is not None)

    def __contains__(self, sink: Sink) -> bool:
        table = self.tables[sink.lane]
        return sink in self.late or (table is not None and sink in table.places)

    def __iter__(self) -> Iterator[Sink]:
        found = [sink for table in self.tables if table is not None for sink in table.sinks]
        return iter([*found, *self.late])

    def join(self, sink: Sink) -> None:
        """It knows everything that was published until now."""
        if self.pending:
            self.late[sink] = len(self.pending)
        else:
            self._table(sink.lane).add(sink)

    def leave(self, sink: Sink) -> None:
        """Nothing of this channel goes to it any more."""
        if self.late.pop(sink, None) is None:
            self._table(sink.lane).remove(sink)

    def change_lane(self, sink: Sink, old: int) -> None:
        """It is served in another way; what it was about to get waits for it."""
        if sink in self.late:
            return
        due = self._table(old).remove(sink)
        self._table(sink.lane).add(sink)
        if due and self.walk is not None:
            sink.publish(self.walk.frames(sink.encode))

    def begin(self, epoch: str) -> bool:
        """Start a walk with what is pending; False when nothing is, or nobody listens."""
        if not self.pending or not len(self):
            self.pending.clear()
            return False
        taken, size = 0, 0
        for group in self.pending:
            size += sum(len(bytes(each.data)) for each in group)
            if taken and size > MOST_BYTES:
                break
            taken += 1
        self.walk = Walk(epoch, self.channel, self.pending[:taken])
        del self.pending[:taken]
        for table in self.tables:
            if table is not None:
                table.left = len(table.sinks)
        self._admit(self.walk, taken)
        return True

    def _admit(self, walk: Walk, taken: int) -> None:
        for sink, known in list(self.late.items()):
            if known > taken:
                self.late[sink] = known - taken
                continue
            del self.late[sink]
            self._table(sink.lane).add(sink)
            if known < taken:
                sink.publish(walk.frames(sink.encode, known))

    def serve(self, most: int, write_all: WriteAll, traffic: Traffic) -> bool:
        """Serve at most so many; whether the walk is over."""
        assert self.walk is not None
        for lane, table in enumerate(self.tables):
            if table is None or not table.left:
                continue
            share = most if lane != ENCRYPTED else max(1, most // ENCRYPTED_COSTS)
            stop, table.left = table.left, max(0, table.left - share)
            if lane != WAITING:
                count = stop - table.left
                traffic.sent(self.walk.size * count, len(self.walk.wire) * count)
            if lane == DIRECT:
                wire, sinks = self.walk.wire, table.sinks
                short = write_all(table.descriptors, table.left, stop, wire)
                for sink, count in [(sinks[at], count) for at, count in short]:
                    sink.took(wire, count)
            elif lane == ENCRYPTED:
                for sink in table.sinks[table.left : stop]:
                    sink.took(self.walk.wire, 0)
            else:
                for sink in table.sinks[table.left : stop]:
                    sink.publish(self.walk.frames(sink.encode))
            most -= (stop - table.left) * (1 if lane != ENCRYPTED else ENCRYPTED_COSTS)
            if most <= 0:
                break
        if any(table is not None and table.left for table in self.tables):
            return False
        self.walk = None
        return True

    def direct(self) -> Sequence[Sink]:
        """Those that the walk has still to serve by their descriptor."""
        table = self.tables[DIRECT]
        return () if table is None else table.sinks[: table.left]

    def serves(self, sink: Sink) -> bool:
        """Whether the walk has still to serve this one by its descriptor."""
        table = self.tables[DIRECT]
        return table is not None and table.places.get(sink, table.left) < table.left

    def skip(self, sink: Sink) -> None:
        """Somebody else gives it what is on its way."""
        self._table(DIRECT).serve_first(sink)

    def clear(self) -> None:
        """Nobody listens any more."""
        self.tables = [None] * LANES
        self.late.clear()
        self.pending.clear()

    def _table(self, lane: int) -> Table:
        table = self.tables[lane]
        if table is None:
            table = self.tables[lane] = Table()
        return table

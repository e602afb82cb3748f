"""Publications to sockets: batches joined by channel, one write a socket and turn, short turns."""

import asyncio
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

from realtime.audience import Audience, Sink, WriteAll
from realtime.protocol import Publication
from realtime.traffic import Traffic

SLICE = 256
TURN = 0.003
"""Seconds after which a turn ends with the slice under way; a slice takes 1 to 2 ms."""


class Fanout:
    """Audiences that are owed something: small ones first, large ones a slice each."""

    def __init__(self, write_all: WriteAll, traffic: Traffic) -> None:
        self.write_all = write_all
        self.traffic = traffic
        self._dirty: dict[Audience, None] = {}
        self._small: deque[Audience] = deque()
        self._large: deque[Audience] = deque()
        self._more = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Something is left for the next turn."""
        return bool(self._dirty or self._small or self._large)

    def add(self, audience: Audience, publications: Sequence[Publication]) -> None:
        """Owe it the publications of one seq."""
        audience.pending.append(publications)
        if audience.walk is None:
            self._dirty[audience] = None

    def flush(self, epoch: str) -> None:
        """Write for a short time; `run` goes on with what is left."""
        begun = [audience for audience in self._dirty if audience.begin(epoch)]
        self._dirty.clear()
        if len(begun) > 1:
            self._join_shared(begun)
        for audience in begun:
            (self._small if len(audience) <= SLICE else self._large).append(audience)
        until = perf_counter() + TURN
        self._serve(self._small, until)
        self._serve(self._large, until)
        if self.busy:
            self._more.set()

    async def run(self, epoch: Callable[[], str]) -> None:
        """Until cancelled: everybody else has a turn between two of ours."""
        while True:
            await self._more.wait()
            self._more.clear()
            await asyncio.sleep(0)
            self.flush(epoch())

    def finish(self, audience: Audience, epoch: str) -> None:
        """Everything that this one is owed, now."""
        while audience.walk is not None or audience.begin(epoch):
            audience.serve(len(audience), self.write_all, self.traffic)
        self._dirty.pop(audience, None)

    def _serve(self, audiences: deque[Audience], until: float) -> None:
        while audiences:
            audience = audiences.popleft()
            if audience.walk is not None and not audience.serve(
                SLICE, self.write_all, self.traffic
            ):
                audiences.append(audience)
            elif audience.pending:
                self._dirty[audience] = None
            if perf_counter() > until:
                return

    def _join_shared(self, begun: list[Audience]) -> None:
        """A socket in several of these channels gets all of them with one write."""
        begun.sort(key=len)
        small = [audience for audience in begun[:-1] if len(audience) <= SLICE]
        owed: dict[Sink, list[Audience]] = {}
        for audience in small:
            for sink in audience.direct():
                owed.setdefault(sink, []).append(audience)
        shared: dict[tuple[int, ...], tuple[list[Audience], list[Sink]]] = {}
        for sink, audiences in owed.items():
            audiences += [each for each in begun[len(small) :] if each.serves(sink)]
            if len(audiences) > 1:
                key = tuple(map(id, audiences))
                shared.setdefault(key, (audiences, []))[1].append(sink)
        for audiences, sinks in shared.values():
            self._write_joined(audiences, sinks)

    def _write_joined(self, audiences: list[Audience], sinks: list[Sink]) -> None:
        wire = b"".join(each.walk.wire for each in audiences if each.walk is not None)
        for audience in audiences:
            for sink in sinks:
                audience.skip(sink)
        descriptors = array("i", [sink.descriptor for sink in sinks])
        frames = sum(each.walk.size for each in audiences if each.walk is not None)
        self.traffic.sent(frames * len(sinks), len(wire) * len(sinks))
        for at, count in self.write_all(descriptors, 0, len(sinks), wire):
            sinks[at].took(wire, count)

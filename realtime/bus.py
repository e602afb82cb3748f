"""How changes travel between processes: the contract only.

A bus is an accelerator, never the memory of the system: `follow` yields every row of the change
log after a position, dense and in order, whatever the carrier lost, doubled or held back.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from realtime.flight import Change


class Position(Struct, frozen=True):
    """A place in the change log; `seq` means nothing outside its `epoch`."""

    epoch: str
    seq: int


class Bus(Protocol):
    """What a node and a notifier see of the bus."""

    async def run(self) -> None:
        """Own the link until cancelled, reconnecting as needed."""
        ...

    def follow(self, after: Position) -> AsyncIterator[list[Change]]:
        """Batches of changes with seq after.seq + 1, + 2, …; raises PositionLost."""
        ...

    async def wait_work(self, within: float) -> None:
        """Return when something notable may have been sequenced, or `within` seconds passed."""
        ...


class Publisher(Protocol):
    """What the relay sees of a bus that has a broker behind it."""

    async def publish(self, epoch: str, changes: Sequence[Change]) -> None:
        """Return when the broker has confirmed every change, in order; raises Unconfirmed."""
        ...

    async def tick(self, position: Position) -> None:
        """Tell nodes where the log ends, so that silent loss shows within a second."""
        ...

"""The bus without a broker: followers tail the change log."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from realtime.backoff import Backoff, wait
from realtime.bus import Position
from realtime.bus_intake import LogReach
from realtime.change_log import ChangeLog
from realtime.database import DATABASE_AWAY
from realtime.flight import Change

AWAKE, IDLE, IDLE_AFTER = 0.010, 0.025, 1.0
BATCH = 500


class LogBus:
    """Any number of followers, in any number of processes.

    They are woken, and poll besides: each `awake` s for a while after something was found, then
    each `idle` s.
    """

    carrier = "log"
    broker_away: str | None = None  # there is none to be away

    def __init__(self, log: ChangeLog, *, awake: float = AWAKE, idle: float = IDLE) -> None:
        self.log = log
        self.awake = awake
        self.idle = idle
        self._reach = LogReach()
        self._woken: set[asyncio.Event] = set()

    def wake(self) -> None:
        """The log has grown: spares followers in the relay's own process their next poll."""
        for event in self._woken:
            event.set()

    @property
    def away(self) -> str | None:
        """Why the log is out of reach."""
        return self._reach.away

    @property
    def down_since(self) -> datetime | None:
        """Since when the log is out of reach, in wall time."""
        return self._reach.down_since

    async def run(self) -> None:
        """Nothing to own: the log is asked by those who follow it."""
        await asyncio.Event().wait()

    async def follow(self, after: Position) -> AsyncIterator[list[Change]]:
        """Batches of changes after a position; the database's absence is waited out."""
        loop = asyncio.get_running_loop()
        backoff, found_at, grew = Backoff(), loop.time(), asyncio.Event()
        self._woken.add(grew)
        try:
            while True:
                grew.clear()
                try:
                    changes = await self.log.read(after, BATCH)
                except DATABASE_AWAY as error:
                    self._reach.lost(error)
                    await asyncio.sleep(backoff.next())
                    continue
                self._reach.found()
                backoff.reset()
                if changes:
                    found_at = loop.time()
                    after = Position(after.epoch, changes[-1].seq)
                    yield changes
                else:
                    still_awake = loop.time() - found_at < IDLE_AFTER
                    await wait(grew, self.awake if still_awake else self.idle)
        finally:
            self._woken.discard(grew)

    async def wait_work(self, within: float) -> None:
        """Until the log has grown or the time is over."""
        grew = asyncio.Event()
        self._woken.add(grew)
        try:
            await wait(grew, within)
        finally:
            self._woken.discard(grew)

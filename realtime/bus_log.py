"""The bus without a broker: followers tail the change log."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from realtime.backoff import Backoff
from realtime.bus import Position
from realtime.change_log import ChangeLog
from realtime.database import DATABASE_AWAY
from realtime.flight import Change

AWAKE, IDLE, IDLE_AFTER = 0.010, 0.025, 1.0
BATCH = 500


class LogBus:
    """`wake` spares followers in the relay's own process their next poll."""

    def __init__(self, log: ChangeLog) -> None:
        self.log = log
        self.away: str | None = None
        self._woken: set[asyncio.Event] = set()

    def wake(self) -> None:
        """The log has grown."""
        for event in self._woken:
            event.set()

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
                    self._lost(error)
                    await asyncio.sleep(backoff.next())
                    continue
                self._found()
                backoff.reset()
                if changes:
                    found_at = loop.time()
                    after = Position(after.epoch, changes[-1].seq)
                    yield changes
                else:
                    await wait(grew, AWAKE if loop.time() - found_at < IDLE_AFTER else IDLE)
        finally:
            self._woken.discard(grew)

    async def wait_work(self, within: float) -> None:
        """Until the log has grown or the time is over."""
        grew = asyncio.Event()
        self._woken.add(grew)
        await wait(grew, within)
        self._woken.discard(grew)

    def _lost(self, error: Exception) -> None:
        if self.away is None:
            structlog.get_logger().warning("change log out of reach", error=str(error))
        self.away = str(error) or type(error).__name__

    def _found(self) -> None:
        if self.away is not None:
            structlog.get_logger().info("change log back")
        self.away = None


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

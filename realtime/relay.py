"""Sequences the outbox into the change log and publishes the log to the bus, in order, confirmed.

Several relays may run: row locks elect one a batch. Sequencing never waits for a broker, and a
crash anywhere only repeats changes under the seq that they already have.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from realtime.backoff import Backoff, wait
from realtime.bus import Publisher
from realtime.change_log import ChangeLog, OutboxProbe, change_of
from realtime.database import DATABASE_AWAY, QUERIES
from realtime.errors import Unconfirmed

AWAKE, IDLE, IDLE_AFTER = 0.008, 0.015, 1.0
PUBLISH_BATCH = 500
READER = "bus"


class Relay:
    """`publisher` None: followers tail the log themselves and are only woken, by `wakes`."""

    WORK = ("sequence", "publish", "tick")

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        log: ChangeLog,
        publisher: Publisher | None = None,
        *wakes: Callable[[], None],
    ) -> None:
        self.pool = pool
        self.log = log
        self.publisher = publisher
        self.wakes = list(wakes)
        self.sequenced = 0
        self.published = 0
        self.turns: Counter[tuple[str, str]] = Counter()  # what, and whether ours or another's
        self.away: dict[str, str] = {}
        self._outbox = asyncio.Event()
        self._log_grew = asyncio.Event()

    def wake(self) -> None:
        """Somebody in this process has committed a change."""
        self._outbox.set()

    async def run(self) -> None:
        """Until cancelled; losing the database or the broker is waited out, nothing else is."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("sequence", self._sequence), name="relay sequence")
            if self.publisher is not None:
                group.create_task(self._keep("publish", self._publish), name="relay publish")
                group.create_task(self._keep("tick", self._tick), name="relay tick")

    async def _keep(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start again after a fault of the database or the broker."""
        backoff = Backoff()
        while True:
            try:
                await work()
            except (*DATABASE_AWAY, Unconfirmed) as error:
                if what not in self.away:
                    backoff.reset()
                    structlog.get_logger().warning("relay waits", what=what, error=str(error))
                self.away[what] = str(error) or type(error).__name__
                await asyncio.sleep(backoff.next())

    async def _sequence(self) -> None:
        loop = asyncio.get_running_loop()
        if await self.log.adopt_database():
            structlog.get_logger().warning("another database than before: a new epoch begins")
        probe = OutboxProbe(self.pool)
        found_at = loop.time()
        while True:
            self._outbox.clear()
            if await probe.anything():
                taken = await self.log.sequence()
                self.turns["sequence", "lost" if taken < 0 else "won"] += 1
                await probe.refresh()
                if taken > 0:
                    self.sequenced += taken
                    found_at = loop.time()
                    self._log_grew.set()
                    for wake in self.wakes:
                        wake()
                    continue
            self.away.pop("sequence", None)
            await wait(self._outbox, AWAKE if loop.time() - found_at < IDLE_AFTER else IDLE)

    async def _publish(self) -> None:
        await self.pool.execute(QUERIES["add_reader"], READER)
        while True:
            self._log_grew.clear()
            published = await self._publish_batch()
            self.away.pop("publish", None)
            if published == 0:
                await wait(self._log_grew, IDLE)

    async def _publish_batch(self) -> int:
        """Rows published after the reader's position; 0 also when another relay is at it."""
        assert self.publisher is not None
        async with self.pool.acquire() as session, session.transaction():
            reader = await session.fetchrow(QUERIES["lock_reader"], READER)
            if reader is None:
                self.turns["publish", "lost"] += 1
                return 0
            epoch, seq = reader["log_epoch"], min(reader["seq"], reader["last_seq"])
            rows = await session.fetch(QUERIES["read_log"], seq, PUBLISH_BATCH)
            if not rows:
                return 0
            await self.publisher.publish(epoch, [change_of(row) for row in rows])
            await session.execute(QUERIES["advance_reader"], READER, epoch, rows[-1]["seq"])
        self.published += len(rows)
        self.turns["publish", "won"] += 1
        return len(rows)

    async def _tick(self) -> None:
        assert self.publisher is not None
        while True:
            await self.publisher.tick(await self.log.position())
            self.away.pop("tick", None)
            await asyncio.sleep(1.0)

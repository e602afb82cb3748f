"""Elected periodic work: clock rows, partitions, retention."""

import asyncio

import asyncpg
import structlog

from realtime.backoff import Backoff
from realtime.database import DATABASE_AWAY, QUERIES

EACH = 1.0
PARTITIONS_EACH = 60.0
LOG_DAYS = 7


class Upkeep:
    """Runs in every api process; an advisory lock lets one of them work."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.elected = False

    async def run(self) -> None:
        """Until cancelled; losing the database is waited out."""
        backoff = Backoff()
        while True:
            try:
                async with self.pool.acquire() as session:
                    if await session.fetchval(QUERIES["lock_upkeep"]):
                        self.elected = True
                        backoff.reset()
                        await self._work(session)
            except DATABASE_AWAY as error:
                structlog.get_logger().warning("upkeep waits", error=str(error))
                await asyncio.sleep(backoff.next())
            finally:
                self.elected = False
            await asyncio.sleep(EACH)

    async def _work(self, session: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        loop = asyncio.get_running_loop()
        partitions_at = float("-inf")
        while True:
            await session.execute(QUERIES["keep_time"])
            if loop.time() - partitions_at >= PARTITIONS_EACH:
                partitions_at = loop.time()
                await session.execute(QUERIES["keep_partitions"], LOG_DAYS)
                await session.execute(QUERIES["forget_answers"])
            await asyncio.sleep(EACH)

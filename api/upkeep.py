"""Elected periodic work: clock rows, silent feeds, doubtful legs, partitions, retention."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import structlog
from sqlalchemy.exc import DBAPIError

from api.problems import database_is_away
from realtime.backoff import Backoff
from realtime.database import DATABASE_AWAY, QUERIES

EACH = 1.0
PARTITIONS_EACH = 60.0
LOG_DAYS = 7

Turn = Callable[[], Awaitable[bool]]


class Upkeep:
    """Runs in every api process; an advisory lock lets one of them work."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *turns: Turn) -> None:
        self.pool = pool
        self.turns = turns
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
            except (*DATABASE_AWAY, DBAPIError) as error:
                if isinstance(error, DBAPIError) and not database_is_away(error):
                    raise
                structlog.get_logger().warning("upkeep waits", error=str(error))
                await asyncio.sleep(backoff.next())
            finally:
                self.elected = False
            await asyncio.sleep(EACH)

    async def _work(self, session: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        loop = asyncio.get_running_loop()
        partitions_at = float("-inf")
        since = datetime.now(UTC)
        while True:
            await session.execute(QUERIES["keep_time"])
            await session.execute(QUERIES["note_silence"], since)
            more = any([await turn() for turn in self.turns])
            if loop.time() - partitions_at >= PARTITIONS_EACH:
                partitions_at = loop.time()
                await session.execute(QUERIES["keep_partitions"], LOG_DAYS)
                await session.execute(QUERIES["forget_answers"])
            await asyncio.sleep(0 if more else EACH)

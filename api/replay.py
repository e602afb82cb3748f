"""Plays a real day through ingest, at the board time at which each thing was said."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from api.feed import Patch
from api.feed_replay import FEED, Statement, statements
from api.ingest import Ingest
from api.replay_day import load, rows_of
from realtime.backoff import Backoff
from realtime.database import DATABASE_AWAY, QUERIES

OPENS = time(16, 0, tzinfo=ZoneInfo("America/New_York"))
HEARTBEAT_EACH = 20.0
STEP = 0.2
BATCH = 500


class Replay:
    """One day at `speed`; started again on the same database it goes on where it was."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", ingest: Ingest, day: date, speed: float
    ) -> None:
        self.pool = pool
        self.ingest = ingest
        self.day = day
        self.speed = speed
        self.statements: Sequence[Statement] = statements(load(day))
        self.applied = 0
        self.opened = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; losing the database is waited out."""
        backoff = Backoff()
        while True:
            try:
                await self._open()
                backoff.reset()
                await self._play()
            except DATABASE_AWAY as error:
                structlog.get_logger().warning("replay waits", error=str(error))
                await asyncio.sleep(backoff.next())

    async def _open(self) -> None:
        """A fresh database gets its reference rows, its clock and the day so far."""
        await seed_reference(self.pool)
        await self.ingest.register_feed(
            FEED, party="airport", synthetic=True, priority=100, max_silence=timedelta(minutes=1)
        )
        said = await self.pool.fetchval(QUERIES["feed_said"], FEED)
        if said is None:
            opens = datetime.combine(self.day, OPENS).astimezone(UTC)
            await self.pool.execute(QUERIES["start_replay"], opens, self.speed)
        else:
            self.applied = sum(1 for each in self.statements if each.at <= said)
            now = await self.pool.fetchval(QUERIES["board_now"])
            await self.pool.execute(QUERIES["start_replay"], now, self.speed)

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        beat_at = float("-inf")
        while self.applied < len(self.statements):
            now = await self.pool.fetchval(QUERIES["board_now"])
            due = self._due(now)
            if due:
                await self.ingest.apply(FEED, due)
                self.applied += len(due)
            elif loop.time() - beat_at >= HEARTBEAT_EACH:
                beat_at = loop.time()
                await self.ingest.heartbeat(FEED)
            if len(due) < BATCH:
                self.opened.set()
                await asyncio.sleep(STEP)
        structlog.get_logger().info("the replayed day is over", day=self.day.isoformat())
        await asyncio.Event().wait()

    def _due(self, now: datetime) -> list[Patch]:
        waiting = self.statements[self.applied : self.applied + BATCH]
        return [each.patch for each in waiting if each.at <= now]


async def seed_reference(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Airports and airlines of the replayed day; what an operator changed stays."""
    airports = [
        (
            row["iata"],
            row["icao"] or None,
            row["name"],
            row["city"],
            row["country"],
            row["tz"],
            float(row["lat"]),
            float(row["lon"]),
        )
        for row in rows_of("airports.csv")
    ]
    airlines = [(row["iata"], row["name"]) for row in rows_of("airlines.csv")]
    async with pool.acquire() as session:
        await session.executemany(QUERIES["add_airport"], airports)
        await session.executemany(QUERIES["add_airline"], airlines)

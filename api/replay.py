"""Plays real days through ingest, at the board time at which each thing was said."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import asyncpg
import structlog
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from api.database import DatabaseRefused
from api.feed_faults import SECOND_FEED, Told, feeds_of, silent_at, with_faults
from api.feed_replay import FEED, Statement, statements
from api.ingest import Ingest
from api.problems import database_is_away
from api.replay_day import Days
from api.replay_source import NEW_YORK
from realtime.backoff import Backoff
from realtime.database import DATABASE_AWAY, QUERIES

OPENS = time(16, 0, tzinfo=ZoneInfo("America/New_York"))
STEP = 0.2
BATCH = 500
TOGETHER = timedelta(minutes=10)
NEWS = timedelta(hours=1)
HEARTBEATS = 3
"""At least so many within the silence that a feed is allowed."""


class Plan(Struct, frozen=True):
    """What to play and how; `once`: it ends instead of starting over."""

    days: Days
    airports: frozenset[str] = frozenset(NEW_YORK)
    speed: float = 10
    faults: frozenset[str] = frozenset()
    once: bool = False

    @property
    def opens(self) -> datetime:
        """Board time at which the first day is joined."""
        return datetime.combine(self.days.first, OPENS).astimezone(UTC)

    @property
    def max_silence(self) -> timedelta:
        """Wall time; a silence on purpose is to be seen at this speed."""
        if "silence" not in self.faults:
            return timedelta(minutes=1)
        return timedelta(seconds=min(60.0, max(15.0, 150 / self.speed)))

    def told(self) -> Told:
        """Everything that will be said; other airports' legs shape gates but stay unsaid."""
        told = [said for said in statements(self.days.legs) if said.patch.key.dep in self.airports]
        return with_faults(told, self.faults, self.opens)


class Replay:
    """The days at a speed; started again on the same database they go on where they were."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        ingest: Ingest,
        plan: Plan,
        *,
        again: bool = False,
    ) -> None:
        self.pool = pool
        self.ingest = ingest
        self.plan = plan
        self.again = again
        self.told = plan.told()
        if not self.told.statements:
            raise DatabaseRefused(f"nothing leaves {', '.join(sorted(plan.airports))} on that day")
        self.applied = 0
        self.now: datetime | None = None
        self.opened = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def total(self) -> int:
        """How many statements there are."""
        return len(self.told.statements)

    @property
    def lag(self) -> timedelta:
        """Board time since the oldest statement that is due and not yet applied."""
        if self.now is None or self.applied == self.total:
            return timedelta(0)
        return max(timedelta(0), self.now - self.told.statements[self.applied].at)

    async def run(self) -> None:
        """Until cancelled; losing the database is waited out."""
        backoff = Backoff()
        while True:
            try:
                await self._open()
                backoff.reset()
                await self._play()
            except (*DATABASE_AWAY, DBAPIError) as error:
                if isinstance(error, DBAPIError) and not database_is_away(error):
                    raise
                structlog.get_logger().warning("replay waits", error=str(error))
                await asyncio.sleep(backoff.next())

    async def _open(self) -> None:
        """A fresh database gets its reference rows, its clock and the day so far."""
        plan = self.plan
        await seed_reference(self.pool, plan.days)
        await self._register()
        await self._record()
        said = await self.pool.fetchval(QUERIES["feed_said"], FEED)
        if said is None:
            await self.pool.execute(QUERIES["start_replay"], plan.opens, plan.speed)
            return
        # What was said at that very time may be half applied: saying it again does no harm.
        self.applied = sum(1 for each in self.told.statements if each.at < said)
        now = await self.pool.fetchval(QUERIES["board_now"])
        await self.pool.execute(QUERIES["start_replay"], now, plan.speed)

    async def _register(self) -> None:
        for code in feeds_of(self.told):
            second = code == SECOND_FEED
            await self.ingest.register_feed(
                code,
                party="airport",
                synthetic=True,
                priority=50 if second else 100,
                max_silence=None if second else self.plan.max_silence,
            )

    async def _record(self) -> None:
        airports = sorted(self.plan.airports)
        recorded = await self.pool.fetchval(
            QUERIES["record_replay"],
            self.plan.days.name,
            airports,
            self.plan.opens,
            self.told.statements[-1].at,
            self.again,
        )
        if recorded is None:
            other = await self.pool.fetchrow(QUERIES["recorded_replay"])
            assert other is not None
            raise DatabaseRefused(
                f"The database replays {other['day']} of {', '.join(other['airports'])}: "
                "name the same, or another database (GATECAST_DATA_DIR, GATECAST_DATABASE_URL)."
            )

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        each = self.plan.max_silence.total_seconds() / HEARTBEATS
        beat_at = float("-inf")
        while True:
            now = await self.pool.fetchval(QUERIES["board_now"])
            self.now = now
            due = self._due(now)
            for feed, said in groupby(due, key=lambda each: each.feed):
                patches = [each.patch for each in said]
                await self.ingest.apply(feed, patches)
                self.applied += len(patches)
            if not due and loop.time() - beat_at >= each and not silent_at(self.told, now):
                beat_at = loop.time()
                await self.ingest.heartbeat(FEED)
            if self.applied == self.total and not self.over.is_set():
                await self._end()
            if not self._due(now):
                self.opened.set()
                await asyncio.sleep(STEP)

    async def _end(self) -> None:
        await self.pool.execute(QUERIES["end_replay"])
        structlog.get_logger().info("the replayed day is over", day=self.plan.days.name)
        self.over.set()

    def _due(self, now: datetime) -> list[Statement]:
        """The next batch; what is news when it opens comes in so short times that a gate and the
        next one are two changes."""
        waiting = self.told.statements[self.applied : self.applied + BATCH]
        if not waiting:
            return []
        until = min(now, max(waiting[0].at + TOGETHER, self.plan.opens - NEWS))
        return [each for each in waiting if each.at <= until]


class ReplayEnd:
    """Lets the end be read for a while, then ends the process."""

    def __init__(self, replay: Replay, stop: Callable[[], None], linger: float) -> None:
        self.replay = replay
        self.stop = stop
        self.linger = linger
        self.reached = False

    async def run(self) -> None:
        """Until the replay is over and has been over for a while."""
        await self.replay.over.wait()
        await asyncio.sleep(self.linger)
        self.reached = True
        self.stop()


async def seed_reference(pool: "asyncpg.Pool[asyncpg.Record]", days: Days) -> None:
    """Airports and airlines of the replayed days; what an operator changed stays."""
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
        for row in days.airports
    ]
    airlines = [(row["iata"], row["name"]) for row in days.airlines]
    async with pool.acquire() as session:
        await session.executemany(QUERIES["add_airport"], airports)
        await session.executemany(QUERIES["add_airline"], airlines)

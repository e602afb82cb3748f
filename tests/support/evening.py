"""A real evening at JFK, told to the ingest as its feed told it, in a few seconds."""

import asyncio
import time
from datetime import UTC, date, datetime, timedelta

import asyncpg

from api.feed_replay import FEED, Statement, statements
from api.ingest import Ingest
from api.replay import seed_reference
from api.replay_day import read_days
from realtime.database import QUERIES

Pool = asyncpg.Pool
DAY = date(2013, 3, 8)
OPENS = datetime(2013, 3, 8, 23, 30, tzinfo=UTC)  # 18:30 in New York
ENDS = OPENS + timedelta(hours=4)
LEAVES = OPENS + timedelta(minutes=45), OPENS + timedelta(hours=3)


class Evening:
    """Some legs of the day as the feed tells them, and some of the next day by hand."""

    def __init__(self, pool: "Pool[asyncpg.Record]", ingest: Ingest, legs: int) -> None:
        self.pool = pool
        self.ingest = ingest
        self.days = read_days(str(DAY))
        told: dict[str, list[Statement]] = {}
        for said in statements(self.days.legs):
            told.setdefault(str(said.patch.key.leg_key()), []).append(said)
        near = [leg for leg in self.days.legs if LEAVES[0] < leg.std < LEAVES[1]]
        self.keys = [str(leg.key.leg_key()) for leg in near if leg.origin == "JFK"][:legs]
        self.told = sorted((s for key in self.keys for s in told[key]), key=lambda said: said.at)
        self.tomorrow: list[str] = []
        self.applied = 0

    async def open(self) -> None:
        """The day so far; time stands still until it plays."""
        await seed_reference(self.pool, self.days)
        await self.ingest.register_feed(FEED, party="airport", max_silence=None)
        await self.pool.execute(QUERIES["start_replay"], OPENS, 0.001)
        await self.tell(OPENS)
        rows = await self.pool.fetch(TOMORROW)
        self.tomorrow = [row["key"] for row in rows]

    async def tell(self, until: datetime) -> None:
        """One commit for each time at which something was said."""
        while self.applied < len(self.told) and self.told[self.applied].at <= until:
            at = self.told[self.applied].at
            said = [each for each in self.told[self.applied :] if each.at == at]
            await self.ingest.apply(FEED, [each.patch for each in said])
            self.applied += len(said)

    async def play(self, takes: float) -> None:
        """In so many seconds; at nine in the evening the next day's flights begin to move."""
        speed = (ENDS - OPENS).total_seconds() / takes
        await self.pool.execute(QUERIES["start_replay"], OPENS, speed)
        gate, anchored = 20, time.monotonic()
        while (now := await self.pool.fetchval(QUERIES["board_now"])) < ENDS:
            await self.tell(now)
            if now > OPENS + timedelta(hours=2, minutes=35 + 10 * (gate - 20)):
                gate += 1
                await self.pool.execute(MOVE, f"{gate}", timedelta(minutes=10 * (gate - 18)))
            if time.monotonic() - anchored > 1:
                anchored = time.monotonic()
                await self.pool.execute(QUERIES["keep_time"])
            await asyncio.sleep(0.02)
        await self.pool.execute(STAND_STILL)


# Never back to ENDS: what was enqueued since would wait for a time that does not come.
STAND_STILL = "SELECT start_replay(board_now() + interval '1 minute', 0.001)"
TOMORROW = """INSERT INTO flight_leg (airline, flight_no, origin_date, dep_airport, arr_airport,
    std, sta, dep_gate)
  SELECT 'B6', 9000 + n, '2013-03-09', 'JFK', 'MCO', '2013-03-09T17:00Z', '2013-03-09T20:00Z', '18'
  FROM generate_series(1, 4) n RETURNING key"""
MOVE = "UPDATE flight_leg SET dep_gate = $1, etd = std + $2 WHERE flight_no > 9000"

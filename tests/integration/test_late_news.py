"""B4, B5: gates that flap, changes that come too late, a feed that tells yesterday again."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import pytest
from msgspec import structs

from api.database import open_engine
from api.feed import Patch
from api.ingest import Ingest
from realtime.change_log import ChangeLog
from realtime.database import QUERIES
from realtime.settings import Settings
from tests.support.evening import ENDS, Evening
from tests.support.followers import (
    RecordingSender,
    add_person,
    at_rest,
    ends,
    finish,
    make,
    running,
)
from tests.support.legs import add_legs, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PEOPLE = 3
SPEED = 50
BEGINS = "2013-03-08T20:00:00Z"


async def board_time_passes(pool: "Pool[asyncpg.Record]", span: timedelta) -> None:
    """In a fiftieth of it, with the clock kept going."""
    end = await pool.fetchval("SELECT board_now() + $1::interval", span)

    async def reached() -> bool:
        await pool.execute("SELECT anchor_clock()")
        return bool(await pool.fetchval("SELECT board_now() >= $1", end))

    await until(reached, within=20, what=f"{span} of board time")


@pytest.mark.parametrize(
    ("departs_in", "apart", "pushes"),
    [
        ("4 hours", timedelta(seconds=20), 0),  # within the hold of 90 s
        ("4 hours", timedelta(minutes=3), 2),
        ("30 minutes", timedelta(seconds=20), 0),  # within the grace, which is 1 min at this speed
        ("30 minutes", timedelta(minutes=3), 2),
    ],
)
async def test_a_gate_that_comes_back_rings_twice_or_not_at_all(
    pool: "Pool[asyncpg.Record]", departs_in: str, apart: timedelta, pushes: int
) -> None:
    """18 → 22 → 18: inside of the window nobody offline hears of it, outside both times."""
    await pool.execute("SELECT start_replay($1::text::timestamptz, $2)", BEGINS, SPEED)
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=0.1, grace_urgent=1.2))
    (leg_id,) = await add_legs(pool, departs_in=departs_in)
    for number in range(PEOPLE):
        await add_person(pool, leg_id, f"ok-phone-{number}")
    async with running(notifier):
        for gate in ("22", "18"):
            await set_gate(pool, leg_id, gate)
            await ChangeLog(pool).sequence()
            await board_time_passes(pool, apart)

        async def rests() -> bool:
            await pool.execute("SELECT anchor_clock()")
            return await at_rest(pool)

        await until(rests, within=20, what="every delivery has ended")
    assert Counter(target.target for target, _ in sender.sent) == {
        f"ok-phone-{number}": pushes for number in range(PEOPLE) if pushes
    }
    titles = [notice.title.rpartition(" ")[2] for _, notice in sender.sent]
    assert titles == ["22"] * (PEOPLE * pushes // 2) + ["18"] * (PEOPLE * pushes // 2)
    assert len({notice.id for _, notice in sender.sent}) == pushes
    states = {"superseded"} if not pushes else {"sent"}
    assert {state for _, state, _ in await ends(pool)} == states


@pytest.fixture
async def ingest(dsn: str) -> AsyncIterator[Ingest]:
    engine = open_engine(dsn)
    yield Ingest(engine, lambda: None)
    await engine.dispose()


async def log_rows(pool: "Pool[asyncpg.Record]") -> int:
    await ChangeLog(pool).sequence()
    count: int = await pool.fetchval("SELECT count(*) FROM change_log WHERE kind = 'leg'")
    return count


@pytest.fixture
async def over(pool: "Pool[asyncpg.Record]", ingest: Ingest) -> Evening:
    """An evening of which all has been told."""
    evening = Evening(pool, ingest, 12)
    await evening.open()
    await pool.execute(QUERIES["start_replay"], ENDS, 0.001)
    await evening.tell(ENDS)
    return evening


async def test_news_of_the_boarding_after_the_departure_ring_nobody(
    pool: "Pool[asyncpg.Record]", ingest: Ingest, over: Evening
) -> None:
    """Screens and history get what is newer than what was known; nobody is told."""
    sender = RecordingSender()
    notifier = await make(pool, sender)
    row = await pool.fetchrow(
        "SELECT leg_id, key FROM flight_leg WHERE phase = 'airborne' ORDER BY atd DESC LIMIT 1"
    )
    assert row is not None
    await add_person(pool, row["leg_id"], "ok-phone")
    (leg,) = {said.patch.key for said in over.told if str(said.patch.key.leg_key()) == row["key"]}
    stale, late = ENDS - timedelta(days=1), ENDS - timedelta(minutes=1)
    news = {"dep_gate": "99", "boarding_at": text_of(late), "final_call_at": text_of(late)}
    before = await log_rows(pool)
    async with running(notifier):
        for said_at, outcome in ((stale, "stale"), (late, "applied")):
            said = [Patch(key=leg, source_ts=said_at, set={name: news[name]}) for name in news]
            results = await ingest.apply("replay", said)
            assert [result.outcome for result in results] == [outcome] * 3
            await finish(pool)
            assert await log_rows(pool) - before == (outcome == "applied")
    assert sender.sent == []
    assert await ends(pool) == []
    phase = "SELECT phase, dep_gate FROM flight_leg WHERE leg_id = $1"
    assert tuple(await pool.fetchrow(phase, row["leg_id"]) or ()) == ("airborne", "99")


@pytest.mark.parametrize("stamped", ["as yesterday", "anew"])
async def test_a_feed_that_tells_yesterday_again_rings_nobody(
    pool: "Pool[asyncpg.Record]", ingest: Ingest, over: Evening, stamped: str
) -> None:
    """With the times of yesterday nothing happens; stamped anew it is history, and no news."""
    sender = RecordingSender()
    notifier = await make(pool, sender)
    for row in await pool.fetch("SELECT leg_id FROM flight_leg"):
        await add_person(pool, row["leg_id"], f"ok-phone-{row['leg_id']}")
    before = await log_rows(pool)
    today = ENDS + timedelta(days=1)
    await pool.execute(QUERIES["start_replay"], today, 0.001)
    async with running(notifier):
        outcomes: Counter[str] = Counter()
        for number, said in enumerate(said for said in over.told if said.at <= ENDS):
            patch = said.patch
            if stamped == "anew":
                patch = structs.replace(patch, source_ts=today - timedelta(seconds=600 - number))
            outcomes.update(each.outcome for each in await ingest.apply("replay", [patch]))
        await finish(pool)
    assert sender.sent == []
    assert await ends(pool) == []
    logged = await log_rows(pool) - before
    print(f"{stamped}: {dict(outcomes)}, {logged} rows in the log")
    if stamped == "as yesterday":
        assert outcomes.keys() <= {"stale", "unchanged"}
        assert logged == 0
    else:
        assert logged == outcomes["applied"] > 50


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

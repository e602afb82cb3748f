"""A feed repeats all of its legs; one that it leaves out becomes uncertain, until its next word."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.feed import Patch, PatchKey
from api.uncertainty import BATCH, Uncertainty
from api.upkeep import Upkeep
from realtime.database import open_pool
from tests.support.rest import DAY, World, at
from tests.support.wait import until

REFRESH = timedelta(minutes=10)
DOUBTED = "SELECT flight_no FROM flight_leg WHERE uncertain ORDER BY 1"
OUTBOX = "SELECT count(*) FROM change_outbox WHERE kind = 'leg'"


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    world = World(dsn)
    await world.ingest.register_feed("aodb", "airport", refresh=REFRESH)
    yield world
    await world.close()


async def say(
    world: World, feed: str, *numbers: int, std: float = 1, ago: float = 0, **values: Any
) -> set[str]:
    """What becomes of it when a feed states these legs, with a source time so many minutes ago."""
    said = [
        Patch(
            key=PatchKey(airline="B6", number=number, origin_date=DAY, dep="JFK", arr="MCO"),
            source_ts=datetime.now(UTC) - timedelta(minutes=ago),
            set={"std": at(std), "sta": at(std + 3), **values},
        )
        for number in numbers
    ]
    return {result.outcome for result in await world.ingest.apply(feed, said)}


async def not_confirmed(world: World, *numbers: int, minutes: float = 31) -> None:
    """Nobody has repeated these legs for so long."""
    await world.write(
        "UPDATE flight_leg SET confirmed_at = board_now() - make_interval(mins => :minutes)"
        " WHERE flight_no = ANY (:numbers)",
        minutes=minutes,
        numbers=list(numbers),
    )


async def doubted(world: World) -> list[int]:
    """The legs that are uncertain once somebody has looked."""
    assert not await Uncertainty(world.engine, lambda: None).turn()
    return [number for (number,) in await world.rows(DOUBTED)]


async def test_a_refresh_confirms_a_thousand_legs_and_publishes_nothing(world: World) -> None:
    numbers = range(1, 1001)
    assert await say(world, "aodb", *numbers, dep_gate="B22") == {"applied"}
    await not_confirmed(world, *numbers)
    before = await world.rows(OUTBOX)
    assert await say(world, "aodb", *numbers, dep_gate="B22") == {"unchanged"}
    assert await world.rows(OUTBOX) == before == [(1000,)]
    counted = "SELECT count(*), max(version) FROM flight_leg WHERE confirmed_at > board_now() - {}"
    assert await world.rows(counted.format("interval '1 min'")) == [(1000, 1)]
    assert await world.rows("SELECT max(version) FROM leg_change") == [(1,)]
    assert await doubted(world) == []


async def test_a_leg_that_is_left_out_is_doubted_until_it_is_stated(world: World, dsn: str) -> None:
    """By upkeep, as ordinary changes of the feed that owes the repetition."""
    await say(world, "aodb", 9, 10, 11)
    await not_confirmed(world, 9)
    await not_confirmed(world, 10, minutes=29)
    pool = await open_pool(dsn, size=3)
    woken = asyncio.Event()
    upkeep = Upkeep(pool, Uncertainty(world.engine, woken.set).turn)
    running = asyncio.create_task(upkeep.run(), name="upkeep under test")
    try:
        await until(lambda: _is(world, [(9,)]), within=10, what="the leg is doubted")
        assert woken.is_set()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pool.terminate()
    assert await say(world, "aodb", 9) == {"applied"}
    assert await doubted(world) == []
    assert await say(world, "aodb", 9) == {"unchanged"}
    history = (
        "SELECT c.version, feed, changed, source_ts IS NULL FROM leg_change c JOIN flight_leg"
        " USING (leg_id) WHERE flight_no = 9 ORDER BY 1"
    )
    assert await world.rows(history) == [
        (1, "aodb", {}, False),
        (2, "aodb", {"uncertain": [None, True]}, True),
        (3, "aodb", {"uncertain": [True, None]}, False),
    ]
    assert await world.rows(OUTBOX) == [(5,)]


async def _is(world: World, expected: list[tuple[int]]) -> bool:
    return await world.rows(DOUBTED) == expected


async def test_the_next_word_is_one_change_with_what_else_it_says(world: World) -> None:
    await say(world, "aodb", 9, dep_gate="B22")
    await not_confirmed(world, 9)
    assert await doubted(world) == [9]
    assert await say(world, "aodb", 9, ago=20, dep_gate="B21") == {"stale"}
    assert await doubted(world) == [9]
    assert await say(world, "aodb", 9, dep_gate="C3") == {"applied"}
    changes = "SELECT version, changed - 'dep_gate_at' FROM leg_change ORDER BY 1 DESC LIMIT 1"
    assert await world.rows(changes) == [
        (3, {"uncertain": [True, None], "dep_gate": ["B22", "C3"], "dep_gate_was": [None, "B22"]})
    ]
    assert await doubted(world) == []


@pytest.mark.parametrize(
    "because",
    [
        "SELECT 1",
        "UPDATE feed SET last_seen_at = wall_now() - interval '6 min'",
        "UPDATE feed SET enabled = false WHERE code = 'aodb'",
        "UPDATE feed SET refresh = NULL",
        "UPDATE feed SET refresh = '11 min'",
        "UPDATE flight_leg SET std = std + interval '3 h', sta = sta + interval '3 h'",
        "UPDATE flight_leg SET std = std - interval '8 h', sta = sta - interval '8 h'",
        "UPDATE flight_leg SET phase = 'in_block'",
        "UPDATE flight_leg SET hidden = true",
    ],
)
async def test_only_a_leg_around_now_of_a_fresh_repeating_feed_is_doubted(
    world: World, because: str
) -> None:
    await say(world, "aodb", 9)
    await not_confirmed(world, 9)
    await world.write(because)
    assert await doubted(world) == ([9] if because == "SELECT 1" else [])


async def test_the_feed_that_tells_the_schedule_confirms_and_owes(world: World) -> None:
    await world.ingest.register_feed("tracker", "tracker", priority=10)
    await world.ingest.register_feed("airline", "airline", priority=120)
    await say(world, "aodb", 9, 10)
    await not_confirmed(world, 9, 10)
    assert await say(world, "tracker", 9, eta=at(4)) == {"applied"}
    assert await say(world, "airline", 10) == {"unchanged"}
    await not_confirmed(world, 10)
    assert await doubted(world) == [9]
    assert await say(world, "tracker", 9, eta=at(4)) == {"unchanged"}
    assert await doubted(world) == [9]


async def test_many_legs_are_doubted_in_batches_and_a_refused_one_stays(world: World) -> None:
    numbers = range(1, BATCH + 102)
    await say(world, "aodb", *numbers)
    await not_confirmed(world, *numbers)
    await world.write("ALTER TABLE flight_leg ADD CHECK (flight_no <> 13 OR NOT uncertain)")
    doubt = Uncertainty(world.engine, lambda: None)
    assert await doubt.turn()
    assert not await doubt.turn()
    assert [number for (number,) in await world.rows(DOUBTED)] == [n for n in numbers if n != 13]
    assert await world.rows(OUTBOX) == [(2 * len(numbers) - 1,)]

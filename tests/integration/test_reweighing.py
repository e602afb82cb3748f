"""A feed falls silent, is switched off or weighed otherwise: its legs are merged again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from api.feed import Patch, PatchKey
from api.reweighing import Reweighing
from api.upkeep import Upkeep
from realtime.database import open_pool
from tests.support.rest import DAY, World, at
from tests.support.wait import until


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    world = World(dsn)
    await world.ingest.register_feed("aodb", "airport")
    await world.ingest.register_feed("tracker", "tracker", priority=10)
    yield world
    await world.close()


async def say(world: World, feed: str, *numbers: int, **values: Any) -> None:
    said = [
        Patch(
            key=PatchKey(airline="B6", number=number, origin_date=DAY, dep="JFK", arr="MCO"),
            source_ts=datetime.now(UTC),
            set={"std": at(1), "sta": at(3), **values},
        )
        for number in numbers
    ]
    results = await world.ingest.apply(feed, said)
    assert {result.outcome for result in results} <= {"applied", "unchanged"}


async def both_speak(world: World) -> None:
    await say(world, "aodb", 9, etd=at(2), dep_gate="B22", irregularity="cancelled")
    await say(world, "tracker", 9, etd=at(1.5), dep_gate="C3", irregularity="none")


LEG = "SELECT etd = '{}', dep_gate, irregularity FROM flight_leg WHERE flight_no = 9"


async def test_a_silent_feed_loses_its_estimates_until_it_speaks(world: World, dsn: str) -> None:
    """By upkeep, as ordinary changes of the feed whose word now counts."""
    await both_speak(world)
    pool = await open_pool(dsn, size=3)
    upkeep = Upkeep(pool, Reweighing(world.engine, lambda: None).turn)
    running = asyncio.create_task(upkeep.run(), name="upkeep under test")

    async def etd_is(hours: float) -> bool:
        return await world.rows(LEG.format(at(hours))) == [(True, "B22", "cancelled")]

    try:
        assert await etd_is(2)
        await world.write(
            "UPDATE feed SET max_silence = '300 ms', last_seen_at = wall_now() WHERE code = 'aodb'"
        )
        await until(lambda: etd_is(1.5), within=10, what="the tracker's estimate shows")
        await world.write("UPDATE feed SET max_silence = '5 min' WHERE code = 'aodb'")
        await world.ingest.heartbeat("aodb")
        await until(lambda: etd_is(2), within=10, what="the airport's estimate is back")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pool.terminate()
    history = "SELECT version, feed FROM leg_change ORDER BY version"
    assert await world.rows(history) == [(1, "aodb"), (2, "tracker"), (3, "aodb")]


async def test_a_feed_is_switched_off_and_on(world: World) -> None:
    await both_speak(world)
    turn = Reweighing(world.engine, lambda: None).turn
    assert not await turn()
    await world.write("UPDATE feed SET enabled = false WHERE code = 'aodb'")
    assert not await turn()
    assert await world.rows(LEG.format(at(1.5))) == [(True, "C3", "none")]
    await world.write("UPDATE feed SET enabled = true WHERE code = 'aodb'")
    assert not await turn()
    assert await world.rows(LEG.format(at(2))) == [(True, "B22", "cancelled")]


async def test_a_hand_edit_stands_where_nobody_s_word_changed(world: World) -> None:
    await both_speak(world)
    await world.write("UPDATE flight_leg SET dep_gate = 'D1', dep_terminal = '5'")
    await world.write(
        "INSERT INTO feed_authority SELECT feed_id, 'dep_times', 500 FROM feed"
        " WHERE code = 'tracker'"
    )
    assert not await Reweighing(world.engine, lambda: None).turn()
    assert await world.rows(LEG.format(at(1.5))) == [(True, "D1", "cancelled")]


async def test_many_legs_go_in_batches_and_another_process_goes_on(world: World) -> None:
    numbers = range(1, 702)
    await say(world, "tracker", *numbers, dep_gate="C3")
    await say(world, "aodb", *numbers, dep_gate="B22")
    await say(world, "tracker", 800, dep_gate="C3")
    await world.write("ALTER TABLE flight_leg ADD CHECK (flight_no <> 13 OR dep_gate = 'B22')")
    await world.write("UPDATE feed SET enabled = false WHERE code = 'aodb'")
    gates = "SELECT dep_gate, count(*) FROM flight_leg GROUP BY 1 ORDER BY 1"
    assert await Reweighing(world.engine, lambda: None).turn()
    assert await world.rows(gates) == [("B22", 202), ("C3", 500)]
    another = Reweighing(world.engine, lambda: None)
    assert not await another.turn()
    assert await world.rows(gates) == [("B22", 1), ("C3", 701)]
    versions = "SELECT max(version), min(version) FROM flight_leg WHERE flight_no IN (13, 800)"
    before = await world.rows("SELECT count(*) FROM change_outbox")
    assert not await Reweighing(world.engine, lambda: None).turn()
    assert await world.rows("SELECT count(*) FROM change_outbox") == before
    assert (await world.rows(versions))[0][1] == 1

"""Values that the database gives never cost an answer about a process."""

import asyncio
import time

import asyncpg

from realtime.database_readings import (
    DELIVERIES,
    LOG,
    READERS,
    UPKEEP,
    WITHIN,
    DatabaseReadings,
)
from realtime.metrics import Readings, exposition
from tests.support.legs import add_legs

Pool = asyncpg.Pool
ALL = (LOG, READERS, DELIVERIES, UPKEEP)


async def told(pool: "Pool[asyncpg.Record]") -> tuple[DatabaseReadings, str]:
    """A fresh answer."""
    source, readings = DatabaseReadings(pool, ALL), Readings()
    readings.add(source.readings())
    readings.ask(source)
    await readings.refresh()
    return source, exposition(readings).decode()


async def test_everything_that_is_asked_for_is_told(pool: "Pool[asyncpg.Record]") -> None:
    await add_legs(pool, 3)
    await pool.execute(
        "INSERT INTO feed (code, party, last_seen_at) VALUES"
        " ('loud', 'airport', wall_now()), ('late', 'airport', wall_now() - interval '6 min'),"
        " ('quiet', 'airport', NULL)"
    )
    await pool.execute("INSERT INTO log_reader SELECT 'kafka', epoch, last_seq FROM relay_state")
    _, text = await told(pool)
    for line in (
        "gatecast_database_up 1.0",
        "gatecast_log_end_seq 0.0",
        "gatecast_outbox_rows 4.0",
        'gatecast_reader_lag_rows{reader="kafka"} 0.0',
        "gatecast_deliveries_due 0.0",
        'gatecast_log_partitions{table="change_log"}',
        'gatecast_log_room_rows{table="change_outbox"}',
        'gatecast_feed_state{feed="loud",state="fresh"} 1.0',
        'gatecast_feed_state{feed="late",state="late"} 1.0',
        'gatecast_feed_state{feed="late",state="fresh"} 0.0',
        'gatecast_feed_state{feed="quiet",state="dead"} 1.0',
        'gatecast_feed_silence_seconds{feed="late"} 36',
    ):
        assert line in text, line


async def test_what_was_asked_a_moment_ago_is_not_asked_again(
    pool: "Pool[asyncpg.Record]",
) -> None:
    source, _ = await told(pool)
    pool.terminate()
    await asyncio.gather(*(source.refresh() for _ in range(20)))
    assert source.up


async def test_a_database_that_is_away_costs_its_values_only(pool: "Pool[asyncpg.Record]") -> None:
    pool.terminate()
    source, text = await told(pool)
    assert not source.up
    assert "gatecast_database_up 0.0" in text
    assert "process_open_fds" in text
    assert not [line for line in text.splitlines() if line.startswith("gatecast_log_end_seq")]


async def test_a_database_that_hangs_is_given_up(pool: "Pool[asyncpg.Record]", dsn: str) -> None:
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.execute("LOCK TABLE relay_state IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        _, text = await told(pool)
        assert time.monotonic() - began < WITHIN + 5
    await holder.close()
    assert "gatecast_database_up 0.0" in text

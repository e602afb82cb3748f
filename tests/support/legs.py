"""Flight legs for tests, written as any psql would write them."""

from collections.abc import Sequence
from typing import Any

import asyncpg

Executor = Any  # a pool or a connection

AIRPORTS = (
    ("JFK", "New York", "America/New_York"),
    ("MCO", "Orlando", "America/New_York"),
    ("BOS", "Boston", "America/New_York"),
)


async def add_legs(
    database: Executor, count: int = 1, *, departs_in: str = "1 hour", first: int = 1
) -> Sequence[int]:
    """Legs B6 <first>… JFK-MCO that depart `departs_in` from now (board time); their ids."""
    await database.executemany(
        "INSERT INTO airport (iata, name, city, tz) VALUES ($1, $1, $2, $3) ON CONFLICT DO NOTHING",
        AIRPORTS,
    )
    await database.execute(
        "INSERT INTO airline (iata, name) VALUES ('B6', 'JetBlue') ON CONFLICT DO NOTHING"
    )
    rows: list[asyncpg.Record] = await database.fetch(
        """INSERT INTO flight_leg
             (airline, flight_no, origin_date, dep_airport, arr_airport, std, sta, dep_gate)
           SELECT 'B6', n, (at AT TIME ZONE 'America/New_York')::date, 'JFK', 'MCO',
             at, at + interval '3 hours', '18'
           FROM generate_series($1::integer, $2::integer) n,
             (SELECT date_trunc('minute', board_now()) + $3::text::interval AS at) t
           RETURNING leg_id""",
        first,
        first + count - 1,
        departs_in,
    )
    return [row["leg_id"] for row in rows]


async def add_feed(
    database: Executor,
    code: str = "aodb",
    *,
    priority: int = 100,
    max_silence: str = "1 hour",
    synthetic: bool = False,
) -> None:
    """A feed that has just spoken and stated the times of every leg there is."""
    await database.execute(
        "INSERT INTO feed (code, party, priority, max_silence, last_seen_at, synthetic)"
        " VALUES ($1, 'airport', $2, $3::text::interval, wall_now(), $4)",
        code,
        priority,
        max_silence,
        synthetic,
    )
    await database.execute(
        """INSERT INTO leg_statement (leg_id, feed_id, as_of, fields)
           SELECT leg_id, feed_id, board_now(), jsonb_build_object(
             'std', jsonb_build_array(std, board_now(), 1),
             'sta', jsonb_build_array(sta, board_now(), 1))
           FROM flight_leg, feed WHERE code = $1""",
        code,
    )


async def key_of(database: Executor, leg_id: int) -> str:
    """The leg key."""
    key: str = await database.fetchval("SELECT key FROM flight_leg WHERE leg_id = $1", leg_id)
    return key


async def set_gate(database: Executor, leg_id: int, gate: str) -> None:
    """A gate change by hand."""
    await database.execute("UPDATE flight_leg SET dep_gate = $2 WHERE leg_id = $1", leg_id, gate)

"""Upkeep is elected: whoever does it may die."""

import asyncpg

from tests.support.gatecast import Gatecast
from tests.support.wait import until

Pool = asyncpg.Pool
HOLDER = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
CLOCK_ROWS = "SELECT count(*) FROM change_outbox WHERE kind = 'clock'"


async def test_another_process_takes_over_and_clock_rows_go_on(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """The elected api process is SIGKILLed, then the session of the one that took over is ended."""
    async with Gatecast("api", dsn=dsn) as first:
        elected = await until(lambda: pool.fetchval(HOLDER), within=30, what="one is elected")
        async with Gatecast("api", dsn=dsn) as second:
            await second.ready()
            assert await pool.fetchval(HOLDER) == elected
            first.kill()
            successor = await other_than(pool, elected)
            await clock_goes_on(pool)
            assert await pool.fetchval("SELECT pg_terminate_backend($1)", successor)
            await other_than(pool, successor)
            await clock_goes_on(pool)
            assert second.exit_code is None


async def other_than(pool: "Pool[asyncpg.Record]", gone: int) -> int:
    """Whose session holds the election now."""

    async def successor() -> int | None:
        holder: int | None = await pool.fetchval(HOLDER)
        return None if holder == gone else holder

    found = await until(successor, within=15, what="another is elected")
    assert found is not None
    return found


async def clock_goes_on(pool: "Pool[asyncpg.Record]") -> None:
    """The board minute turns, and somebody writes that down."""
    rows: int = await pool.fetchval(CLOCK_ROWS)
    await pool.execute("UPDATE clock SET minute = '-infinity'")

    async def more() -> bool:
        return bool(await pool.fetchval(CLOCK_ROWS) > rows)

    await until(more, within=10, what="a clock row")

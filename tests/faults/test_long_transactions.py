"""F3: somebody keeps a transaction open for long."""

import asyncio

import asyncpg
import pytest

from tests.support.accounting import percentile
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import running_node
from tests.support.pace import allowed
from tests.support.verdict import lag_line, lags, verdict

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
NORMAL, HELD, LONGEST = 3.0, 6.0, 600.0
JITTER = 0.05
"""Seconds: what the scheduler of a machine in use adds to p99, whatever is held."""


@pytest.mark.timeout(900)
async def test_changes_pass_a_long_write_transaction_and_a_long_snapshot(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A1, A2: one transaction has written a leg and one holds a snapshot, for 6 s (10 min). The
    p99 from commit to screen stays within 2 × what it was; the change that was held back gets its
    place in the log once it is committed."""
    clock = asyncio.get_running_loop().time
    legs = await add_legs(pool, 13)
    keys = [await key_of(pool, each) for each in legs]
    writers = Writers(dsn, legs[:-1])
    async with running_node(pool) as node:
        watcher = Watcher([node.url], keys, BOARD)
        async with watching([watcher]):
            async with writers.running(2):
                await asyncio.sleep(1.0)
                began = clock()
                await asyncio.sleep(NORMAL)
                holder, reader = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
                async with holder.transaction(), reader.transaction(isolation="repeatable_read"):
                    await reader.fetchval("SELECT count(*) FROM change_outbox")
                    await holder.execute(
                        "UPDATE flight_leg SET dep_gate = 'HELD' WHERE leg_id = $1", legs[-1]
                    )
                    held = clock()
                    await asyncio.sleep(min(HELD * times**2, LONGEST))
                    released = clock()
                await holder.close()
                await reader.close()
            writers.leg_ids = legs
            await verdict(pool, writers, [watcher])
            writers.leg_ids = legs[:-1]
            normal = await lags(pool, writers, watcher, began, held)
            during = await lags(pool, writers, watcher, held, released)
    assert watcher.rows[keys[-1]]["dep_gate"] == "HELD"
    print(f"F3: normal {lag_line(normal)}; held for {released - held:.0f} s {lag_line(during)}")
    limit = max(2 * percentile(normal, 0.99), allowed(JITTER))
    assert percentile(during, 0.99) <= limit

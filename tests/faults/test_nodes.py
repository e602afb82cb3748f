"""F8: nodes may be killed, drained or frozen at any time."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.relay import Relay
from tests.support.gatecast import Gatecast
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
WATCHERS, FROZEN = 6, 3.0


@pytest.fixture
async def relay(pool: "Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """Sequencing goes on while nodes are dead."""
    running = asyncio.create_task(Relay(pool, ChangeLog(pool)).run(), name="relay under test")
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.usefixtures("relay")
async def test_clients_of_nodes_that_die_drain_and_freeze_end_with_the_exact_state(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """A4: of two nodes under load one is SIGKILLed, one SIGTERMed, one SIGSTOPped for 3 s. Clients
    come back to either and continue by offset: they end with exactly what the database has, and saw
    no version of a flight twice, out of order or, unless told so, left out."""
    legs = await add_legs(pool, 12)
    keys = [await key_of(pool, each) for each in legs]
    async with Gatecast("realtime", dsn=dsn) as one, Gatecast("realtime", dsn=dsn) as two:
        await one.ready()
        await two.ready()
        watchers = [Watcher([one.url, two.url], keys, BOARD) for _ in range(WATCHERS)]
        writers = Writers(dsn, legs, pause=0.05)
        async with watching(watchers):
            async with writers.running(2):
                await asyncio.sleep(1)
                one.kill()
                one.start()
                await one.ready()
                assert await two.stop() == 0
                two.start()
                await two.ready()
                one.freeze()
                await asyncio.sleep(FROZEN)
                one.thaw()
                await asyncio.sleep(0.5)
            await log_caught_up(pool, 10)
            rows = await check_log(pool, writers.acknowledged)
            for watcher in watchers:
                await watcher.wait_for(pool, legs, 10)
    assert [watcher.wrong for watcher in watchers] == [[]] * WATCHERS
    connects = sum(watcher.connects for watcher in watchers)
    assert connects > WATCHERS
    print(
        f"\nF8: {writers.commits} commits, {rows} rows, {connects} connects of {WATCHERS} clients,"
        f" {sum(each.received for each in watchers)} publications,"
        f" {sum(each.unrecovered for each in watchers)} recoveries by a whole state"
    )

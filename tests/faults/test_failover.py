"""F5: the primary dies and its standby takes over."""

import asyncio

import asyncpg
import pytest

from realtime.database import open_pool
from tests.support.fault_proxy import postgres_socket, proxied_database
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import running_node
from tests.support.pace import allowed
from tests.support.standby import replicated
from tests.support.verdict import verdict
from tests.support.wait import until

BOARD = "board:JFK:departures"
RESYNCHRONISED = 10.0
EPOCH = "SELECT epoch::text FROM relay_state"


@pytest.mark.timeout(300)
async def test_clients_are_resynchronised_when_a_standby_takes_over() -> None:
    """A1, A4: the primary is SIGKILLed under 4 writers, its synchronous standby promoted under the
    same address. No acknowledged commit is lost; the timeline is another, so a new epoch begins and
    whoever holds a position drops it: clients show what is committed now within 10 s."""
    clock = asyncio.get_running_loop().time
    async with replicated() as (primary, standby):
        address = primary.dsn("gatecast")
        async with proxied_database(address) as way:
            dsn = way.leads(address)
            pool = await open_pool(dsn, size=8)
            legs = await add_legs(pool, 12)
            keys = [await key_of(pool, each) for each in legs]
            writers = Writers(dsn, legs)
            before: str = await pool.fetchval(EPOCH)
            async with running_node(pool) as node:
                watcher = Watcher([node.url], keys, BOARD)
                async with watching([watcher]):
                    async with writers.running(4):
                        await until(lambda: writers.commits > 100, within=20, what="some commits")
                        primary.kill()
                        way.target = postgres_socket(standby.dsn("gatecast"))
                        promoter = await asyncpg.connect(standby.dsn("postgres"))
                        assert await promoter.fetchval("SELECT pg_promote()")
                        promoted, commits = clock(), writers.commits

                        def on_screen() -> bool:
                            held = {epoch for epoch, _ in watcher.positions.values()}
                            return len(held) == 1 and before not in held

                        await until(
                            on_screen, within=allowed(RESYNCHRONISED), what="all are resynchronised"
                        )
                        seconds = clock() - promoted
                        await until(
                            lambda: writers.commits > commits + 50, within=20, what="more commits"
                        )
                        await promoter.close()
                    await verdict(pool, writers, [watcher])
                    after: str = await pool.fetchval(EPOCH)
            pool.terminate()
    assert after != before
    print(f"F5: a new epoch, all clients resynchronised {seconds:.1f} s after the promotion")

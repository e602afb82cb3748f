"""F2: a relay freezes while it holds the lock of the log's reader."""

import asyncio
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.fault_proxy import proxied_url
from tests.support.pace import allowed
from tests.support.rabbitmq import RabbitNode
from tests.support.scene import scene
from tests.support.verdict import verdict
from tests.support.wait import until

Pool = asyncpg.Pool
TAKEN_OVER, FROZEN, LONGEST = 12.0, 13.0, 30.0
HOLDER = """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
  AND state = 'idle in transaction' AND clock_timestamp() - state_change > '0.5 s'"""
READ = "SELECT seq FROM log_reader WHERE name = 'bus'"


@pytest.fixture
async def broker() -> AsyncIterator[RabbitNode]:
    async with RabbitNode() as node:
        yield node


@pytest.mark.timeout(300)
async def test_another_relay_publishes_when_the_one_with_the_lock_is_frozen(
    pool: "Pool[asyncpg.Record]", dsn: str, broker: RabbitNode, times: int
) -> None:
    """A2, A3: of two relays one waits for a confirm, with the row lock of the bus in hand, and is
    SIGSTOPped there for 13 s (30 s). The database ends its session, the other publishes within
    12 s. What the frozen one had under way arrives late, twice, and reaches no client again."""
    clock = asyncio.get_running_loop().time
    async with (
        proxied_url(broker.url) as way,
        scene(pool, dsn, broker.url, way.leads(broker.url)) as stage,
    ):
        frozen = stage.relays[1]
        async with stage.writers.running(2):
            await stage.go_on()
            way.freeze()
            await until(
                lambda: pool.fetchval(HOLDER),
                within=allowed(30),
                what="it holds the lock",
                every=0.1,
            )
            frozen.freeze()
            began, held = clock(), await pool.fetchval(READ)

            async def goes_on() -> bool:
                return bool(await pool.fetchval(READ) > held)

            await until(goes_on, within=allowed(TAKEN_OVER), what="the other relay publishes")
            taken_over = clock() - began
            await asyncio.sleep(max(0.0, min(FROZEN * times, LONGEST) - (clock() - began)))
            frozen.send(signal.SIGCONT)
            way.thaw()
            await stage.go_on()
        await stage.published()
        await verdict(pool, stage.writers, [stage.watcher])
        assert [relay.exit_code for relay in stage.relays] == [None, None]
    assert stage.watcher.connects == 1
    print(f"F2: published again {taken_over:.1f} s after the relay with the lock had frozen")

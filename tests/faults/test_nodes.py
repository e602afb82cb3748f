"""F8: nodes may be killed, drained or frozen at any time."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.relay import Relay
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.pace import allowed
from tests.support.verdict import verdict
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
WATCHERS = 6
FROZEN, LONGEST = 3.0, 20.0
MOVED_KILLED, MOVED_DRAINED = 10.0, 25.0


@pytest.fixture
async def relay(pool: "Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """Sequencing goes on while nodes are dead."""
    running = asyncio.create_task(Relay(pool, ChangeLog(pool)).run(), name="relay under test")
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.usefixtures("relay")
async def test_clients_of_nodes_that_die_drain_and_freeze_end_with_the_exact_state(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A4: of two nodes under load one is SIGKILLed, one SIGTERMed, one SIGSTOPped for 3 s (20 s).
    Clients are on a node again within 10 s of a kill and 25 s of a drain and continue by offset:
    every version was displayed or left out by a recovery that says so, none came twice."""
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
                killed = await moved(watchers, allowed(MOVED_KILLED))
                one.start()
                await one.ready()
                assert await two.stop() == 0
                drained = await moved(watchers, allowed(MOVED_DRAINED))
                two.start()
                await two.ready()
                one.freeze()
                await asyncio.sleep(min(FROZEN * times, LONGEST))
                one.thaw()
                await asyncio.sleep(0.5)
            await verdict(pool, writers, watchers)
    assert sum(watcher.connects for watcher in watchers) > WATCHERS
    print(
        f"F8: all on a node {killed:.1f} s after the kill, {drained:.1f} s after the drain,"
        f" {sum(each.unrecovered for each in watchers)} recoveries by a whole state"
    )


async def moved(watchers: Sequence[Watcher], within: float) -> float:
    """Seconds until each of them displayed something new."""
    clock = asyncio.get_running_loop().time
    began, before = clock(), [watcher.received for watcher in watchers]

    def all_on() -> bool:
        return all(
            watcher.received > count for watcher, count in zip(watchers, before, strict=True)
        )

    await until(all_on, within=within, what="everybody is on a node again")
    return clock() - began

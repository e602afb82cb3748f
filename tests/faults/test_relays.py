"""F1, F2: relays may be killed or frozen at any time."""

import asyncio

import asyncpg
import pytest

from tests.support.gatecast import Gatecast
from tests.support.ledger import log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.pace import allowed
from tests.support.verdict import verdict

Pool = asyncpg.Pool
FOR, LONGEST, EVERY, WRITERS = 10.0, 120.0, 0.5, 8
BOARD = "board:JFK:departures"


@pytest.mark.timeout(400)
async def test_relays_killed_all_the_time_lose_and_double_nothing(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A1, A2: under 8 writers two relays are SIGKILLed in turn, one every 0.5 s for 10 s (2 min).
    Every commit is in the log once, within 5 s; seqs are dense, versions rise by one, and who
    watches through a node displayed every version but those that the burst at the end conflated."""
    legs = await add_legs(pool, 20)
    keys = [await key_of(pool, each) for each in legs]
    relays = [Gatecast("relay", dsn=dsn), Gatecast("relay", dsn=dsn)]
    async with relays[0], relays[1], Gatecast("realtime", dsn=dsn) as node:
        await node.ready()
        watcher = Watcher([node.url], keys, BOARD)
        writers = Writers(dsn, legs)
        async with watching([watcher]):
            async with writers.running(WRITERS):
                kills = await kill_in_turn(relays, min(FOR * times, LONGEST))
                meanwhile = await pool.fetchval("SELECT last_seq FROM relay_state")
            await log_caught_up(pool, allowed(5))
            await verdict(pool, writers, [watcher], slow=True)
    assert watcher.connects == 1
    print(f"F1: {kills} kills, {meanwhile} rows sequenced meanwhile")


async def kill_in_turn(relays: list[Gatecast], seconds: float) -> int:
    """The number of kills."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    kills = 0
    while loop.time() - began < seconds:
        await asyncio.sleep(EVERY)
        relay = relays[kills % 2]
        relay.kill()
        relay.start()
        kills += 1
    return kills

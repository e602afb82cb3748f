"""F1: relays may be killed at any time."""

import asyncio

import asyncpg

from tests.support.gatecast import Gatecast
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching

Pool = asyncpg.Pool
FOR, EVERY, WRITERS = 10.0, 0.5, 8
BOARD = "board:JFK:departures"


async def test_relays_killed_all_the_time_lose_and_double_nothing(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """A1, A2: under 8 writers two relays are SIGKILLed in turn, one every 0.5 s for 10 s. Every
    commit is in the log once, seqs are dense, versions rise by one, and who watches through a node
    ends with the last version of every leg, seen in order."""
    legs = await add_legs(pool, 20)
    keys = [await key_of(pool, each) for each in legs]
    relays = [Gatecast("relay", dsn=dsn), Gatecast("relay", dsn=dsn)]
    async with relays[0], relays[1], Gatecast("realtime", dsn=dsn) as node:
        await node.ready()
        watcher = Watcher([node.url], keys, BOARD)
        writers = Writers(dsn, legs)
        async with watching([watcher]):
            async with writers.running(WRITERS):
                kills = await kill_in_turn(relays)
                meanwhile = await pool.fetchval("SELECT last_seq FROM relay_state")
            await log_caught_up(pool, 10)
            rows = await check_log(pool, writers.acknowledged)
            await watcher.wait_for(pool, legs, 10)
    assert rows <= writers.commits + len(legs)  # a change to the same gate is none
    assert watcher.wrong == []
    assert watcher.connects == 1
    print(
        f"\nF1: {kills} kills, {writers.commits} commits, {meanwhile} rows sequenced meanwhile,"
        f" {rows} in the log, {watcher.received} publications, in order"
    )


async def kill_in_turn(relays: list[Gatecast]) -> int:
    """The number of kills."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    kills = 0
    while loop.time() - began < FOR:
        await asyncio.sleep(EVERY)
        relay = relays[kills % 2]
        relay.kill()
        relay.start()
        kills += 1
    return kills

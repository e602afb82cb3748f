"""F4: PostgreSQL may crash at any time."""

import asyncio

from realtime.database import open_pool
from tests.support.client import RawClient
from tests.support.crashing import Crashing
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import running_node
from tests.support.wait import until

BOARD = "board:JFK:departures"
CRASHES = 2


async def test_a_database_that_crashes_under_load_costs_no_socket_and_no_commit(
    crashing: Crashing,
) -> None:
    """A1, A7: PostgreSQL is SIGKILLed twice under 4 writers. The node keeps its sockets and answers
    them; afterwards every acknowledged commit is in the log and on the screen, in order."""
    pool = await open_pool(crashing.dsn, size=8)
    legs = await add_legs(pool, 12)
    keys = [await key_of(pool, each) for each in legs]
    writers = Writers(crashing.dsn, legs)
    async with running_node(pool) as node:
        watcher = Watcher([node.url], keys, BOARD)
        async with watching([watcher]), RawClient(node.url) as steady:
            await steady.connect()
            async with writers.running(4):
                for _ in range(CRASHES):
                    await asyncio.sleep(1.5)
                    crashing.server.kill()
                    await until_refused(steady)
                    await steady.subscribe(BOARD)
                    await steady.command("unsubscribe", {"channel": BOARD})
                    before = writers.commits
                    await crashing.server.revive()
                    crashing.point()
                    await go_on(writers, before + 20)
            await log_caught_up(pool, 10)
            rows = await check_log(pool, writers.acknowledged)
            await watcher.wait_for(pool, legs, 10)
            assert await steady.command("ping")
    pool.terminate()
    assert watcher.wrong == []
    assert watcher.connects == 1
    print(
        f"\nF4: {CRASHES} crashes, {writers.commits} commits acknowledged, {writers.failures}"
        f" failed sessions of writers, {rows} rows in the log, {watcher.received} publications"
    )


async def go_on(writers: Writers, commits: int) -> None:
    """Wait until the writers have got this far."""
    await until(lambda: writers.commits >= commits, within=10, what=f"{commits} commits")


async def until_refused(client: RawClient) -> None:
    """Legs that nobody holds cannot be had: sessions outlive their postmaster by a moment."""
    for number in range(1, 10_000):
        channel = f"flight:XX{number}-2013-03-08-JFK-MCO"
        reply = await client.command("subscribe", {"channel": channel})
        if "error" in reply:
            assert reply["error"]["code"] == 111
            return
        await client.command("unsubscribe", {"channel": channel})
    raise AssertionError("the database never went away")

"""F15: the kernel kills a process that needs more memory than it may have."""

import asyncpg
import pytest

from tests.support.followers import add_person, at_rest
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.memory import limits_memory, run_out_of_memory
from tests.support.pace import allowed
from tests.support.verdict import verdict
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"


@pytest.mark.timeout(400)
async def test_every_part_may_be_killed_for_its_memory(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A1, A4, A8: relay, node and notifier are killed by the kernel under load, one after the
    other, by a control group (where none can be made, by SIGKILL, which is what the kernel sends),
    and started again. The ledger is clean and every notice has ended."""
    legs = await add_legs(pool, 8, departs_in="18 minutes")
    keys = [await key_of(pool, each) for each in legs]
    for leg_id in legs:
        await add_person(pool, leg_id, f"ok-{leg_id}-phone")
    relay, node = Gatecast("relay", dsn=dsn), Gatecast("realtime", dsn=dsn)
    notifier = Gatecast("notifier", dsn=dsn, grace="0", grace_urgent="0")
    writers = Writers(dsn, legs, pause=0.1)
    async with relay, node, notifier:
        await node.ready(allowed(30))
        watcher = Watcher([node.url], keys, BOARD)
        async with watching([watcher]):
            async with writers.running(2):
                for part in (relay, node, notifier) * min(times, 3):
                    await go_on(writers)
                    await run_out_of_memory(part)
                    part.start()
                await node.ready(allowed(30))
            await verdict(pool, writers, [watcher], within=30)
        await until(lambda: at_rest(pool), within=allowed(30), what="every notice has ended")
    states = {row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM delivery")}
    assert states <= {"sent", "superseded"}
    way = "by a control group" if limits_memory() else "by SIGKILL"
    print(f"F15: relay, node and notifier killed {way}, {watcher.connects} connects of the client")


async def go_on(writers: Writers) -> None:
    """Some more commits."""
    wanted = writers.commits + 20
    await until(lambda: writers.commits >= wanted, within=allowed(20), what="more commits")

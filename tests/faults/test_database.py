"""F4: PostgreSQL may crash at any time."""

import asyncio
import signal
from collections.abc import Sequence
from itertools import cycle, islice

import pytest

from realtime.database import open_pool
from tests.support.client import RawClient
from tests.support.crashing import Crashing
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import running_node
from tests.support.verdict import verdict
from tests.support.wait import until

BOARD = "board:JFK:departures"
ENDS: Sequence[tuple[str, signal.Signals]] = (
    ("SIGKILL", signal.SIGKILL),
    ("immediate", signal.SIGQUIT),
    ("fast", signal.SIGINT),
)


@pytest.mark.timeout(400)
async def test_a_database_that_crashes_under_load_costs_no_socket_and_no_commit(
    crashing: Crashing, times: int
) -> None:
    """A1, A7, A9: under 4 writers PostgreSQL is SIGKILLed, stopped at once, restarted (10 ×). The
    node keeps its sockets, answers them, serves its last state, whose `status:` shows its age.
    Afterwards every acknowledged commit is in the log and was displayed, in order."""
    pool = await open_pool(crashing.dsn, size=8)
    legs = await add_legs(pool, 12)
    keys = [await key_of(pool, each) for each in legs]
    writers = Writers(crashing.dsn, legs)
    recovered: list[float] = []
    async with running_node(pool) as node:
        watcher = Watcher([node.url], keys, BOARD)
        async with watching([watcher]), RawClient(node.url) as steady:
            await steady.connect()
            async with writers.running(4):
                for name, signum in islice(cycle(ENDS), 3 if times == 1 else 10):
                    await asyncio.sleep(1.0)
                    seconds = await outage(crashing, signum, steady, writers)
                    recovered.append(seconds)
                    print(f"\nF4 {name}: commits again {seconds:.1f} s after the server was back")
            await verdict(pool, writers, [watcher])
            assert await steady.command("ping")
    pool.terminate()
    assert watcher.connects == 1
    print(f"F4: {len(recovered)} ends of the server, back within {max(recovered):.1f} s")


async def outage(
    crashing: Crashing, signum: signal.Signals, steady: RawClient, writers: Writers
) -> float:
    """The server ends and comes back; seconds until 20 more commits."""
    crashing.server.send(signum)
    await until_refused(steady)
    shown = await steady.subscribe(BOARD)
    assert len(shown["state"]) == len(writers.leg_ids)
    await steady.command("unsubscribe", {"channel": BOARD})
    status = await steady.subscribe("status:JFK")
    assert status["publications"][0]["data"]["log"]["age"] >= 0
    await steady.command("unsubscribe", {"channel": "status:JFK"})
    before, clock = writers.commits, asyncio.get_running_loop().time
    await crashing.server.revive()
    crashing.point()
    back_at = clock()
    await go_on(writers, before + 20)
    return clock() - back_at


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

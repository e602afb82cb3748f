"""F9: what becomes of clients behind bad links, and of those beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from tests.support.accounting import percentile
from tests.support.client import RawClient
from tests.support.fault_proxy import FaultProxy, proxied_url
from tests.support.kernel import unsent
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import RunningNode, running_node
from tests.support.pace import allowed
from tests.support.verdict import lag_line, lags, verdict
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
LEGS = 40
NORMAL, LASTS, LONGEST = 2.0, 6.0, 300.0
NARROW = 8_000  # bytes a second: 64 kbit/s
KERNEL = 400_000  # bytes
JITTER = 0.05
PING, PONG = 3.0, 12.0  # what waits for the narrow one takes ten seconds


@asynccontextmanager
async def behind(node: RunningNode) -> AsyncIterator[tuple[FaultProxy, RawClient]]:
    """A client of the board with a proxy between it and the node."""
    async with proxied_url(node.url) as way:
        client = await RawClient(
            way.leads(node.url), max_queue=1, close_timeout=0.2, ping_interval=None
        ).open()
        await client.connect()
        await client.subscribe(BOARD)
        yield way, client
        client.socket.transport.abort()


@pytest.mark.timeout(700)
async def test_a_bad_link_costs_nobody_else_anything(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A6, A7: one client is half-closed, one in a black hole, one reads nothing, one is behind
    64 kbit/s, for 6 s (5 min), while a fast one watches. That one gets everything, with the p99 of
    before (within what the machine itself adds). The dead are left by their pings; at most 400 KB
    wait in the kernel for any of them. The slow one is conflated, which the node has counted, and
    ends with the exact state."""
    clock = asyncio.get_running_loop().time
    legs = await add_legs(pool, LEGS)
    keys = [await key_of(pool, each) for each in legs]
    writers = Writers(dsn, legs, pause=0.01)
    settings = {"ping_interval": PING, "pong_timeout": PONG, "stall_timeout": 30.0}
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running_node(pool, **settings))
        assert node.process.sockets is not None
        clients = node.process.sockets.clients
        narrow = await stack.enter_async_context(proxied_url(node.url, buffer=4096))
        narrow.bandwidth = NARROW
        steady, slow = (
            Watcher([node.url], keys, BOARD),
            Watcher([narrow.leads(node.url)], keys, BOARD),
        )
        slow.options["open_timeout"] = 60
        await stack.enter_async_context(watching([steady, slow]))
        async with writers.running(4):
            await asyncio.sleep(1.0)
            began = clock()
            await asyncio.sleep(NORMAL)
            half_open, _ = await stack.enter_async_context(behind(node))
            hole, _ = await stack.enter_async_context(behind(node))
            stalled, _ = await stack.enter_async_context(behind(node))
            dead = len(clients)
            half_open.half_close("up")
            hole.drop()
            stalled.freeze()
            harmed = clock()
            kernel = 0

            def left() -> bool:
                nonlocal kernel
                kernel = max(kernel, *unsent(node.settings.port))
                return len(clients) <= dead - 3

            await until(left, within=allowed(PING + PONG + 3), what="the dead are left")
            left_after = clock() - harmed
            await asyncio.sleep(max(1.0, min(LASTS * times**2, LONGEST) - left_after))
            kernel = max(kernel, *unsent(node.settings.port))
            over = clock()
        narrow.mend()
        await verdict(pool, writers, [steady])
        ledger = await verdict(pool, writers, [slow], slow=True, within=30)
        normal = await lags(pool, writers, steady, began, harmed)
        during = await lags(pool, writers, steady, harmed, over)
        declared = node.process.sockets.shared.traffic.conflated
    assert steady.connects == 1
    print(
        f"F9: normal {lag_line(normal)}; beside them {lag_line(during)}; the dead were left after"
        f" {left_after:.1f} s; at most {kernel} bytes in the kernel for one; {declared} frames"
        " conflated"
    )
    assert kernel <= KERNEL
    assert 0 < ledger.ends["conflated"] <= declared
    assert percentile(during, 0.99) <= max(1.1 * percentile(normal, 0.99), allowed(JITTER))

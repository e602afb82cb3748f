"""A production in small for rows of the faults: relays and a node as processes, load, a screen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.pace import allowed
from tests.support.wait import until

BOARD = "board:JFK:departures"


class Scene:
    """`watcher` is a steady, fast client of the node."""

    def __init__(
        self,
        pool: Any,
        relays: Sequence[Gatecast],
        node: Gatecast,
        writers: Writers,
        watcher: Watcher,
    ) -> None:
        self.pool = pool
        self.relays = relays
        self.node = node
        self.writers = writers
        self.watcher = watcher

    async def go_on(self, commits: int = 20, within: float = 20) -> None:
        """Until there are as many more commits."""
        wanted = self.writers.commits + commits
        await until(
            lambda: self.writers.commits >= wanted, within=allowed(within), what=f"{commits} more"
        )

    async def published(self, within: float = 20) -> float:
        """Seconds until the broker has confirmed everything that was in the log."""
        clock = asyncio.get_running_loop().time
        began = clock()
        end: int = await self.pool.fetchval("SELECT last_seq FROM relay_state")

        async def reached() -> bool:
            read = "SELECT seq FROM log_reader WHERE name = 'bus'"
            return bool((await self.pool.fetchval(read) or 0) >= end)

        await until(reached, within=allowed(within), what="the relay has caught up")
        return clock() - began


@asynccontextmanager
async def scene(
    pool: Any, dsn: str, *amqp_urls: str, legs: int = 12, pause: float = 0.05
) -> AsyncIterator[Scene]:
    """A relay for each address of the broker, a node on the first, one screen; no load yet."""
    leg_ids = await add_legs(pool, legs, departs_in="18 minutes")  # gates may flap so close to it
    keys = [await key_of(pool, each) for each in leg_ids]
    relays = [Gatecast("relay", dsn=dsn, amqp_url=url) for url in amqp_urls]
    node = Gatecast("realtime", dsn=dsn, amqp_url=amqp_urls[0])
    writers, watcher = Writers(dsn, leg_ids, pause=pause), Watcher([node.url], keys, BOARD)
    async with AsyncExitStack() as stack:
        for part in (*relays, node):
            await stack.enter_async_context(part)
        await node.ready(allowed(60))
        made = Scene(pool, relays, node, writers, watcher)
        await stack.enter_async_context(watching([watcher]))
        yield made

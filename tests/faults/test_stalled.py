"""A client that takes nothing is left in the end, and holds up nobody until then."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from tests.support.client import RawClient
from tests.support.legs import add_legs
from tests.support.node import RunningNode, running_node
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
STALL, LEGS = 1.5, 150
Stalled = Callable[[RunningNode], AbstractAsyncContextManager[None]]
GET = b"GET /sse/boards/JFK/departures HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def stalled_websocket(node: RunningNode) -> AsyncIterator[None]:
    """Subscribed to the board, then reads no more."""
    client = await RawClient(node.url, max_queue=1, close_timeout=0.2).open()
    await client.connect()
    await client.subscribe(BOARD)
    client.socket.transport.pause_reading()
    yield
    client.socket.transport.abort()


@asynccontextmanager
async def stalled_stream(node: RunningNode) -> AsyncIterator[None]:
    """A request for the board's events, of which nobody reads a byte."""
    with socket.create_connection(("127.0.0.1", node.settings.port)) as raw:
        raw.sendall(GET)
        yield


@pytest.mark.parametrize("stalled", [stalled_websocket, stalled_stream])
async def test_it_is_left_after_the_stall_limit_while_its_neighbour_stays_live(
    pool: "Pool[asyncpg.Record]", stalled: Stalled
) -> None:
    await add_legs(pool, LEGS)
    async with running_node(pool, stall_timeout=STALL) as node, RawClient(node.url) as steady:
        await steady.connect()
        await steady.subscribe(BOARD)
        assert node.process.sockets is not None
        clients = node.process.sockets.clients
        async with stalled(node):
            await until(lambda: len(clients) == 2, within=5, what="both are connected")
            clock = asyncio.get_running_loop().time
            gone_at = None
            deadline = clock() + 20
            number = 0
            while gone_at is None:
                assert clock() < deadline, "the stalled client is still held"
                number += 1
                await pool.execute("UPDATE flight_leg SET dep_gate = $1", f"G{number}")
                await newest_on(steady, f"G{number}")
                gone_at = clock() if len(clients) == 1 else None
        assert number > 1
        assert await steady.command("ping")


async def newest_on(client: RawClient, gate: str) -> None:
    """Until every row of the board shows it."""
    shown: set[str] = set()
    while len(shown) < LEGS:
        pub = (await client.push(BOARD))["pub"]
        if pub["data"]["dep_gate"] == gate:
            shown.add(pub["key"])

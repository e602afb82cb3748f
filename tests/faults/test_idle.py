"""L3: many sockets that do nothing but answer pings."""

import asyncio
import json
from contextlib import AsyncExitStack

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.relay import Relay
from tests.support.gatecast import Gatecast
from tests.support.kernel import open_files, resident
from tests.support.legs import add_legs
from tests.support.pace import allowed
from tests.support.tasks import at_work
from tests.support.wait import until

Pool = asyncpg.Pool
SOCKETS, MOST = 300, 10_000
PINGS, MOST_PINGS, EVERY = 4, 60, 1
A_SOCKET = 60 << 10  # bytes
FLAT = 1.05
UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b"\x81\x02{}"
NO_MASK = bytes(4)
SUBSCRIBE = {"channel": "board:JFK:departures", "type": 1, "phase": 2}


def text_frame(text: str) -> bytes:
    """A short one, as clients have to send them."""
    body = text.encode()
    length = (
        bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
    )
    return b"\x81" + length + NO_MASK + body


class Idle(asyncio.Protocol):
    """One socket, subscribed to the board; it answers pings and keeps nothing else."""

    def __init__(self) -> None:
        self.pings = 0
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._greeted:
            self._greeted = True
            commands = ({"id": 1, "connect": {}}, {"id": 2, "subscribe": SUBSCRIBE})
            self._transport.write(b"".join(text_frame(json.dumps(each)) for each in commands))
        for _ in range(data.count(PING)):
            self.pings += 1
            self._transport.write(text_frame("{}"))

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@pytest.mark.timeout(600)
async def test_idle_sockets_cost_little_and_stay_as_they_are(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A7: 300 sockets (10,000) of a board answer 4 pings (60). Each costs the node at most 60 KiB;
    meanwhile its descriptors stay the same and its memory within 5 %, and nobody is left."""
    await add_legs(pool, 20)
    count, pings = min(SOCKETS * times**2, MOST), min(PINGS * times**2, MOST_PINGS)
    loop = asyncio.get_running_loop()
    node = Gatecast("realtime", dsn=dsn, ping_interval=f"{EVERY}", pong_timeout="60")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(at_work(Relay(pool, ChangeLog(pool)).run()))
        await stack.enter_async_context(node)
        await node.ready(allowed(30))
        before = resident(node.pid)
        idle: list[Idle] = []
        for _ in range(count):
            _, made = await loop.create_connection(Idle, "127.0.0.1", node.port)
            stack.callback(made.close)
            idle.append(made)
        await pinged(idle, 1)
        first, descriptors = resident(node.pid), open_files(node.pid)
        await pinged(idle, pings)
        last = resident(node.pid)
        assert open_files(node.pid) <= descriptors + 2
        assert not any(each.lost for each in idle)
    print(
        f"\nL3: {count} sockets, {(first - before) / count / 1024:.1f} KiB each,"
        f" {last / first:.3f} × that after {pings} pings"
    )
    assert first - before <= A_SOCKET * count
    assert last <= FLAT * first


async def pinged(idle: list[Idle], times: int) -> None:
    """Until each was pinged so often."""
    await until(
        lambda: min(each.pings for each in idle) >= times,
        within=allowed(20 + 3 * EVERY * times),
        what=f"each socket has got {times} pings",
        every=0.2,
    )

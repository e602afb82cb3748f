"""What a client holds after a whole replayed day is, row for row, what the database holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import open_engine
from api.ingest import Ingest
from api.replay import Plan, Replay
from api.replay_day import read_days
from realtime.database import QUERIES
from tests.support.client import RawClient
from tests.support.node import RunningNode, running_node
from tests.support.wait import until

BOARD = "board:LGA:departures"
FIRST_SPEED, SPEED = 600.0, 3600.0
STANDING = 1e-6
WATCHED = 100


class Mirror:
    """A board and some flights as a client knows them, kept over connections."""

    def __init__(self) -> None:
        self.board: dict[str, Any] = {}
        self.flights: dict[str, Any] = {}
        self.positions: dict[str, tuple[int, str]] = {}
        self.recovered: list[bool] = []
        self.pushed = 0

    @asynccontextmanager
    async def connected(self, node: RunningNode, keys: list[str]) -> AsyncIterator[None]:
        """Subscribed to everything, and listening until the end of the block."""
        async with RawClient(node.url) as client:
            await client.connect()
            for channel in (BOARD, *(f"flight:{key}" for key in keys)):
                await self._subscribe(client, channel)
            listening = asyncio.create_task(self._listen(client), name="mirror")
            try:
                yield
            finally:
                ended = listening.done()
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            assert not ended

    async def _subscribe(self, client: RawClient, channel: str) -> None:
        request: dict[str, Any] = {}
        if channel in self.positions:
            offset, epoch = self.positions[channel]
            request = {"recover": True, "offset": offset, "epoch": epoch}
            if channel == BOARD:
                request["phase"] = 1
        reply = await client.subscribe(channel, **request)
        if request:
            self.recovered.append(reply["recovered"])
        if "state" in reply:
            self.board = {row["key"]: row["data"] for row in reply["state"]}
        for publication in reply.get("publications", []):
            self._take(channel, publication)
        self.positions[channel] = (reply["offset"], reply["epoch"])

    async def _listen(self, client: RawClient) -> None:
        while True:
            for pushed in list(client.pushes):
                self._push(pushed)
            client.pushes.clear()
            line = await client.line()
            if not line:
                await client.socket.send("{}")
            elif "push" in line:
                self._push(line["push"])

    def _push(self, pushed: Mapping[str, Any]) -> None:
        self.pushed += 1
        publication = pushed["pub"]
        self._take(pushed["channel"], publication)
        epoch = self.positions[pushed["channel"]][1]
        self.positions[pushed["channel"]] = (publication["offset"], epoch)

    def _take(self, channel: str, publication: Mapping[str, Any]) -> None:
        if channel != BOARD:
            self.flights[channel.removeprefix("flight:")] = publication["data"]["leg"]
        elif publication.get("removed"):
            self.board.pop(publication["key"], None)
        else:
            self.board[publication["key"]] = publication["data"]


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(dsn)
    yield opened
    await opened.dispose()


@asynccontextmanager
async def playing(
    pool: "asyncpg.Pool[asyncpg.Record]", engine: AsyncEngine, speed: float
) -> AsyncIterator[Replay]:
    """A day of one airport, far too fast; time stands still afterwards."""
    plan = Plan(read_days("2013-03-08"), frozenset({"LGA"}), speed)
    replay = Replay(pool, Ingest(engine, lambda: None), plan)
    task = asyncio.create_task(replay.run(), name="replay")
    try:
        yield replay
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    now = await pool.fetchval(QUERIES["board_now"])
    await pool.execute(QUERIES["start_replay"], now, STANDING)


async def in_step(node: RunningNode, mirror: Mirror) -> None:
    """The node has applied the whole log, and the client what the node has published."""

    async def caught_up() -> bool:
        behind = await node.pool.fetchval("SELECT count(*) FROM unsequenced()")
        seq = await node.pool.fetchval("SELECT last_seq FROM relay_state")
        state = node.node.hub.state
        return not behind and state is not None and state.seq == seq

    await until(caught_up, within=20, what="the node has the whole log")
    pushed = -1
    while pushed != mirror.pushed:
        pushed = mirror.pushed
        await asyncio.sleep(0.3)


async def compare(node: RunningNode, mirror: Mirror, keys: list[str]) -> None:
    rows = await node.pool.fetch("SELECT key, public_state(l) AS state FROM flight_leg l")
    stored = {row["key"]: json.loads(row["state"]) for row in rows}
    assert len(stored) == 305
    assert mirror.flights == {key: stored[key] for key in keys}
    assert mirror.board == {key: stored[key] for key in mirror.board}
    async with RawClient(node.url) as fresh:
        await fresh.connect()
        snapshot = await fresh.subscribe(BOARD)
    assert {row["key"]: row["data"] for row in snapshot["state"]} == mirror.board


async def test_a_client_ends_with_what_the_database_holds(
    pool: "asyncpg.Pool[asyncpg.Record]", engine: AsyncEngine
) -> None:
    mirror = Mirror()
    async with (
        running_node(pool, ping_interval=5.0) as node,
        playing(pool, engine, FIRST_SPEED) as replay,
    ):
        await asyncio.wait_for(replay.opened.wait(), 60)
        rows = await pool.fetch("SELECT key FROM flight_leg ORDER BY best_dep DESC, key")
        keys = [row["key"] for row in rows[:WATCHED]]
        async with mirror.connected(node, keys):
            enough = replay.applied + 150
            await until(lambda: replay.applied >= enough, within=40, what="some changes")
        # The client is away while the last statements before the restart are still on their way.
    async with running_node(pool, ping_interval=5.0) as node, mirror.connected(node, keys):
        await in_step(node, mirror)
        assert len(mirror.board) > 20
        await compare(node, mirror, keys)
        async with playing(pool, engine, SPEED) as replay:
            await asyncio.wait_for(replay.over.wait(), 60)
        await in_step(node, mirror)
        await compare(node, mirror, keys)
    assert mirror.recovered == [True] * (WATCHED + 1)
    assert mirror.pushed > 500
    assert not any(
        leg["phase"] == "scheduled" and "cancelled_at" not in leg for leg in mirror.flights.values()
    )

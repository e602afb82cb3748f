"""F13: the clock of one machine is wrong."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.errors import TOKEN_EXPIRED
from realtime.relay import Relay
from realtime.tokens import Tokens
from tests.support.client import RawClient
from tests.support.followers import add_person, at_rest
from tests.support.gatecast import SECRET, Gatecast
from tests.support.legs import add_feed, add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.pace import allowed
from tests.support.tasks import at_work
from tests.support.verdict import verdict
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
ACCOUNT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
RIGHT = timedelta(seconds=30)
NOTICED = 5.0


class WrongClock:
    """Of the processes that are started with its environment; it steps while they run."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "time"
        self.step("+0")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: str) -> None:
        self._file.write_text(f"{seconds}\n")


@pytest.fixture
async def relay(pool: "Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """With a clock that is right."""
    async with at_work(Relay(pool, ChangeLog(pool)).run()):
        yield


async def status_of(node: Gatecast) -> dict[str, Any]:
    """What a screen is told of its freshness."""
    async with RawClient(node.url) as client:
        await client.connect()
        found: dict[str, Any] = (await client.subscribe("status:JFK"))["publications"][0]["data"]
        return found


async def answer_to(node: Gatecast, age: timedelta) -> dict[str, Any]:
    """To a connect with a token that was made so long ago."""
    token = Tokens(SECRET).mint(ACCOUNT, datetime.now(UTC) - age)
    async with RawClient(node.url) as client:
        return await client.command("connect", {"token": token})


@pytest.mark.skipif(not LIBRARIES, reason="faketime is not installed: deploy/setup.sh test does it")
@pytest.mark.parametrize("step", ["+3600", "-3600"])
@pytest.mark.usefixtures("relay")
async def test_a_clock_that_steps_by_an_hour_is_noticed_and_not_believed(
    pool: "Pool[asyncpg.Record]", dsn: str, tmp_path: Path, step: str
) -> None:
    """A9: the clock of node and notifier steps by an hour. Within 5 s the node tells the time of
    the database again; a feed is as fresh as before; no token is taken outside of its life or
    refused within it; no notice expires early; every change is displayed."""
    legs = await add_legs(pool, 3, departs_in="18 minutes")
    keys = [await key_of(pool, each) for each in legs]
    await add_feed(pool, max_silence="10 minutes")
    for leg_id in legs:
        await add_person(pool, leg_id, f"ok-{leg_id}-phone")
    clock, writers = WrongClock(tmp_path), Writers(dsn, legs, pause=0.1)
    node = Gatecast("realtime", dsn=dsn, status_interval="1")
    notifier = Gatecast("notifier", dsn=dsn, grace="0", grace_urgent="0")
    for part in (node, notifier):
        part.add_environment(clock.environment)
    async with node, notifier:
        await node.ready(allowed(30))
        watcher = Watcher([node.url], keys, BOARD)
        async with watching([watcher]):
            async with writers.running(2):
                await until(lambda: writers.commits > 10, within=allowed(10), what="commits")
                clock.step(step)

                async def right() -> bool:
                    wall = datetime.fromisoformat((await status_of(node))["wall"])
                    return abs(wall - datetime.now(UTC)) < RIGHT

                began = asyncio.get_running_loop().time()
                await until(right, within=allowed(NOTICED), what="the node tells the right time")
                noticed = asyncio.get_running_loop().time() - began
                status = await status_of(node)
                assert [feed["state"] for feed in status["feeds"]] == ["fresh"]
                board_time = datetime.fromisoformat(status["now"])
                assert abs(board_time - datetime.now(UTC)) < RIGHT
                assert "connect" in await answer_to(node, timedelta(0))
                late = await answer_to(node, timedelta(minutes=30))
                assert late["error"]["code"] == TOKEN_EXPIRED.code
                assert "connect" in await answer_to(node, timedelta(minutes=9))
                wanted = writers.commits + 10
                await until(lambda: writers.commits > wanted, within=allowed(10), what="commits")
            await verdict(pool, writers, [watcher])
        await until(lambda: at_rest(pool), within=allowed(30), what="every notice has ended")
    states = {row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM delivery")}
    assert states <= {"sent", "superseded"}
    print(f"F13 {step} s: the right time again after {noticed:.1f} s, deliveries {sorted(states)}")

"""A replay ends as it says, starts over on a fresh database, and misbehaves without harm."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import websockets
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import open_engine
from api.feed_faults import FAULTS, Told
from api.ingest import Ingest
from api.replay import Plan, seed_reference
from api.replay_day import read_days
from realtime.database import QUERIES, open_pool
from tests.support.client import RawClient
from tests.support.gatecast import Gatecast
from tests.support.node import running_node
from tests.support.postgres import PostgresServer
from tests.support.replays import TINY
from tests.support.wait import until

Pool = asyncpg.Pool
OTHER_MOMENT = frozenset({"version", "dep_gate_at", "arr_gate_at", "belts_at"})
"""When a change was taken in and after how many others; all else of a leg has to be equal."""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "2013-03-08.csv"
    path.write_text(TINY)
    return str(path)


async def told(url: str, not_epoch: str = "") -> dict[str, Any]:
    """What `status:JFK` says of a replay, with the epoch of the log; nothing if it does not."""
    try:
        async with RawClient(url) as client:
            await client.connect()
            board = await client.subscribe("board:JFK:departures")
            (first,) = (await client.subscribe("status:JFK"))["publications"]
    except (OSError, TimeoutError, KeyError, websockets.WebSocketException):
        return {}
    body: dict[str, Any] = first["data"] | {"epoch": board["epoch"]}
    return body if "replay" in body and body["epoch"] != not_epoch else {}


async def heard(client: RawClient, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first report on `status:JFK` like that."""
    async with asyncio.timeout(60):
        while True:
            body: dict[str, Any] = (await client.push("status:JFK"))["pub"]["data"]
            if matches(body):
                return body


async def test_a_day_ends_says_so_and_starts_over(tiny: str, tmp_path: Path) -> None:
    home = tmp_path / "data"
    served = Gatecast(
        "serve", "--replay", tiny, "--speed", "600",
        data_dir=str(home), replay_linger="3", status_interval="0.5",
    )  # fmt: skip
    async with served, httpx2.AsyncClient(base_url=served.http) as rest:
        await served.ready()
        await served.wait_for_line("Departures", 30)
        pid = served.pid
        opened = await until(partial(told, served.url), within=10, what="the node knows the replay")
        assert opened["replay"]["day"] == "2013-03-08"
        assert opened["replay"]["opens"] == "2013-03-08T21:00:00Z"
        assert opened["replay"]["again"]
        account = (await rest.post("/api/accounts")).json()
        bearer = {"Authorization": f"Bearer {account['credential']}"}
        assert (await rest.post("/api/me/token", headers=bearer)).status_code == 200
        async with RawClient(served.url) as client:
            await client.connect()
            await client.subscribe("status:JFK")
            over = await heard(client, lambda body: body["replay"]["over"])
            assert over["now"] >= over["replay"]["ends"]
            assert over["feeds"][0]["synthetic"]
            assert await client.closed() == (3001, "shutdown")
        await served.wait_for_line("the replay starts over", 30)

        again = await until(
            partial(told, served.url, opened["epoch"]), within=60, what="another epoch"
        )
        assert not again["replay"]["over"]
        assert again["now"] < over["now"]
        assert served.pid == pid
        assert (await rest.post("/api/me/token", headers=bearer)).status_code == 401
        assert await served.stop() == 0


async def test_once_ends_the_process(tiny: str, tmp_path: Path) -> None:
    served = Gatecast(
        "serve", "--replay", tiny, "--speed", "600", "--once",
        data_dir=str(tmp_path / "data"), replay_linger="0.5",
    )  # fmt: skip
    async with served:
        await served.ready()
        assert await served.wait(60) == 0
        assert "the replayed day is over" in served.output()
        assert "starts over" not in served.output()
        assert (tmp_path / "data" / "postgres" / "cluster").exists()


async def test_a_shared_database_sees_the_day_end(tiny: str, dsn: str, pool: "Pool[Any]") -> None:
    async with (
        running_node(pool, status_interval=0.3) as node,
        Gatecast("replay", tiny, "--speed", "600", "--airport", "jfk", dsn=dsn) as player,
        RawClient(node.url) as client,
    ):
        await client.connect()
        await client.subscribe("status:JFK")
        report = await heard(client, lambda body: body.get("replay", {}).get("over", False))
        assert not report["replay"]["again"]
        assert await player.wait(30) == 0
        assert '"board": "2013-03-08T17:' in player.output()
    keys = await pool.fetch("SELECT key FROM flight_leg ORDER BY key")
    assert keys == [("B67-2013-03-08-JFK-BOS",), ("DL8-2013-03-08-JFK-BUF",)]


async def test_another_replay_is_refused(dsn: str, pool: "Pool[Any]") -> None:
    await pool.execute(
        "INSERT INTO replay (day, airports, opens, ends, again)"
        " VALUES ('2013-03-08', '{EWR,JFK,LGA}', wall_now(), wall_now(), false)"
    )
    async with Gatecast("replay", "2013-03-07", dsn=dsn) as other:
        assert await other.wait(30) == 1
        assert "The database replays 2013-03-08 of EWR, JFK, LGA" in other.output()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["2013-02-30"], "is neither a day"),
        (["2013-03-08", "--airport", "BOS"], "--airport BOS: the replay has JFK, EWR, LGA"),
        (["2013-03-08", "--with", "rain"], "'rain' is none of duplicates"),
    ],
)
async def test_wrong_wishes_are_one_line(arguments: list[str], sentence: str, dsn: str) -> None:
    async with Gatecast("replay", *arguments, dsn=dsn) as player:
        assert await player.wait(20) == 1
        assert sentence in player.output()
        assert "Traceback" not in player.output()


async def play(engine: AsyncEngine, pool: "Pool[Any]", plan: Plan, day: Told) -> dict[str, Any]:
    """All statements through ingest, ten board minutes a transaction; how each leg ends."""
    ingest = Ingest(engine, lambda: None)
    await seed_reference(pool, plan.days)
    await ingest.register_feed("replay", "airport", synthetic=True, priority=100)
    await ingest.register_feed("replay-b", "airport", synthetic=True, priority=50)
    await pool.execute(QUERIES["start_replay"], day.statements[-1].at, 1)
    start = day.statements[0].at
    outcomes: set[str] = set()
    for (_, feed), said in groupby(
        day.statements, key=lambda each: ((each.at - start).total_seconds() // 600, each.feed)
    ):
        results = await ingest.apply(feed, [each.patch for each in said])
        outcomes |= {result.outcome for result in results}
    assert "refused" not in outcomes
    rows = await pool.fetch("SELECT key, public_state(l) AS state FROM flight_leg l")
    legs = {row["key"]: json.loads(row["state"]) for row in rows}
    return {
        key: {name: value for name, value in leg.items() if name not in OTHER_MOMENT}
        for key, leg in legs.items()
    }


async def test_faults_change_nothing_of_how_a_leg_ends(
    postgres_server: PostgresServer,
) -> None:
    days = read_days("2013-03-08")
    ends = []
    for faults in (frozenset[str](), frozenset(FAULTS)):
        plan = Plan(days, frozenset({"LGA"}), faults=faults)
        day = plan.told()
        assert set(day.counts) == faults
        assert all(day.counts.values())
        async with postgres_server.database("faults") as address:
            engine, pool = open_engine(address), await open_pool(address)
            try:
                ends.append(await play(engine, pool, plan, day))
            finally:
                await engine.dispose()
                pool.terminate()
    assert len(ends[0]) == 305
    assert any("dep_gate_was" in leg for leg in ends[0].values())
    assert ends[1] == ends[0]


@pytest.fixture
def later(tiny: str) -> str:
    """One of the legs leaves in the evening."""
    Path(tiny).write_text(TINY.replace("21:20:00Z", "23:20:00Z"))
    return tiny


async def test_the_line_to_try_works_as_printed(later: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    replayed = ("serve", "--replay", later, "--speed", "1", "--airport", "JFK")
    async with Gatecast(*replayed, data_dir=str(folder)) as served:
        await served.ready(60)
        line = (await served.wait_for_line("  Try  ", 60)).split(maxsplit=1)[1]
        assert "B67-2013-03-08-JFK-BOS dep_gate=C3" in line
        # Scripts of an installed package are not of this checkout; what they call is.
        script = Path(sys.executable).with_name("gatecast")
        here = f"{shlex.quote(sys.executable)} -m api"
        for called in (str(script), str(script).removeprefix(f"{os.getcwd()}/")):
            line = line.replace(f" {called} ", f" {here} ")
        done = await asyncio.to_thread(
            subprocess.run, line, shell=True, capture_output=True, text=True, timeout=60
        )
        assert "applied, version" in done.stdout, (line, done)
        async with RawClient(served.url) as client:
            await client.connect()
            board = await client.subscribe("board:JFK:departures")
        gates = {row["key"]: row["data"].get("dep_gate") for row in board["state"]}
        assert gates["B67-2013-03-08-JFK-BOS"] == "C3"

"""F16: a rolling upgrade, and back, under load."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.support.gatecast import Gatecast
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.tasks import at_work

Pool = asyncpg.Pool
ROOT = Path(__file__).parents[2]
NEXT = "0.9.9"
BOARD = "board:JFK:departures"
FLIGHTS = "/api/flights?airport=JFK&direction=departures"
WATCHERS = 6


def next_build(folder: Path) -> Path:
    """This tree under another version: what processes of two builds tell apart is all there is."""
    for name in ("api", "realtime", "schema.sql", "web"):
        (folder / name).symlink_to(ROOT / name)
    described = folder / f"gatecast-{NEXT}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gatecast\nVersion: {NEXT}\n")
    return folder


class Site:
    """Two of each kind behind nginx; a half of it can be upgraded while the other half serves."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.halves = [
            [
                Gatecast("relay", dsn=dsn, operations_port=str(free_port())),
                Gatecast("realtime", dsn=dsn, drain="1"),
                Gatecast("api", dsn=dsn, drain="1"),
            ]
            for _ in range(2)
        ]
        relays, nodes, apis = zip(*self.halves, strict=True)
        self.parts: Sequence[Gatecast] = [*relays, *nodes, *apis]
        self.front = Proxy(folder, [each.port for each in nodes], [each.port for each in apis])
        self.answers: Counter[str] = Counter()

    async def move_to(self, build: Path, halves: int) -> None:
        """Half after half: drained, exit code 0, started from this build, ready."""
        for half in self.halves[:halves]:
            assert await asyncio.gather(*(part.stop(30) for part in half)) == [0, 0, 0]
            for part in half:
                part.run_in(build)
                part.start()
            for part in half:
                await part.ready(90)

    async def builds(self) -> set[str]:
        """What its processes say they are."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            return {
                (await http.get(f"{part.operations}/healthz")).json()["build"]
                for part in self.parts
            }

    async def ask(self) -> None:
        """As passengers do, until cancelled."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
            while True:
                answer = await http.get(self.front.http + FLIGHTS)
                self.answers[f"{answer.status_code // 100}xx"] += 1
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_site(dsn: str, folder: Path) -> AsyncIterator[Site]:
    """Started and ready."""
    site = Site(dsn, folder)
    async with AsyncExitStack() as stack:
        for part in (*site.parts, site.front):
            await stack.enter_async_context(part)
        for part in site.parts:
            await part.ready(90)
        await site.front.ready(60)
        yield site


async def upgrade_database(dsn: str, build: Path) -> None:
    """As the runbook says, by the build that comes."""
    command = Gatecast("db", "upgrade", dsn=dsn)
    command.run_in(build)
    async with command:
        assert await command.wait(60) == 0, command.output()


@pytest.mark.timeout(600)
async def test_an_upgrade_and_the_way_back_lose_and_double_nothing(
    pool: "Pool[asyncpg.Record]", dsn: str, tmp_path: Path, times: int
) -> None:
    """N → N+1 → N, one relay, node and api at a time, while rows change, people ask and screens
    watch: every commit is in the log once, every screen ends with exactly what the database has,
    and no answer is a 5xx. (`make test` upgrades one half and takes it back.)"""
    halves, rounds = (1, 1) if times < 10 else (2, 3)
    build = tmp_path / "next"
    build.mkdir()
    next_build(build)
    legs = await add_legs(pool, 12)
    keys = [await key_of(pool, each) for each in legs]
    async with running_site(dsn, tmp_path) as site:
        (before,) = await site.builds()
        watchers = [Watcher([site.front.url], keys, BOARD) for _ in range(WATCHERS)]
        writers = Writers(dsn, legs, pause=0.05)
        async with watching(watchers), at_work(site.ask()):
            async with writers.running(2):
                for _ in range(rounds):
                    await upgrade_database(dsn, build)
                    await site.move_to(build, halves)
                    assert await site.builds() == ({before, NEXT} if halves == 1 else {NEXT})
                    await site.move_to(ROOT, halves)
                    assert await site.builds() == {before}
            await log_caught_up(pool, 20)
            rows = await check_log(pool, writers.acknowledged)
            for watcher in watchers:
                await watcher.wait_for(pool, legs, 20)
    assert writers.failures == 0
    assert [watcher.wrong for watcher in watchers] == [[]] * WATCHERS
    assert [watcher.unrecovered for watcher in watchers] == [0] * WATCHERS
    assert set(site.answers) == {"2xx"}
    print(
        f"\nF16: {writers.commits} commits, {rows} rows,"
        f" {sum(each.connects for each in watchers)} connects of {WATCHERS} screens,"
        f" answers {dict(site.answers)}, lost 0, doubled 0"
    )

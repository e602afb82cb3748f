"""F5, restore: a database that comes back from a dump, and the epoch that tells everybody."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from api.postgres_binaries import find_binaries
from tests.support.crashing import DURABLE, Crashing
from tests.support.gatecast import Gatecast
from tests.support.ledger import log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.wait import until

BOARD = "board:JFK:departures"
WATCHERS = 4
SYNCHRONOUS_WITHIN = 10.0
RESTORED_WITHIN = 300.0
OLD_ROWS = """
    INSERT INTO change_log (seq, kind, leg_id, version, at, wall_at, changed, state)
    SELECT n, 'leg', -(n % 5000) - 1, n / 5000 + 1, wall_now() - interval '1 day',
      wall_now() - interval '1 day', '{"dep_gate": ["B22", "C3"]}', state
    FROM generate_series(1, $1::integer) n,
      (SELECT public_state(l) AS state FROM flight_leg l WHERE leg_id = $2 OFFSET 0) s"""

ROWS_AND_LAST = "SELECT (SELECT count(*) FROM change_log) AS rows, last_seq FROM relay_state"


async def end_of_log(dsn: str) -> tuple[str, int]:
    """Epoch and seq."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow("SELECT epoch::text, last_seq FROM relay_state")
    finally:
        await connection.close()
    assert row is not None
    return row["epoch"], row["last_seq"]


async def run(*command: str | Path) -> float:
    """A program of PostgreSQL; seconds that it took."""
    began = time.monotonic()
    binary = find_binaries(None).folder / command[0]
    ended = await asyncio.to_thread(
        subprocess.run, [binary, *command[1:]], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return time.monotonic() - began


async def dump(dsn: str, file: Path) -> float:
    """As the runbook says; seconds."""
    return await run("pg_dump", "--format=custom", f"--file={file}", dsn)


async def restore(dsn: str, file: Path) -> float:
    """As the runbook says, into an empty database; seconds, with the upgrade."""
    flags = ("--no-owner", "--no-privileges", "--exit-on-error", "--jobs=2")
    seconds = await run("pg_restore", *flags, f"--dbname={dsn}", file)
    began = time.monotonic()
    async with Gatecast("db", "upgrade", dsn=dsn) as command:
        assert await command.wait(60) == 0, command.output()
    return seconds + time.monotonic() - began


class Drill:
    """Screens over a node that lives through everything that happens to its database."""

    def __init__(
        self,
        crashing: Crashing,
        legs: Sequence[int],
        watchers: Sequence[Watcher],
        elsewhere: AsyncExitStack,
    ) -> None:
        self.crashing = crashing
        self.legs = legs
        self.watchers = watchers
        self.followed: list[float] = []
        self.epochs: set[str] = set()
        self.elsewhere = elsewhere

    @asynccontextmanager
    async def out_of_reach(self) -> AsyncIterator[None]:
        """Nobody gets at the database until the end of the block; then the clock runs."""
        self.crashing.link.unlink()
        yield
        self.crashing.point()

    async def write(self) -> None:
        """Some commits, until each screen holds what the database has."""
        writers = Writers(self.crashing.dsn, self.legs)
        async with writers.running(2):
            await until(lambda: writers.commits >= 30, within=30, what="30 commits")
        await self.equal(30)

    async def follow(self) -> None:
        """The screens come to what was restored, in time."""
        began = time.monotonic()

        async def begun() -> bool:
            return (await end_of_log(self.crashing.dsn))[0] not in self.epochs

        await until(begun, within=SYNCHRONOUS_WITHIN, what="a new epoch")
        seconds = time.monotonic() - began + await self.equal(SYNCHRONOUS_WITHIN)
        self.epochs.add((await end_of_log(self.crashing.dsn))[0])
        self.followed.append(seconds)
        assert seconds <= SYNCHRONOUS_WITHIN

    async def equal(self, within: float) -> float:
        """Until each screen holds what the database has: seconds; then the log is dense."""
        began = time.monotonic()
        pool = await asyncpg.create_pool(self.crashing.dsn, min_size=1, max_size=2)
        try:
            await log_caught_up(pool, within)
            for watcher in self.watchers:
                await watcher.wait_for(pool, self.legs, within)
            seconds = time.monotonic() - began
            counted = await pool.fetchrow(ROWS_AND_LAST)
            assert counted is not None
            assert counted["rows"] == counted["last_seq"]
            return seconds
        finally:
            pool.terminate()


async def restarted(drill: Drill) -> tuple[str, int]:
    """The server is killed and recovers: nothing begins anew."""
    await drill.write()
    before = await end_of_log(drill.crashing.dsn)
    drill.crashing.server.kill()
    await drill.crashing.server.revive()
    drill.crashing.point()
    await drill.write()
    after = await end_of_log(drill.crashing.dsn)
    assert after[0] == before[0]
    assert [watcher.unrecovered for watcher in drill.watchers] == [0] * WATCHERS
    return after


async def put_back(drill: Drill, file: Path) -> tuple[str, int]:
    """The dump replaces the database in its own cluster, and commits after the dump are lost."""
    await drill.write()
    server = drill.crashing.server
    async with drill.out_of_reach():
        await server.drop_database("gatecast")
        dsn = await server.create_database("gatecast")
        await restore(dsn, file)
    await drill.follow()
    return await end_of_log(drill.crashing.dsn)


async def moved(drill: Drill, file: Path) -> tuple[tuple[str, int], float]:
    """The dump is restored into a new cluster; the old one is gone."""
    await drill.write()
    server = await drill.elsewhere.enter_async_context(PostgresServer(settings=DURABLE))
    async with drill.out_of_reach():
        drill.crashing.server.kill()
        drill.crashing.server = server
        seconds = await restore(server.dsn("gatecast"), file)
    await drill.follow()
    return await end_of_log(drill.crashing.dsn), seconds


@asynccontextmanager
async def drilling(crashing: Crashing, old_rows: int) -> AsyncIterator[Drill]:
    """A relay, a node and screens over a log with so many rows of yesterday."""
    connection = await asyncpg.connect(crashing.dsn)
    legs = await add_legs(connection, 12)
    await connection.execute(OLD_ROWS, old_rows, legs[0], timeout=600)
    await connection.execute("UPDATE relay_state SET last_seq = $1", old_rows)
    keys = [await key_of(connection, leg) for leg in legs]
    await connection.close()
    relay = Gatecast("relay", dsn=crashing.dsn, operations_port=str(free_port()))
    async with relay, Gatecast("realtime", dsn=crashing.dsn) as node:
        await relay.ready(60)
        await node.ready(60)
        watchers = [Watcher([node.url], keys, BOARD) for _ in range(WATCHERS)]
        async with AsyncExitStack() as elsewhere, watching(watchers):
            yield Drill(crashing, legs, watchers, elsewhere)


@pytest.mark.timeout(900)
async def test_a_restored_database_begins_an_epoch_and_screens_follow(
    crashing: Crashing, tmp_path: Path, times: int
) -> None:
    """Restarted: the epoch stays. Back from a dump in the same cluster: the log is shorter than
    what screens hold, a new epoch. In another cluster: a new epoch. Each time every screen holds
    what the database has within ten seconds, with seq going on densely from the dump."""
    old_rows = 1_000_000 if times >= 10 else 20_000
    file = tmp_path / "gatecast.dump"
    async with drilling(crashing, old_rows) as drill:
        first = await restarted(drill)
        drill.epochs.add(first[0])
        dumped = await dump(crashing.dsn, file)
        kept = await end_of_log(crashing.dsn)
        back = await put_back(drill, file)
        elsewhere, restored = await moved(drill, file)
        assert len({first[0], back[0], elsewhere[0]}) == 3
        assert kept[0] == first[0]
        assert min(back[1], elsewhere[1]) >= kept[1]
        await drill.write()
        assert dumped + restored <= RESTORED_WITHIN
        print(
            f"\nF5: {old_rows} rows, dump {dumped:.1f} s, restore {restored:.1f} s,"
            f" screens follow after {[round(each, 1) for each in drill.followed]} s"
        )

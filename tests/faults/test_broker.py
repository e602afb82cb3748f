"""F7: a broker that comes back empty, or is there and yet not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.support.fault_proxy import FaultProxy, proxied_url
from tests.support.followers import add_person, at_rest
from tests.support.gatecast import Gatecast
from tests.support.kernel import resident
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.pace import allowed
from tests.support.rabbitmq import RabbitNode
from tests.support.scene import scene
from tests.support.tasks import at_work
from tests.support.verdict import lag_line, lags, verdict
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
NOTICED, LASTS, LONGEST, LAG = 3.0, 6.0, 60.0, 1.0  # seconds
RESETS_EVERY = 2.0
MIB = 1 << 20
MAY_GROW = 12 * MIB
AT_ONCE = {"grace": "0", "grace_urgent": "0"}


async def test_a_wiped_broker_loses_no_change_and_no_notice(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """The broker is killed under load, all that it had on disk is removed, it starts empty. Relay,
    node and notifier declare everything again; screens end with what the database has, and each
    follower was told the last gate."""
    legs = await add_legs(pool, 8, departs_in="18 minutes")  # gates may flap so close to it
    keys = [await key_of(pool, each) for each in legs]
    for leg_id in legs:
        await add_person(pool, leg_id, f"ok-{leg_id}-phone")
    async with RabbitNode() as broker:
        parts = [
            Gatecast(role, dsn=dsn, amqp_url=broker.url, **AT_ONCE)
            for role in ("relay", "realtime", "notifier")
        ]
        async with parts[0], parts[1] as node, parts[2]:
            await node.ready(60)
            await until(lambda: served(broker), within=30, what="queues are declared")
            watcher = Watcher([node.url], keys, BOARD)
            writers = Writers(dsn, legs, pause=0.2)
            async with watching([watcher]):
                async with writers.running(2):
                    await go_on(writers)
                    await broker.wipe()
                    await go_on(writers)
                    await broker.start()
                    await until(lambda: served(broker), within=60, what="queues are there again")
                    await go_on(writers)
                await log_caught_up(pool, 30)
                rows = await check_log(pool, writers.acknowledged)
                await watcher.wait_for(pool, legs, 30)
                await until(lambda: published(pool), within=20, what="the relay caught up")
                await until(lambda: at_rest(pool), within=60, what="every notice has ended")
            assert [part.exit_code for part in parts] == [None, None, None]
    assert watcher.wrong == []
    assert watcher.connects == 1
    await check_notices(pool, legs)
    print(
        f"\nF7: {writers.commits} commits, {rows} rows in the log, {watcher.received} publications"
    )


async def go_on(writers: Writers) -> None:
    """Some more commits."""
    wanted = writers.commits + 10
    await until(lambda: writers.commits >= wanted, within=20, what=f"{wanted} commits")


async def served(broker: RabbitNode) -> bool:
    """The work queue and that of the node exist, each with its consumer."""
    lines = (await broker.ctl("list_queues", "--no-table-headers", "name", "consumers")).split("\n")
    consumed = {name for name, _, count in (line.partition("\t") for line in lines) if count == "1"}
    return "notify.work" in consumed and len(consumed) >= 2


async def published(pool: "Pool[asyncpg.Record]") -> bool:
    """The broker has taken, and confirmed, the whole log."""
    behind: int = await pool.fetchval(
        "SELECT (SELECT last_seq FROM relay_state) - seq FROM log_reader WHERE name = 'bus'"
    )
    return behind == 0


async def check_notices(pool: "Pool[asyncpg.Record]", legs: Sequence[int]) -> None:
    """Every gate change has its row, older news may be superseded; the gate is known everywhere."""
    found = await pool.fetch(
        "SELECT leg_id, dep_gate, told ->> 'dep_gate' AS told FROM flight_leg JOIN follow"
        " USING (leg_id) WHERE leg_id IN (SELECT leg_id FROM delivery WHERE state = 'sent')"
    )
    assert sorted(row["leg_id"] for row in found) == sorted(legs)
    assert [row["told"] for row in found] == [row["dep_gate"] for row in found]
    states = {row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM delivery")}
    assert states <= {"sent", "superseded"}


# A broker that is there, and yet not --------------------------------------------------------------


@asynccontextmanager
async def killed(broker: RabbitNode, _: FaultProxy) -> AsyncIterator[None]:
    """SIGKILL; it comes back with what it has on disk."""
    broker.kill()
    yield
    await broker.start()


@asynccontextmanager
async def short_of_memory(broker: RabbitNode, _: FaultProxy) -> AsyncIterator[None]:
    """The memory alarm blocks whoever publishes."""
    await broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    yield
    await broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")


@asynccontextmanager
async def short_of_disk(broker: RabbitNode, _: FaultProxy) -> AsyncIterator[None]:
    """F6 for the broker: the disk alarm blocks whoever publishes."""
    await broker.ctl("set_disk_free_limit", "mem_relative", "1000.0")
    yield
    await broker.ctl("set_disk_free_limit", "100MB")


@asynccontextmanager
async def often_reset(_: RabbitNode, way: FaultProxy) -> AsyncIterator[None]:
    """Every connection is reset each 2 s."""

    async def reset() -> None:
        while True:
            way.reset()
            await asyncio.sleep(RESETS_EVERY)

    async with at_work(reset()):
        yield


@asynccontextmanager
async def silent(_: RabbitNode, way: FaultProxy) -> AsyncIterator[None]:
    """A black hole between all parts and the broker."""
    way.drop()
    yield
    way.mend()


BRIEFLY = (silent, killed)
FAULTS = (often_reset, short_of_memory, short_of_disk, *BRIEFLY)


@pytest.mark.timeout(900)
async def test_a_broker_in_trouble_makes_boards_lag_for_three_seconds_at_most(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A3: the broker is reset each 2 s, short of memory, short of disk, cut off, killed and away,
    60 s each (in `make test` the last two, 6 s each). From 3 s after the start of a fault boards
    lag by 1 s at most; the relay does not grow; what it publishes again reaches no client twice."""
    clock = asyncio.get_running_loop().time
    windows: dict[str, tuple[float, float]] = {}
    async with (
        RabbitNode() as broker,
        proxied_url(broker.url) as way,
        scene(pool, dsn, way.leads(broker.url)) as stage,
    ):
        async with stage.writers.running(2):
            await stage.go_on()
            await stage.published(60)
            before = resident(stage.relays[0].pid)
            for fault in BRIEFLY if times == 1 else FAULTS:
                async with fault(broker, way):
                    began = clock()
                    await asyncio.sleep(NOTICED + min(LASTS * times, LONGEST))
                    windows[fault.__name__] = began + NOTICED, clock()
                back = await stage.published(60)
                await stage.go_on()
                print(f"\nF7 {fault.__name__}: all confirmed {back:.1f} s after its end")
            grown = resident(stage.relays[0].pid) - before
        await stage.published()
        await verdict(pool, stage.writers, [stage.watcher])
        assert [part.exit_code for part in (*stage.relays, stage.node)] == [None, None]
        found = {
            name: await lags(pool, stage.writers, stage.watcher, *window)
            for name, window in windows.items()
        }
    assert stage.watcher.connects == 1
    for name, lag in found.items():
        print(f"F7 {name}: from 3 s on {lag_line(lag)}")
    print(f"F7: the relay grew by {grown / MIB:.1f} MiB")
    assert max(lag[-1] for lag in found.values() if lag) <= allowed(LAG)
    assert grown <= MAY_GROW

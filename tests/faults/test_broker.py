"""F3: a broker that comes back empty."""

from collections.abc import Sequence

import asyncpg

from tests.support.followers import add_person, at_rest
from tests.support.gatecast import Gatecast
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
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
        f"\nF3: {writers.commits} commits, {rows} rows in the log, {watcher.received} publications"
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

"""L2: one statement changes every leg of a board."""

import asyncio

import asyncpg
import pytest

from tests.support.legs import add_legs
from tests.support.load import Watcher, watching
from tests.support.node import running_node
from tests.support.pace import allowed
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
LEGS, MOST, BOARDS = 600, 9_000, 10
EQUAL = 5.0


@pytest.mark.timeout(600)
async def test_boards_equal_the_database_soon_after_everything_has_changed(
    pool: "Pool[asyncpg.Record]", times: int
) -> None:
    """A5: one UPDATE of 600 legs (9,000) is on ten boards within 5 s of its commit. What triggers
    make it cost is printed and not judged: it is more than the 3 times that are aimed at."""
    clock = asyncio.get_running_loop().time
    count = min(LEGS * times**2, MOST)
    await add_legs(pool, count)
    bare = await bare_update(pool)
    async with running_node(pool, ping_interval=300, stall_timeout=120) as node:
        watchers = [
            Watcher([node.url], [], BOARD, max_size=None, ping_interval=None) for _ in range(BOARDS)
        ]
        async with watching(watchers):
            began = clock()
            await pool.execute("UPDATE flight_leg SET dep_gate = 'NEW'", timeout=120)
            committed = clock()

            def equal() -> bool:
                return all(
                    len(each.rows) == count and set(gates_of(each)) == {"NEW"} for each in watchers
                )

            await until(equal, within=allowed(EQUAL), what="boards equal the database", every=0.1)
            equal_at = clock()
    assert [each.wrong for each in watchers] == [[]] * BOARDS
    print(
        f"\nL2: {count} legs, {BOARDS} boards: UPDATE {committed - began:.2f} s"
        f" ({bare:.2f} s without triggers),"
        f" all equal {equal_at - committed:.2f} s after its commit"
    )


def gates_of(watcher: Watcher) -> list[str]:
    """What its board shows."""
    return [row["dep_gate"] for row in watcher.rows.values()]


async def bare_update(pool: "Pool[asyncpg.Record]") -> float:
    """Seconds that the same statement takes without triggers."""
    clock = asyncio.get_running_loop().time
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute("ALTER TABLE flight_leg DISABLE TRIGGER USER")
        began = clock()
        await session.execute("UPDATE flight_leg SET dep_gate = 'BARE'", timeout=120)
        taken = clock() - began
        await transaction.rollback()
    return taken

"""The change log as a test of faults judges it."""

from typing import Any

import asyncpg

from tests.support.wait import until


async def log_caught_up(pool: "asyncpg.Pool[asyncpg.Record]", within: float) -> None:
    """Until every commit is in the log."""

    async def drained() -> bool:
        left: int = await pool.fetchval("SELECT count(*) FROM unsequenced()")
        return left == 0

    await until(drained, within=within, what="every commit is in the log")


async def check_log(database: Any, acknowledged: dict[int, int]) -> int:
    """Dense seqs, versions that rise by one in seq order, every acknowledged one; rows of legs."""
    seqs = [row["seq"] for row in await database.fetch("SELECT seq FROM change_log ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    versions: dict[int, list[int]] = {}
    for row in await database.fetch(
        "SELECT leg_id, version FROM change_log WHERE kind = 'leg' ORDER BY seq"
    ):
        versions.setdefault(row["leg_id"], []).append(row["version"])
    for leg_id, found in versions.items():
        assert found == list(range(1, len(found) + 1))
        assert found[-1] >= acknowledged.get(leg_id, 1)
    assert set(acknowledged) <= set(versions)
    tables = await database.fetch("SELECT leg_id, version FROM flight_leg")
    assert {row["leg_id"]: row["version"] for row in tables} == {
        leg_id: found[-1] for leg_id, found in versions.items()
    }
    return sum(len(found) for found in versions.values())

"""A replay outlives its database."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from api.replay import Plan
from api.replay_day import read_days
from api.upkeep import Upkeep
from realtime.database import open_pool
from tests.support.crashing import Crashing
from tests.support.gatecast import Gatecast
from tests.support.replays import TINY
from tests.support.wait import until

TRIES = 3
NOT_PUBLIC = frozenset({"registration"})


@asynccontextmanager
async def upkeep_on(dsn: str) -> AsyncIterator[None]:
    """Board time goes on while somebody keeps it."""
    pool = await open_pool(dsn, size=2)
    running = asyncio.create_task(Upkeep(pool).run(), name="upkeep of the replay")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pool.terminate()


def told_in_the_end(day: str) -> dict[str, dict[str, Any]]:
    """Of each leg the last word of the feed on each field."""
    last: dict[str, dict[str, Any]] = defaultdict(dict)
    for said in Plan(read_days(day)).told().statements:
        words = {name: value for name, value in said.patch.set.items() if name not in NOT_PUBLIC}
        last[str(said.patch.key.leg_key())] |= words
    return dict(last)


async def test_a_replay_waits_for_its_database_and_goes_on(
    crashing: Crashing, tmp_path: Path
) -> None:
    """PostgreSQL is SIGKILLed in the middle of the day and stays away for some tries; the same
    process then tells the rest, and every leg ends as it was told."""
    day = tmp_path / "2013-03-08.csv"
    day.write_text(TINY)
    pool = await open_pool(crashing.dsn, size=2)

    async def count(condition: str) -> int:
        found: int = await pool.fetchval(f"SELECT count(*) FROM flight_leg WHERE {condition}")
        return found

    async with (
        upkeep_on(crashing.dsn),
        Gatecast("replay", str(day), "--speed", "600", dsn=crashing.dsn) as player,
    ):
        await until(lambda: count("atd IS NOT NULL"), within=30, what="a flight has left")
        assert await count("ata IS NOT NULL") == 0
        crashing.server.kill()
        await until(
            lambda: player.output().count("replay waits") >= TRIES, within=30, what=f"{TRIES} tries"
        )
        assert player.exit_code is None
        await crashing.server.revive()
        crashing.point()
        assert await player.wait(60) == 0
        assert "the replayed day is over" in player.output()
    rows = await pool.fetch("SELECT key, public_state(l) AS state FROM flight_leg l")
    pool.terminate()
    ended = {row["key"]: json.loads(row["state"]) for row in rows}
    for key, last in told_in_the_end(str(day)).items():
        assert {name: ended[key].get(name) for name in last} == last
    assert sorted(leg["phase"] for leg in ended.values()) == ["bags_done", "bags_done", "scheduled"]

"""A preview of a notice is what is pushed, word by word."""

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.notifier import Notifier
from tests.support.followers import AT_ONCE, IdleBus, RecordingSender
from tests.support.rest import World, problem

Pool = asyncpg.Pool
DEVICE = "/api/me/devices/5e1f0000-0000-4000-8000-00000000aaaa"


@pytest.mark.parametrize(("role", "column"), [("passenger", "etd = std"), ("pick_up", "eta = sta")])
@pytest.mark.parametrize("language", ["en", "es", "ar"])
async def test_the_previewed_text_is_pushed(
    world: World, pool: "Pool[asyncpg.Record]", role: str, column: str, language: str
) -> None:
    me, key, sender = await world.account(), await world.leg(1, dep_gate="18"), RecordingSender()
    await world.client.put(f"/api/me/follows/{key}", headers=me, json={"role": role})
    wishes = {"language": language, "hours": 12, "delay_step": 30}
    await world.client.put("/api/me/preferences", headers=me, json=wishes)
    device = {"platform": "web", "kind": "fid", "target": "ok-browser"}
    await world.client.put(DEVICE, headers=me, json=device)
    path = f"/api/me/follows/{key}/preview"
    by_step = (await world.client.get(path, headers=me)).json()
    preview = (await world.client.get(f"{path}?minutes=35", headers=me)).json()
    assert (by_step["kind"], by_step["minutes"], preview["minutes"]) == ("delay", 30, 35)
    assert by_step["title"] == preview["title"].replace("35", "30")
    notifier = Notifier(pool, IdleBus(), sender, AT_ONCE)
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch() or not await pool.fetchval("SELECT seq FROM log_reader"):
        pass
    await pool.execute(f"UPDATE flight_leg SET {column} + interval '35 minutes'")
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    await pool.execute("UPDATE delivery SET held_until = board_now()")
    assert await notifier.deliver_batch()
    ((_, notice),) = sender.sent
    assert (notice.title, notice.body) == (preview["title"], preview["body"])


async def test_what_cannot_be_said_has_no_preview(world: World) -> None:
    me, key = await world.account(), await world.leg(1)
    path = f"/api/me/follows/{key}/preview"
    problem(await world.client.get(path, headers=me), 404, "not-followed")
    await world.client.put(f"/api/me/follows/{key}", headers=me)
    problem(await world.client.get(f"{path}?minutes=0", headers=me), 400, "bad-query")
    assert (await world.client.get(path, headers=me)).status_code == 200
    await world.leg(1, irregularity="cancelled")
    problem(await world.client.get(path, headers=me), 409, "no-delay-ahead")

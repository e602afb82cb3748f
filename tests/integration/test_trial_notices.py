"""Test notices: asked for over REST, sent by a notifier the way of all notices, accounted for."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg

from realtime.database import QUERIES, open_pool
from realtime.sender import Notice, Outcome, Sent, Target
from realtime.sender_fcm import FcmSender
from realtime.sender_log import LogSender
from realtime.settings import Settings
from realtime.trial_notices import TrialNotices
from tests.support.fcm import FcmDouble
from tests.support.followers import AT_ONCE, RecordingSender, make, running
from tests.support.rest import World, problem
from tests.support.roles import open_logins
from tests.support.wait import until

Pool = asyncpg.Pool
Account = dict[str, str]
PATH = "/api/me/test-notices"
RECEIVED = "UPDATE test_notice SET created_at = created_at - interval '9 minutes'"


async def add_phone(world: World, me: Account, target: str, platform: str = "android") -> str:
    device_id = str(uuid4())
    device = {"platform": platform, "kind": "fid", "target": target}
    answer = await world.client.put(f"/api/me/devices/{device_id}", headers=me, json=device)
    assert answer.status_code == 200, answer.text
    return device_id


async def ask(world: World, me: Account) -> str:
    """Ask for a test notice; where it can be read."""
    answer = await world.client.post(PATH, headers=me)
    assert answer.status_code == 202, answer.text
    assert answer.headers["cache-control"] == "no-store"
    asked = answer.json()
    assert (asked["state"], asked["took_ms"], asked["devices"]) == ("pending", None, [])
    place: str = answer.headers["location"]
    assert place == f"{PATH}/{asked['id']}"
    return place


async def outcome(world: World, me: Account, place: str) -> dict[str, Any]:
    """What became of it, when something has."""
    found: dict[str, Any] = {}

    async def over() -> bool:
        answer = await world.client.get(place, headers=me)
        assert answer.status_code == 200, answer.text
        found.update(answer.json())
        return bool(found["state"] != "pending")

    await until(over, within=10, what="the test notice has ended")
    return found


async def test_it_goes_the_real_way_and_says_what_became_of_it_at_each_device(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me = await world.account()
    targets = ("ok-my-phone", "unreg-old-phone", "invalid-phone", "internal-phone")
    names = [await add_phone(world, me, target) for target in targets]
    async with FcmDouble() as fcm:
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        async with running(await make(pool, sender)):
            third = await world.account()
            await add_phone(world, third, "invalid-only-phone")
            refused = await outcome(world, third, await ask(world, third))
            place = await ask(world, me)
            ended = await outcome(world, me, place)
            (push,) = await fcm.accepted()
            other, other_phone = await world.account(), "quota-phone"
            await add_phone(world, other, other_phone)
            paused = await outcome(world, other, await ask(world, other))
        await sender.close()
    assert (ended["state"], ended["reason"]) == ("sent", None)
    assert 0 <= ended["took_ms"] < 10_000
    assert [(each["device_id"], each["outcome"]) for each in ended["devices"]] == [
        (names[0], "accepted"),
        (names[1], "unregistered"),
        (names[2], "unregistered"),
        (names[3], "unanswered"),
    ]
    assert ended["devices"][2]["reason"].startswith("others took the same: ")
    assert (refused["state"], refused["devices"][0]["outcome"]) == ("undeliverable", "refused")
    assert "scripted: invalid" in refused["devices"][0]["reason"]
    assert push["data"]["title"] == "Test alert"
    assert push["data"]["id"] == push["data"]["tag"] == f"test:{ended['id']}"
    assert (push["data"]["url"], push["data"]["leg"]) == ("/me", "")
    assert (push["fid"], push["android"]["priority"]) == (targets[0], "high")
    assert (paused["state"], paused["devices"][0]["outcome"]) == ("undeliverable", "paused")
    listed = (await world.client.get("/api/me/devices", headers=me)).json()["items"]
    assert [bool(each["dead_at"]) for each in listed] == [False, True, True, False]
    assert listed[0]["last_ok_at"]


async def test_without_a_device_and_without_a_push_service_it_says_so(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me = await world.account()
    async with running(await make(pool, LogSender())):
        ended = await outcome(world, me, await ask(world, me))
        assert (ended["state"], ended["reason"]) == ("undeliverable", "no device")
        phone = f"/api/me/devices/{await add_phone(world, me, 'ok-my-phone')}"
        await world.client.patch(phone, headers=me, json={"alerts": False})
        ended = await outcome(world, me, await ask(world, me))
        assert ended["reason"] == "alerts are off on every device"
        await world.client.patch(phone, headers=me, json={"alerts": True})
        ended = await outcome(world, me, await ask(world, me))
    assert (ended["state"], ended["reason"]) == ("undeliverable", "no device took it")
    assert [each["outcome"] for each in ended["devices"]] == ["printed"]
    items = (await world.client.get(PATH, headers=me)).json()["items"]
    assert items[0] == ended
    assert [each["reason"] for each in items] == [
        "no device took it",
        "alerts are off on every device",
        "no device",
    ]


async def test_the_words_are_in_the_language_of_the_person(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, sender = await world.account(), RecordingSender()
    await add_phone(world, me, "ok-my-phone")
    await world.client.put("/api/me/preferences", headers=me, json={"language": "ar"})
    async with running(await make(pool, sender)):
        await outcome(world, me, await ask(world, me))
    assert [notice.title for _, notice in sender.sent] == ["تنبيه تجريبي"]


async def test_it_may_be_asked_for_five_times_in_ten_minutes(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, other = await world.account(), await world.account()
    await ask(world, me)
    await pool.execute(RECEIVED)
    for _ in range(4):
        await ask(world, me)
    refused = await world.client.post(PATH, headers=me)
    problem(refused, 429, "too-many-test-notices")
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert await pool.fetchval("SELECT count(*) FROM test_notice") == 5
    await ask(world, other)
    await pool.execute(RECEIVED)
    await ask(world, me)


async def test_nobody_reads_that_of_another_account(world: World) -> None:
    me, other = await world.account(), await world.account()
    place = await ask(world, me)
    problem(await world.client.get(place, headers=other), 404, "unknown-test-notice")
    problem(await world.client.get(f"{PATH}/nonsense", headers=me), 404, "unknown-test-notice")
    assert (await world.client.get(PATH, headers=other)).json() == {"items": []}
    problem(await world.client.post(PATH), 401)


async def test_what_no_notifier_took_in_time_is_over_and_is_not_sent_late(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, sender = await world.account(), RecordingSender()
    await add_phone(world, me, "ok-my-phone")
    place = await ask(world, me)
    await pool.execute("UPDATE test_notice SET expires_at = wall_now() - interval '1 second'")
    ended = await outcome(world, me, place)
    assert (ended["state"], ended["reason"]) == ("expired", "no notifier took it")
    async with running(await make(pool, sender)):
        later = await outcome(world, me, await ask(world, me))
    assert later["state"] == "sent"
    assert [notice.id for _, notice in sender.sent] == [f"test:{later['id']}"]
    await pool.execute("UPDATE test_notice SET created_at = created_at - interval '25 hours'")
    assert await pool.fetchval(QUERIES["forget_tests"], 1.0, 500) == 2
    assert (await world.client.get(PATH, headers=me)).json() == {"items": []}


async def test_what_a_notifier_died_with_is_sent_by_another_under_the_same_id(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, reached = await world.account(), asyncio.Event()
    await add_phone(world, me, "ok-my-phone")

    class Stuck(RecordingSender):
        async def send(self, sends: Any) -> list[Sent]:
            self.sent += sends
            reached.set()
            await asyncio.Event().wait()
            return []

    stuck, sender = Stuck(), RecordingSender()
    short = Settings(grace=0, grace_urgent=0, lease=1.0)
    place = await ask(world, me)
    async with running(await make(pool, stuck, short, "dies")):
        await asyncio.wait_for(reached.wait(), 10)
        async with running(await make(pool, sender, short, "lives")):
            ended = await outcome(world, me, place)
    assert ended["state"] == "sent"
    ids = {notice.id for _, notice in (*stuck.sent, *sender.sent)}
    assert ids == {f"test:{ended['id']}"}
    assert (len(stuck.sent), len(sender.sent)) == (1, 1)


async def test_two_notifiers_share_the_work(world: World, pool: "Pool[asyncpg.Record]") -> None:
    accounts = [await world.account() for _ in range(12)]
    for number, me in enumerate(accounts):
        await add_phone(world, me, f"ok-phone-{number}")
    places = [await ask(world, me) for me in accounts]

    def answer(target: Target, _: Notice) -> Sent:
        return Sent(Outcome.ACCEPTED, target.target)

    senders = RecordingSender(answer), RecordingSender(answer)
    async with running(*[await make(pool, sender) for sender in senders]):
        for me, place in zip(accounts, places, strict=True):
            assert (await outcome(world, me, place))["state"] == "sent"
    sent = [target.target for sender in senders for target, _ in sender.sent]
    assert sorted(sent) == sorted(f"ok-phone-{number}" for number in range(12))


async def test_a_notifier_does_it_with_the_rights_of_its_login(world: World, dsn: str) -> None:
    me, sender = await world.account(), RecordingSender(lambda *_: Sent(Outcome.GONE, "gone"))
    await add_phone(world, me, "ok-my-phone")
    own = await open_pool((await open_logins(dsn))["notifier"], size=4)
    trials = TrialNotices(own, sender, AT_ONCE, "n")
    place = await ask(world, me)
    assert await trials.send_batch()
    ended = await outcome(world, me, place)
    assert [each["outcome"] for each in ended["devices"]] == ["unregistered"]
    assert not await trials.send_batch()
    own.terminate()

"""Devices over a real PostgreSQL: one target, one owner, and never shown."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.support.rest import DEVICE, World, problem


async def test_a_device_is_registered_renewed_and_forgotten(world: World) -> None:
    me, url = await world.account(), f"/api/me/devices/{uuid4()}"
    made = await world.client.put(url, headers=me, json=DEVICE)
    assert made.status_code == 200
    assert "target" not in made.json()
    await world.write("UPDATE device SET dead_at = wall_now(), dead_reason = 'gone'")
    before = await world.rows("SELECT refreshed_at FROM device")
    renewed = await world.client.put(url, headers=me, json=DEVICE | {"target": "another-target"})
    assert await world.rows("SELECT refreshed_at FROM device") > before
    assert renewed.json() == made.json()
    assert await world.rows("SELECT target, dead_at, dead_reason FROM device") == [
        ("another-target", None, None)
    ]
    for _ in range(2):
        assert (await world.client.delete(url, headers=me)).status_code == 204
    assert await world.rows("SELECT count(*) FROM device") == [(0,)]


async def test_a_target_belongs_to_the_account_that_registered_it_last(world: World) -> None:
    old, new, phone = await world.account(), await world.account(), uuid4()
    await world.client.put(f"/api/me/devices/{uuid4()}", headers=old, json=DEVICE)
    await world.client.put(f"/api/me/devices/{phone}", headers=new, json=DEVICE)
    owner = "SELECT device_id FROM device"
    assert await world.rows(owner) == [(phone,)]
    moved = await world.client.put(f"/api/me/devices/{phone}", headers=old, json=DEVICE)
    assert moved.status_code == 200
    assert await world.rows(owner) == [(phone,)]
    await world.client.delete(f"/api/me/devices/{phone}", headers=new)
    assert await world.rows(owner) == [(phone,)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                world.client.put(f"/api/me/devices/{uuid4()}", headers=who, json=DEVICE)
            )
            for who in (old, new, old, new)
        ]
    assert [task.result().status_code for task in tasks] == [200] * 4
    assert len(await world.rows(owner)) == 1


async def test_the_device_of_another_account_cannot_be_overwritten(world: World) -> None:
    victim, thief, phone = await world.account(), await world.account(), uuid4()
    await world.client.put(f"/api/me/devices/{phone}", headers=victim, json=DEVICE)
    mine = DEVICE | {"target": "fid-of-the-thief"}
    taken = await world.client.put(f"/api/me/devices/{phone}", headers=thief, json=mine)
    problem(taken, 409, "device-id-taken")
    await world.client.delete(f"/api/me/devices/{phone}", headers=thief)
    assert await world.rows("SELECT target FROM device") == [(DEVICE["target"],)]


async def test_alerts_of_one_device_are_turned_off_and_stay_so(world: World) -> None:
    me, other, url = await world.account(), await world.account(), f"/api/me/devices/{uuid4()}"
    unknown = await world.client.patch(url, headers=me, json={"alerts": False})
    problem(unknown, 404, "no-such-device")
    assert (await world.client.put(url, headers=me, json=DEVICE)).json()["alerts"] is True
    foreign = await world.client.patch(url, headers=other, json={"alerts": False})
    problem(foreign, 404, "no-such-device")
    for body in (
        {},
        {"alerts": None},
        {"alerts": 0},
        {"alerts": False, "target": "another-target"},
    ):
        problem(await world.client.patch(url, headers=me, json=body), 422, "bad-body")
    assert await world.rows("SELECT alerts FROM device") == [(True,)]
    turned = await world.client.patch(url, headers=me, json={"alerts": False})
    assert (turned.status_code, turned.json()["alerts"]) == (200, False)
    renewed = await world.client.put(url, headers=me, json=DEVICE | {"target": "another-target"})
    assert renewed.json() == turned.json()
    again = await world.client.put(url, headers=me, json=DEVICE | {"alerts": True})
    assert again.json()["alerts"] is True


async def test_an_account_has_at_most_10_devices(world: World) -> None:
    me, urls = await world.account(), [f"/api/me/devices/{uuid4()}" for _ in range(11)]
    answers = [
        await world.client.put(url, headers=me, json=DEVICE | {"target": f"target-{n:04}"})
        for n, url in enumerate(urls)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [409]
    problem(answers[-1], 409, "too-many-devices")
    again = await world.client.put(urls[0], headers=me, json=DEVICE)
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"platform": "pager"}, "/platform"),
        ({"kind": None}, "/kind"),
        ({"target": "short"}, "/target"),
        ({"target": "x" * 1025}, "/target"),
        ({"target": "with a blank"}, "/target"),
        ({"target": "with-a-zero-\0"}, "/target"),
        ({"target": "with-a-line\n"}, "/target"),
        ({"account_id": "0"}, "/account_id"),
    ],
)
async def test_a_fault_in_a_body_has_its_place(
    world: World, change: dict[str, Any], pointer: str
) -> None:
    url = f"/api/me/devices/{uuid4()}"
    answer = await world.client.put(url, headers=await world.account(), json=DEVICE | change)
    details = problem(answer, 422, "bad-body")
    assert [fault["pointer"] for fault in details["errors"]] == [pointer]


async def test_devices_are_listed_without_their_targets(world: World) -> None:
    me, other, phone = await world.account(), await world.account(), uuid4()
    await world.client.put(f"/api/me/devices/{phone}", headers=me, json=DEVICE)
    token = {"platform": "ios", "kind": "token", "target": "token-of-a-phone"}
    await world.client.put(f"/api/me/devices/{uuid4()}", headers=me, json=token)
    await world.write(
        "UPDATE device SET dead_at = wall_now(), dead_reason = 'gone' WHERE kind = 'token'"
    )
    answer = await world.client.get("/api/me/devices", headers=me)
    first, second = answer.json()["items"]
    assert (first["device_id"], first["kind"], first["dead_at"]) == (str(phone), "fid", None)
    assert (second["platform"], second["dead_reason"]) == ("ios", "gone")
    assert DEVICE["target"] not in answer.text
    assert token["target"] not in answer.text
    assert (await world.client.get("/api/me/devices", headers=other)).json() == {"items": []}

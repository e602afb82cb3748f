"""What an account wants to be told, and the kinds of its follows that come of it."""

from typing import Any

import pytest

from realtime.notice_kinds import ROLE_KINDS
from tests.support.rest import World, problem

DEFAULTS = {
    "kinds": None, "delay_step": 15, "quiet": None, "language": "en", "zone": "UTC", "hours": 24,
}  # fmt: skip
URL = "/api/me/preferences"


async def kinds_of(world: World) -> list[set[str]]:
    rows = await world.rows("SELECT kinds FROM follow ORDER BY role")
    return [set(kinds) for (kinds,) in rows]


async def test_preferences_are_chosen_kept_and_left(world: World) -> None:
    me, other = await world.account(), await world.account()
    assert (await world.client.get(URL, headers=me)).json() == DEFAULTS
    chosen = {
        "kinds": ["cancelled", "delay"], "delay_step": 30, "language": "ar", "hours": 12,
        "zone": "America/New_York",
        "quiet": {"start": "22:00", "end": "07:00", "urgent_passes": False},
    }  # fmt: skip
    made = await world.client.put(URL, headers=me, json=chosen)
    assert made.json() == chosen
    assert (await world.client.get(URL, headers=me)).json() == chosen
    assert (await world.client.get(URL, headers=other)).json() == DEFAULTS
    assert (await world.client.put(URL, headers=me, json={})).json() == DEFAULTS
    assert await world.rows("SELECT DISTINCT preferences FROM account") == [({},)]


async def test_a_choice_of_kinds_is_that_of_every_follow(world: World) -> None:
    first, second = await world.leg(1), await world.leg(2)
    me, other = await world.account(), await world.account()
    await world.client.put(f"/api/me/follows/{first}", headers=me)
    await world.client.put(f"/api/me/follows/{second}", headers=me, json={"role": "pick_up"})
    roles = [set(ROLE_KINDS["passenger"]), set(ROLE_KINDS["pick_up"])]
    assert await kinds_of(world) == roles
    await world.client.put(URL, headers=other, json={"kinds": []})
    assert await kinds_of(world) == roles
    await world.client.put(URL, headers=me, json={"kinds": ["landed", "cancelled"]})
    assert await kinds_of(world) == [{"landed", "cancelled"}] * 2
    third = await world.leg(3)
    answer = await world.client.put(f"/api/me/follows/{third}", headers=me)
    assert answer.json()["kinds"] == ["cancelled", "landed"]
    await world.client.put(URL, headers=me, json={})
    passenger, pick_up = roles
    assert sorted(await kinds_of(world), key=sorted) == sorted(
        [passenger, passenger, pick_up], key=sorted
    )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kinds": ["cancelled", "weather"]}, "/kinds/1"),
        ({"kinds": ["on_time"]}, "/kinds/0"),
        ({"delay_step": 4}, "/delay_step"),
        ({"delay_step": 61}, "/delay_step"),
        ({"delay_step": 7.5}, "/delay_step"),
        ({"language": "tlh"}, "/language"),
        ({"hours": 13}, "/hours"),
        ({"zone": "Mars/Olympus"}, "/zone"),
        ({"zone": "../../etc/passwd"}, "/zone"),
        ({"zone": "America"}, "/zone"),
        ({"zone": "a\0b"}, "/zone"),
        ({"zone": ""}, "/zone"),
        ({"quiet": {"start": "24:00", "end": "07:00"}}, "/quiet/start"),
        ({"quiet": {"start": "22:00"}}, "/quiet/end"),
        ({"quiet": {"start": "22:00", "end": "22:00"}}, "/quiet/end"),
        ({"mood": "good"}, "/mood"),
    ],
)
async def test_a_wrong_choice_is_named_and_changes_nothing(
    world: World, body: dict[str, Any], pointer: str
) -> None:
    me = await world.account()
    await world.client.put(URL, headers=me, json={"delay_step": 20})
    details = problem(await world.client.put(URL, headers=me, json=body), 422, "bad-body")
    assert [fault["pointer"] for fault in details["errors"]] == [pointer]
    assert await world.rows("SELECT preferences FROM account") == [({"delay_step": 20},)]


async def test_an_account_shows_what_it_has(world: World) -> None:
    me = await world.account()
    await world.client.put(f"/api/me/follows/{await world.leg(1)}", headers=me)
    shown = (await world.client.get("/api/me", headers=me)).json()
    assert me["Authorization"].split("_")[1] == shown["account"]
    assert (shown["follows"], shown["devices"]) == (1, 0)
    assert shown["preferences"] == DEFAULTS

"""A link carries an account to another phone, once, soon, and for who has the whole code."""

from tests.support.rest import World, problem


async def test_a_link_brings_the_account_to_another_phone_once(world: World) -> None:
    me, key = await world.account(), await world.leg(1)
    await world.client.put(f"/api/me/follows/{key}", headers=me)
    made = await world.client.post("/api/me/link", headers=me)
    code = made.json()["code"]
    assert (made.status_code, made.json()["expires_in"]) == (201, 600)
    assert code.split("_", 2)[2] not in str(await world.rows("SELECT l::text FROM account_link l"))
    brought = await world.client.post("/api/accounts/link", json={"code": code})
    assert brought.status_code == 201
    other = {"Authorization": f"Bearer {brought.json()['credential']}"}
    assert other != me
    for phone in (me, other):
        items = (await world.client.get("/api/me/follows", headers=phone)).json()["items"]
        assert [item["leg_key"] for item in items] == [key]
    again = await world.client.post("/api/accounts/link", json={"code": code})
    problem(again, 404, "unknown-link")
    assert (await world.client.delete("/api/me", headers=other)).status_code == 204
    problem(await world.client.get("/api/me", headers=me), 401)
    assert await world.rows("SELECT count(*) FROM account_credential") == [(0,)]


async def test_a_wrong_or_old_code_is_refused_and_changes_nothing(world: World) -> None:
    me = await world.account()
    code = (await world.client.post("/api/me/link", headers=me)).json()["code"]
    guess = code[:-1] + ("A" if code[-1] != "A" else "B")
    await world.write("UPDATE account_link SET created_at = wall_now() - interval '11 min'")
    problem(await world.client.post("/api/accounts/link", json={"code": code}), 404, "unknown-link")
    await world.write("UPDATE account_link SET created_at = wall_now()")
    for _ in range(5):
        wrong = await world.client.post("/api/accounts/link", json={"code": guess})
        problem(wrong, 404, "unknown-link")
    problem(await world.client.post("/api/accounts/link", json={"code": code}), 404, "unknown-link")
    for shape in ("", "gcl_x_y", code + "A", code + "\n"):
        answer = await world.client.post("/api/accounts/link", json={"code": shape})
        problem(answer, 422, "bad-body")
    assert await world.rows("SELECT count(*) FROM account_credential") == [(0,)]


async def test_an_account_makes_at_most_10_links_an_hour(world: World) -> None:
    me = await world.account()
    for _ in range(10):
        assert (await world.client.post("/api/me/link", headers=me)).status_code == 201
    refused = await world.client.post("/api/me/link", headers=me)
    problem(refused, 429, "too-many-links")
    assert refused.headers["retry-after"]

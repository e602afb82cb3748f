"""What is kept of an account can be taken along, and nothing of it stays."""

import asyncpg
import httpx2

from tests.support.client import RawClient
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.rest import World, problem
from tests.support.wait import until

Pool = asyncpg.Pool
DEVICE_ID = "5e1f0000-0000-4000-8000-00000000aaaa"
TARGET = "target-of-the-erased-0123456789"
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'p')"
)
OF_ACCOUNTS = (
    "SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attname = 'account_id'"
)


async def traces(pool: "Pool[asyncpg.Record]", marker: str) -> list[str]:
    """Tables of which a row has this text in any column."""
    found = []
    for (table,) in await pool.fetch(TABLES):
        query = f'SELECT count(*) FROM "{table}" t WHERE strpos(t::text, $1) > 0'
        if await pool.fetchval(query, marker):
            found.append(table)
    return sorted(found)


async def test_an_erased_account_leaves_no_trace(dsn: str, pool: "Pool[asyncpg.Record]") -> None:
    (leg_id,) = await add_legs(pool, departs_in="18 minutes")
    key = await key_of(pool, leg_id)
    server = Gatecast("serve", dsn=dsn, grace="0", grace_urgent="0")
    async with server, httpx2.AsyncClient(base_url=server.http, trust_env=False) as http:
        await server.ready(60)
        created = (await http.post("/api/accounts")).json()
        account, credential = created["account"], created["credential"]
        me = {"Authorization": f"Bearer {credential}"}
        device = {"platform": "android", "kind": "fid", "target": TARGET}
        put = await http.put(f"/api/me/devices/{DEVICE_ID}", headers=me, json=device)
        assert put.status_code == 200, put.text
        assert (await http.put(f"/api/me/follows/{key}", headers=me)).status_code == 200
        token = (await http.post("/api/me/token", headers=me)).json()["token"]
        async with RawClient(server.url) as mine, RawClient(server.url) as anonymous:
            await mine.connect(token)
            await anonymous.connect()
            await set_gate(pool, leg_id, "Z9")
            sent = "SELECT count(*) FROM delivery WHERE state = 'sent'"
            await until(lambda: pool.fetchval(sent), within=20, what="a delivery is sent")
            epoch = await pool.fetchval("SELECT epoch::text FROM relay_state")
            body = {"epoch": epoch, "legs": {key: 1}}
            assert (await http.post("/api/me/receipts", headers=me, json=body)).status_code == 200
            await server.wait_for_line(DEVICE_ID)
            tables = {"account", "device", "follow", "receipt", "delivery"}
            assert set(await traces(pool, account)) == tables
            assert await traces(pool, TARGET) == ["device"]
            assert (await http.delete("/api/me", headers=me)).status_code == 204
            assert await mine.closed() == (3500, "invalid token")
            assert "ping" in await anonymous.command("ping")
        assert (await http.get("/api/me", headers=me)).status_code == 401
        printed = server.output()
    secret = credential.split("_", 2)[2]
    for marker in (account, DEVICE_ID, TARGET, secret, token):
        assert await traces(pool, marker) == []
    assert await pool.fetchval("SELECT count(*) FROM account") == 0
    assert "gate now Z9" in printed
    for marker in (account, TARGET, secret, token):
        assert marker not in printed


async def test_an_export_holds_every_row_about_the_account(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, other, key = await world.account(), await world.account(), await world.leg(1)
    device = {"platform": "ios", "kind": "token", "target": TARGET}
    await world.client.put(f"/api/me/devices/{DEVICE_ID}", headers=me, json=device)
    await world.client.put(f"/api/me/follows/{key}", headers=me, json={"role": "pick_up"})
    epoch = await pool.fetchval("SELECT epoch::text FROM relay_state")
    body = {"epoch": epoch, "legs": {key: 1}}
    await world.client.post("/api/me/receipts", headers=me, json=body)
    answer = await world.client.get("/api/me/export", headers=me)
    export = answer.json()
    (mine,) = export["devices"]
    assert (mine["target"], mine["device_id"]) == (TARGET, DEVICE_ID)
    (follow,) = export["follows"]
    assert (follow["leg_key"], follow["role"]) == (key, "pick_up")
    assert follow["told"]["std"]
    (receipt,) = export["receipts"]
    assert (receipt["leg_key"], receipt["version"]) == (key, 1)
    assert len(export["accounts"]) == 1
    assert "credential_hash" not in answer.text
    theirs = (await world.client.get("/api/me/export", headers=other)).json()
    assert (theirs["devices"], theirs["follows"], theirs["receipts"]) == ([], [], [])


async def test_no_table_about_accounts_is_left_out_of_the_export(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    members = (await world.client.get("/api/me/export", headers=await world.account())).json()
    plural = {"delivery": "deliveries"}
    for (table,) in await pool.fetch(OF_ACCOUNTS):
        assert plural.get(table, f"{table}s") in members


async def test_an_erased_account_can_do_nothing_more(world: World) -> None:
    me, other, key = await world.account(), await world.account(), await world.leg(1)
    await world.client.put(f"/api/me/follows/{key}", headers=other)
    assert (await world.client.delete("/api/me", headers=me)).status_code == 204
    problem(await world.client.put(f"/api/me/follows/{key}", headers=me), 401)
    problem(await world.client.delete("/api/me", headers=me), 401)
    assert await world.rows("SELECT count(*) FROM follow") == [(1,)]

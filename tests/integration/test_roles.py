"""Each kind of process works with a login that has its own rights in the database, and no more."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from realtime.database import QUERIES
from realtime.tokens import Tokens
from tests.support.client import RawClient
from tests.support.feed import open_feed
from tests.support.gatecast import SECRET, Gatecast
from tests.support.operator import Operator
from tests.support.roles import as_login, open_logins

Pool = asyncpg.Pool
NOW = datetime.now(UTC)
TABLES = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
  AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"""


@pytest.fixture
async def logins(dsn: str) -> Mapping[str, str]:
    return await open_logins(dsn)


@pytest.fixture
async def processes(logins: Mapping[str, str]) -> AsyncIterator[tuple[Gatecast, Gatecast]]:
    """api and node, with a relay beside them."""
    relay = Gatecast("relay", dsn=logins["relay"])
    api, node = (Gatecast(name, dsn=logins[name]) for name in ("api", "realtime"))
    async with relay, api, node:
        await api.ready()
        await node.ready()
        yield api, node


async def test_all_that_rest_offers_works_with_the_rights_of_its_login(
    processes: tuple[Gatecast, Gatecast], dsn: str
) -> None:
    api, _ = processes
    feed = await open_feed(dsn, api.http)
    key = await feed.say(9, std=feed.at(60), sta=feed.at(240), dep_gate="18")
    async with httpx2.AsyncClient(base_url=f"{api.http}/api", trust_env=False) as http:
        created = (await http.post("/accounts")).json()
        http.headers["Authorization"] = f"Bearer {created['credential']}"
        device, target = f"/me/devices/{uuid4()}", "ok-phone-0123456789"
        position: str = (await http.get("/me/changes")).json()["position"]
        epoch = position.partition(":")[0]
        displayed = {"epoch": epoch, "attentive": True, "legs": {key: 1}}
        for method, path, body in [
            ("GET", f"/flights/{key}", None),
            ("GET", f"/flights/{key}/history", None),
            ("GET", "/flights?q=B6 9", None),
            ("GET", "/airports?q=JF", None),
            ("PUT", "/me/preferences", {}),
            ("GET", "/me/preferences", None),
            ("POST", "/me/token", None),
            ("PUT", f"/me/follows/{key}", None),
            ("GET", f"/me/follows/{key}/preview", None),
            ("PUT", device, {"platform": "android", "kind": "fid", "target": target}),
            ("POST", "/me/receipts", displayed),
            ("GET", "/me/deliveries", None),
            ("POST", "/me/link", None),
            ("POST", "/me/test-notices", None),
            ("GET", "/me/test-notices", None),
            ("GET", "/me/export", None),
            ("DELETE", device, None),
            ("DELETE", f"/me/follows/{key}", None),
            ("DELETE", "/me", None),
        ]:
            answer = await http.request(method, path, json=body)
            assert answer.status_code in (200, 201, 202, 204), (method, path, answer.text)
        assert (await http.get("/me/export")).status_code == 401


async def test_a_node_takes_a_receipt_and_tells_of_changes(
    processes: tuple[Gatecast, Gatecast], dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    api, node = processes
    feed = await open_feed(dsn, api.http)
    key = await feed.say(9, std=feed.at(60), sta=feed.at(240), dep_gate="18")
    account = await pool.fetchval(
        "INSERT INTO account (credential_hash) VALUES ('x') RETURNING account_id::text"
    )
    token = Tokens(SECRET).mint(account, datetime.now(UTC))
    async with RawClient(node.url) as client:
        await client.connect(token)
        subscribed = await client.subscribe(f"flight:{key}")
        displayed = {"epoch": subscribed["epoch"], "legs": {key: 1}}
        assert "error" not in await client.command("rpc", {"method": "ack", "data": displayed})
        assert await pool.fetchval("SELECT version FROM receipt") == 1
        await feed.say(9, dep_gate="22")
        told = await client.push(f"flight:{key}")
        while told["pub"]["data"]["leg"]["dep_gate"] != "22":
            told = await client.push(f"flight:{key}")


@pytest.mark.parametrize(
    ("process", "statements"),
    [
        ("realtime", [
            "SELECT target FROM device", "SELECT credential_hash FROM account",
            "SELECT secret_hash FROM api_key", "UPDATE flight_leg SET dep_gate = 'X'",
            "INSERT INTO change_outbox (kind, at, state) VALUES ('clock', now(), '{}')",
            "SELECT sequence_changes(1)", "SELECT prune_log()", "DELETE FROM receipt",
        ]),
        ("relay", [
            "SELECT * FROM account", "SELECT * FROM follow", "SELECT * FROM device",
            "UPDATE flight_leg SET dep_gate = 'X'", "DELETE FROM change_log",
            "UPDATE relay_state SET last_seq = 0",
        ]),
        ("notifier", [
            "UPDATE flight_leg SET dep_gate = 'X'", "SELECT credential_hash FROM account",
            "SELECT * FROM api_key", "DELETE FROM device", "UPDATE device SET target = 'xxxxxxxx'",
            "UPDATE account SET preferences = '{}'", "SELECT sequence_changes(1)",
        ]),
        ("api", [
            "DELETE FROM flight_leg", "UPDATE change_log SET seq = 1", "DELETE FROM change_log",
            "INSERT INTO api_key (key_id, feed_id, secret_hash) VALUES ('0123456789ab', 1, '')",
            "INSERT INTO feed (code, party) VALUES ('x', 'airport')",
            "SELECT start_replay(now(), 10)", "SELECT new_epoch(gen_random_uuid(), 1)",
            "TRUNCATE account", "CREATE TABLE mine (x int)",
        ]),
        ("replay", ["SELECT * FROM account", "SELECT * FROM api_key", "DELETE FROM flight_leg"]),
    ],
)  # fmt: skip
async def test_a_process_may_do_nothing_else(
    logins: Mapping[str, str], process: str, statements: list[str]
) -> None:
    connection = await asyncpg.connect(logins[process])
    try:
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


RARE: dict[str, dict[str, list[Any]]] = {
    "api": {
        name: [30.0, 10]
        for name in ("forget_deliveries", "forget_receipts", "forget_follows", "forget_devices",
                     "forget_links", "forget_history")
    },
    "notifier": {
        "cancellations": [[1], 600.0], "crowds": [["JFK"], 600.0], "next_of_aircraft": [[1]],
        "closing_desks": [NOW, 1800.0], "follow_on": [[1], ["std"]], "load_claimed": ["nobody"],
        "enqueue_occasion": [1, 1, "inbound_late", None, NOW, NOW, 8.0],
    },
}  # fmt: skip


@pytest.mark.parametrize("process", RARE)
async def test_what_is_rarely_done_is_allowed_too(logins: Mapping[str, str], process: str) -> None:
    connection = await asyncpg.connect(logins[process])
    try:
        for name, values in RARE[process].items():
            await connection.fetch(QUERIES[name], *values)
    finally:
        await connection.close()


async def test_every_table_is_somebody_s(
    logins: Mapping[str, str], pool: "Pool[asyncpg.Record]"
) -> None:
    """A table that is added without a right for the process that needs it works for no one."""
    readable = """SELECT bool_or(has_any_column_privilege('gatecast_' || p, $1::text, 'SELECT'))
      FROM unnest($2::text[]) p"""
    tables = [row["relname"] for row in await pool.fetch(TABLES)]
    assert len(tables) > 20
    for table in tables:
        assert await pool.fetchval(readable, table, list(logins)), table


async def test_rights_are_given_by_db_init_or_it_says_who_can(dsn: str) -> None:
    shell = Operator(dsn)
    try:
        given = await shell.run("db", "init")
        assert (given.returncode, "have their rights" in given.stdout) == (0, True)
    finally:
        await shell.close()
    guest = await asyncpg.connect(dsn)
    try:
        await guest.execute("DROP ROLE IF EXISTS test_guest")
        await guest.execute("CREATE ROLE test_guest LOGIN IN ROLE gatecast_relay")
    finally:
        await guest.close()
    node = Gatecast("realtime", dsn=as_login(dsn, "test_guest"))
    async with node:
        assert await node.wait() == 1
        (line,) = [line for line in node.output().splitlines() if "gatecast: " in line]
        assert "lacks a right (permission denied" in line
        assert "gatecast db init" in line

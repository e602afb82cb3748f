"""One committed row reaches a socket; whatever a client sends, the node lives."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest
import websockets

from realtime.change_log import ChangeLog
from tests.support.bus import absent
from tests.support.client import RawClient
from tests.support.legs import add_feed, add_legs, key_of, set_gate
from tests.support.node import RunningNode, running_node
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"


@pytest.fixture(params=["detached", "asgi"], autouse=True)
def transport(request: pytest.FixtureRequest) -> str:
    """What is true of a node is true on both."""
    found: str = request.param
    return found


@pytest.fixture
async def node(pool: "Pool[asyncpg.Record]", transport: str) -> AsyncIterator[RunningNode]:
    await add_legs(pool, 3)
    async with running_node(pool, transport=transport) as running:
        yield running


@pytest.fixture
async def client(node: RunningNode) -> AsyncIterator[RawClient]:
    async with RawClient(node.url) as opened:
        yield opened


async def test_a_row_changed_by_hand_reaches_board_and_flight(
    node: RunningNode, client: RawClient
) -> None:
    key = await key_of(node.pool, 1)
    await client.connect()
    board = await client.subscribe(BOARD)
    flight = await client.subscribe(f"flight:{key}")
    assert {row["key"] for row in board["state"]} == {await key_of(node.pool, n) for n in (1, 2, 3)}
    assert flight["publications"][0]["offset"] == flight["offset"] == 1
    await set_gate(node.pool, 1, "22")
    pushed = (await client.push(f"flight:{key}"))["pub"]
    assert pushed["offset"] == 2
    assert pushed["data"]["leg"]["dep_gate"] == "22"
    assert pushed["data"]["change"]["fields"]["dep_gate"] == ["18", "22"]
    row = (await client.push(BOARD))["pub"]
    assert (row["key"], row["data"]["dep_gate"]) == (key, "22")
    assert row["offset"] > board["offset"]


async def test_what_was_missed_is_recovered_on_both_kinds_of_channel(node: RunningNode) -> None:
    key = await key_of(node.pool, 1)
    async with RawClient(node.url) as first:
        await first.connect()
        board = await first.subscribe(BOARD)
        flight = await first.subscribe(f"flight:{key}")
    for gate in ("1", "2", "3"):
        await set_gate(node.pool, 1, gate)
    await node.pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 2")
    await until(lambda: node.node.hub.state.seq >= board["offset"] + 4, within=5, what="applied")  # type: ignore[union-attr]
    async with RawClient(node.url) as second:
        await second.connect()
        again = await second.subscribe(
            f"flight:{key}", recover=True, offset=flight["offset"], epoch=flight["epoch"]
        )
        assert again["recovered"]
        assert [each["offset"] for each in again["publications"]] == [2, 3, 4]
        rows = await second.subscribe(
            BOARD, phase=1, recover=True, offset=board["offset"], epoch=board["epoch"]
        )
        assert rows["recovered"]
        assert {each["key"]: each.get("removed", False) for each in rows["publications"]} == {
            key: False,
            await key_of(node.pool, 2): True,
        }


async def test_a_flight_nobody_has_heard_of_is_an_empty_channel(client: RawClient) -> None:
    await client.connect()
    result = await client.subscribe("flight:XX1-2013-03-08-JFK-MCO")
    assert (result["offset"], result["publications"]) == (0, [])


async def test_the_history_of_a_flight(node: RunningNode, client: RawClient) -> None:
    key = await key_of(node.pool, 1)
    channel = f"flight:{key}"
    await client.connect()
    epoch = (await client.subscribe(channel))["epoch"]
    for gate in ("1", "2", "3"):
        await set_gate(node.pool, 1, gate)
    while (await client.push(channel))["pub"]["offset"] < 4:
        pass
    since = {"offset": 2, "epoch": epoch}
    for request, offsets in (
        ({}, []),
        ({"limit": -1}, [1, 2, 3, 4]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 2, "reverse": True}, [4, 3]),
        ({"limit": -1, "since": since}, [3, 4]),
        ({"limit": 1, "since": since}, [3]),
        ({"limit": -1, "since": since, "reverse": True}, [1]),
        ({"limit": -1, "since": {"offset": 4}}, []),
    ):
        reply = await client.command("history", {"channel": channel, **request})
        assert (reply["history"]["epoch"], reply["history"]["offset"]) == (epoch, 4)
        assert [each["offset"] for each in reply["history"]["publications"]] == offsets
    other = {"channel": channel, "limit": -1, "since": {"offset": 1, "epoch": "other"}}
    assert (await client.command("history", other))["error"]["code"] == 112
    assert (await client.command("history", {"channel": "x"}))["error"]["code"] == 102


async def test_a_leg_that_no_board_may_show_is_loaded_for_its_channel(
    pool: "Pool[asyncpg.Record]", transport: str
) -> None:
    await add_legs(pool, 1, departs_in="-60 hours")
    key = await key_of(pool, 1)
    await ChangeLog(pool).sequence()
    await pool.execute("UPDATE change_log SET wall_at = wall_at - interval '1 hour'")
    async with running_node(pool, transport=transport) as node:
        state = node.node.hub.state
        assert state is not None
        assert not state.legs
        clients = [await RawClient(node.url).open() for _ in range(5)]
        for client in clients:
            await client.connect()
        results = await asyncio.gather(*(each.subscribe(f"flight:{key}") for each in clients))
        for result in results:
            assert [each["data"]["leg"]["key"] for each in result["publications"]] == [key]
        await set_gate(pool, 1, "22")
        for client in clients:
            pushed = (await client.push(f"flight:{key}"))["pub"]
            assert (pushed["offset"], pushed["data"]["leg"]["dep_gate"]) == (2, "22")
            await client.close()


async def test_the_old_key_of_a_leg_that_no_board_may_show_leads_to_it(
    pool: "Pool[asyncpg.Record]", transport: str
) -> None:
    await add_legs(pool, 1, departs_in="-60 hours")
    old = await key_of(pool, 1)
    await pool.execute("UPDATE flight_leg SET suffix = 'D' WHERE leg_id = 1")
    new = await key_of(pool, 1)
    await ChangeLog(pool).sequence()
    await pool.execute("UPDATE change_log SET wall_at = wall_at - interval '1 hour'")
    async with running_node(pool, transport=transport) as node, RawClient(node.url) as client:
        await client.connect()
        moved = await client.subscribe(f"flight:{old}")
        assert [each["data"] for each in moved["publications"]] == [{"moved_to": new}]
        there = await client.subscribe(f"flight:{new}")
        assert there["publications"][0]["data"]["leg"]["key"] == new


async def test_a_new_epoch_makes_clients_subscribe_afresh(
    node: RunningNode, client: RawClient
) -> None:
    await client.connect()
    before = await client.subscribe(BOARD)
    await node.pool.execute("SELECT new_epoch(epoch, last_seq + 1) FROM relay_state")
    pushed = await client.push(BOARD)
    assert pushed["unsubscribe"]["code"] == 2502
    reply = await client.command(
        "subscribe",
        {"channel": BOARD, "type": 1, "phase": 1, "recover": True, "offset": before["offset"],
         "epoch": before["epoch"]},
    )  # fmt: skip
    assert reply["error"]["code"] == 112
    after = await client.subscribe(BOARD)
    assert after["epoch"] != before["epoch"]
    await set_gate(node.pool, 1, "22")
    assert (await client.push(BOARD))["pub"]["data"]["dep_gate"] == "22"


async def test_rows_enter_and_leave_with_the_clock(node: RunningNode, client: RawClient) -> None:
    await node.pool.execute("SELECT start_replay(board_now(), 600)")
    await node.pool.execute("UPDATE flight_leg SET atd = board_now() WHERE leg_id = 1")
    await client.connect()
    board = await client.subscribe(BOARD)
    assert len(board["state"]) == 3
    while not (pub := (await client.push(BOARD))["pub"]).get("removed"):
        pass
    assert pub["key"] == await key_of(node.pool, 1)


async def test_freshness_comes_with_the_reply_and_on_its_own(
    pool: "Pool[asyncpg.Record]", transport: str
) -> None:
    await add_legs(pool)
    await add_feed(pool, max_silence="1 s", synthetic=True)
    async with (
        running_node(pool, transport=transport, status_interval=0.3) as node,
        RawClient(node.url) as client,
    ):
        await client.connect()
        (first,) = (await client.subscribe("status:JFK"))["publications"]
        assert "offset" not in first
        assert first["data"]["speed"] == 1
        seen = [feed["state"] for feed in first["data"]["feeds"]]
        while "dead" not in seen:
            feeds = (await client.push("status:JFK"))["pub"]["data"]["feeds"]
            seen += [feed["state"] for feed in feeds]
            assert all(feed["synthetic"] for feed in feeds)
        assert [state for n, state in enumerate(seen) if state not in seen[:n]] == [
            "fresh", "late", "dead",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["nonsense"], 3501),
        (['{"id":1,"subscribe":{"channel":"status:JFK"}}'], 3501),
        (['{"id":1,"connect":{}}', '{"id":2,"connect":{}}'], 3501),
        (['{"id":1,"connect":{}}', '{"send":{"data":{}}}'], 3508),
        (['{"id":1,"connect":{}}', '{"id":2,"subscribe":{"channel":""}}'], 3501),
        (['{"id":1,"connect":{}}', '{"id":2,"dance":{}}'], 3501),
        (['{"id":1,"connect":{"token":"forged"}}'], 3500),
        (["[" * 60_000], 3501),
        (["x" * 70_000], 1009),
    ],
)
async def test_garbage_ends_its_own_connection_only(
    node: RunningNode, client: RawClient, frames: list[str], code: int
) -> None:
    await client.connect()
    await client.subscribe(BOARD)
    async with RawClient(node.url) as bad:
        for frame in frames:
            await bad.socket.send(frame)
        assert (await bad.closed())[0] == code
    await set_gate(node.pool, 1, "22")
    assert (await client.push(BOARD))["pub"]["data"]["dep_gate"] == "22"


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        ("subscribe", {"channel": "nothing:like:this"}, 102),
        ("subscribe", {"channel": "x" * 300}, 107),
        ("subscribe", {"channel": BOARD}, 107),
        ("subscribe", {"channel": "status:JFK", "type": 1}, 107),
        ("subscribe", {"channel": BOARD, "type": 1, "tf": {"key": "a"}}, 107),
        ("publish", {"channel": BOARD, "data": {}}, 103),
        ("history", {"channel": BOARD}, 108),
        ("history", {"channel": "status:JFK"}, 108),
        ("presence", {"channel": BOARD}, 108),
        ("rpc", {"method": "other"}, 108),
        ("rpc", {"method": "ack", "data": {}}, 103),
        ("refresh", {"token": "x"}, 108),
    ],
)
async def test_refusals_have_their_code(
    client: RawClient, method: str, body: dict[str, Any], code: int
) -> None:
    await client.connect()
    reply = await client.command(method, body)
    assert reply["error"]["code"] == code
    assert reply["error"]["message"]
    assert await client.command("ping") == {"id": 3, "ping": {}}


async def test_the_second_subscription_and_the_129th_are_refused(client: RawClient) -> None:
    await client.connect()
    await client.subscribe(BOARD)
    reply = await client.command("subscribe", {"channel": BOARD, "type": 1, "phase": 2})
    assert reply["error"]["code"] == 105
    for number in range(1, 128):
        await client.subscribe(f"flight:XX{number}-2013-03-08-JFK-MCO")
    reply = await client.command("subscribe", {"channel": "status:JFK"})
    assert reply["error"]["code"] == 106
    assert await client.command("unsubscribe", {"channel": BOARD})
    await client.subscribe("status:JFK")


async def test_after_an_unsubscribe_nothing_of_the_channel_comes(
    node: RunningNode, client: RawClient
) -> None:
    await client.connect()
    await client.subscribe(BOARD)
    key = await key_of(node.pool, 1)
    await client.subscribe(f"flight:{key}")
    await client.command("unsubscribe", {"channel": BOARD})
    await client.command("unsubscribe", {"channel": "never:subscribed"})
    client.pushes.clear()
    await set_gate(node.pool, 1, "22")
    await client.push(f"flight:{key}")
    await client.command("ping")
    assert all(push["channel"] != BOARD for push in client.pushes)


async def test_tokens(node: RunningNode) -> None:
    account = str(uuid4())
    async with RawClient(node.url) as client:
        now = datetime.now(UTC)
        result = await client.connect(node.tokens.mint(account, now))
        assert result["expires"]
        assert 500 < result["ttl"] <= 600
        fresh = node.tokens.mint(account, now + timedelta(seconds=20))
        assert (await client.command("refresh", {"token": fresh}))["refresh"]["expires"]
        other = node.tokens.mint(str(uuid4()), now)
        await client.socket.send(json.dumps({"id": 9, "refresh": {"token": other}}))
        assert (await client.closed())[0] == 3500
    async with RawClient(node.url) as client:
        old = node.tokens.mint(account, datetime.now(UTC) - timedelta(minutes=11))
        reply = await client.command("connect", {"token": old})
        assert reply["error"]["code"] == 109


async def test_a_foreign_origin_is_refused_before_the_handshake(node: RunningNode) -> None:
    own = f"http://127.0.0.1:{node.settings.port}"
    async with RawClient(node.url, origin=own) as client:
        await client.connect()
    for foreign in ("https://evil.example", f"{own}.evil.example", "null"):
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            await websockets.connect(node.url, origin=foreign)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 403


async def test_silent_clients_are_ended(pool: "Pool[asyncpg.Record]", transport: str) -> None:
    async with running_node(
        pool, transport=transport, ping_interval=1.0, pong_timeout=0.5, connect_timeout=0.5
    ) as node:
        async with RawClient(node.url) as mute:
            assert (await mute.closed())[0] == 3502
        async with RawClient(node.url) as deaf:
            await deaf.connect()
            assert (await deaf.closed())[0] == 3012
        async with RawClient(node.url) as polite:
            await polite.connect()
            for _ in range(3):
                assert await polite.line() == {}
                await polite.socket.send("{}")
                await polite.socket.send("{}")
            assert await polite.command("ping")


async def test_one_stalled_reader_holds_up_nobody_and_finds_the_newest_state(
    pool: "Pool[asyncpg.Record]", transport: str
) -> None:
    await add_legs(pool, 150)
    async with (
        running_node(pool, transport=transport, ping_interval=150, stall_timeout=150) as node,
        RawClient(node.url, ping_interval=None) as steady,
    ):
        stalled = RawClient(node.url, max_queue=1, ping_interval=None)
        await stalled.open()
        await stalled.connect()
        board = await stalled.subscribe(BOARD)
        assert len(board["state"]) == 150
        sock: socket.socket = stalled.socket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.socket.transport.pause_reading()
        await steady.connect()
        await steady.subscribe(BOARD)
        for number in range(20):
            await pool.execute("UPDATE flight_leg SET dep_gate = $1", f"G{number}")
        gates: dict[str, str] = {}
        while len(gates) < 150 or set(gates.values()) != {"G19"}:
            pub = (await steady.push(BOARD))["pub"]
            gates[pub["key"]] = pub["data"]["dep_gate"]
        outboxes = node.process.sockets.clients.values()  # type: ignore[union-attr]
        assert max(len(outbox) for outbox in outboxes) <= 160
        stalled.socket.transport.resume_reading()
        newest: dict[str, str] = {}
        received = 0
        while len(newest) < 150 or set(newest.values()) != {"G19"}:
            pub = (await stalled.push(BOARD))["pub"]
            newest[pub["key"]] = pub["data"]["dep_gate"]
            received += 1
        assert received < 20 * 150
        await stalled.close()


async def test_sigterm_moves_clients_away_with_3001(
    pool: "Pool[asyncpg.Record]", transport: str
) -> None:
    async with running_node(pool, transport=transport, drain=0.3) as node:
        clients = [await RawClient(node.url).open() for _ in range(5)]
        for client in clients:
            await client.connect()
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{node.http}/readyz")).status_code == 200
            metrics = (await http.get(f"{node.http}/metrics")).text
            assert "gatecast_clients 5.0" in metrics
        node.process.stopping.set()
        codes = await asyncio.gather(*(client.closed() for client in clients))
        assert set(codes) == {(3001, "shutdown")}


async def test_without_its_database_a_node_serves_the_last_state_and_says_so(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    await add_legs(pool, 3)

    async def degraded() -> dict[str, str]:
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{served.http}/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        found: dict[str, str] = answer.json()["degraded"]
        return found

    async with running_node(pool) as served, RawClient(served.url) as early:
        await early.connect()
        held = await early.subscribe(BOARD)
        assert await degraded() == {}
        async with absent(dsn):
            found = await until(degraded, within=10, what="it is said")
            assert found["log"].startswith("out of reach since ")
            async with RawClient(served.url) as late:
                await late.connect()
                assert (await late.subscribe(BOARD))["state"] == held["state"]
            assert await early.command("ping")

        async def mended() -> bool:
            return await degraded() == {}

        await until(mended, within=20, what="it is over")


async def test_a_corrected_key_ends_the_old_channel_and_renames_the_row(
    node: RunningNode, client: RawClient, transport: str
) -> None:
    old = await key_of(node.pool, 1)
    await client.connect()
    board = await client.subscribe(BOARD)
    await client.subscribe(f"flight:{old}")
    await node.pool.execute("UPDATE flight_leg SET suffix = 'D' WHERE leg_id = 1")
    new = await key_of(node.pool, 1)
    assert new != old
    last = (await client.push(f"flight:{old}"))["pub"]
    assert (last["data"], last["offset"]) == ({"moved_to": new}, 2)
    ended = (await client.push(f"flight:{old}"))["unsubscribe"]
    assert ended == {"code": 2000, "reason": "moved"}
    left = (await client.push(BOARD))["pub"]
    entered = (await client.push(BOARD))["pub"]
    assert (left["key"], left["removed"]) == (old, True)
    assert (entered["key"], entered["offset"]) == (new, left["offset"])
    moved = await client.subscribe(f"flight:{old}")
    assert [each["data"] for each in moved["publications"]] == [{"moved_to": new}]
    flight = await client.subscribe(f"flight:{new}")
    assert flight["publications"][0]["data"]["leg"]["key"] == new
    async with running_node(node.pool, transport=transport) as young, RawClient(young.url) as other:
        await other.connect()
        again = await other.subscribe(f"flight:{old}")
        assert [each["data"] for each in again["publications"]] == [{"moved_to": new}]
        position = {"recover": True, "phase": 1, "offset": board["offset"]}
        missed = await other.subscribe(BOARD, epoch=board["epoch"], **position)
        told = [(row["key"], row.get("removed", False)) for row in missed["publications"]]
        assert told == [(old, True), (new, False)]

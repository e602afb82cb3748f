"""One-way streams: everything first, then each change, and on return exactly what was missed."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.support.events import Event, EventSource, event_source
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.node import RunningNode, running_node
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "/sse/boards/JFK/departures"


@pytest.fixture
async def node(pool: "Pool[asyncpg.Record]") -> AsyncIterator[RunningNode]:
    await add_legs(pool, 3)
    async with running_node(pool) as running:
        yield running


def gates(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["key"]: row["data"]["dep_gate"] for row in rows}


async def applied(node: RunningNode, changes: int) -> None:
    """Wait until the node has passed this many rows of legs."""
    count = "SELECT last_seq FROM relay_state"
    logged = "SELECT count(*) FROM change_log WHERE kind = 'leg'"

    async def passed() -> bool:
        seq = await node.pool.fetchval(count)
        enough: bool = await node.pool.fetchval(logged) >= changes
        state = node.node.hub.state
        return enough and state is not None and state.seq >= seq

    await until(passed, within=10, what=f"{changes} changes applied")


async def test_a_board_comes_whole_then_row_by_row_with_its_freshness(node: RunningNode) -> None:
    key = await key_of(node.pool, 1)
    async with event_source(node.http + BOARD) as source:
        assert source.response.headers["content-type"].startswith("text/event-stream")
        assert source.response.headers["x-accel-buffering"] == "no"
        assert "no-store" in source.response.headers["cache-control"]
        status = await source.next("status")
        assert status.body["speed"] == 1
        assert status.own_id == ""
        snapshot = await source.next()
        assert (snapshot.name, len(snapshot.body)) == ("snapshot", 3)
        await set_gate(node.pool, 1, "22")
        row = await source.next()
        assert (row.name, row.body["key"]) == ("publication", key)
        assert row.body["data"]["dep_gate"] == "22"
        epoch, _, offset = row.own_id.rpartition(":")
        assert int(offset) == row.body["offset"]
        assert snapshot.own_id.startswith(epoch)
        await node.pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 1")
        gone = await source.next()
        assert (gone.name, gone.body["key"]) == ("removed", key)
        assert await source.next("status")


async def test_a_flight_has_what_changed(node: RunningNode) -> None:
    key = await key_of(node.pool, 1)
    async with event_source(f"{node.http}/sse/flights/{key}") as source:
        snapshot = await source.next()
        assert [each["offset"] for each in snapshot.body] == [1]
        await set_gate(node.pool, 1, "22")
        change = await source.next()
        assert change.body["data"]["change"]["fields"]["dep_gate"] == ["18", "22"]
        assert change.own_id.endswith(":2")
        assert (await source.next("status")).body["log"]["seq"] > 0


async def test_a_return_without_anything_missed_goes_on(node: RunningNode) -> None:
    async with event_source(node.http + BOARD) as source:
        position = (await source.next("snapshot")).own_id
    async with event_source(node.http + BOARD, {"Last-Event-ID": position}) as source:
        await set_gate(node.pool, 1, "22")
        assert (await source.next()).body["data"]["dep_gate"] == "22"


async def test_a_corrected_key_ends_the_stream_which_goes_on_under_the_new_one(
    node: RunningNode,
) -> None:
    key = await key_of(node.pool, 1)
    async with event_source(f"{node.http}/sse/flights/{key}") as source:
        await source.next("snapshot")
        await node.pool.execute("UPDATE flight_leg SET suffix = 'D' WHERE leg_id = 1")
        last = await source.next()
        new = await key_of(node.pool, 1)
        assert last.body["data"] == {"moved_to": new}
        with pytest.raises(AssertionError, match="ended"):
            await source.next()
    await set_gate(node.pool, 1, "22")
    resumed = {"Last-Event-ID": last.own_id}
    async with event_source(f"{node.http}/sse/flights/{key}", resumed) as source:
        assert source.response.url.path == f"/sse/flights/{new}"
        missed = await source.next()
        assert missed.name == "publication"
        assert missed.body["data"]["change"]["fields"]["dep_gate"] == ["18", "22"]


async def test_a_restart_of_the_node_costs_nothing(pool: "Pool[asyncpg.Record]") -> None:
    await add_legs(pool, 3)
    key = await key_of(pool, 1)
    paths = (BOARD, f"/sse/flights/{key}")
    positions: list[str] = []
    async with running_node(pool) as before:
        for path in paths:
            async with event_source(before.http + path) as source:
                positions.append((await source.next()).last_id)
        await set_gate(pool, 1, "1")
        await applied(before, 4)
    await set_gate(pool, 1, "2")
    await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 2")
    async with running_node(pool) as after:
        await applied(after, 6)
        async with event_source(after.http + BOARD, {"Last-Event-ID": positions[0]}) as source:
            missed = [await source.next(), await source.next()]
            assert {(each.name, each.body["key"]) for each in missed} == {
                ("publication", key),
                ("removed", await key_of(pool, 2)),
            }
            await set_gate(pool, 3, "33")
            assert (await source.next()).body["data"]["dep_gate"] == "33"
        flight = f"{after.http}{paths[1]}?last_event_id={positions[1]}"
        async with event_source(flight) as source:
            replayed = [await source.next(), await source.next()]
            assert [each.name for each in replayed] == ["publication"] * 2
            assert [each.body["offset"] for each in replayed] == [2, 3]
            assert [each.body["data"]["leg"]["dep_gate"] for each in replayed] == ["1", "2"]


async def test_rows_of_one_seq_share_one_id_after_the_last(node: RunningNode) -> None:
    await node.pool.execute("SELECT start_replay(board_now(), 600)")
    await node.pool.execute("UPDATE flight_leg SET atd = board_now()")
    async with event_source(node.http + BOARD) as source:
        assert (await source.next()).name == "snapshot"
        gone: list[Event] = []
        while len([each for each in gone if each.name == "removed"]) < 3:
            gone.append(await source.next())
    removed = [each for each in gone if each.name == "removed"]
    offsets = [each.body["offset"] for each in removed]
    assert len(set(offsets)) == 1
    assert [bool(each.own_id) for each in removed] == [False, False, True]


@pytest.mark.parametrize(
    "garbage",
    ["x", ":", "a:b", ":5", "other-epoch:1", "e:99999999999999999999", "e:-1", "é:٣", "z" * 5000],
)
async def test_a_position_that_means_nothing_gets_everything(
    node: RunningNode, garbage: str
) -> None:
    encoded = httpx2.QueryParams({"last_event_id": garbage})
    for path in (BOARD, f"/sse/flights/{await key_of(node.pool, 1)}"):
        async with event_source(f"{node.http}{path}?{encoded}") as source:
            first = await source.next()
            assert (first.name, len(first.body)) == ("snapshot", 3 if path == BOARD else 1)


async def test_a_position_of_the_future_gets_everything(node: RunningNode) -> None:
    async with event_source(node.http + BOARD) as source:
        epoch = (await source.next()).last_id.rpartition(":")[0]
    async with event_source(node.http + BOARD, {"Last-Event-ID": f"{epoch}:999999"}) as source:
        assert (await source.next()).name == "snapshot"


async def test_a_new_epoch_comes_as_a_new_snapshot_in_the_same_stream(node: RunningNode) -> None:
    async with event_source(node.http + BOARD) as source:
        before = await source.next()
        await node.pool.execute("SELECT new_epoch(epoch, last_seq + 1) FROM relay_state")
        after = await source.next("snapshot")
        assert after.own_id.rpartition(":")[0] != before.own_id.rpartition(":")[0]
        await set_gate(node.pool, 1, "22")
        assert (await source.next("publication")).body["data"]["dep_gate"] == "22"


async def test_a_silent_board_is_pinged_and_its_position_goes_on(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await add_legs(pool)
    async with (
        running_node(pool, ping_interval=0.2, status_interval=0.5) as node,
        event_source(node.http + "/sse/boards/BOS/departures") as source,
    ):
        first = await source.next()
        await set_gate(pool, 1, "22")
        await applied(node, 2)
        while source.last_id == first.last_id:
            await source.next("status")
        assert source.comments
        state = node.node.hub.state
        assert state is not None
        assert source.last_id == f"{state.epoch}:{state.seq}"


@pytest.mark.parametrize(
    "path",
    ["/sse/flights/nonsense", "/sse/boards/jfk/departures", "/sse/boards/JFK/sideways", "/sse/x"],
)
async def test_a_malformed_name_is_a_problem(node: RunningNode, path: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(node.http + path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_head_has_the_headers_and_no_stream(node: RunningNode) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.head(node.http + BOARD)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert not node.process.sockets.clients  # type: ignore[union-attr]


async def test_who_left_is_forgotten(node: RunningNode) -> None:
    async with event_source(node.http + BOARD) as source:
        await source.next()
        assert len(node.node.hub.sinks) == 2
    await until(lambda: not node.node.hub.sinks, within=5, what="no subscriber left")
    assert not node.process.sockets.clients  # type: ignore[union-attr]


async def test_a_drain_ends_streams_with_a_time_to_come_back(node: RunningNode) -> None:
    async with event_source(node.http + BOARD) as source:
        await source.next()
        told = len(source.retries)
        node.process.stopping.set()
        async with asyncio.timeout(10):
            async for _ in source:
                pass
        assert len(source.retries) == told + 1


async def test_a_slow_reader_holds_up_nobody_and_finds_the_newest_state(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await add_legs(pool, 150)
    async with (
        running_node(pool, stall_timeout=150) as node,
        event_source(node.http + BOARD) as steady,
    ):
        await steady.next()
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", node.settings.port))
        await loop.sock_sendall(slow, f"GET {BOARD} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sockets = node.process.sockets
        assert sockets is not None
        await until(lambda: len(sockets.clients) == 2, within=5, what="both")
        for number in range(20):
            await pool.execute("UPDATE flight_leg SET dep_gate = $1", f"G{number}")
        await newest(steady)
        outboxes = sockets.clients.values()
        assert max(len(outbox) for outbox in outboxes) <= 160
        text, held, received = "", dict[str, str](), 0
        while len(held) < 150 or set(held.values()) != {"G19"}:
            async with asyncio.timeout(10):
                text += (await loop.sock_recv(slow, 65536)).decode()
            *lines, text = text.split("\n")
            for line in lines:
                body = json.loads(line[6:]) if line.startswith("data: ") else {}
                for row in body if isinstance(body, list) else [body]:
                    if "key" in row:
                        held[row["key"]] = row["data"]["dep_gate"]
                        received += 1
        slow.close()
        assert received < 20 * 150


async def newest(source: EventSource) -> None:
    """Read until every row has the last gate."""
    held: dict[str, str] = {}
    while len(held) < 150 or set(held.values()) != {"G19"}:
        held |= gates([(await source.next("publication")).body])

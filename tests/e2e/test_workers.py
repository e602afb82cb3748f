"""`gatecast serve --workers 2`: one port, several processes, everything else done once."""

import json
import os
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.support.client import RawClient
from tests.support.fcm import FcmDouble
from tests.support.followers import add_person, end_holds
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.process import children_of
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"
MOST_TRIES = 40
READY = {"ready": True, "faults": {}, "degraded": {}}


def serving(dsn: str, folder: Path, **settings: str) -> Gatecast:
    return Gatecast("serve", "--workers", "2", dsn=dsn, data_dir=str(folder), **settings)


async def shares(server: Gatecast) -> dict[str, int]:
    """How many clients each worker has, asked from any of them."""
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        text = (await http.get(f"{server.http}/metrics")).text
    found = re.findall(r'^gatecast_clients\{process="(worker-\d)"\} (\d+)', text, re.MULTILINE)
    return {name: int(count) for name, count in found}


async def connect_to_all(server: Gatecast, stack: AsyncExitStack) -> list[RawClient]:
    """As many clients as it takes until each worker has one."""
    before, clients = await shares(server), list[RawClient]()
    while len(clients) < MOST_TRIES:
        client = await stack.enter_async_context(RawClient(server.url))
        await client.connect()
        clients.append(client)
        now = await shares(server)
        if len(now) == 2 and all(now[name] > before[name] for name in now):
            return clients
    raise AssertionError(f"{MOST_TRIES} connections, and one worker got none of them")


async def workers_of(server: Gatecast) -> list[int]:
    """Their process ids, in the order of their start."""
    lines = children_of(server.pid)
    return sorted(pid for pid, line in lines.items() if line.split()[-1:] == ["worker"])


def gone(path: str) -> bool:
    return not Path(path).exists()


def all_gone(pids: list[int]) -> bool:
    return all(gone(f"/proc/{pid}") for pid in pids)


async def test_one_port_is_served_by_all_as_by_one(
    dsn: str, pool: "Pool[asyncpg.Record]", tmp_path: Path
) -> None:
    await add_legs(pool, 3)
    channel = f"flight:{await key_of(pool, 1)}"
    async with serving(dsn, tmp_path) as server, AsyncExitStack() as stack:
        await server.ready(90)
        pids = await workers_of(server)
        clients = await connect_to_all(server, stack)
        starts = [await client.subscribe(channel) for client in clients]
        boards = [await client.subscribe(BOARD) for client in clients]
        assert len({(start["epoch"], start["offset"]) for start in starts}) == 1
        await every_client_gets(clients, channel, pool, "22")
        await every_client_gets(clients, channel, pool, "23")
        others = await connect_to_all(server, stack)
        await all_go_on(others, channel, starts[0], boards[0])
        await rest_answers(server)
        await readiness_is_that_of_all(server, pids[0])
        assert await server.stop(30) == 0
        assert server.output().count('"worker stopped"') == 2
        ends = Counter([(await client.closed())[0] for client in (*clients, *others)])
    assert ends == {3001: len(clients) + len(others)}
    assert all_gone(pids)


async def every_client_gets(
    clients: list[RawClient], channel: str, pool: "Pool[asyncpg.Record]", gate: str
) -> None:
    """A row changed by hand, over every worker, with one offset."""
    await set_gate(pool, 1, gate)
    pubs = [(await client.push(channel))["pub"] for client in clients]
    assert {pub["data"]["leg"]["dep_gate"] for pub in pubs} == {gate}
    assert len({pub["offset"] for pub in pubs}) == 1


async def all_go_on(
    clients: list[RawClient], channel: str, start: dict[str, Any], board: dict[str, Any]
) -> None:
    """By the position that another client got, maybe of another worker."""
    for client in clients:
        flight = await client.subscribe(
            channel, recover=True, offset=start["offset"], epoch=start["epoch"]
        )
        assert flight["recovered"]
        missed = [pub["data"]["leg"]["dep_gate"] for pub in flight["publications"]]
        assert missed == ["22", "23"]
        rows = await client.subscribe(
            BOARD, phase=1, recover=True, offset=board["offset"], epoch=board["epoch"]
        )
        assert rows["recovered"]


async def rest_answers(server: Gatecast) -> None:
    for _ in range(6):
        async with httpx2.AsyncClient(base_url=server.http, trust_env=False, timeout=20) as http:
            assert (await http.post("/api/accounts", json={})).status_code == 201
            assert (await http.get("/readyz")).json() == READY


async def readiness_is_that_of_all(server: Gatecast, worker: int) -> None:
    """One that stands still is told of by the other."""

    async def asked() -> dict[str, str] | None:
        async with httpx2.AsyncClient(trust_env=False, timeout=6) as http:
            try:
                found: dict[str, str] = (await http.get(f"{server.http}/readyz")).json()["faults"]
            except httpx2.TimeoutException:
                return None  # the connection was given to the one that stands still
        return found if "worker 1" in found else None

    os.kill(worker, signal.SIGSTOP)
    try:
        found = await until(asked, within=60, what="a fault of worker 1")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert found == {"worker 1": "gives no answer"}
    await server.ready()


async def test_a_worker_that_is_killed_stops_the_whole_loudly(tmp_path: Path) -> None:
    """On the embedded database: nothing is left behind."""
    async with serving("", tmp_path) as server:
        await server.ready(120)
        lock = (tmp_path / "postgres" / "gatecast.lock").read_text().splitlines()
        everyone, (_, second) = list(children_of(server.pid)), await workers_of(server)
        assert len(everyone) == 3
        os.kill(second, signal.SIGKILL)
        assert await server.wait(30) == 1
        assert "gatecast: worker 2 ended with signal 9" in server.output()
        assert "Traceback" not in server.output()
        assert all_gone(everyone)
    assert os.listdir(tmp_path) == ["postgres"]
    assert lock[1].startswith("/tmp/gatecast-")
    assert gone(lock[1])


async def test_a_notice_is_pushed_once_and_not_by_each_worker(
    dsn: str, pool: "Pool[asyncpg.Record]", tmp_path: Path
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account = tmp_path / "account.json"
    async with FcmDouble() as fcm:
        account.write_text(json.dumps(fcm.service_account))
        settings = {"fcm_credentials": str(account), "fcm_url": fcm.base_url, "grace": "0.5"}
        async with serving(dsn, tmp_path, grace_urgent="0.5", **settings) as server:
            await server.ready(90)
            await add_person(pool, leg_id, "ok-phone")
            await set_gate(pool, leg_id, "22")
            await until(lambda: end_holds(pool), within=20, what="a delivery")
            await until(fcm.accepted, within=30, what="a push")
            pids = await workers_of(server)
            server.kill()  # workers do not outlive it
            await until(lambda: all_gone(pids), within=10, what="no worker is left")
        (push,) = await fcm.accepted()
    assert push["data"]["title"] == "B6 1: gate now 22"
    assert await pool.fetchval("SELECT count(*) FROM delivery") == 1


async def test_with_a_broker_every_worker_follows_it(
    dsn: str, pool: "Pool[asyncpg.Record]", tmp_path: Path
) -> None:
    await add_legs(pool, 1)
    channel = f"flight:{await key_of(pool, 1)}"
    async with RabbitNode() as rabbit, serving(dsn, tmp_path, amqp_url=rabbit.url) as server:
        await server.ready(90)

        async def queues() -> bool:
            names = (await rabbit.ctl("list_queues", "--no-table-headers", "name")).split()
            return len([name for name in names if name.startswith("amq.gen")]) == 2

        await until(queues, within=60, what="each worker has a queue", every=0.5)
        async with AsyncExitStack() as stack:
            clients = await connect_to_all(server, stack)
            for client in clients:
                await client.subscribe(channel)
            await every_client_gets(clients, channel, pool, "22")
            await a_second_signal_stops_all_at_once(server)


async def a_second_signal_stops_all_at_once(server: Gatecast) -> None:
    pids = await workers_of(server)
    os.kill(pids[0], signal.SIGSTOP)  # it will not drain
    server.send(signal.SIGTERM)
    await server.wait_for_line("a second signal stops at once")
    server.send(signal.SIGINT)
    assert await server.wait(5) == 130
    await until(lambda: all_gone(pids), within=10, what="no worker is left")


@pytest.mark.parametrize("count", ["0", "9999"])
async def test_a_number_that_cannot_be_meant_is_refused_in_one_line(count: str) -> None:
    async with Gatecast("serve", f"--workers={count}") as process:
        assert await process.wait(30) == 1
        (line,) = [line for line in process.output().splitlines() if line.strip()]
    assert line.startswith(f"gatecast: --workers {count}: give 1 to ")

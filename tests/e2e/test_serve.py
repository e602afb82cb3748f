"""`gatecast serve`: one command, nothing configured, and it goes on with its data."""

import signal
import socket
from pathlib import Path
from typing import Any

import httpx2

from tests.support.client import RawClient
from tests.support.gatecast import Gatecast
from tests.support.wait import until

BOARD = "board:JFK:departures"


def serve(folder: Path, *arguments: str) -> Gatecast:
    return Gatecast("serve", *arguments, data_dir=str(folder))


async def status(client: RawClient) -> dict[str, Any]:
    (publication,) = (await client.subscribe("status:JFK"))["publications"]
    body: dict[str, Any] = publication["data"]
    return body


async def test_a_replay_goes_on_where_it_was(tmp_path: Path) -> None:
    async with serve(tmp_path, "--replay", "2013-03-08", "--speed", "60") as server:
        await server.ready(90)
        await server.wait_for_line("/board/JFK/departures", 60)
        async with RawClient(server.url) as client:
            await client.connect()
            board = await client.subscribe(BOARD)
            assert len(board["state"]) > 50
            pub = (await client.push(BOARD))["pub"]
            assert pub["offset"] > board["offset"]
            before = await status(client)
            feeds = before["feeds"]
            while not feeds:
                feeds = (await client.push("status:JFK"))["pub"]["data"]["feeds"]
        assert [feed["synthetic"] for feed in feeds] == [True]
        assert before["speed"] == 60
        assert before["now"].startswith("2013-03-08T2")
        assert await server.stop() == 0
        server.start()
        await server.ready(60)
        async with RawClient(server.url) as client:
            await client.connect()
            after = await status(client)
            again = await client.subscribe(
                BOARD, phase=1, recover=True, offset=pub["offset"], epoch=board["epoch"]
            )
        assert again["recovered"]
        assert before["now"] <= after["now"] < "2013-03-09"
        assert after["log"]["seq"] >= before["log"]["seq"]


async def test_it_starts_empty_without_a_replay_and_is_documented(tmp_path: Path) -> None:
    async with serve(tmp_path) as server:
        await server.ready(90)
        async with httpx2.AsyncClient(base_url=server.http, trust_env=False) as http:
            assert (await http.get("/api/airports")).json()["items"] == []
            described = (await http.get("/openapi.json")).json()
            assert described["openapi"].startswith("3.1")
            assert (await http.get("/healthz")).status_code == 200
            assert "gatecast_clients" in (await http.get("/metrics")).text
        assert await server.stop() == 0


async def test_a_second_signal_stops_at_once(dsn: str) -> None:
    async with Gatecast("api", dsn=dsn, drain_delay="60") as api:
        await api.ready()
        api.send(signal.SIGTERM)
        await api.wait_for_line("a second signal stops at once")
        async with httpx2.AsyncClient(base_url=api.http, trust_env=False) as http:
            assert (await http.get("/readyz")).json()["faults"] == {"process": "draining"}
        api.send(signal.SIGTERM)
        assert await api.wait(5) == 130


async def test_what_cannot_work_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        await assert_refused(serve(tmp_path, "--port", str(port)), "GATECAST_PORT")
    await assert_refused(Gatecast("serve", prot="1"), "did you mean GATECAST_PORT")
    await assert_refused(Gatecast("serve", "--replay", "2012-01-01"), "no replay of 2012-01-01")
    await assert_refused(Gatecast("realtime"), "GATECAST_DATABASE_URL")
    await assert_refused(
        Gatecast("serve", dsn="postgresql://nobody:pw@127.0.0.1:1/x"), "127.0.0.1:1"
    )


async def assert_refused(process: Gatecast, why: str) -> None:
    async with process:
        assert await process.wait(30) != 0
        lines = [line for line in process.output().splitlines() if line.strip()]
        assert why in lines[-1]
        assert "Traceback" not in process.output()


async def test_the_embedded_database_ends_with_a_killed_server(tmp_path: Path) -> None:
    async with serve(tmp_path) as server:
        await server.ready(90)
        (pid_file,) = (tmp_path / "postgres").rglob("postmaster.pid")
        postmaster = int(pid_file.read_text().splitlines()[0])
        server.kill()
        await until(lambda: not Path(f"/proc/{postmaster}").exists(), within=30, what="it ended")
        server.start()
        await server.ready(60)
        assert await server.stop() == 0

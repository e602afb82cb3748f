"""One address with TLS for several nodes: nginx as we ship it."""

import ssl
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import asyncpg
import httpx2

from realtime.change_log import ChangeLog
from realtime.relay import Relay
from tests.support.certificate import issue
from tests.support.gatecast import Gatecast
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.proxy import Proxy
from tests.support.tasks import at_work
from tests.support.wait import until

Pool = asyncpg.Pool
BOARD = "board:JFK:departures"


async def clients(node: Gatecast) -> int:
    """How many a node has, as it says itself."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{node.http}/metrics")).text.splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith("gatecast_clients"))


async def holder(nodes: Sequence[Gatecast]) -> Gatecast | None:
    """The node that has a client."""
    for node in nodes:
        if await clients(node):
            return node
    return None


async def go_on(writers: Writers) -> None:
    """Some more commits."""
    wanted = writers.commits + 10
    await until(lambda: writers.commits >= wanted, within=30, what=f"{wanted} commits")


async def end_and_follow(nodes: Sequence[Gatecast], writers: Writers, *, kill: bool) -> None:
    """The node of the client drains or is killed; return when the other has it, and both run."""
    held = await until(partial(holder, nodes), within=20, what="a node has the client")
    assert held is not None
    (other,) = (node for node in nodes if node is not held)
    await go_on(writers)
    if kill:
        held.kill()
    else:
        assert await held.stop() == 0
    await until(partial(clients, other), within=20, what="the other node has the client")
    await go_on(writers)
    held.start()
    await held.ready(60)


async def test_a_client_behind_tls_is_moved_from_node_to_node_and_continues(
    pool: "Pool[asyncpg.Record]", dsn: str, tmp_path: Path
) -> None:
    """A4: under load its node drains, then the next one is SIGKILLed. It comes back to the same
    address, continues by offset, and sees each version once, in order, until it has them all."""
    files = issue(tmp_path, "127.0.0.1")
    legs = await add_legs(pool, 6)
    keys = [await key_of(pool, each) for each in legs]
    one, two, api = (Gatecast(role, dsn=dsn) for role in ("realtime", "realtime", "api"))
    proxy = Proxy(tmp_path, [one.port, two.port], [api.port], files)
    trust = ssl.create_default_context(cafile=files.ca)
    async with one, two, api, proxy, at_work(Relay(pool, ChangeLog(pool)).run()):
        for part in (one, two, api, proxy):
            await part.ready(60)
        watcher = Watcher([proxy.url], keys, BOARD, ssl=trust, open_timeout=10)
        writers = Writers(dsn, legs, pause=0.1)
        async with watching([watcher]):
            async with writers.running(1):
                await end_and_follow([one, two], writers, kill=False)
                await end_and_follow([one, two], writers, kill=True)
            await log_caught_up(pool, 20)
            await check_log(pool, writers.acknowledged)
            await watcher.wait_for(pool, legs, 20)
        assert watcher.wrong == []
        assert (watcher.connects, watcher.unrecovered) == (3, 0)
        async with httpx2.AsyncClient(base_url=proxy.http, trust_env=False, verify=trust) as http:
            page = await http.get("/board/JFK/departures")
            assert page.headers["strict-transport-security"] == "max-age=31536000"
            assert len((await http.get("/api/flights?airport=JFK")).json()["items"]) == len(legs)
            assert (await http.get("/metrics")).status_code == 404

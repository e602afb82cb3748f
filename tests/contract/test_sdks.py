"""Unmodified SDKs of the client protocol: centrifuge (npm) and centrifuge-python."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import centrifuge
import pytest

from realtime.change_log import ChangeLog
from realtime.relay import Relay
from tests.support.certificate import issue
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of, set_gate

Pool = asyncpg.Pool
SCRIPT = Path(__file__).with_name("sdk.mjs")
BOARD = "board:JFK:departures"


@pytest.fixture
async def relay(pool: "Pool[asyncpg.Record]") -> AsyncIterator[None]:
    """Sequencing goes on while the node is dead."""
    running = asyncio.create_task(Relay(pool, ChangeLog(pool)).run(), name="relay under test")
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(params=["detached", "detached over tls", "asgi"])
async def node(
    request: pytest.FixtureRequest, dsn: str, relay: None, tmp_path: Path
) -> AsyncIterator[Gatecast]:
    """A node in a process of its own, to be killed; also one that speaks TLS itself."""
    transport, *tls = request.param.split(" over ")
    process = Gatecast("realtime", dsn=dsn, transport=transport)
    if tls:
        process.show_certificate(issue(tmp_path, "127.0.0.1"))
    async with process:
        await process.ready()
        yield process


class Script:
    """The JavaScript client, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def next(self, what: str, **wanted: Any) -> dict[str, Any]:
        """The next line of this kind, with these members."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self.process.stdout.readline():
                said: dict[str, Any] = json.loads(line)
                if said["what"] == what and all(said.get(k) == v for k, v in wanted.items()):
                    return said
        raise AssertionError(f"the script ended before {what} {wanted}")


@asynccontextmanager
async def javascript(node: Gatecast, *channels: str) -> AsyncIterator[Script]:
    trusted = {"NODE_EXTRA_CA_CERTS": str(node.ca_file)} if node.ca_file else {}
    environment = {**os.environ, **trusted}
    process = await asyncio.create_subprocess_exec(
        "node", "--no-warnings", "--experimental-websocket", SCRIPT, node.url, *channels,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        yield Script(process)
    finally:
        process.kill()
        await process.wait()


async def test_centrifuge_js_follows_a_flight_and_a_board_over_a_killed_node(
    pool: "Pool[asyncpg.Record]", node: Gatecast
) -> None:
    await add_legs(pool, 2)
    key, other = await key_of(pool, 1), await key_of(pool, 2)
    async with javascript(node, f"flight:{key}", BOARD) as script:
        connected = await script.next("connected")
        assert connected["data"]["freshness"]["stale"] == 60
        first = await script.next("publication")
        assert (first["offset"], first["gate"]) == (1, "18")
        assert dict((await script.next("sync"))["rows"]) == {key: "18", other: "18"}
        await set_gate(pool, 1, "22")
        assert await script.next("publication", offset=2, gate="22")
        assert await script.next("update", key=key, gate="22")

        node.kill()
        await script.next("connecting")
        await set_gate(pool, 1, "23")
        await set_gate(pool, 1, "24")
        await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 2")
        node.start()
        again = await script.next("subscribed", channel=f"flight:{key}")
        assert (again["wasRecovering"], again["recovered"]) == (True, True)
        assert await script.next("publication", offset=3, gate="23")
        assert await script.next("publication", offset=4, gate="24")
        await set_gate(pool, 1, "25")
        assert await script.next("update", key=key, gate="25")


async def test_centrifuge_js_recovers_a_board_and_takes_a_new_epoch(
    pool: "Pool[asyncpg.Record]", node: Gatecast
) -> None:
    await add_legs(pool, 2)
    key, other = await key_of(pool, 1), await key_of(pool, 2)
    async with javascript(node, f"flight:{key}", BOARD) as script:
        await script.next("sync")
        node.kill()
        await script.next("connecting")
        await set_gate(pool, 1, "24")
        await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 2")
        node.start()
        assert (await script.next("subscribed", channel=BOARD))["recovered"]
        assert await script.next("update", key=key, gate="24")
        assert await script.next("update", key=other, removed=True)

        await pool.execute("SELECT new_epoch(epoch, last_seq + 1) FROM relay_state")
        assert dict((await script.next("sync"))["rows"]) == {key: "24"}
        await set_gate(pool, 1, "25")
        assert await script.next("update", key=key, gate="25")


class Notes(centrifuge.SubscriptionEventHandler):  # type: ignore[misc]
    """What centrifuge-python tells its application."""

    def __init__(self) -> None:
        self.publications: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.subscribed: asyncio.Queue[Any] = asyncio.Queue()

    async def on_subscribed(self, ctx: Any) -> None:
        self.subscribed.put_nowait(ctx)

    async def on_publication(self, ctx: Any) -> None:
        gate = ctx.pub.data["leg"]["dep_gate"]
        self.publications.put_nowait((ctx.pub.offset, gate))


async def test_centrifuge_python_recovers_a_flight_over_a_killed_node(
    pool: "Pool[asyncpg.Record]", node: Gatecast
) -> None:
    await add_legs(pool)
    key = await key_of(pool, 1)
    notes = Notes()
    client = centrifuge.Client(
        node.url,
        min_reconnect_delay=0.05,
        max_reconnect_delay=0.3,
        ssl_context=ssl.create_default_context(cafile=node.ca_file) if node.ca_file else None,
    )
    subscription = client.new_subscription(f"flight:{key}", notes)
    async with asyncio.timeout(60):
        await client.connect()
        await subscription.subscribe()
        assert await notes.publications.get() == (1, "18")
        await set_gate(pool, 1, "22")
        assert await notes.publications.get() == (2, "22")
        await notes.subscribed.get()
        node.kill()
        await set_gate(pool, 1, "23")
        await set_gate(pool, 1, "24")
        node.start()
        context = await notes.subscribed.get()
        assert (context.was_recovering, context.recovered) == (True, True)
        assert await notes.publications.get() == (3, "23")
        assert await notes.publications.get() == (4, "24")
        history = await subscription.history(limit=2, reverse=True)
        assert [each.offset for each in history.publications] == [4, 3]
        assert history.offset == 4
        await client.disconnect()

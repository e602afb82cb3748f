"""A node with its relay, in this process, behind a real server on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from starlette.applications import Starlette

from api.composition import concerns_of
from api.problems import exception_handlers
from api.serving import Process, listen
from api.upkeep import Upkeep
from realtime.app import Readiness, node_routes, operations_routes
from realtime.bus_log import LogBus
from realtime.change_log import ChangeLog
from realtime.client import Shared
from realtime.metrics import Readings
from realtime.node import Node
from realtime.readings import node_readings
from realtime.receipts import Receipts
from realtime.relay import Relay
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.transport_websocket import Sockets
from realtime.worker import Part
from tests.support.ports import free_port
from tests.support.wait import until

SECRET = "the secret of the tests"


class RunningNode:
    """What a test touches of it."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", settings: Settings, process: Process, node: Node
    ) -> None:
        self.pool = pool
        self.settings = settings
        self.process = process
        self.node = node
        self.tokens = Tokens(settings.secret)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.settings.port}/connection/websocket"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"


@asynccontextmanager
async def running_node(
    pool: "asyncpg.Pool[asyncpg.Record]", **overrides: Any
) -> AsyncIterator[RunningNode]:
    """Started and ready; drained at the end."""
    defaults: dict[str, Any] = {"secret": SECRET, "drain": 0.1, "drain_delay": 0.0}
    settings = Settings(port=free_port(), **(defaults | overrides))
    log = ChangeLog(pool)
    bus = LogBus(log)
    relay = Relay(pool, log, None, bus.wake)
    node = Node(pool, bus, settings)
    clock = asyncio.get_running_loop().time
    tokens, settle = Tokens(settings.secret), Receipts(pool).settle
    shared = Shared(node.hub, tokens, settle, settings, clock, node.load_leg, node.wall)
    sockets = Sockets(shared)
    readiness = Readiness({"node": node.not_ready}, concerns=concerns_of(bus))
    readings = Readings()
    readings.add(node_readings(node, sockets))
    operations = operations_routes(readiness, readings)
    routes = [*node_routes(sockets), *operations]
    app = Starlette(routes=routes, exception_handlers=exception_handlers)
    parts: list[tuple[str, Part]] = [
        ("relay", relay),
        ("node", node),
        ("upkeep", Upkeep(pool)),
    ]
    process = Process(settings, readiness, parts, app, sockets)
    running = asyncio.create_task(process.run(listen(settings)), name="node under test")
    try:
        await until(
            lambda: running.done() or not readiness.faults(), within=20, what="the node is ready"
        )
        yield RunningNode(pool, settings, process, node)
    finally:
        process.stopping.set()
        await running

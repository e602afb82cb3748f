"""The Starlette routes of a node, and what any process tells its operator."""

from collections.abc import Callable, Mapping

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from realtime.client import BUILD
from realtime.metrics import Readings, exposition
from realtime.peers import Answering, Condition, Whole
from realtime.transport_sse import sse_routes
from realtime.transport_websocket import Sockets

Check = Callable[[], str | None]
"""Why a part is not ready, or None."""


class Readiness(Struct):
    """Named checks of a process; `draining` wins over all of them.

    What `concerns` find is told as well, but clients are better off here than without a node.
    """

    checks: dict[str, Check]
    draining: bool = False
    concerns: dict[str, Check] = {}

    def faults(self) -> dict[str, str]:
        """Reasons by part; empty when ready."""
        if self.draining:
            return {"process": "draining"}
        return reasons(self.checks)

    def condition(self) -> Condition:
        """What to tell who asks."""
        return Condition(self.faults(), reasons(self.concerns))


def reasons(checks: Mapping[str, Check]) -> dict[str, str]:
    """Of those that find something."""
    found = {name: check() for name, check in checks.items()}
    return {name: reason for name, reason in found.items() if reason is not None}


def operations_routes(
    readiness: Readiness, readings: Readings, whole: Whole | None = None
) -> list[BaseRoute]:
    """/healthz, /readyz and /metrics; `whole`: of all processes that share the port."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", "build": BUILD})

    async def readyz(_: Request) -> Response:
        found = readiness.condition() if whole is None else await whole.condition()
        body = {"ready": not found.faults, "faults": found.faults, "degraded": found.degraded}
        return JSONResponse(body, 503 if found.faults else 200, {"Cache-Control": "no-store"})

    async def metrics(_: Request) -> Response:
        if whole is not None:
            found = await whole.metrics()
        else:
            await readings.refresh()
            found = exposition(readings)
        if found is None:
            return PlainTextResponse("the first process gives no answer\n", 503)
        return PlainTextResponse(found, media_type="text/plain; version=0.0.4")

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def answering(readiness: Readiness, readings: Readings) -> Answering:
    """How a worker is, told to the process that started it."""

    async def answer(of: str) -> object:
        if of == "condition":
            return readiness.condition()
        await readings.refresh()
        return exposition(readings).decode()

    return answer


def node_routes(sockets: Sockets) -> list[BaseRoute]:
    """Where clients connect."""
    return [
        WebSocketRoute("/connection/websocket", sockets.endpoint),
        *sse_routes(sockets.shared, sockets),
    ]

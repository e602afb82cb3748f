"""The Starlette routes of a node, and what any process tells its operator."""

from collections.abc import Callable

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from realtime.client import BUILD
from realtime.metrics import Readings, exposition
from realtime.transport_sse import sse_routes
from realtime.transport_websocket import Sockets

Check = Callable[[], str | None]
"""Why a part is not ready, or None."""


class Readiness(Struct):
    """Named checks of a process; `draining` wins over all of them."""

    checks: dict[str, Check]
    draining: bool = False

    def faults(self) -> dict[str, str]:
        """Reasons by part; empty when ready."""
        if self.draining:
            return {"process": "draining"}
        found = {name: check() for name, check in self.checks.items()}
        return {name: reason for name, reason in found.items() if reason is not None}


def operations_routes(readiness: Readiness, readings: Readings) -> list[BaseRoute]:
    """/healthz, /readyz and /metrics."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok", "build": BUILD})

    async def readyz(_: Request) -> Response:
        faults = readiness.faults()
        body = {"ready": not faults, "faults": faults}
        return JSONResponse(body, 503 if faults else 200, {"Cache-Control": "no-store"})

    async def metrics(_: Request) -> Response:
        await readings.refresh()
        return PlainTextResponse(exposition(readings), media_type="text/plain; version=0.0.4")

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def node_routes(sockets: Sockets) -> list[BaseRoute]:
    """Where clients connect."""
    return [
        WebSocketRoute("/connection/websocket", sockets.endpoint),
        *sse_routes(sockets.shared, sockets.clients),
    ]

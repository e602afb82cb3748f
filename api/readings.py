"""What REST, ingest and the periodic work count, and the time that requests take."""

import time
from collections.abc import Sequence

from prometheus_client import Counter, Histogram
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.ingest import Ingest
from api.retention import Retention
from api.upkeep import Upkeep
from realtime.metrics import Reading, Readings

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
NO_ROUTE = "none"
METHODS: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def ingest_readings(ingest: Ingest) -> list[Reading]:
    """What feeds said, by what became of it."""
    return [
        Reading(
            "ingest_legs_total",
            "Legs that feeds stated, by outcome.",
            lambda: ingest.outcomes,
            ("feed", "outcome"),
        ),
        Reading(
            "ingest_refused_total",
            "Legs that were refused, by reason.",
            lambda: ingest.refusals,
            ("feed", "code"),
        ),
    ]


def upkeep_readings(upkeep: Upkeep, retention: Retention) -> list[Reading]:
    """The periodic work, which one process of all does."""
    return [
        Reading("upkeep_elected", "1 in the process that does it.", lambda: float(upkeep.elected)),
        Reading(
            "retention_rows_total",
            "Rows deleted because their time was over.",
            lambda: retention.gone,
            ("statement",),
        ),
    ]


def engine_readings(engine: AsyncEngine) -> list[Reading]:
    """Sessions of REST and ingest with the database."""

    def checked_out() -> float:
        pool = engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0.0

    return [Reading("engine_busy_sessions", "Database sessions in use by REST.", checked_out)]


class Requests:
    """Answers by route and class of status, and the time until they began."""

    def __init__(self, readings: Readings) -> None:
        self._count = Counter(
            "gatecast_requests",
            "Answers by route and class of status.",
            ("route", "method", "status"),
            registry=readings.registry,
        )
        self._seconds = Histogram(
            "gatecast_request_seconds",
            "From the request to the beginning of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=readings.registry,
        )

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered; the labels are those of our own table of routes."""
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._count.labels(route, method, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)


class Counted:
    """ASGI middleware that tells of each request; one that fails without an answer is a 500."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, noted = time.perf_counter(), False

        def note(status: int) -> None:
            nonlocal noted
            if not noted:
                noted = True
                self.requests.note(scope, status, time.perf_counter() - began)

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            note(500)

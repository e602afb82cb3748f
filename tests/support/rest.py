"""The REST API over a database of its own, asked as a client would."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.database import open_engine, open_sessions
from api.endpoint import Api
from api.feed import Patch, PatchKey
from api.ingest import Ingest
from api.problems import exception_handlers
from api.routes import routes
from realtime.receipts import Receipts
from realtime.settings import Settings
from realtime.tokens import Tokens

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = (NOW + timedelta(hours=1)).date()
TOKENS = Tokens("secret of the tests")
DEVICE = {"platform": "android", "kind": "fid", "target": "fid-of-a-phone"}


class World:
    """A database, the API over it, and a client."""

    def __init__(self, dsn: str, pool: "asyncpg.Pool[asyncpg.Record] | None" = None) -> None:
        self.pool = pool
        self.engine = open_engine(dsn)
        self.ingest = Ingest(self.engine, lambda: None)
        settings = Settings(public_url="https://gates.example")
        api = Api(open_sessions(self.engine), TOKENS, settings, self.ingest, self.settle)
        app = Starlette(
            routes=[Route("/breaks", breaks), *routes(api)], exception_handlers=exception_handlers
        )
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://test")

    async def settle(
        self, account_id: str, epoch: str, attentive: bool, legs: Mapping[str, int]
    ) -> int:
        assert self.pool is not None
        return await Receipts(self.pool).settle(account_id, epoch, attentive, legs)

    async def close(self) -> None:
        await self.client.aclose()
        await self.engine.dispose()

    async def write(self, statement: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, query: str) -> list[Any]:
        async with self.engine.begin() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def leg(self, number: int, hours: float = 1, **values: Any) -> str:
        """A leg JFK-MCO that leaves in so many hours; its key."""
        key = PatchKey(airline="B6", number=number, origin_date=DAY, dep="JFK", arr="MCO")
        times = {"std": at(hours), "sta": at(hours + 3)}
        said = Patch(key=key, source_ts=datetime.now(UTC), set={**times, **values})
        (result,) = await self.ingest.apply("operator", [said])
        assert result.outcome == "applied"
        return result.key

    async def account(self) -> dict[str, str]:
        """A new account's headers."""
        answer = await self.client.post("/api/accounts")
        return {"Authorization": f"Bearer {answer.json()['credential']}"}


async def breaks(_: Request) -> Response:
    raise RuntimeError("SELECT secret FROM stack")


def at(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def keys(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [leg["key"].partition("-")[0] for leg in answer.json()["items"]]


def problem(answer: httpx2.Response, status: int, slug: str | None = None) -> dict[str, Any]:
    """The problem that this answer is; every error answer must look like this."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    details: dict[str, Any] = answer.json()
    assert details["status"] == status
    assert details["title"]
    assert details["detail"]
    assert details["instance"] == answer.request.url.path
    assert details["request_id"] == answer.headers["x-request-id"]
    assert details["type"] == (f"urn:gatecast:problem:{slug}" if slug else "about:blank")
    return details

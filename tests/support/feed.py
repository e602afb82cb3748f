"""A feed that speaks over HTTP to a running server, with a key of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2

from api.database import open_engine, open_sessions
from api.ingest import Ingest
from api.keys import create_key


class HttpFeed:
    """What a source of an airport does; it counts minutes from when it was opened."""

    def __init__(self, http: str, key: str, code: str) -> None:
        self._url = f"{http}/api/feeds/{code}/legs"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._now = datetime.now(UTC).replace(second=0, microsecond=0)

    def at(self, minutes: float) -> str:
        """So many minutes from then, to the minute."""
        return (self._now + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def local(self, minutes: float, zone: str = "America/New_York") -> str:
        """The same, as a clock in that zone shows it."""
        return f"{datetime.fromisoformat(self.at(minutes)).astimezone(ZoneInfo(zone)):%H:%M}"

    async def say(
        self, number: int, *, airline: str = "B6", dep: str = "JFK", arr: str = "MCO", **values: Any
    ) -> str:
        """Post these values of a leg; its key."""
        day = self._now.date().isoformat()
        key = {"airline": airline, "number": number, "origin_date": day, "dep": dep, "arr": arr}
        leg = {"key": key, "source_ts": datetime.now(UTC).isoformat(), "set": values}
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(self._url, json={"legs": [leg]}, headers=self._headers)
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        assert result["outcome"] == "applied", result
        leg_key: str = result["key"]
        return leg_key


async def open_feed(dsn: str, http: str, code: str = "aodb") -> HttpFeed:
    """Register an airport's feed in the database and give it a key."""
    engine = open_engine(dsn)
    try:
        await Ingest(engine, lambda: None).register_feed(code, "airport")
        async with open_sessions(engine).begin() as session:
            key = await create_key(session, code)
    finally:
        await engine.dispose()
    return HttpFeed(http, key, code)

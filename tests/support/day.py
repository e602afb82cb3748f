"""A day at an airport without processes: feeds speak, followers listen, phones remember."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from api.feed import CodeShare, Patch, PatchKey
from api.ingest import Result
from realtime.sender import Notice
from tests.support.followers import RecordingSender, add_device, end_holds, finish, make, running
from tests.support.operator import Operator
from tests.support.rest import DAY

AODB, TRACKER = "aodb", "tracker"


def named(
    number: int, dep: str = "JFK", arr: str = "MCO", *, airline: str = "B6", day: Any = DAY
) -> PatchKey:
    """The key under which a feed speaks of a leg."""
    return PatchKey(airline=airline, number=number, origin_date=day, dep=dep, arr=arr)


class Day(Operator):
    """REST, ingest and a shell over one database, and a notifier whose sender only remembers."""

    def __init__(self, dsn: str, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        super().__init__(dsn)
        self.database = pool
        self.sender = RecordingSender()

    @asynccontextmanager
    async def begun(self) -> AsyncIterator["Day"]:
        """Two feeds are known, the airport's weighs more, and the notifier works."""
        await self.ingest.register_feed(AODB, "airport", priority=100)
        await self.ingest.register_feed(TRACKER, "tracker", priority=10)
        self.notifier = await make(self.database, self.sender)
        try:
            async with running(self.notifier):
                yield self
        finally:
            await self.close()

    async def say(
        self,
        leg: PatchKey,
        feed: str = AODB,
        *,
        at: Any = None,
        clear: Any = (),
        **values: Any,
    ) -> Result:
        """What a feed says of one leg, now or at a time of its own; never refused."""
        shares: list[CodeShare] | None = values.pop("codeshares", None)
        (result,) = await self.ingest.apply(
            feed,
            [Patch(key=leg, source_ts=at or datetime.now(UTC), set=values, clear=list(clear),
                   codeshares=shares)],
        )  # fmt: skip
        assert result.outcome != "refused", result
        return result

    async def follow(
        self, leg: PatchKey, role: str = "passenger", *, q: str = "", **wishes: Any
    ) -> dict[str, str]:
        """A new account with a phone that follows, by key or by a number; its headers."""
        me = await self.account()
        await add_device(self.database, me["Authorization"].split("_")[1], f"phone-of-{me}"[-80:])
        if wishes:
            answer = await self.client.put("/api/me/preferences", headers=me, json=wishes)
            assert answer.status_code == 200, answer.text
        if q:
            body = {"q": q, "role": role}
            answer = await self.client.post("/api/me/follows", headers=me, json=body)
        else:
            url, body = f"/api/me/follows/{leg.leg_key()}", {"role": role}
            answer = await self.client.put(url, headers=me, json=body)
        assert answer.status_code == 200, answer.text
        return me

    async def told(self, *, flapping: bool = False) -> list[tuple[str, ...]]:
        """Everything that can be told now is told; the kinds of all notices so far."""
        await end_holds(self.database)
        await finish(self.database)
        if not flapping:  # as if the notices had been further apart
            await self.database.execute("UPDATE delivery SET said_at = said_at - interval '1 hour'")
        return self.kinds

    @property
    def notices(self) -> list[Notice]:
        return [notice for _, notice in self.sender.sent]

    @property
    def kinds(self) -> list[tuple[str, ...]]:
        return [notice.kinds for notice in self.notices]

    async def column(self, leg: PatchKey, name: str) -> Any:
        """A column of the leg's row."""
        query = f"SELECT {name} FROM flight_leg WHERE key = $1"
        return await self.database.fetchval(query, str(leg.leg_key()))

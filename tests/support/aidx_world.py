"""The REST API with feeds of two airports that speak AIDX."""

from typing import Any
from xml.etree import ElementTree

import httpx2

from api.database import open_sessions
from api.keys import create_key
from tests.support.aidx import IATA, aidx
from tests.support.rest import DAY, World

KEY = f"XY123-{DAY}-OSL-LHR"
XML = "application/xml"


class Aidx(World):
    """The world with the feeds of two airports, one made up, and their keys."""

    async def open(self) -> None:
        for code in ("osl", "lhr"):
            await self.ingest.register_feed(code, "airport")
        await self.ingest.register_feed("demo", "airport", synthetic=True)
        await self.write(
            "INSERT INTO airport (iata, icao, name, tz) VALUES"
            " ('OSL', 'ENGM', 'Oslo', 'Europe/Oslo'), ('LHR', 'EGLL', 'London', 'Europe/London')"
        )
        await self.write("INSERT INTO airline VALUES ('XY', 'XYA', 'Example')")
        async with open_sessions(self.engine).begin() as session:
            self.keys = {c: await create_key(session, c) for c in ("osl", "lhr", "demo")}

    async def post(
        self, body: bytes, feed: str = "osl", *, media: str = XML, **headers: str
    ) -> httpx2.Response:
        stated = {"Authorization": f"Bearer {self.keys[feed]}", "Content-Type": media, **headers}
        return await self.client.post(f"/api/feeds/{feed}/aidx", content=body, headers=stated)

    async def say(self, *legs: str, feed: str = "osl", **attributes: str) -> ElementTree.Element:
        answer = await self.post(aidx(*legs, **attributes), feed)
        assert answer.status_code == 200, answer.text
        return root_of(answer)

    async def state(self, key: str = KEY) -> dict[str, Any]:
        found = await self.client.get(f"/api/flights/{key}")
        assert found.status_code == 200, found.text
        state: dict[str, Any] = found.json()
        return state

    async def empty(self) -> bool:
        return (
            await self.rows("SELECT 1 FROM flight_leg UNION ALL SELECT 1 FROM feed_message") == []
        )


def root_of(answer: httpx2.Response) -> ElementTree.Element:
    """The answer as XML."""
    return ElementTree.fromstring(answer.content)


def warnings(root: ElementTree.Element) -> list[tuple[str | None, ...]]:
    """What was not taken."""
    return [
        tuple(each.get(name) for name in ("RecordID", "Status", "Code"))
        for each in root.iter(f"{{{IATA}}}Warning")
    ]

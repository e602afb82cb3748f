"""The sources of a leg: whose word each shown value is, why it won, and what others say."""

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, leg_key_of, listing
from api.feed_rows import read_feeds
from api.fields import Said
from api.flights import FRESH, moved_leg
from api.provenance import Flag, Shown, Speaker, explain, flags

READ_LEG = text("""
    SELECT l.leg_id, public_state(l)::text AS state,
      EXISTS (SELECT FROM airport a WHERE a.placeholder
        AND a.iata IN (l.dep_airport, l.arr_airport, l.divert_airport)) AS placeholder
    FROM flight_leg l WHERE l.key = :key""")
READ_STATEMENTS = text("""
    SELECT s.feed_id, f.party, s.fields::text AS fields, utc(s.as_of) AS as_of
    FROM leg_statement s JOIN feed f USING (feed_id) WHERE s.leg_id = :leg_id ORDER BY s.feed_id""")


class SourceFeed(Struct, frozen=True, kw_only=True):
    """A feed that has spoken of the leg; `as_of`: the source time of its newest word."""

    code: str
    party: str
    priority: int
    enabled: bool
    silent: bool
    as_of: str


class LegSources(Struct, frozen=True, kw_only=True):
    """Where everything that a leg shows comes from, and what of it is doubtful."""

    key: str
    version: int
    feeds: list[SourceFeed]
    fields: list[Shown]
    flags: list[Flag]


async def read_sources(api: Api, request: Request) -> Response:
    """Every shown value with its feed, its source time, and why it won over the others."""
    key = leg_key_of(request)
    async with api.sessions() as session:
        row = (await session.execute(READ_LEG, {"key": str(key)})).one_or_none()
        if row is None:
            return await moved_leg(session, request, key)
        sources = await _sources(session, row)
    return listing(request, sources, FRESH)


async def _sources(session: AsyncSession, row: Any) -> LegSources:
    state = msgspec.json.decode(row.state)
    feeds = await read_feeds(await session.connection())
    rows = (await session.execute(READ_STATEMENTS, {"leg_id": row.leg_id})).all()
    statements = {
        said.feed_id: msgspec.json.decode(said.fields, type=dict[str, Said]) for said in rows
    }
    speakers = {
        said.feed_id: Speaker(feeds[said.feed_id].code, said.party, feeds[said.feed_id].authority)
        for said in rows
    }
    shown = explain(state, statements, speakers)
    derived = bool(statements) and all("origin_date" in said for said in statements.values())
    found = flags(state, shown, derived=derived)
    if row.placeholder:
        text = "an airport is known by its code only: its city and zone are missing"
        found.append(Flag("placeholder", ["dep_airport", "arr_airport"], text))
    return LegSources(
        key=state["key"], version=state["version"], fields=shown, flags=found,
        feeds=[_feed(speakers[said.feed_id], said.as_of) for said in rows],
    )  # fmt: skip


def _feed(speaker: Speaker, as_of: str) -> SourceFeed:
    authority = speaker.authority
    return SourceFeed(
        code=speaker.code, party=speaker.party, priority=authority.priority,
        enabled=authority.enabled, silent=authority.silent, as_of=as_of,
    )  # fmt: skip

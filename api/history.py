"""The history of a leg: every visible change, who said it and what it means."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.engine import Row
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, leg_key_of, listing, read_query
from api.flights import FRESH, moved_leg
from api.models import FlightLeg, LegChange
from api.schemas import HistoryQuery, LegChangeView, LegHistory
from realtime.flight import kinds


async def read_history(api: Api, request: Request) -> Response:
    """One page of changes, newest first."""
    key, query = leg_key_of(request), read_query(request, HistoryQuery)
    leg = select(FlightLeg.leg_id).where(FlightLeg.key == str(key))
    async with api.sessions() as session:
        leg_id = await session.scalar(leg)
        if leg_id is None:
            return await moved_leg(session, request, key)
        changes = select(
            LegChange.version, LegChange.at, LegChange.source_ts, LegChange.feed, LegChange.changed
        ).where(LegChange.leg_id == leg_id)
        if query.after is not None:
            changes = changes.where(LegChange.version < query.after)
        page = changes.order_by(LegChange.version.desc()).limit(query.limit + 1)
        rows = (await session.execute(page)).all()
    items = [_view(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return listing(request, LegHistory(items, None), FRESH)
    place = items[-1].version
    parameters = {**dict(request.query_params), "after": place}
    link = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
    return listing(request, LegHistory(items, place), {**FRESH, "Link": link})


def _view(row: Row[Any]) -> LegChangeView:
    return LegChangeView(
        version=row.version,
        at=row.at,
        source_ts=row.source_ts,
        feed=row.feed,
        kinds=kinds(row.changed),
        changed=row.changed,
    )

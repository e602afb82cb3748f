"""The movements of an airport as a CSV file."""

from datetime import timedelta

import msgspec
from sqlalchemy import func, or_, select
from starlette.requests import Request
from starlette.responses import Response

from api.airports import airport_of
from api.endpoint import Api, read_query
from api.feed_csv import write
from api.flights import AHEAD, BEHIND, FRESH, LONGEST_WINDOW
from api.models import FlightLeg, public_state
from api.problems import Problem
from api.schemas import LegsCsvQuery

MOST_ROWS = 10_000


async def export_legs(api: Api, request: Request) -> Response:
    """What leaves or arrives between two times, hidden legs left out, by scheduled time."""
    query = read_query(request, LegsCsvQuery)
    iata = await airport_of(api, request)
    async with api.sessions() as session:
        now = (await session.execute(select(func.board_now()))).scalar_one()
        since, until = query.from_ or now - BEHIND, query.to or now + AHEAD
        if not timedelta() <= until - since <= LONGEST_WINDOW:
            days = LONGEST_WINDOW.days
            detail = f"`to` must be after `from`, by {days} days at most."
            raise Problem(400, detail, slug="bad-query")
        leaves = (FlightLeg.dep_airport == iata) & FlightLeg.best_dep.between(since, until)
        lands = (FlightLeg.arr_airport == iata) & FlightLeg.best_arr.between(since, until)
        rows = await session.scalars(
            select(public_state())
            .where(or_(leaves, lands), ~FlightLeg.hidden)
            .order_by(func.coalesce(FlightLeg.std, FlightLeg.sta), FlightLeg.key)
            .limit(MOST_ROWS)
        )
        states = [msgspec.json.decode(state) for state in rows]
    headers = {**FRESH, "Content-Disposition": f'attachment; filename="{iata}.csv"'}
    return Response("".join(write(states)), 200, headers, "text/csv; charset=utf-8")

"""Flight legs: the movements of an airport, and one leg by its key. States pass through as made."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, leg_key_of, listing, no_such_leg, read_query, tagged
from api.models import FlightLeg, LegAlias, public_state
from api.problems import Problem
from api.schemas import Fault, FlightsPage, FlightsQuery
from api.search import search_flights
from realtime.flight import LegKey

BEHIND = timedelta(hours=2)
AHEAD = timedelta(hours=12)
LONGEST_WINDOW = timedelta(days=8)
LONGEST_CURSOR = 400
FRESH = {"Cache-Control": "no-cache"}


class Cursor(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended, in which window of which board."""

    airport: str
    direction: str
    since: datetime
    until: datetime
    planned: datetime
    airline: str
    flight_no: int
    leg_id: int

    def text(self) -> str:
        """Opaque to clients."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


async def list_flights(api: Api, request: Request) -> Response:
    """One page of an airport's departures or arrivals by scheduled time, or legs by a number."""
    query = read_query(request, FlightsQuery)
    if query.q is not None:
        return listing(request, await search_flights(api, query, query.q), FRESH)
    if query.airport is None or query.date_ is not None:
        raise _without_subject(query)
    cursor = _cursor(query) if query.after is not None else None
    async with api.sessions() as session:
        since, until = await _window(session, query, cursor)
        statement = _page(query, since, until, cursor).limit(query.limit + 1)
        rows = (await session.execute(statement)).all()
    page = FlightsPage([Raw(row.state.encode()) for row in rows[: query.limit]], None)
    if len(rows) <= query.limit:
        return listing(request, page, FRESH)
    last = rows[query.limit - 1]
    place = Cursor(
        query.airport, query.direction, since, until, last.planned, last.airline, last.flight_no,
        last.leg_id,
    ).text()  # fmt: skip
    parameters = {**dict(request.query_params), "after": place}
    link = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
    return listing(request, FlightsPage(page.items, place), {**FRESH, "Link": link})


async def read_flight(api: Api, request: Request) -> Response:
    """The public state of one leg; its ETag changes with its version."""
    key = leg_key_of(request)
    query = select(FlightLeg.leg_id, FlightLeg.version, public_state().label("state"))
    async with api.sessions() as session:
        row = (await session.execute(query.where(FlightLeg.key == str(key)))).one_or_none()
        if row is None:
            return await moved_leg(session, request, key)
    return tagged(request, row.state, f'"{row.leg_id}-{row.version}"', FRESH)


async def moved_leg(session: AsyncSession, request: Request, key: LegKey) -> Response:
    """308 to the same resource of the leg that had this key before; 404 when none had."""
    now = await moved_to(session, key)
    if now is None:
        raise no_such_leg(key)
    place = request.url.path.replace(str(key), now)
    query = f"?{request.url.query}" if request.url.query else ""
    return Response(status_code=308, headers={**FRESH, "Location": place + query})


async def moved_to(session: AsyncSession, key: LegKey) -> str | None:
    """The key now of the leg that had this key before."""
    leg = select(FlightLeg.key).join(LegAlias, LegAlias.leg_id == FlightLeg.leg_id)
    now: str | None = await session.scalar(leg.where(LegAlias.key == str(key)))
    return now


def _without_subject(query: FlightsQuery) -> Problem:
    name = "airport" if query.airport is None else "date"
    detail = "is needed, or `q`" if name == "airport" else "belongs to `q`"
    fault = Fault(detail=detail, parameter=name)
    return Problem(
        400, "A list is of one airport, or of one flight number.", slug="bad-query", errors=[fault]
    )


async def _window(
    session: AsyncSession, query: FlightsQuery, cursor: Cursor | None
) -> tuple[datetime, datetime]:
    if cursor is not None:
        return cursor.since, cursor.until
    now: datetime = (await session.execute(select(func.board_now()))).scalar_one()
    try:
        since = query.from_ or (query.to - BEHIND - AHEAD if query.to else now - BEHIND)
        until = query.to or (query.from_ + BEHIND + AHEAD if query.from_ else now + AHEAD)
        if timedelta() <= until - since <= LONGEST_WINDOW:
            return since, until
    except OverflowError:
        pass
    fault = Fault(detail="must be at most 8 days after `from`", parameter="to")
    raise Problem(400, "There is no such window.", slug="bad-query", errors=[fault])


def _page(
    query: FlightsQuery, since: datetime, until: datetime, cursor: Cursor | None
) -> Select[str, datetime, str, int, int]:
    here: ColumnElement[bool]
    if query.direction == "departures":
        best, planned = FlightLeg.best_dep, func.coalesce(FlightLeg.std, FlightLeg.best_dep)
        here = FlightLeg.dep_airport == query.airport
    else:
        best, planned = FlightLeg.best_arr, func.coalesce(FlightLeg.sta, FlightLeg.best_arr)
        diverted_here = FlightLeg.divert_airport == query.airport
        here = or_(FlightLeg.arr_airport == query.airport, diverted_here)
    order = (planned, FlightLeg.airline, FlightLeg.flight_no, FlightLeg.leg_id)
    statement = select(
        public_state().label("state"),
        planned.label("planned"),
        FlightLeg.airline,
        FlightLeg.flight_no,
        FlightLeg.leg_id,
    ).where(here, ~FlightLeg.hidden, best.between(since, until))
    if cursor is not None:
        place = (cursor.planned, cursor.airline, cursor.flight_no, cursor.leg_id)
        statement = statement.where(tuple_(*order) > place)
    return statement.order_by(*order)


def _cursor(query: FlightsQuery) -> Cursor:
    """`after` as we made it, for the same airport and direction."""
    bad = Problem(
        400, "`after` is not a cursor of this list.", slug="bad-cursor",
        errors=[Fault(detail="must be `next` of the page before", parameter="after")],
    )  # fmt: skip
    text = query.after or ""
    if not text.isascii() or len(text) > LONGEST_CURSOR:
        raise bad
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        cursor = msgspec.json.decode(decoded, type=Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise bad from None
    if (cursor.airport, cursor.direction) != (query.airport, query.direction):
        raise bad
    times = (cursor.since, cursor.until, cursor.planned)
    if any(at.tzinfo != UTC for at in times) or not 0 <= cursor.flight_no <= 9999:
        raise bad
    if not 0 < cursor.leg_id < 2**63 or "\0" in cursor.airline:
        raise bad
    return cursor

"""Airports: those where something moves now, and one by its code."""

import re

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import Subquery
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, json, listing, read_query
from api.flights import AHEAD, BEHIND, FRESH
from api.models import Airport, FlightLeg
from api.problems import Problem
from api.schemas import AirportMovements, Airports, AirportsQuery, AirportView

CODE = re.compile(r"[A-Z]{3}")


async def list_airports(api: Api, request: Request) -> Response:
    """Airports with movements from 2 hours ago to 12 hours ahead, or any that `q` finds."""
    asked = read_query(request, AirportsQuery)
    leaving = _count(FlightLeg.dep_airport, FlightLeg.best_dep, "departures")
    coming = _count(FlightLeg.arr_airport, FlightLeg.best_arr, "arrivals")
    departures = func.coalesce(leaving.c.departures, 0)
    arrivals = func.coalesce(coming.c.arrivals, 0)
    query = (
        select(
            Airport.iata, Airport.name, Airport.city, Airport.country, Airport.tz,
            departures.label("departures"), arrivals.label("arrivals"),
        )
        .outerjoin(leaving, leaving.c.iata == Airport.iata)
        .outerjoin(coming, coming.c.iata == Airport.iata)
        .limit(asked.limit)
    )  # fmt: skip
    if asked.q is None:
        query = query.where(departures + arrivals > 0).order_by(Airport.iata)
    else:
        query = query.where(_called(asked.q)).order_by(
            Airport.iata != asked.q.strip().upper(), (departures + arrivals).desc(), Airport.iata
        )
    async with api.sessions() as session:
        rows = (await session.execute(query)).mappings().all()
    return listing(request, Airports([AirportMovements(**row) for row in rows]), FRESH)


async def read_airport(api: Api, request: Request) -> Response:
    """One airport."""
    airport = await _airport(api, request)
    columns = {name: getattr(airport, name) for name in AirportView.__struct_fields__}
    return json(AirportView(**columns), 200, FRESH)


async def airport_of(api: Api, request: Request) -> str:
    """The code of the airport that the path names, which is a known one."""
    return (await _airport(api, request)).iata


async def _airport(api: Api, request: Request) -> Airport:
    code = request.path_params["iata"]
    if CODE.fullmatch(code) is None:
        raise Problem(400, "An airport has an IATA code such as JFK.", slug="bad-airport")
    async with api.sessions() as session:
        airport = await session.get(Airport, code)
    if airport is None:
        raise Problem(404, f"There is no airport {code}.", slug="unknown-airport")
    return airport


def _called(words: str) -> ColumnElement[bool]:
    """Codes begin with it, names and cities have it somewhere."""
    sought = words.replace("\0", "").strip()
    return or_(
        Airport.iata.istartswith(sought, autoescape=True),
        func.coalesce(Airport.icao, "").istartswith(sought, autoescape=True),
        Airport.name.icontains(sought, autoescape=True),
        Airport.city.icontains(sought, autoescape=True),
    )


def _count(
    airport: InstrumentedAttribute[str], best: InstrumentedAttribute[object], name: str
) -> Subquery:
    now = select(func.board_now()).scalar_subquery()
    return (
        select(airport.label("iata"), func.count().label(name))
        .where(~FlightLeg.hidden, best.between(now - BEHIND, now + AHEAD))
        .group_by(airport)
        .subquery()
    )

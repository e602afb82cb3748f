"""Legs by any of their flight numbers: the operating carrier's, or a code-share's."""

import re

from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from api.endpoint import Api
from api.models import Airline, CodeShareNumber, FlightLeg, public_state
from api.problems import Problem
from api.schemas import Fault, FlightsPage, FlightsQuery

NUMBER = re.compile(
    r"(?P<airline>[A-Z]{3}(?=[0-9])|(?=[0-9]?[A-Z])[A-Z0-9]{2})0*(?P<number>[1-9][0-9]{0,3})"
    r"(?P<suffix>[A-Z]?)"
)
BETWEEN = re.compile(r"[\s.-]+")


class FlightNumber(Struct, frozen=True):
    """A number as people say it; without a suffix it means all of them."""

    airline: str
    number: int
    suffix: str = ""


def parse_flight_number(words: str) -> FlightNumber:
    """`b6 009` → B6 9, `LAV5245` → LAV 5245; ValueError when it is no flight number."""
    found = NUMBER.fullmatch(BETWEEN.sub("", words).upper())
    if found is None:
        raise ValueError("must be a flight number such as B6 9")
    return FlightNumber(found["airline"], int(found["number"]), found["suffix"])


async def search_flights(api: Api, query: FlightsQuery, words: str) -> FlightsPage:
    """The legs with this number: those of the date, else those nearest to board time."""
    number = _number(query, words)
    best = func.coalesce(FlightLeg.best_dep, FlightLeg.best_arr)
    now = select(func.board_now()).scalar_subquery()  # read once: it goes on from row to row
    distance = func.abs(func.extract("epoch", best - now))
    statement = (
        select(public_state().label("state"))
        .where(or_(has_own_number(number), has_shared_number(number)), ~FlightLeg.hidden)
        .limit(query.limit)
    )
    if query.date_ is not None:
        statement = statement.where(FlightLeg.origin_date == query.date_)
        statement = statement.order_by(best, FlightLeg.leg_id)
    else:
        statement = statement.order_by(distance, FlightLeg.leg_id)
    async with api.sessions() as session:
        rows = (await session.execute(statement)).all()
    return FlightsPage([Raw(row.state.encode()) for row in rows], None)


def has_own_number(number: FlightNumber) -> ColumnElement[bool]:
    """Of a leg: its operating carrier calls it so."""
    return and_(*_is(FlightLeg.airline, FlightLeg.flight_no, FlightLeg.suffix, number))


def has_shared_number(number: FlightNumber) -> ColumnElement[bool]:
    """Of a leg: a code-share calls it so."""
    return exists().where(
        CodeShareNumber.leg_id == FlightLeg.leg_id,
        *_is(CodeShareNumber.airline, CodeShareNumber.flight_no, CodeShareNumber.suffix, number),
    )


def _number(query: FlightsQuery, words: str) -> FlightNumber:
    foreign = {"airport": query.airport, "from": query.from_, "to": query.to, "after": query.after}
    for name, value in foreign.items():
        if value is not None:
            raise _bad(name, "does not go with `q`")
    try:
        return parse_flight_number(words)
    except ValueError as error:
        raise _bad("q", str(error)) from None


def _bad(parameter: str, detail: str) -> Problem:
    fault = Fault(detail=detail, parameter=parameter)
    return Problem(400, "There is no such search.", slug="bad-query", errors=[fault])


def _is(
    airline: InstrumentedAttribute[str],
    flight_no: InstrumentedAttribute[int],
    suffix: InstrumentedAttribute[str],
    number: FlightNumber,
) -> list[ColumnElement[bool]]:
    same = select(Airline.iata).where(Airline.icao == number.airline)
    conditions = [or_(airline == number.airline, airline.in_(same)), flight_no == number.number]
    return conditions + ([suffix == number.suffix] if number.suffix else [])

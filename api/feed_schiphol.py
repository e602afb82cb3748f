"""Flights of Schiphol's public API: JSON, a row for each number; the operating one counts. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_json import decoded_json, list_at, records_of, text_at
from api.feed_manner import Manner
from api.feed_words import (
    Gathering,
    Values,
    airport,
    codeshares,
    day,
    flight_number,
    said,
)
from api.fields import PatchRefused

HOME = "AMS"
ZONE = "Europe/Amsterdam"
PHASES: Mapping[str, str | None] = MappingProxyType({
    "SCH": None, "DEL": None, "WIL": None, "GCH": None, "TOM": None, "EXP": None,
    "GTO": "gate_open", "BRD": "boarding", "GTD": "final_call", "GCL": "gate_closed",
    "DEP": "off_block", "AIR": "airborne", "FIR": "airborne", "LND": "landed",
    "FIB": "in_block", "ARR": "in_block",
})  # fmt: skip
IRREGULARITIES: Mapping[str, str] = MappingProxyType({"CNX": "cancelled", "DIV": "diverted"})
TIMES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "D": MappingProxyType({
        "publicEstimatedOffBlockTime": "etd", "actualOffBlockTime": "atd",
        "expectedTimeBoarding": "boarding_est", "expectedTimeGateClosing": "gate_close_est",
    }),
    "A": MappingProxyType({"estimatedLandingTime": "eldt", "actualLandingTime": "aldt"}),
})  # fmt: skip


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """A page of flights; rows of code-share numbers are left out."""
    gathered = Gathering()
    for index, flight in enumerate(records_of(decoded_json(body))):
        with gathered.record(index):
            name, main = text_at(flight, "flightName"), text_at(flight, "mainFlight")
            if not main or main == name:
                gathered.take(_leg(flight, manner.airport or HOME, now, gathered))
    return gathered.done()


def _leg(flight: object, own: str, now: datetime, gathered: Gathering) -> Patch:
    direction = text_at(flight, "flightDirection").upper()
    if direction not in ("A", "D"):
        raise PatchRefused("bad_value", "flightDirection", "must be A or D")
    stops = [stop for stop in list_at(flight, "route", "destinations") if isinstance(stop, str)]
    if not stops:
        raise PatchRefused("bad_value", "route", "has no destinations")
    far = airport(stops[0] if direction == "D" else stops[-1], "route")
    dep, arr = (own, far) if direction == "D" else (far, own)
    number = flight_number(text_at(flight, "flightName"), "flightName")
    values: Values = {"std" if direction == "D" else "sta": _planned(flight)}
    for member, column in TIMES[direction].items():
        text = text_at(flight, member)
        if text:
            values[column] = said(text, member, ZONE)
    _places(flight, direction, values)
    _states(flight, values, gathered)
    shares = [
        share for share in list_at(flight, "codeshares", "codeshares") if isinstance(share, str)
    ]
    key = PatchKey(airline=number[0], number=number[1], suffix=number[2], dep=dep, arr=arr)
    return Patch(key=key, source_ts=now, set=values, codeshares=codeshares(shares, number))


def _planned(flight: object) -> str:
    text = text_at(flight, "scheduleDateTime")
    if text:
        return said(text, "scheduleDateTime", ZONE)
    on = day(text_at(flight, "scheduleDate"), "scheduleDate")
    return said(text_at(flight, "scheduleTime"), "scheduleTime", ZONE, on)


def _places(flight: object, direction: str, values: Values) -> None:
    side = "dep" if direction == "D" else "arr"
    for member in ("gate", "terminal"):
        text = text_at(flight, member)
        if text:
            values[f"{side}_{member}"] = text
    belts = [belt for belt in list_at(flight, "baggageClaim", "belts") if isinstance(belt, str)]
    if belts and direction == "A":
        values["belts"] = list(belts)
    for column, path in (
        ("registration", ("aircraftRegistration",)),
        ("aircraft_type", ("aircraftType", "iataMain")),
        ("aircraft_type", ("aircraftType", "iatamain")),
        ("service_type", ("serviceType",)),
    ):
        text = text_at(flight, *path)
        if text:
            values[column] = text


def _states(flight: object, values: Values, gathered: Gathering) -> None:
    """The newest state comes first; an older one may still say that the flight is irregular."""
    states = [
        state.strip().upper()
        for state in list_at(flight, "publicFlightState", "flightStates")
        if isinstance(state, str)
    ]
    for state in states:
        if state not in PHASES and state not in IRREGULARITIES:
            gathered.puzzle("state", state)
    odd = next((IRREGULARITIES[state] for state in states if state in IRREGULARITIES), None)
    if states:
        values["irregularity"] = odd or "none"
    phase = PHASES.get(states[0]) if states else None
    if phase is not None:
        values["phase"] = phase

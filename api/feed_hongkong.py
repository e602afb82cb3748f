"""Flights of Hong Kong's public lists: JSON of days, in clocks of Hong Kong. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_json import at, decoded_json, list_at, records_of, text_at
from api.feed_manner import Manner
from api.feed_times import text_of
from api.feed_words import Gathering, Values, airport, codeshares, day, flight_number, moment
from api.fields import PatchRefused

HOME = "HKG"
ZONE = "Asia/Hong_Kong"
DAY = timedelta(days=1)
TIMED = re.compile(
    r"(dep|est at|at gate|landed) ([0-9]{2}:[0-9]{2})"
    r"(?: \(([0-9]{2})/([0-9]{2})/([0-9]{4})\))?"
)
TIMES: Mapping[tuple[str, str], str] = MappingProxyType({
    ("D", "dep"): "atd", ("D", "est at"): "etd", ("A", "est at"): "eta", ("A", "at gate"): "ata",
    ("A", "landed"): "aldt",
})  # fmt: skip
PHASES: Mapping[str, str | None] = MappingProxyType({
    "boarding": "boarding", "final call": "final_call", "gate closed": "gate_closed",
    "boarding soon": None, "delayed": None, "departed": "off_block", "landed": "landed",
    "at gate": "in_block",
})  # fmt: skip


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """A list of days with flights, of which the first number is the operating one."""
    gathered = Gathering()
    for index, (listed, flight) in enumerate(_flights(decoded_json(body))):
        with gathered.record(index):
            gathered.take(_leg(listed, flight, manner.airport or HOME, now, gathered))
    return gathered.done()


def _flights(value: object) -> Iterator[tuple[object, object]]:
    for listed in records_of(value):
        for flight in list_at(listed, "list"):
            yield listed, flight


def _leg(listed: object, flight: object, own: str, now: datetime, gathered: Gathering) -> Patch:
    direction = "A" if at(listed, "arrival") in (True, "true") else "D"
    texts = [text_at(entry, "no") for entry in list_at(flight, "flight")]
    if not texts:
        raise PatchRefused("bad_value", "flight", "has no number")
    number = flight_number(texts[0])
    stops = [
        stop
        for stop in list_at(flight, "origin" if direction == "A" else "destination")
        if isinstance(stop, str)
    ]
    if not stops:
        raise PatchRefused("bad_value", "route", "has neither origin nor destination")
    far = airport(stops[-1] if direction == "A" else stops[0], "route")
    dep, arr = (own, far) if direction == "D" else (far, own)
    on = day(text_at(listed, "date"), "date")
    planned = moment(text_at(flight, "time"), "time", ZONE, on)
    values: Values = {"std" if direction == "D" else "sta": text_of(planned)}
    for column, member in (
        ("dep_gate", "gate"), ("dep_terminal", "terminal"), ("check_in_from", "aisle"),
    ):  # fmt: skip
        text = text_at(flight, member)
        if text and direction == "D":
            values[column] = text
    belt = text_at(flight, "baggage")
    if belt and direction == "A":
        values["belts"] = [belt]
    _status(text_at(flight, "status"), direction, planned, values, gathered)
    key = PatchKey(airline=number[0], number=number[1], suffix=number[2], dep=dep, arr=arr)
    return Patch(key=key, source_ts=now, set=values, codeshares=codeshares(texts[1:], number))


def _status(
    status: str, direction: str, planned: datetime, values: Values, gathered: Gathering
) -> None:
    word = status.lower()
    if not word:
        return
    found = TIMED.fullmatch(word)
    if word == "cancelled":
        values["irregularity"] = "cancelled"
    elif found is not None and (direction, found[1]) in TIMES:
        values["irregularity"] = "none"
        values[TIMES[direction, found[1]]] = text_of(_time(found, planned))
    elif word in PHASES:
        values["irregularity"] = "none"
        phase = PHASES[word]
        if phase is not None:
            values["phase"] = phase
    else:
        gathered.puzzle("status", status)


def _time(found: "re.Match[str]", planned: datetime) -> datetime:
    """With its date, else the one that is nearest to the planned time."""
    if found[3]:
        on = day(f"{found[5]}-{found[4]}-{found[3]}", "status")
        return moment(found[2], "status", ZONE, on)
    days = [(planned + DAY * n).date() for n in (-1, 0, 1)]
    times = [moment(found[2], "status", ZONE, on) for on in days]
    return min(times, key=lambda time: abs(time - planned))

"""Alerts of FlightAware's AeroAPI, as it delivers them to a webhook: one flight each. Pure.

Its flag `cancelled` says that a flight is no longer tracked, and cancels nothing; its event does.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_json import at, decoded_json, first_text, list_at, text_at
from api.feed_manner import BodyRefused, Manner
from api.feed_words import Gathering, Values, airport, codeshares, flight_number, said

TIMES: Mapping[str, str] = MappingProxyType({
    "scheduled_out": "std", "estimated_out": "etd", "actual_out": "atd", "actual_off": "atot",
    "estimated_on": "eldt", "actual_on": "aldt", "scheduled_in": "sta", "estimated_in": "eta",
    "actual_in": "ata",
})  # fmt: skip
TEXTS: Mapping[str, str] = MappingProxyType({
    "terminal_origin": "dep_terminal", "gate_origin": "dep_gate",
    "terminal_destination": "arr_terminal", "gate_destination": "arr_gate",
    "registration": "registration", "aircraft_type": "aircraft_type",
})  # fmt: skip


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """An alert with its `flight`."""
    alert = decoded_json(body)
    if not isinstance(at(alert, "flight"), dict):
        raise BodyRefused("the body is no alert: it has no `flight`")
    gathered = Gathering()
    with gathered.record(0):
        gathered.take(_leg(at(alert, "flight"), text_at(alert, "event_code").lower(), now))
    return gathered.done()


def _leg(flight: object, event: str, now: datetime) -> Patch:
    own = flight_number(first_text(flight, ("ident_iata",), ("ident_icao",), ("ident",)), "ident")
    dep = _airport(flight, "origin")
    # A diverted flight names where it goes now; the planned airport is that of the known leg.
    arr = "" if at(flight, "diverted") is True else _airport(flight, "destination")
    values: Values = {}
    for member, column in TIMES.items():
        text = text_at(flight, member)
        if text and (arr or column not in ("sta", "eta", "eldt")):
            values[column] = said(text, member, "UTC")
    for member, column in TEXTS.items():
        text = text_at(flight, member)
        if text:
            values[column] = text
    belt = text_at(flight, "baggage_claim")
    if belt:
        values["belts"] = [belt]
    if event == "cancelled":
        values["irregularity"] = "cancelled"
    elif not arr:
        values["irregularity"] = "diverted"
    numbers = [text for text in list_at(flight, "codeshares_iata") if isinstance(text, str)]
    key = PatchKey(airline=own[0], number=own[1], suffix=own[2], dep=dep, arr=arr)
    shares = codeshares(numbers, own) if numbers else None
    return Patch(key=key, source_ts=now, set=values, codeshares=shares)


def _airport(flight: object, end: str) -> str:
    code = first_text(flight, (end, "code_iata"), (end, "code_icao"), (end, "code"), (end,))
    return airport(code, end)

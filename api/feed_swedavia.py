"""Flights of Swedavia's API: JSON of one airport and day, times of that end. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_json import at, decoded_json, first_text, list_at, records_of, text_at
from api.feed_manner import Manner
from api.feed_words import Gathering, Values, airport, codeshares, flight_number, moment, said

DELETED, CANCELLED = "DEL", "CAN"
OPERATING = frozenset({"SCH", "ACT", "DEP", "LAN"})
TIMES: Mapping[tuple[str, str], str] = MappingProxyType({
    ("departureTime", "scheduledUtc"): "std", ("departureTime", "estimatedUtc"): "etd",
    ("departureTime", "actualUtc"): "atd", ("arrivalTime", "scheduledUtc"): "sta",
    ("arrivalTime", "estimatedUtc"): "eta", ("arrivalTime", "actualUtc"): "aldt",
    ("locationAndStatus", "gateCloseUtc"): "gate_close_plan",
    ("baggage", "firstBagUtc"): "first_bag_at", ("baggage", "lastBagUtc"): "last_bag_at",
})  # fmt: skip


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """An object with `flights`. `DEL` is deleted, not delayed: such rows never were flights."""
    gathered = Gathering()
    for index, flight in enumerate(records_of(decoded_json(body))):
        with gathered.record(index):
            status = text_at(flight, "locationAndStatus", "flightLegStatus").upper()
            if status != DELETED:
                gathered.take(_leg(flight, status, now, gathered))
    return gathered.done()


def _leg(flight: object, status: str, now: datetime, gathered: Gathering) -> Patch:
    named = at(flight, "flightLegIdentifier")
    own = flight_number(first_text(flight, ("flightLegIdentifier", "flightId"), ("flightId",)))
    dep = airport(text_at(named, "departureAirportIata"), "departureAirportIata")
    arr = airport(text_at(named, "arrivalAirportIata"), "arrivalAirportIata")
    values: Values = {}
    for path, column in TIMES.items():
        text = text_at(flight, *path)
        if text:
            values[column] = said(text, path[-1], "UTC")
    opened = text_at(flight, "locationAndStatus", "gateOpenUtc")
    if opened and moment(opened, "gateOpenUtc", "UTC") <= now:
        values["gate_open_at"] = said(opened, "gateOpenUtc", "UTC")
    side = "dep" if at(flight, "departureTime") is not None else "arr"
    for member in ("terminal", "gate"):
        text = text_at(flight, "locationAndStatus", member)
        if text:
            values[f"{side}_{member}"] = text
    belt = text_at(flight, "baggage", "baggageClaimUnit")
    if belt:
        values["belts"] = [belt]
    registration = text_at(named, "aircraftRegistration")
    if registration:
        values["registration"] = registration
    if status == CANCELLED:
        values["irregularity"] = "cancelled"
    elif status in OPERATING:
        values["irregularity"] = "none"
    elif status:
        gathered.puzzle("status", status)
    shares = [share for share in list_at(flight, "codeShareData") if isinstance(share, str)]
    key = PatchKey(airline=own[0], number=own[1], suffix=own[2], dep=dep, arr=arr)
    return Patch(key=key, source_ts=now, set=values, codeshares=codeshares(shares, own))

"""Flights as JSON in the words of ACI's ACRIS seamless travel, and of airports that vary it. Pure.

Null clears a field, an absent member says nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_json import at, decoded_json, first_text, is_null, list_at, records_of, text_at
from api.feed_manner import Manner
from api.feed_words import (
    Gathering,
    Values,
    airline,
    airport,
    codeshares,
    day,
    moment,
    number,
    said,
)
from api.fields import PatchRefused

PHASES: Mapping[str, str | None] = MappingProxyType({
    "scheduled": None, "ontime": None, "delayed": None, "gateopened": "gate_open",
    "boarding": "boarding", "gateclosed": "gate_closed", "departed": "off_block",
    "inapproach": "approaching", "landed": "landed", "bagclaimstarted": "in_block",
    "flightfinished": None,
})  # fmt: skip
IRREGULARITIES: Mapping[str, str] = MappingProxyType({
    "canceled": "cancelled", "cancelled": "cancelled", "diverted": "diverted",
})  # fmt: skip
NOT_FOR_PASSENGERS: Mapping[str, str] = MappingProxyType({"positioning": "P", "freight": "F"})

Path = tuple[str, ...]
TIMES: Mapping[str, tuple[Path, ...]] = MappingProxyType({
    "std": (("departure", "scheduled"), ("offBlockTime", "scheduled")),
    "etd": (("departure", "estimated"), ("offBlockTime", "estimated")),
    "atd": (("departure", "actual"), ("offBlockTime", "actual")),
    "sta": (("arrival", "scheduled"), ("onBlockTime", "scheduled")),
    "eta": (("arrival", "estimated"), ("onBlockTime", "estimated")),
    "ata": (("arrival", "actual"), ("onBlockTime", "actual")),
    "eldt": (("touchDownTime", "estimated"),),
    "aldt": (("touchDownTime", "actual"),),
    "check_in_open_at": (("departure", "checkinInfo", "checkInBeginTime"),),
    "check_in_close_at": (("departure", "checkinInfo", "checkInEndTime"),),
})  # fmt: skip
TEXTS: Mapping[str, tuple[Path, ...]] = MappingProxyType({
    "dep_terminal": (("departure", "terminal"),),
    "dep_gate": (("departure", "gate"),),
    "arr_terminal": (("arrival", "terminal"),),
    "arr_gate": (("arrival", "gate"),),
    "aircraft_type": (("aircraftType", "icaoCode"), ("aircraftType", "iata")),
    "registration": (("aircraftType", "registration"),),
})  # fmt: skip
NAMES: tuple[Path, ...] = ((), ("short_name",), ("number",), ("name",), ("identifier",))
ARRIVAL_TIMES = frozenset({"sta", "eta", "ata", "eldt", "aldt"})


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """A flight, a list of them, or an object with a list."""
    gathered = Gathering()
    for index, flight in enumerate(records_of(decoded_json(body))):
        with gathered.record(index):
            gathered.take(_leg(flight, now, reference, manner, gathered))
    return gathered.done()


def _leg(
    flight: object, now: datetime, reference: Reference, manner: Manner, gathered: Gathering
) -> Patch:
    carrier = first_text(
        flight, ("operatingAirline", "iataCode"), ("operatingAirline", "iata"),
        ("flightNumber", "airlineCode"), ("operatingAirline", "icaoCode"),
    )  # fmt: skip
    flight_no = number(first_text(flight, ("flightNumber", "trackNumber"), ("trackNumber",)))
    suffix = text_at(flight, "flightNumber", "suffix").upper()
    dep, arr = (_airport(at(flight, f"{end}Airport"), end) for end in ("departure", "arrival"))
    zones = {"dep": manner.zone or reference.zone(dep), "arr": manner.zone or reference.zone(arr)}
    values, clear = _said(flight, zones)
    _drop_copied(flight, values)
    _status(flight, values, gathered)
    origin = text_at(flight, "originDate")
    own = (airline(carrier), flight_no, suffix)
    key = PatchKey(
        airline=own[0], number=flight_no, suffix=suffix, dep=dep, arr=arr,
        origin_date=day(origin[:10], "originDate") if origin else None,
    )  # fmt: skip
    stamp = first_text(flight, ("lastUpdate",), ("lastUpdated",))
    shares = None
    if isinstance(at(flight, "codeShares"), list):
        shares = codeshares([_share(share) for share in list_at(flight, "codeShares")], own)
    return Patch(
        key=key, set=values, clear=clear, codeshares=shares,
        source_ts=moment(stamp, "lastUpdate", "UTC") if stamp else now,
    )  # fmt: skip


def _airport(value: object, end: str) -> str:
    code = first_text(value, (), ("iataCode",), ("iata",), ("icaoCode",), ("icao",))
    return airport(code, f"{end}Airport")


def _said(flight: object, zones: Mapping[str, str | None]) -> tuple[Values, list[str]]:
    values: Values = {}
    clear: list[str] = []
    for name, paths in TIMES.items():
        text = first_text(flight, *paths)
        if text:
            values[name] = said(text, name, zones["arr" if name in ARRIVAL_TIMES else "dep"])
        elif name not in ("std", "sta") and any(is_null(flight, *path) for path in paths):
            clear.append(name)
    for name, paths in TEXTS.items():
        text = first_text(flight, *(path + more for path in paths for more in NAMES))
        if text:
            values[name] = text
        elif any(is_null(flight, *path) for path in paths):
            clear.append(name)
    _desks_and_belts(flight, values, clear)
    boarding = [text_at(entry, "time") for entry in list_at(flight, "departure", "boardingTime")]
    times = [said(text, "boardingTime", zones["dep"]) for text in boarding if text]
    if times:
        values["boarding_plan"] = min(times)
    return values, clear


def _desks_and_belts(flight: object, values: Values, clear: list[str]) -> None:
    desks = text_at(flight, "departure", "checkinInfo", "checkinLocation")
    if desks:
        first, _, last = desks.partition("-")
        values["check_in_from"], values["check_in_to"] = first.strip(), (last or first).strip()
    claim = at(flight, "arrival", "baggageClaim")
    belt = first_text(claim, ("carousel",), ())
    if belt:
        values["belts"] = [part.strip() for part in belt.replace("/", ",").split(",")]
    elif is_null(claim, "carousel"):
        clear.append("belts")


def _drop_copied(flight: object, values: Values) -> None:
    """One airport group writes the only scheduled time that it knows at both ends."""
    if "std" in values and values["std"] == values.get("sta"):
        direction = text_at(flight, "arrivalDeparture").lower()
        values.pop("sta" if direction.startswith("d") else "std")


def _status(flight: object, values: Values, gathered: Gathering) -> None:
    kind = NOT_FOR_PASSENGERS.get(text_at(flight, "flightType").lower())
    if kind is not None:
        values["service_type"], values["hidden"] = kind, True
    status = text_at(flight, "flightStatus")
    word = status.lower().replace(" ", "").replace("_", "")
    if word in IRREGULARITIES:
        values["irregularity"] = IRREGULARITIES[word]
        _diversion(flight, values)
    elif word in PHASES:
        values["irregularity"] = "none"
        phase = PHASES[word]
        if phase is not None:
            values["phase"] = phase
    elif word:
        gathered.puzzle("status", status)


def _diversion(flight: object, values: Values) -> None:
    place = first_text(
        flight,
        ("diversionAirport",),
        ("diversionAirport", "iataCode"),
        ("diversionAirport", "iata"),
    )
    if values["irregularity"] == "diverted" and place:
        values["divert_airport"] = airport(place, "diversionAirport")


def _share(share: object) -> str:
    if isinstance(share, str):
        return share
    carrier = first_text(share, ("airlineCode",), ("iataCode",))
    track = first_text(share, ("trackNumber",), ("flightNumber",))
    if not carrier or not track:
        raise PatchRefused("bad_value", "codeShares", "need airlineCode and trackNumber")
    return carrier + track + text_at(share, "suffix")

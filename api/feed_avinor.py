"""Live flights of Avinor: XML of one airport, with times of that end only. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_words import Gathering, Values, airport, flight_number, moment, said
from api.fields import PatchRefused
from api.xml_parts import Element, XmlRefused, read_xml

TIMES: Mapping[tuple[str, str], str] = MappingProxyType({
    ("D", "E"): "etd", ("A", "E"): "eta", ("D", "D"): "atd", ("A", "A"): "ata",
})  # fmt: skip
CODES = frozenset("NEDAC")


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """`airport/flights/flight`; the airport is named in it, or by `manner.airport`."""
    flights: list[Element] = []
    try:
        root = read_xml(body, _is_flight, lambda flight, _: flights.append(flight))
    except XmlRefused as refused:
        raise BodyRefused(str(refused)) from None
    own = manner.airport or root.attributes.get("name", "")
    holder = root.find("flights")
    if root.name != "airport" or holder is None or not own:
        raise BodyRefused("the body is no list of an airport's flights: send airport/flights")
    stamp = holder.attributes.get("lastUpdate", "")
    gathered = Gathering()
    for index, flight in enumerate(flights):
        with gathered.record(index):
            at = moment(stamp, "lastUpdate", "UTC") if stamp else now
            gathered.take(_leg(flight, airport(own, "airport"), min(at, now), gathered))
    return gathered.done()


def _is_flight(element: Element, parent: Element) -> bool:
    return element.name == "flight" and parent.name == "flights"


def _leg(flight: Element, own: str, at: datetime, gathered: Gathering) -> Patch:
    direction = _text(flight, "arr_dep").upper()
    if direction not in ("A", "D"):
        raise PatchRefused("bad_value", "arr_dep", "must be A or D")
    stops = [stop for stop in _text(flight, "via_airport").split(",") if stop.strip()]
    other = _text(flight, "airport")
    if stops:
        other = stops[0] if direction == "D" else stops[-1]
    carrier, number, suffix = flight_number(_text(flight, "flight_id"), "flight_id")
    far = airport(other, "airport")
    dep, arr = (own, far) if direction == "D" else (far, own)
    planned = _text(flight, "schedule_time")
    values: Values = {"std" if direction == "D" else "sta": said(planned, "schedule_time", "UTC")}
    gate, belt = _text(flight, "gate"), _text(flight, "belt")
    if gate:
        values["dep_gate" if direction == "D" else "arr_gate"] = gate
    if belt and direction == "A":
        values["belts"] = [part.strip() for part in belt.split(",")]
    _status(flight, direction, values, gathered)
    key = PatchKey(airline=carrier, number=number, suffix=suffix, dep=dep, arr=arr)
    return Patch(key=key, source_ts=at, set=values)


def _status(flight: Element, direction: str, values: Values, gathered: Gathering) -> None:
    status = flight.find("status")
    code = status.attributes.get("code", "").strip().upper() if status is not None else ""
    if status is None or not code:
        return
    if code not in CODES:
        gathered.puzzle("status", code)
        return
    values["irregularity"] = "cancelled" if code == "C" else "none"
    name, time = TIMES.get((direction, code)), status.attributes.get("time", "")
    if name is not None and time:
        values[name] = said(time, "status", "UTC")


def _text(flight: Element, name: str) -> str:
    found = flight.find(name)
    return found.value if found is not None else ""

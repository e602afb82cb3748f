"""Flights of Finavia's API: XML of arrivals and departures, in UTC. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_words import Gathering, Values, airport, codeshares, flight_number, said
from api.fields import PatchRefused
from api.xml_parts import Element, XmlRefused, read_xml

Columns = tuple[tuple[str, str], ...]
# Of two members for one column the later one is the public one.
TIMES: Mapping[str, Columns] = MappingProxyType({
    "dep": (("sdt", "std"), ("est_d", "etd"), ("pest_d", "etd"), ("act_d", "atot"),
            ("ablk_d", "atd")),
    "arr": (("sdt", "sta"), ("est_d", "eta"), ("pest_d", "eta"), ("act_d", "aldt"),
            ("ablk_d", "ata")),
})  # fmt: skip
PHASES: Mapping[str, str | None] = MappingProxyType({
    "go to gate": "gate_open", "boarding": "boarding", "final call": "final_call",
    "gate closed": "gate_closed", "departed": "off_block", "landed": "landed", "arrived": "landed",
    "on schedule": None, "delayed": None, "estimated": None, "check-in": None,
})  # fmt: skip
SHARES = tuple(f"cflight_{n}" for n in range(1, 7))


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """`flights` with `arr` and `dep`, each with a `body` of flights."""
    try:
        root = read_xml(body, _is_none, _leave)
    except XmlRefused as refused:
        raise BodyRefused(refused.text.rstrip(".")) from None
    if root.name != "flights" or not (root.find("arr") or root.find("dep")):
        raise BodyRefused("the body is no list of Finavia: send flights/arr and flights/dep")
    gathered = Gathering()
    for index, (side, flight) in enumerate(_flights(root)):
        with gathered.record(index):
            gathered.take(_leg(side, flight, now, gathered))
    return gathered.done()


def _is_none(element: Element, parent: Element) -> bool:
    return False


def _leave(element: Element, parent: Element) -> None:
    """Nothing is taken out: a list of a day is small."""


def _flights(root: Element) -> Iterator[tuple[str, Element]]:
    for side in ("arr", "dep"):
        for part in root.all(side):
            for holder in part.all("body"):
                yield from ((side, flight) for flight in holder.all("flight"))


def _leg(side: str, flight: Element, now: datetime, gathered: Gathering) -> Patch:
    home, far = airport(_text(flight, "h_apt"), "h_apt"), airport(_text(flight, "route_1"), "route")
    dep, arr = (home, far) if side == "dep" else (far, home)
    own = flight_number(_text(flight, "fltnr"), "fltnr")
    values: Values = {}
    for member, column in TIMES[side]:
        text = _text(flight, member)
        if text:
            values[column] = said(text, member, "UTC")
    if not {"std", "sta"} & values.keys():
        raise PatchRefused("bad_value", "sdt", "is missing")
    for member, column in (("gate", f"{side}_gate"), ("acreg", "registration"),
                           ("actype", "aircraft_type")):  # fmt: skip
        text = _text(flight, member)
        if text:
            values[column] = text
    belt = _text(flight, "bltarea")
    if belt and side == "arr":
        values["belts"] = [belt]
    _status(_text(flight, "prt"), values, gathered)
    key = PatchKey(airline=own[0], number=own[1], suffix=own[2], dep=dep, arr=arr)
    shares = codeshares([_text(flight, name) for name in SHARES], own)
    return Patch(key=key, source_ts=now, set=values, codeshares=shares)


def _status(status: str, values: Values, gathered: Gathering) -> None:
    word = status.lower()
    if word == "cancelled":
        values["irregularity"] = "cancelled"
    elif word in PHASES:
        values["irregularity"] = "none"
        phase = PHASES[word]
        if phase is not None:
            values["phase"] = phase
    elif word:
        gathered.puzzle("status", status)


def _text(flight: Element, name: str) -> str:
    found = flight.find(name)
    return found.value if found is not None else ""

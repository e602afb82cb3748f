"""AirportResources of AIDX: gates, stands, terminals, belts and desks. Pure."""

import re
from collections.abc import Iterator

from api.feed_aidx_words import Words
from api.xml_parts import Element

TERMINAL = re.compile(r"T(?:ERMINAL ?)?(?P<name>[0-9]{1,2}[A-Z]?)")
NO_GATE = frozenset({"", "0"})
SIDES = {"D": "dep", "A": "arr"}

Said = dict[str, str | list[str]]


def say_resources(words: Words, data: Element) -> None:
    """What is actual, else what is planned: some send all under one name, some under the other."""
    said: Said = {}
    blocks = sorted(data.all("AirportResources"), key=lambda block: _usage(block) == "actual")
    for block in blocks:
        for resource in block.all("Resource"):
            side = SIDES.get(resource.attributes.get("DepartureOrArrival", "").strip()[:1].upper())
            if side is not None:
                said |= dict(_of(resource, side))
            else:
                words.unknown.append("Resource without DepartureOrArrival")
    for name, value in said.items():
        words.say(name, value)


def _usage(block: Element) -> str:
    return block.attributes.get("Usage", "").strip().lower()


def _of(resource: Element, side: str) -> Iterator[tuple[str, str | list[str]]]:
    if stands := _values(resource, "AircraftParkingPosition"):
        yield f"{side}_stand", stands[0]
    if gates := _values(resource, "PassengerGate"):
        yield f"{side}_gate", next((gate for gate in gates if gate not in NO_GATE), "")
    terminals = _values(resource, "PublicTerminal") + _values(resource, "AircraftTerminal")
    if terminals:
        yield f"{side}_terminal", next((_terminal(name) for name in terminals if name), "")
    if side == "arr":
        if belts := _values(resource, "BaggageClaimUnit"):
            yield "belts", list(dict.fromkeys(belt for belt in belts if belt))
        return
    for desks in list(resource.all("CheckInInfo"))[:1]:
        for name, field in (("FirstPosition", "check_in_from"), ("LastPosition", "check_in_to")):
            if positions := _values(desks, name):
                yield field, positions[0]


def _values(parent: Element, name: str) -> list[str]:
    """Of all elements of this name; empty where one is nil."""
    return [element.value for element in parent.all(name)]


def _terminal(name: str) -> str:
    """`T1`, `Terminal 1` and `1` are one terminal; `MT` and `JC` are names."""
    found = TERMINAL.fullmatch(name.upper())
    return found["name"] if found else name

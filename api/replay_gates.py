"""Gates of the replayed airports, made up: no gate has two flights at once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, count, islice
from types import MappingProxyType

from api.feed import PatchKey
from api.replay_day import ReplayLeg, minutes, noise

Values = dict[str, str | int | bool | list[str]]
Saying = tuple[datetime, Values]
Stay = tuple[datetime, datetime]


def _pier(terminal: str, last: int) -> tuple[str, ...]:
    return tuple(f"{terminal}{n}" for n in range(1, last + 1))


AREAS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "EWR": {terminal: _pier(terminal, 24) for terminal in "ABC"},
    "JFK": {
        "2": tuple(f"C{n}" for n in range(60, 71)),
        "4": tuple(f"A{n}" for n in range(2, 9)) + tuple(f"B{n}" for n in range(18, 43)),
        "5": tuple(str(n) for n in range(1, 31)),
        "7": tuple(f"D{n}" for n in range(1, 13)),
        "8": tuple(str(n) for n in range(31, 49)),
    },
    "LGA": {terminal: _pier(terminal, 14) for terminal in "ABCD"},
})  # fmt: skip
"""Gates by airport and terminal; no label occurs twice at one airport."""

TERMINALS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "EWR": {
        "9E": "B", "AA": "A", "AS": "A", "B6": "A", "DL": "B", "EV": "CA", "MQ": "A", "OO": "C",
        "UA": "C", "US": "A", "VX": "A", "WN": "A", "YV": "CA",
    },
    "JFK": {
        "9E": "24", "AA": "8", "B6": "5", "DL": "42", "EV": "2",
        "HA": "5", "MQ": "8", "UA": "7", "US": "7", "VX": "4",
    },
    "LGA": {
        "9E": "DC", "AA": "B", "B6": "B", "DL": "DC", "EV": "CD", "F9": "B", "FL": "B", "MQ": "B",
        "OO": "A", "UA": "AB", "US": "CA", "WN": "B", "YV": "AC",
    },
})  # fmt: skip
"""The terminals a carrier keeps to, dearest first."""

STRANGERS: Mapping[str, str] = MappingProxyType({"EWR": "B", "JFK": "4", "LGA": "B"})
"""Where a carrier goes that has no terminal."""


def terminals_of(leg: ReplayLeg) -> str:
    """The terminals of the leg's carrier at its airport, dearest first."""
    return TERMINALS[leg.origin].get(leg.airline, STRANGERS[leg.origin])


def gates_of(
    legs: Sequence[ReplayLeg], cancelled: Mapping[PatchKey, datetime]
) -> dict[PatchKey, list[Saying]]:
    """Interval scheduling: a leg is alone at its gate from an hour before STD until it left."""
    held: dict[str, dict[str, list[Stay]]] = defaultdict(lambda: defaultdict(list))
    told: dict[PatchKey, list[Saying]] = {}
    for leg in legs:
        stays = held[leg.origin]
        first = leg.std - minutes(150 + 60 * leg.noise("gate"))
        start = leg.std - minutes(60)
        end = cancelled.get(leg.key) or (leg.off_block or leg.std) + minutes(10)
        told[leg.key] = []
        if leg.key in cancelled and first >= end:
            continue
        change = _gate_change_at(leg)
        gate = next(_free(leg, stays, start, max(start, change or end)))
        stays[gate[1]].append((start, max(start, change or end)))
        told[leg.key].append((first, {"dep_terminal": gate[0], "dep_gate": gate[1]}))
        if change is not None:
            others = _free(leg, stays, min(start, change), end)
            choice = list(islice((o for o in others if o != gate), 6))
            other = choice[int(leg.noise("other gate") * len(choice))]
            stays[other[1]].append((change, end))
            told[leg.key].append((change, {"dep_terminal": other[0], "dep_gate": other[1]}))
    return told


def _gate_change_at(leg: ReplayLeg) -> datetime | None:
    if leg.off_block is None or leg.dep_delay is None:
        return None
    chance = 0.35 if leg.dep_delay > 60 else 0.12 if leg.dep_delay > 30 else 0.04
    if leg.noise("gate change") >= chance:
        return None
    return leg.off_block - minutes(46 + 59 * leg.noise("gate change time"))


def _free(
    leg: ReplayLeg, stays: Mapping[str, list[Stay]], start: datetime, end: datetime
) -> Iterator[tuple[str, str]]:
    """(terminal, gate) free all that time, as the carrier prefers; bus gates never run out."""
    airline, homes, areas = leg.airline, terminals_of(leg), AREAS[leg.origin]
    own = [(t, g) for t in homes for g in sorted(areas[t], key=lambda g: noise(f"{airline}|{g}"))]
    rest = sorted(
        ((t, g) for t, gates in areas.items() if t not in homes for g in gates),
        key=lambda place: noise(f"{airline}|{place[1]}"),
    )
    for terminal, gate in chain(own, rest, ((homes[0], f"R{n}") for n in count(1))):
        if all(e <= start or s >= end for s, e in stays.get(gate, ())):
            yield terminal, gate

"""The feed `replay`: one real day of JFK departures, told minute by minute as a live feed would.

Schedule, off block, arrival, air time and cancellation are history; the rest is made up here, which
`feed.synthetic` says on every screen. Every choice is a hash of `leg key|purpose`: no clock, no
chance.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain, count, islice
from types import MappingProxyType

from msgspec import Struct

from api.feed import CodeShare, Patch, PatchKey

FEED = "replay"
HOME = "JFK"
DAY_FILE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.csv")

Values = dict[str, str | int | bool | list[str]]
Saying = tuple[datetime, Values]
Stay = tuple[datetime, datetime]

AREAS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "2": tuple(f"C{n}" for n in range(60, 71)),
    "4": tuple(f"A{n}" for n in range(2, 9)) + tuple(f"B{n}" for n in range(18, 43)),
    "5": tuple(str(n) for n in range(1, 31)),
    "7": tuple(f"D{n}" for n in range(1, 13)),
    "8": tuple(str(n) for n in range(31, 49)),
})  # fmt: skip
"""Gates by terminal; no label occurs twice."""

TERMINALS: Mapping[str, str] = MappingProxyType({
    "9E": "24", "AA": "8", "B6": "5", "DL": "42", "EV": "2",
    "HA": "5", "MQ": "8", "UA": "7", "US": "7", "VX": "4",
})  # fmt: skip
"""The terminals a carrier keeps to, dearest first."""

PARTNERS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "9E": ("DL", "AF"),
    "AA": ("BA", "IB", "QF", "JL"),
    "B6": ("EI", "EK", "LH", "SA"),
    "DL": ("AF", "KL", "AZ", "KE"),
    "EV": ("DL",),
    "MQ": ("AA", "BA"),
    "UA": ("LH", "AC", "NH"),
    "VX": ("SQ", "VA"),
})  # fmt: skip

FLEETS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "9E": ("CRJ9", "CRJ9"), "AA": ("B738", "B762"), "B6": ("A320", "A320"), "DL": ("B738", "B752"),
    "EV": ("CRJ7", "CRJ7"), "HA": ("A332", "A332"), "MQ": ("E145", "E145"), "UA": ("B738", "B752"),
    "US": ("A319", "A321"), "VX": ("A320", "A320"),
})  # fmt: skip
"""Aircraft for short and for long legs."""

MANY_TERMINALS = frozenset({"ATL", "BOS", "DFW", "LAX", "MIA", "ORD", "PHX", "SEA", "SFO"})
ALTERNATES = ("BUF", "IAD", "PIT", "RDU", "RIC")


class ReplayLeg(Struct, frozen=True, kw_only=True):
    """One leg as history has it; no departure delay = cancelled, no arrival delay = diverted."""

    airline: str
    number: int
    origin_date: date
    dest: str
    std: datetime
    sta: datetime
    dep_delay: int | None
    arr_delay: int | None
    air_time: int | None
    distance: int
    tailnum: str = ""

    @property
    def key(self) -> PatchKey:
        return PatchKey(
            airline=self.airline,
            number=self.number,
            origin_date=self.origin_date,
            dep=HOME,
            arr=self.dest,
        )

    @property
    def boarding_time(self) -> timedelta:
        """From the start of boarding to off block."""
        return _minutes(45 if self.distance >= 1500 else 35)

    @property
    def off_block(self) -> datetime | None:
        return None if self.dep_delay is None else self.std + _minutes(self.dep_delay)

    @property
    def in_block(self) -> datetime | None:
        return None if self.arr_delay is None else self.sta + _minutes(self.arr_delay)

    def noise(self, purpose: str) -> float:
        """In [0, 1), the same in every run."""
        return _noise(f"{self.key.leg_key()}|{purpose}")


class Statement(Struct, frozen=True):
    """What the feed says, and the board time at which it says it."""

    at: datetime
    patch: Patch


def days() -> list[date]:
    """The days that are shipped."""
    names = (DAY_FILE.fullmatch(item.name) for item in _shelf().iterdir())
    return sorted(date.fromisoformat(found[1]) for found in names if found)


def load(day: date) -> list[ReplayLeg]:
    """The legs of a shipped day by scheduled departure; ValueError says which days there are."""
    if day not in (shipped := days()):
        known = ", ".join(map(str, shipped))
        raise ValueError(f"no replay of {day} is shipped; there is {known}")
    text = _shelf().joinpath(f"{day}.csv").read_text(encoding="utf-8")
    return [_leg(day, row) for row in csv.DictReader(text.splitlines())]


def statements(legs: Iterable[ReplayLeg]) -> list[Statement]:
    """Everything that the feed says on that day, in order."""
    ordered = sorted(legs, key=lambda leg: (leg.std, str(leg.key.leg_key())))
    if not ordered:
        return []
    opening = ordered[0].std - timedelta(hours=12)
    storm = sum(leg.dep_delay is None for leg in ordered) > len(ordered) / 5
    cancelled = {
        leg.key: max(opening + _minutes(1), _cancelled_at(leg, storm))
        for leg in ordered
        if leg.off_block is None
    }
    gates = _gates(ordered, cancelled)
    shares = _codeshares(ordered)
    told: list[Statement] = []
    for leg in ordered:
        key, load, marketing = leg.key, _schedule(leg), shares[leg.key]
        opener = Patch(key=key, source_ts=opening, set=load, codeshares=marketing)
        told.append(Statement(opening, opener))
        end = cancelled.get(key)
        story = _operated(leg) if end is None else _cancelled(leg, end, creeping=not storm)
        at = opening
        for wanted, values in sorted(chain(gates[key], story), key=lambda saying: saying[0]):
            at = max(wanted, at + timedelta(seconds=1))
            told.append(Statement(at, Patch(key=key, source_ts=at, set=values)))
    return sorted(told, key=lambda said: (said.at, str(said.patch.key.leg_key())))


def _shelf() -> Traversable:
    return files("api").joinpath("resources", "replay")


def _leg(day: date, row: dict[str, str]) -> ReplayLeg:
    def known(column: str) -> int | None:
        return int(row[column]) if row[column] else None

    return ReplayLeg(
        airline=row["airline"],
        number=int(row["number"]),
        origin_date=day,
        dest=row["dest"],
        std=datetime.fromisoformat(row["std"]),
        sta=datetime.fromisoformat(row["sta"]),
        dep_delay=known("dep_delay"),
        arr_delay=known("arr_delay"),
        air_time=known("air_time"),
        distance=int(row["distance"]),
        tailnum=row["tailnum"],
    )


def _noise(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / (1 << 48)


def _minutes(number: float) -> timedelta:
    """In whole seconds, as a feed stamps its statements."""
    return timedelta(seconds=round(number * 60))


def _rounded_up(moment: datetime, step: int = 5) -> datetime:
    return moment + (datetime.min.replace(tzinfo=moment.tzinfo) - moment) % timedelta(minutes=step)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _schedule(leg: ReplayLeg) -> Values:
    """The full load before the day begins."""
    home = TERMINALS.get(leg.airline, "4")[0]
    desk = 1 + 10 * int(_noise(f"{leg.airline}|desk") * 9)
    values: Values = {
        "std": _text(leg.std),
        "sta": _text(leg.sta),
        "service_type": "J",
        "dep_terminal": home,
        "check_in_from": str(desk),
        "check_in_to": str(desk + 7),
        "check_in_open_at": _text(leg.std - _minutes(180)),
        "boarding_plan": _text(leg.std - leg.boarding_time),
        "gate_close_plan": _text(leg.std - _minutes(10)),
        "aircraft_type": FLEETS.get(leg.airline, ("A320", "B752"))[leg.distance >= 1500],
    }
    if leg.tailnum:
        values["registration"] = leg.tailnum
    return values


def _codeshares(legs: list[ReplayLeg]) -> dict[PatchKey, list[CodeShare]]:
    """At most three marketing numbers a leg, none of them used twice."""
    taken = {(leg.airline, leg.number) for leg in legs}
    shares: dict[PatchKey, list[CodeShare]] = {leg.key: [] for leg in legs}
    for leg in legs:
        partners = PARTNERS.get(leg.airline, ())
        for partner in [p for p in partners if leg.noise(f"share {p}") < 0.25][:3]:
            first = 2000 + int(leg.noise(f"number {partner}") * 6000)
            number = next(n for n in count(first) if (partner, n) not in taken)
            taken.add((partner, number))
            shares[leg.key].append(CodeShare(airline=partner, number=number))
    return shares


def _gates(
    legs: list[ReplayLeg], cancelled: Mapping[PatchKey, datetime]
) -> dict[PatchKey, list[Saying]]:
    """Interval scheduling: a leg is alone at its gate from an hour before STD until it left."""
    stays: dict[str, list[Stay]] = defaultdict(list)
    told: dict[PatchKey, list[Saying]] = {}
    for leg in legs:
        first = leg.std - _minutes(150 + 60 * leg.noise("gate"))
        start = leg.std - _minutes(60)
        end = cancelled.get(leg.key) or (leg.off_block or leg.std) + _minutes(10)
        told[leg.key] = []
        if leg.key in cancelled and first >= end:
            continue
        change = _gate_change_at(leg)
        gate = next(_free(leg.airline, stays, start, max(start, change or end)))
        stays[gate[1]].append((start, max(start, change or end)))
        told[leg.key].append((first, {"dep_terminal": gate[0], "dep_gate": gate[1]}))
        if change is not None:
            others = _free(leg.airline, stays, min(start, change), end)
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
    return leg.off_block - _minutes(46 + 59 * leg.noise("gate change time"))


def _free(
    airline: str, stays: Mapping[str, list[Stay]], start: datetime, end: datetime
) -> Iterator[tuple[str, str]]:
    """(terminal, gate) free all that time, as the carrier prefers; bus gates never run out."""
    homes = TERMINALS.get(airline, "4")
    own = [(t, g) for t in homes for g in sorted(AREAS[t], key=lambda g: _noise(f"{airline}|{g}"))]
    rest = sorted(
        ((t, g) for t, gates in AREAS.items() if t not in homes for g in gates),
        key=lambda place: _noise(f"{airline}|{place[1]}"),
    )
    for terminal, gate in chain(own, rest, ((homes[0], f"R{n}") for n in count(1))):
        if all(e <= start or s >= end for s, e in stays.get(gate, ())):
            yield terminal, gate


def _estimate(leg: ReplayLeg, etd: datetime) -> Values:
    """A new departure estimate takes everything that hangs on it along."""
    return {
        "etd": _text(etd),
        "eta": _text(leg.sta + (etd - leg.std)),
        "boarding_est": _text(etd - leg.boarding_time),
        "gate_close_est": _text(etd - _minutes(10)),
    }


def _estimates(leg: ReplayLeg, off_block: datetime) -> Iterator[Saying]:
    """Estimates creep towards the truth and always leave the time that boarding takes."""
    delay = round((off_block - leg.std) / timedelta(minutes=1))
    if -10 < delay < 10:
        return
    boarding, truth = off_block - leg.boarding_time, _rounded_up(off_block)
    lead = min(240.0, 25 + 0.9 * abs(delay)) * (0.6 + 0.8 * leg.noise("lead"))
    steps = 1 if delay < 25 else 2 if delay < 60 else 3 if delay < 120 else 4 + delay // 120
    start = latest = min(leg.std - _minutes(lead), boarding - _minutes(5))
    shown = leg.std
    for step in range(steps):
        share = (step + 1) / steps
        if step < steps - 1:
            share += 0.2 * (leg.noise(f"jitter {step}") - 0.5)
        at = min(start + (boarding - start) * (step / steps), latest)
        at = at.replace(microsecond=0)
        etd = _rounded_up(leg.std + _minutes(max(5, delay * share) if delay > 0 else delay))
        etd = min(truth, max(etd, _rounded_up(at + leg.boarding_time + _minutes(5))))
        if etd != shown:
            yield at, _estimate(leg, etd)
        shown, latest = etd, etd - leg.boarding_time - _minutes(1)


def _cancelled_at(leg: ReplayLeg, storm: bool) -> datetime:
    """A storm is planned ahead; single cancellations come late."""
    share = leg.noise("cancelled")
    return leg.std - _minutes(180 + 900 * share if storm else 330 * share - 30)


def _cancelled(leg: ReplayLeg, end: datetime, creeping: bool) -> Iterator[Saying]:
    if creeping and leg.noise("delayed first") < 0.5:
        yield end - _minutes(70), _estimate(leg, _rounded_up(leg.std + _minutes(30)))
        yield end - _minutes(30), _estimate(leg, _rounded_up(leg.std + _minutes(75)))
    yield end, {"irregularity": "cancelled", "cancelled_at": _text(end)}


def _operated(leg: ReplayLeg) -> Iterator[Saying]:
    if (off_block := leg.off_block) is None:
        return
    yield from _estimates(leg, off_block)
    facts = [
        ("gate_open_at", off_block - leg.boarding_time - _minutes(10)),
        ("boarding_at", off_block - leg.boarding_time),
        ("final_call_at", off_block - _minutes(15)),
        ("gate_close_at", off_block - _minutes(8)),
        ("atd", off_block),
    ]
    for column, moment in facts:
        yield _fact(leg, column, moment)
    in_block = leg.in_block
    if in_block is None or leg.air_time is None:
        yield from _diverted(leg, off_block + _minutes(15))
        return
    taxi = (in_block - off_block) // timedelta(minutes=1) - leg.air_time
    airborne = off_block + _minutes(max(3, round(taxi * 0.7)))
    landed = airborne + _minutes(leg.air_time)
    yield _airborne(leg, airborne)
    yield from _refined(leg, airborne, landed, in_block)
    yield from _arrived(leg, landed, in_block)


def _fact(leg: ReplayLeg, column: str, moment: datetime) -> Saying:
    """An actual time, known within the minute."""
    return moment + timedelta(seconds=4 + int(36 * leg.noise("lag"))), {column: _text(moment)}


def _airborne(leg: ReplayLeg, airborne: datetime) -> Saying:
    """Take-off; the far end now plans a gate."""
    at, values = _fact(leg, "atot", airborne)
    pier = "ABCD"[int(leg.noise("pier") * 4)]
    values["arr_gate"] = f"{pier}{1 + int(leg.noise('arrival gate') * 24)}"
    if leg.dest in MANY_TERMINALS:
        values["arr_terminal"] = str(1 + int(_noise(f"{leg.airline}|{leg.dest}") * 4))
    return at, values


def _diverted(leg: ReplayLeg, airborne: datetime) -> Iterator[Saying]:
    """History says only that it never arrived as planned."""
    yield _airborne(leg, airborne)
    planned = (leg.sta - leg.std) * 0.8
    at = airborne + max(_minutes(30), _minutes(planned / timedelta(minutes=1)))
    places = [place for place in ALTERNATES if place != leg.dest]
    place = places[int(leg.noise("diverted") * len(places))]
    yield at, {"irregularity": "diverted", "divert_airport": place}


def _refined(
    leg: ReplayLeg, airborne: datetime, landed: datetime, in_block: datetime
) -> Iterator[Saying]:
    """Arrival estimates whose error shrinks from 20 minutes, said when they move by two."""
    shown: datetime | None = None
    for share in (0.05, 0.5, 0.9):
        at = (airborne + (landed - airborne) * share).replace(microsecond=0)
        error = round((leg.noise(f"eta {share}") - 0.5) * 40 * (1 - share))
        floor = _rounded_up(at + _minutes(1), 1) + (in_block - landed)
        eta = max(floor, in_block + _minutes(error))
        if shown is None or abs(eta - shown) >= _minutes(2):
            yield at, {"eldt": _text(eta - (in_block - landed)), "eta": _text(eta)}
            shown = eta


def _arrived(leg: ReplayLeg, landed: datetime, in_block: datetime) -> Iterator[Saying]:
    yield _fact(leg, "aldt", landed)
    belts: Values = {"belts": [str(1 + int(leg.noise("belt") * 12))]}
    yield landed + _minutes(2) + timedelta(seconds=2), belts
    yield _fact(leg, "ata", in_block)
    yield _fact(leg, "first_bag_at", in_block + timedelta(minutes=12 + int(9 * leg.noise("bag"))))
    last = timedelta(minutes=30 + int(11 * leg.noise("last bag")))
    yield _fact(leg, "last_bag_at", in_block + last)

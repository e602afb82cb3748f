"""The feed `replay`: real days of New York departures, told minute by minute as a live feed would.

Schedule, off block, arrival, air time and cancellation are history; the rest is made up here, which
`feed.synthetic` says on every screen. Every choice is a hash of `leg key|purpose`: no clock, no
chance.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import chain, count
from types import MappingProxyType

from msgspec import Struct

from api.feed import CodeShare, Patch, PatchKey
from api.replay_day import ReplayLeg, minutes, noise
from api.replay_gates import Saying, Values, gates_of, terminals_of

FEED = "replay"
OPENS_BEFORE = timedelta(hours=12)

PARTNERS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "9E": ("DL", "AF"),
    "AA": ("BA", "IB", "QF", "JL"),
    "B6": ("EI", "EK", "LH", "SA"),
    "DL": ("AF", "KL", "AZ", "KE"),
    "EV": ("DL",),
    "MQ": ("AA", "BA"),
    "OO": ("UA",),
    "UA": ("LH", "AC", "NH"),
    "VX": ("SQ", "VA"),
    "YV": ("US",),
})  # fmt: skip

FLEETS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "9E": ("CRJ9", "CRJ9"), "AA": ("B738", "B762"), "B6": ("A320", "A320"), "DL": ("B738", "B752"),
    "EV": ("CRJ7", "CRJ7"), "HA": ("A332", "A332"), "MQ": ("E145", "E145"), "UA": ("B738", "B752"),
    "US": ("A319", "A321"), "VX": ("A320", "A320"), "AS": ("B738", "B738"),
    "F9": ("A319", "A320"), "FL": ("B712", "B737"), "OO": ("CRJ7", "CRJ7"),
    "WN": ("B737", "B737"), "YV": ("CRJ9", "CRJ9"),
})  # fmt: skip
"""Aircraft for short and for long legs."""

MANY_TERMINALS = frozenset({"ATL", "BOS", "DFW", "LAX", "MIA", "ORD", "PHX", "SEA", "SFO"})
ALTERNATES = ("BUF", "IAD", "PIT", "RDU", "RIC")


class Statement(Struct, frozen=True):
    """What a feed says, and the board time at which it says it."""

    at: datetime
    patch: Patch
    feed: str = FEED


def statements(legs: Iterable[ReplayLeg]) -> list[Statement]:
    """Everything that the feed says of these legs, in order."""
    ordered = sorted(legs, key=lambda leg: (leg.std, str(leg.key.leg_key())))
    by_day: dict[date, list[ReplayLeg]] = defaultdict(list)
    for leg in ordered:
        by_day[leg.origin_date].append(leg)
    told: list[Statement] = []
    cancelled: dict[PatchKey, datetime] = {}
    for flown in by_day.values():
        cancelled |= _cancellations(flown)
    gates = gates_of(ordered, cancelled)
    for flown in by_day.values():
        told += _day(flown, cancelled, gates)
    return sorted(told, key=lambda said: (said.at, str(said.patch.key.leg_key())))


def _cancellations(legs: Sequence[ReplayLeg]) -> dict[PatchKey, datetime]:
    earliest, storm = legs[0].std - OPENS_BEFORE + minutes(1), _stormy(legs)
    return {
        leg.key: max(earliest, _cancelled_at(leg, storm)) for leg in legs if leg.off_block is None
    }


def _stormy(legs: Sequence[ReplayLeg]) -> bool:
    return sum(leg.dep_delay is None for leg in legs) > len(legs) / 5


def _day(
    legs: Sequence[ReplayLeg],
    cancelled: Mapping[PatchKey, datetime],
    gates: Mapping[PatchKey, Sequence[Saying]],
) -> Iterator[Statement]:
    """The full load, then the story of each leg."""
    opening, creeping = legs[0].std - OPENS_BEFORE, not _stormy(legs)
    shares = _codeshares(legs)
    for leg in legs:
        key, end = leg.key, cancelled.get(leg.key)
        opener = Patch(key=key, source_ts=opening, set=_schedule(leg), codeshares=shares[key])
        yield Statement(opening, opener)
        story = _operated(leg) if end is None else _cancelled(leg, end, creeping=creeping)
        at = opening
        for wanted, values in sorted(chain(gates[key], story), key=lambda saying: saying[0]):
            at = max(wanted, at + timedelta(seconds=1))
            yield Statement(at, Patch(key=key, source_ts=at, set=values))


def _rounded_up(moment: datetime, step: int = 5) -> datetime:
    return moment + (datetime.min.replace(tzinfo=moment.tzinfo) - moment) % timedelta(minutes=step)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _schedule(leg: ReplayLeg) -> Values:
    """The full load before the day begins."""
    home = terminals_of(leg)[0]
    desk = 1 + 10 * int(noise(f"{leg.airline}|desk") * 9)
    values: Values = {
        "std": _text(leg.std),
        "sta": _text(leg.sta),
        "service_type": "J",
        "dep_terminal": home,
        "check_in_from": str(desk),
        "check_in_to": str(desk + 7),
        "check_in_open_at": _text(leg.std - minutes(180)),
        "boarding_plan": _text(leg.std - leg.boarding_time),
        "gate_close_plan": _text(leg.std - minutes(10)),
        "aircraft_type": FLEETS.get(leg.airline, ("A320", "B752"))[leg.distance >= 1500],
    }
    if leg.tailnum:
        values["registration"] = leg.tailnum
    return values


def _codeshares(legs: Sequence[ReplayLeg]) -> dict[PatchKey, list[CodeShare]]:
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


def _estimate(leg: ReplayLeg, etd: datetime) -> Values:
    """A new departure estimate takes everything that hangs on it along."""
    return {
        "etd": _text(etd),
        "eta": _text(leg.sta + (etd - leg.std)),
        "boarding_est": _text(etd - leg.boarding_time),
        "gate_close_est": _text(etd - minutes(10)),
    }


def _estimates(leg: ReplayLeg, off_block: datetime) -> Iterator[Saying]:
    """Estimates creep towards the truth and always leave the time that boarding takes."""
    delay = round((off_block - leg.std) / timedelta(minutes=1))
    if -10 < delay < 10:
        return
    boarding, truth = off_block - leg.boarding_time, _rounded_up(off_block)
    lead = min(240.0, 25 + 0.9 * abs(delay)) * (0.6 + 0.8 * leg.noise("lead"))
    steps = 1 if delay < 25 else 2 if delay < 60 else 3 if delay < 120 else 4 + delay // 120
    start = latest = min(leg.std - minutes(lead), boarding - minutes(5))
    shown = leg.std
    for step in range(steps):
        share = (step + 1) / steps
        if step < steps - 1:
            share += 0.2 * (leg.noise(f"jitter {step}") - 0.5)
        at = min(start + (boarding - start) * (step / steps), latest)
        at = at.replace(microsecond=0)
        etd = _rounded_up(leg.std + minutes(max(5, delay * share) if delay > 0 else delay))
        etd = min(truth, max(etd, _rounded_up(at + leg.boarding_time + minutes(5))))
        if etd != shown:
            yield at, _estimate(leg, etd)
        shown, latest = etd, etd - leg.boarding_time - minutes(1)


def _cancelled_at(leg: ReplayLeg, storm: bool) -> datetime:
    """A storm is planned ahead; single cancellations come late."""
    share = leg.noise("cancelled")
    return leg.std - minutes(180 + 900 * share if storm else 330 * share - 30)


def _cancelled(leg: ReplayLeg, end: datetime, creeping: bool) -> Iterator[Saying]:
    if creeping and leg.noise("delayed first") < 0.5:
        yield end - minutes(70), _estimate(leg, _rounded_up(leg.std + minutes(30)))
        yield end - minutes(30), _estimate(leg, _rounded_up(leg.std + minutes(75)))
    yield end, {"irregularity": "cancelled", "cancelled_at": _text(end)}


def _operated(leg: ReplayLeg) -> Iterator[Saying]:
    if (off_block := leg.off_block) is None:
        return
    yield from _estimates(leg, off_block)
    facts = [
        ("gate_open_at", off_block - leg.boarding_time - minutes(10)),
        ("boarding_at", off_block - leg.boarding_time),
        ("final_call_at", off_block - minutes(15)),
        ("gate_close_at", off_block - minutes(8)),
        ("atd", off_block),
    ]
    for column, moment in facts:
        yield _fact(leg, column, moment)
    in_block = leg.in_block
    if in_block is None or leg.air_time is None:
        yield from _diverted(leg, off_block + minutes(15))
        return
    taxi = (in_block - off_block) // timedelta(minutes=1) - leg.air_time
    airborne = off_block + minutes(max(3, round(taxi * 0.7)))
    landed = airborne + minutes(leg.air_time)
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
        values["arr_terminal"] = str(1 + int(noise(f"{leg.airline}|{leg.dest}") * 4))
    return at, values


def _diverted(leg: ReplayLeg, airborne: datetime) -> Iterator[Saying]:
    """History says only that it never arrived as planned."""
    yield _airborne(leg, airborne)
    planned = (leg.sta - leg.std) * 0.8
    at = airborne + max(minutes(30), minutes(planned / timedelta(minutes=1)))
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
        floor = _rounded_up(at + minutes(1), 1) + (in_block - landed)
        eta = max(floor, in_block + minutes(error))
        if shown is None or abs(eta - shown) >= minutes(2):
            yield at, {"eldt": _text(eta - (in_block - landed)), "eta": _text(eta)}
            shown = eta


def _arrived(leg: ReplayLeg, landed: datetime, in_block: datetime) -> Iterator[Saying]:
    yield _fact(leg, "aldt", landed)
    belts: Values = {"belts": [str(1 + int(leg.noise("belt") * 12))]}
    yield landed + minutes(2) + timedelta(seconds=2), belts
    yield _fact(leg, "ata", in_block)
    yield _fact(leg, "first_bag_at", in_block + timedelta(minutes=12 + int(9 * leg.noise("bag"))))
    last = timedelta(minutes=30 + int(11 * leg.noise("last bag")))
    yield _fact(leg, "last_bag_at", in_block + last)

"""The vocabulary of notices: what may be said, to whom by default, how urgent, for how long. Pure.

A row of the delivery table holds candidate kinds. What is said of them to one person is worked out
when it is sent: `delay` may be said as delay, delay_reduced, on_time or early.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from realtime.flight import FlightLeg

KINDS = (
    "cancelled",
    "diverted",
    "air_return",
    "returned_to_gate",
    "reinstated",
    "boarding_suspended",
    "terminal_changed",
    "gate_changed",
    "final_call",
    "boarding",
    "gate_closed",
    "gate_open",
    "connection_risk",
    "early",
    "delay",
    "delay_reduced",
    "on_time",
    "schedule_change",
    "next_info",
    "inbound_late",
    "gate_assigned",
    "arrived",
    "landed",
    "departed",
    "airborne",
    "belt_changed",
    "belt_assigned",
    "first_bag",
    "last_bag",
    "check_in",
    "check_in_closing",
    "equipment_changed",
)  # what a notice may say, most important first
SAID_FOR = MappingProxyType(
    {"delay_reduced": "delay", "on_time": "delay"}
)  # no choices of their own
CHOICES = tuple(kind for kind in KINDS if kind not in SAID_FOR)  # what a person may want or not

FOR_ALL = frozenset({
    "cancelled", "reinstated", "diverted", "returned_to_gate", "air_return", "boarding_suspended",
    "delay", "early", "terminal_changed",
})  # fmt: skip
ROLE_KINDS: Mapping[str, frozenset[str]] = MappingProxyType({
    "passenger": FOR_ALL | {
        "schedule_change", "next_info", "gate_changed", "boarding", "final_call", "belt_assigned",
        "belt_changed", "inbound_late", "connection_risk",
    },
    "pick_up": FOR_ALL | {"departed", "landed", "arrived"},
})  # fmt: skip

STATES = frozenset({
    "cancelled", "reinstated", "diverted", "returned_to_gate", "air_return", "boarding_suspended",
})  # fmt: skip
STEPS = ("gate_open", "boarding", "final_call", "gate_closed")
TIMES = frozenset({"delay", "delay_reduced", "on_time", "early", "schedule_change"})
CRITICAL = STATES | frozenset(STEPS)  # at any time; gates and terminals close to the departure
BAGS = frozenset({"belt_assigned", "belt_changed", "first_bag", "last_bag"})
HOLDABLE = frozenset({
    "delay", "early", "schedule_change", "gate_assigned", "gate_changed", "terminal_changed",
    "belt_changed", "equipment_changed", "connection_risk",
})  # fmt: skip
ONCE = frozenset({"inbound_late", "connection_risk", "check_in_closing"})
"""Said once to a person of a leg; no field of Told says that they are known."""
PHASES = (
    "scheduled", "check_in", "gate_open", "boarding", "final_call", "gate_closed", "off_block",
    "airborne", "approaching", "landed", "in_block", "bags_done",
)  # fmt: skip
RANK: Mapping[str, int] = MappingProxyType({name: rank for rank, name in enumerate(PHASES)})
BOARDING, OFF_BLOCK, AIRBORNE = RANK["boarding"], RANK["off_block"], RANK["airborne"]
LANDED, IN_BLOCK = RANK["landed"], RANK["in_block"]
CANCELLED = frozenset({"cancelled", "not_operating"})

GATE_WINDOW = timedelta(hours=24)
GATE_ASSIGNED_WINDOW = timedelta(hours=3)
GATE_URGENT = timedelta(minutes=60)
TERMINAL_URGENT = timedelta(hours=3)
SCHEDULE_AHEAD = timedelta(hours=24)
SCHEDULE_STEP = timedelta(minutes=5)
HOLD = timedelta(seconds=90)
DEPARTURE_LASTS = timedelta(minutes=15)
STATE_LASTS = timedelta(hours=12)
DEPARTED_LASTS = timedelta(hours=1)
END = timedelta(minutes=60)
BAGS_LAST = timedelta(hours=2)

BY_DEPARTURE = frozenset({
    *STEPS, "boarding_suspended", "gate_changed", "gate_assigned", "check_in", "next_info",
    "equipment_changed", "inbound_late", "check_in_closing",
})  # fmt: skip

CLOCKS = ("std", "etd", "sta", "eta")
PLACES = ("dep_gate", "dep_terminal")
STATE = ("irregularity", "divert_airport", "phase")
TELLS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    **dict.fromkeys(("cancelled", "diverted", "air_return", "returned_to_gate"), STATE),
    "reinstated": (*STATE, *CLOCKS),
    "boarding_suspended": ("phase",),
    **dict.fromkeys(TIMES, CLOCKS),
    **dict.fromkeys(("gate_changed", "gate_assigned"), PLACES),
    **dict.fromkeys(STEPS, ("phase", *PLACES)),
    "terminal_changed": (*PLACES, "arr_terminal"),
    "check_in": ("phase",),
    **dict.fromkeys(("departed", "airborne", "landed", "arrived"), ("phase",)),
    **dict.fromkeys(("belt_assigned", "belt_changed"), ("belts",)),
    "last_bag": ("phase",),
})  # fmt: skip
"""Which fields of Told a notice of a kind makes known."""


def family(kind: str) -> str:
    """Kinds that flap together."""
    if kind in TIMES:
        return "time"
    return {"gate_assigned": "gate_changed", "belt_assigned": "belt_changed"}.get(kind, kind)


def ordered(kinds: frozenset[str] | set[str]) -> tuple[str, ...]:
    """Most important first."""
    return tuple(kind for kind in KINDS if kind in kinds)


def departed(leg: FlightLeg) -> bool:
    """Off its block, as far as anybody knows."""
    timed = leg.atd is not None or leg.atot is not None
    return not leg.back and (timed or RANK.get(leg.phase, 0) >= OFF_BLOCK)


def lasts(kind: str, leg: FlightLeg) -> datetime | None:
    """Until when the kind may be said of the leg as it is; None: it cannot be said of it."""
    ends = [_own_end(kind, leg)]
    if kind not in BAGS and leg.ata is not None:
        ends.append(leg.ata + END)
    known = [end for end in ends if end is not None]
    return min(known) if ends[0] is not None else None


def _own_end(kind: str, leg: FlightLeg) -> datetime | None:
    departure, arrival = leg.best_departure, leg.best_arrival
    if kind in {"cancelled", "reinstated"}:
        return _after(leg.std or departure or leg.sta or arrival, STATE_LASTS)
    if kind == "check_in_closing":
        return leg.check_in_close_at
    if kind == "inbound_late":
        return departure
    if kind in {"diverted", "air_return", "returned_to_gate"}:
        return _after(arrival or departure, STATE_LASTS)
    if kind in {"departed", "airborne"}:
        return _after(leg.atot or leg.atd or departure, DEPARTED_LASTS)
    if kind in {"first_bag", "last_bag"}:
        return _after(leg.ata or arrival, BAGS_LAST)
    if kind in BAGS:
        return _after(leg.ata or arrival, END if leg.ata else BAGS_LAST)
    if kind in {"landed", "arrived"}:
        return _after(leg.aldt or leg.ata or arrival, BAGS_LAST)
    if kind in BY_DEPARTURE:
        return _after(departure, DEPARTURE_LASTS)
    return max((at for at in (departure, arrival) if at is not None), default=None)


def _after(at: datetime | None, span: timedelta) -> datetime | None:
    return None if at is None else at + span

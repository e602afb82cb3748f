"""What a change of a leg is worth telling, whoever follows it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from realtime.flight import FlightLeg
from realtime.follower import TOLD_FIELDS, Told
from realtime.notice_kinds import (
    BAGS,
    BOARDING,
    CANCELLED,
    CRITICAL,
    DEPARTURE_LASTS,
    GATE_ASSIGNED_WINDOW,
    GATE_URGENT,
    GATE_WINDOW,
    HOLD,
    HOLDABLE,
    LANDED,
    OFF_BLOCK,
    RANK,
    SCHEDULE_AHEAD,
    SCHEDULE_STEP,
    STEPS,
    TERMINAL_URGENT,
    departed,
    lasts,
    ordered,
)

Changed = Mapping[str, Sequence[object]]
"""`{field: [old, new]}` of a row of the change log."""


class Significance(Struct, frozen=True):
    """What a change is worth to followers; both times are board time."""

    kinds: tuple[str, ...]
    urgent: bool
    held_until: datetime | None
    expires_at: datetime


def significance(changed: Changed, leg: FlightLeg, at: datetime) -> Significance | None:
    """Of a change to this state of the leg, committed at `at`; None: nobody needs to be told."""
    ends = {kind: end for kind in set(candidates(changed, leg, at)) if (end := lasts(kind, leg))}
    live = ordered({kind for kind, end in ends.items() if at < end})
    if not live:
        return None
    critical = any(urgent(kind, leg, at) for kind in live)
    held = not critical and HOLDABLE.issuperset(live)
    return Significance(live, critical, at + HOLD if held else None, max(ends[k] for k in live))


def urgent(kind: str, leg: FlightLeg, at: datetime) -> bool:
    """Critical: quiet hours let it pass, and only an attentive receipt settles it."""
    departure = leg.best_departure
    if kind == "gate_changed" and departure is not None:
        return departure - at < GATE_URGENT
    if kind == "terminal_changed" and departure is not None:
        return departure - at < TERMINAL_URGENT
    return kind in CRITICAL


def before_of(changed: Changed) -> Told:
    """What somebody knew who knew everything before the change; what did not change is empty."""
    old = {name: pair[0] for name, pair in changed.items() if name in TOLD_FIELDS and pair[0]}
    return msgspec.convert(old, Told)


def told_of(leg: FlightLeg) -> Told:
    """What somebody knows who sees the leg as it is."""
    return Told(**{name: getattr(leg, name) for name in TOLD_FIELDS})


def candidates(changed: Changed, leg: FlightLeg, at: datetime) -> Iterator[str]:
    """Everything that the change may mean to somebody."""
    if leg.hidden and leg.irregularity != "not_operating":
        return
    if leg.irregularity in CANCELLED:
        yield from ["cancelled"] * ("irregularity" in changed)
        return
    yield from _states(changed, leg)
    yield from _steps(changed, leg)
    yield from _arrival(changed, leg)
    if not departed(leg):
        yield from _departure(changed, leg, at)
    if RANK.get(leg.phase, 0) < LANDED and changed.keys() & {"etd", "eta", "std", "sta"}:
        yield from ("delay", "early", "connection_risk")
        if _moved(changed, "std") or _moved(changed, "sta"):
            yield "schedule_change"


def _states(changed: Changed, leg: FlightLeg) -> Iterator[str]:
    old, new = changed.get("irregularity", ("", ""))
    if old in CANCELLED:
        yield "reinstated"
    if new in {"diverted", "returned_to_gate", "air_return"}:
        yield str(new)
    if leg.irregularity == "diverted" and "divert_airport" in changed:
        yield "diverted"


def _steps(changed: Changed, leg: FlightLeg) -> Iterator[str]:
    if "phase" not in changed:
        return
    before, now = (RANK.get(str(name), 0) for name in changed["phase"])
    if before > now:
        if now < OFF_BLOCK <= before and leg.irregularity == "returned_to_gate":
            yield "returned_to_gate"
        elif now < BOARDING <= before < OFF_BLOCK:
            yield "boarding_suspended"
        return
    if leg.phase in {*STEPS, "airborne", "landed", "check_in"}:
        yield leg.phase
    if before < OFF_BLOCK <= now < LANDED:
        yield "departed"
    if leg.phase in {"in_block", "bags_done"} and before < RANK["in_block"]:
        yield "arrived"
    if leg.phase == "bags_done":
        yield "last_bag"


def _departure(changed: Changed, leg: FlightLeg, at: datetime) -> Iterator[str]:
    departure = leg.best_departure
    if departure is None or at >= departure + DEPARTURE_LASTS:
        return
    was, gate = changed.get("dep_gate", (None, None))
    if was and gate and departure - at <= GATE_WINDOW:
        yield "gate_changed"
    if not was and gate and departure - at <= GATE_ASSIGNED_WINDOW:
        yield from ("gate_assigned", "gate_changed")
    if all(changed.get("dep_terminal", [None])) and departure - at <= GATE_WINDOW:
        yield "terminal_changed"
    if leg.next_info_at is not None and "next_info_at" in changed:
        yield "next_info"
    if all(changed.get("aircraft_type", [None])):
        yield "equipment_changed"


def _arrival(changed: Changed, leg: FlightLeg) -> Iterator[str]:
    if all(changed.get("arr_terminal", [None])) and RANK.get(leg.phase, 0) < LANDED:
        yield "terminal_changed"
    if leg.belts and "belts" in changed:
        yield from BAGS & {"belt_assigned", "belt_changed"}
    if leg.first_bag_at is not None and "first_bag_at" in changed:
        yield "first_bag"


def _moved(changed: Changed, name: str) -> bool:
    """By so much that a planned time is another one."""
    old, new = (_time(value) for value in changed.get(name, (None, None)))
    return old is not None and new is not None and abs(new - old) >= SCHEDULE_STEP


def _time(value: object) -> datetime | None:
    return None if value is None else msgspec.convert(value, datetime)


def far_ahead(leg: FlightLeg, now: datetime) -> bool:
    """So early that a moved plan is news by itself, whatever it does to the delay."""
    planned: datetime | None = leg.std or leg.sta
    return planned is not None and planned - now > SCHEDULE_AHEAD

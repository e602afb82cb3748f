"""Whether a kind still holds for one person: what was told against the leg as it is. Pure."""

from datetime import datetime, timedelta

from msgspec import Struct

from realtime.flight import FlightLeg
from realtime.follower import TOLD_FIELDS, Follower, Told
from realtime.notice_beside import still_true
from realtime.notice_change import far_ahead
from realtime.notice_kinds import (
    BAGS,
    BOARDING,
    BY_DEPARTURE,
    CANCELLED,
    IN_BLOCK,
    LANDED,
    OFF_BLOCK,
    ONCE,
    RANK,
    ROLE_KINDS,
    SAID_FOR,
    SCHEDULE_STEP,
    STEPS,
    TIMES,
    departed,
    lasts,
)

EARLIER = timedelta(minutes=10)  # than told: who relies on the later time misses the flight
FIRST_EARLY = {"passenger": timedelta(minutes=10), "pick_up": timedelta(minutes=25)}
ON_TIME = timedelta(minutes=5)
GONE, UNWANTED, EXPIRED = "superseded", "suppressed", "expired"


class Unsaid(Struct, frozen=True):
    """Why a kind is not said: the state in which its delivery ends, and the reason."""

    state: str
    reason: str


class Times(Struct, frozen=True):
    """Planned and expected time of the end that concerns a role, and the time that was told."""

    planned: datetime
    now: datetime
    told: datetime

    @property
    def late(self) -> timedelta:
        return self.now - self.planned

    @property
    def told_late(self) -> timedelta:
        return self.told - self.planned


Verdict = str | Unsaid
"""The kind as which a candidate is said, or why it is not."""


def wanted(follower: Follower) -> frozenset[str]:
    """The kinds that the person has chosen, else those of the role."""
    chosen = follower.preferences.kinds
    return ROLE_KINDS.get(follower.role, frozenset()) if chosen is None else frozenset(chosen)


def known(told: Told, before: Told) -> Told:
    """What was told; where nothing was, what was so before the oldest open change."""
    fields = {name: getattr(told, name) or getattr(before, name) for name in TOLD_FIELDS}
    for group in (("std", "etd"), ("sta", "eta"), ("irregularity", "divert_airport")):
        if any(getattr(told, name) for name in group):  # then an empty one is known to be empty
            fields |= {name: getattr(told, name) for name in group}
    return Told(**fields)


def verdict(
    kind: str, leg: FlightLeg, follower: Follower, told: Told, before: Told, now: datetime
) -> Verdict:
    """Of a candidate kind for this person; `told` has been completed by `known`."""
    found = _now_true(kind, leg, follower, told, before, now)
    if isinstance(found, Unsaid):
        return found
    chosen = wanted(follower)
    stands_for_delay = "delay" in chosen and (
        (found == "early" and _corrects(leg, follower, told))
        or (found == "schedule_change" and not far_ahead(leg, now))
    )
    if SAID_FOR.get(found, found) not in chosen and not stands_for_delay:
        return Unsaid(UNWANTED, f"{found} is not wanted")
    end = lasts(found, leg)
    if end is None or now >= end:
        return Unsaid(EXPIRED, f"{found} is over")
    if found in TIMES and (times := times_of(leg, follower, told)) and now >= times.now:
        return Unsaid(EXPIRED, "the time has passed")
    return found


def times_of(leg: FlightLeg, follower: Follower, told: Told) -> Times | None:
    """Of the departure for a passenger, of the arrival for who picks one up; to the minute."""
    if follower.role == "pick_up":
        planned, now, heard = leg.sta, leg.eta or leg.sta, told.eta or told.sta
    else:
        planned, now, heard = leg.std, leg.etd or leg.std, told.etd or told.std
    if planned is None or now is None:
        return None
    return Times(_minute(planned), _minute(now), _minute(heard or planned))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _now_true(
    kind: str, leg: FlightLeg, follower: Follower, told: Told, before: Told, now: datetime
) -> Verdict:
    cancelled = leg.irregularity in CANCELLED
    if leg.hidden and leg.irregularity != "not_operating":
        return Unsaid(GONE, "the flight is not shown any more")
    if kind == "cancelled":
        if not cancelled:
            return Unsaid(GONE, "no longer cancelled")
        return _unless(told.irregularity in CANCELLED, kind, "known to be cancelled")
    if cancelled:
        return Unsaid(GONE, "cancelled")
    if kind in BY_DEPARTURE and departed(leg):
        return Unsaid(GONE, "departed")
    if kind in TIMES:
        return _time(leg, follower, told, now)
    if kind in STEPS or kind in {"check_in", "boarding_suspended"}:
        return _step(kind, leg, told, before)
    if kind in BAGS:
        return _bags(kind, leg, follower, told)
    if kind in ONCE:
        return _once(kind, leg, follower)
    if kind in {"gate_changed", "gate_assigned", "terminal_changed"}:
        return _place(kind, leg, follower, told)
    if kind in {"departed", "airborne", "landed", "arrived"}:
        return _progress(kind, leg, told)
    return _state(kind, leg, told, before)


def _unless(contradicted: bool, kind: str, reason: str) -> Verdict:
    return Unsaid(GONE, reason) if contradicted else kind


def _state(kind: str, leg: FlightLeg, told: Told, before: Told) -> Verdict:
    if kind == "reinstated":
        return _unless(told.irregularity not in CANCELLED, kind, "never told of a cancellation")
    if kind == "next_info":
        return _unless(leg.next_info_at is None, kind, "no next information")
    if kind == "equipment_changed":
        return kind
    if leg.irregularity != kind:
        return Unsaid(GONE, f"no longer {kind}")
    if kind == "returned_to_gate" and departed(leg):
        return Unsaid(GONE, "departed again")
    same = told.irregularity == kind and told.divert_airport == leg.divert_airport
    if kind == "returned_to_gate":
        left = max(RANK.get(told.phase, 0), RANK.get(before.phase, 0))
        same = same and left < OFF_BLOCK
    return _unless(same, kind, "known already")


def _step(kind: str, leg: FlightLeg, told: Told, before: Told) -> Verdict:
    told_rank, rank = RANK.get(told.phase, 0), RANK.get(leg.phase, 0)
    if kind == "boarding_suspended":
        was = max(told_rank, RANK.get(before.phase, 0))
        suspended = rank < BOARDING <= was < OFF_BLOCK
        return _unless(not suspended, kind, "boarding was not suspended")
    if leg.phase != kind:
        return Unsaid(GONE, f"now {leg.phase}")
    return _unless(told_rank >= rank, kind, "known already")


def _progress(kind: str, leg: FlightLeg, told: Told) -> Verdict:
    told_rank, rank = RANK.get(told.phase, 0), RANK.get(leg.phase, 0)
    if kind in {"departed", "airborne"}:
        reached = OFF_BLOCK if kind == "departed" else RANK["airborne"]
        if not reached <= rank < LANDED:
            return Unsaid(GONE, f"now {leg.phase}")
    else:
        reached = LANDED if kind == "landed" else IN_BLOCK
        if rank < reached:
            return Unsaid(GONE, f"not {kind}")
    return _unless(told_rank >= reached, kind, "known already")


def _bags(kind: str, leg: FlightLeg, follower: Follower, told: Told) -> Verdict:
    if kind == "first_bag" or kind == "last_bag":
        true = leg.first_bag_at is not None if kind == "first_bag" else leg.phase == "bags_done"
        rung = any(one.kind == kind for one in follower.rung)
        return _unless(rung or not true, kind, "known already" if rung else "no longer true")
    if not leg.belts or leg.belts == told.belts:
        return Unsaid(GONE, "no belt" if not leg.belts else "back at the belt that was told")
    return "belt_changed" if told.belts else "belt_assigned"


def _once(kind: str, leg: FlightLeg, follower: Follower) -> Verdict:
    if any(one.kind == kind for one in follower.rung):
        return Unsaid(GONE, "known already")
    if kind == "connection_risk" and follower.role == "pick_up":
        return Unsaid(UNWANTED, "flies on nowhere")
    return _unless(not still_true(kind, leg, follower.beside), kind, "no longer true")


def _place(kind: str, leg: FlightLeg, follower: Follower, told: Told) -> Verdict:
    if kind == "terminal_changed":
        return _unless(not moved_terminals(leg, follower, told), kind, "known already")
    gate = leg.dep_gate.strip()
    if not gate or gate == told.dep_gate:
        return Unsaid(GONE, "back at the gate that was told" if gate else "the gate is open again")
    return "gate_changed" if told.dep_gate else "gate_assigned"


def moved_terminals(leg: FlightLeg, follower: Follower, told: Told) -> tuple[str, ...]:
    """Which of `dep`, `arr` is another one than was told; who picks up goes to one end only."""
    ends = [("arr", told.arr_terminal, leg.arr_terminal, RANK.get(leg.phase, 0) < LANDED)]
    if follower.role != "pick_up":
        ends.append(("dep", told.dep_terminal, leg.dep_terminal, not departed(leg)))
    return tuple(end for end, was, is_now, ahead in ends if ahead and was and is_now != was)


def _time(leg: FlightLeg, follower: Follower, told: Told, now: datetime) -> Verdict:
    """Delay steps: upwards by the step, downwards by ten minutes."""
    times = times_of(leg, follower, told)
    if times is None:
        return Unsaid(GONE, "no time is known")
    if RANK.get(leg.phase, 0) >= LANDED or (follower.role != "pick_up" and departed(leg)):
        return Unsaid(GONE, "departed" if follower.role != "pick_up" else "landed")
    if times.now == times.told:
        return Unsaid(GONE, "back at the time that was told")
    plan_was = told.sta if follower.role == "pick_up" else told.std
    replanned = plan_was is not None and abs(times.planned - _minute(plan_was)) >= SCHEDULE_STEP
    if replanned and times.late < ON_TIME:
        return _replanned(leg, times, follower, now)
    return _stepped(times, follower)


def _replanned(leg: FlightLeg, times: Times, follower: Follower, now: datetime) -> Verdict:
    """The plan itself has moved: far ahead by five minutes, on the day by the steps of a delay."""
    moved = times.now - times.told
    step = timedelta(minutes=follower.preferences.delay_step)
    if far_ahead(leg, now) or -moved >= EARLIER or moved >= step:
        return "schedule_change"
    return Unsaid(UNWANTED, "below the step")


def _stepped(times: Times, follower: Follower) -> Verdict:
    least = timedelta(minutes=follower.preferences.delay_step)
    if times.now > times.told:
        step = max(least, times.late / 10)
        if times.late >= least and times.now - times.told >= step:
            return "delay"
        return Unsaid(UNWANTED, "below the step")
    if times.told - times.now < EARLIER:
        return Unsaid(UNWANTED, "below the step")
    first_early = FIRST_EARLY.get(follower.role, EARLIER)
    if times.late <= -first_early:
        return "early"
    if times.told_late <= timedelta(0):
        return Unsaid(UNWANTED, "hardly earlier than planned")
    return "on_time" if times.late < ON_TIME else "delay_reduced"


def _corrects(leg: FlightLeg, follower: Follower, told: Told) -> bool:
    """Whether the person was told of a delay and relies on it."""
    times = times_of(leg, follower, told)
    return times is not None and times.told_late > timedelta(0)

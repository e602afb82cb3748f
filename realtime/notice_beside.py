"""What is worth telling of a leg though the leg itself has not changed: the aircraft that flies it
is late, a followed flight goes on from it, its check-in desks close soon. Pure.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from realtime.flight import FlightLeg
from realtime.follower import Beside
from realtime.notice_kinds import CANCELLED, departed

CHECK_IN_LEAD = timedelta(minutes=30)  # before the desks close
TURN, LONG_TURN = timedelta(minutes=35), timedelta(minutes=75)
LONG_HAUL = timedelta(hours=6)
LATE = timedelta(minutes=15)
CONNECTION = timedelta(minutes=45)  # no feed tells what an airport itself calls the least
CONNECTION_LOSS = timedelta(minutes=10)  # of what was planned
GATE_CLOSES = timedelta(minutes=15)  # before the departure, where nothing is said of it


def lateness(inbound: FlightLeg | None, leg: FlightLeg) -> timedelta | None:
    """By how much the aircraft of `leg` comes late, if that makes a delay likely of which the
    leg itself says nothing yet."""
    if inbound is None or inbound.irregularity != "none" or inbound.arr_airport != leg.dep_airport:
        return None
    arrives, planned, std = inbound.best_arrival, inbound.sta, leg.std
    if arrives is None or planned is None or std is None or departed(leg):
        return None
    if leg.irregularity in CANCELLED or (leg.etd or std) - std >= LATE:
        return None
    long = leg.sta is not None and leg.sta - std >= LONG_HAUL
    late = arrives - planned
    ready = arrives + (LONG_TURN if long else TURN)
    return late if late >= LATE and ready > std + LATE else None


def at_risk(leg: FlightLeg, onward: FlightLeg | None) -> bool:
    """Whether who arrives on the one may miss the other, other than it was planned."""
    if onward is None or onward.irregularity in CANCELLED or departed(onward):
        return False
    arrives, closes = leg.best_arrival, closing(onward)
    if arrives is None or closes is None or leg.irregularity in {*CANCELLED, "diverted"}:
        return False
    left = closes - arrives
    planned = onward.std - GATE_CLOSES - leg.sta if onward.std and leg.sta else None
    return left < CONNECTION and (planned is None or planned - left >= CONNECTION_LOSS)


def closing(onward: FlightLeg) -> datetime | None:
    """When one has to be at the gate."""
    said, departure = onward.gate_close_est or onward.gate_close_plan, onward.best_departure
    return said or (departure - GATE_CLOSES if departure is not None else None)


def tells_of_aircraft(changed: Collection[str]) -> bool:
    """Whether a change of these fields may say something of the next leg of the aircraft."""
    return any(name in changed for name in ("eta", "eldt", "aldt", "ata"))


def goes_on(changed: Collection[str]) -> bool:
    """Whether the leg is new, or somewhere else than planned: one may continue the other."""
    return not changed or "irregularity" in changed or "divert_airport" in changed


def still_true(kind: str, leg: FlightLeg, beside: Beside) -> bool:
    """Of a kind of this page, when it is about to be said."""
    if kind == "inbound_late":
        return lateness(beside.inbound, leg) is not None
    if kind == "connection_risk":
        return at_risk(leg, beside.onward)
    return leg.check_in_close_at is not None

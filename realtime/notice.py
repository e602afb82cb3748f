"""Should a follower be told of a change, is it still true, and in which words. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from realtime.flight import FlightLeg, kinds

KINDS = ("cancelled", "gate_changed")  # what a notice may say, most important first
DEPARTED = frozenset({"off_block", "airborne", "approaching", "landed", "in_block", "bags_done"})
GATE_WINDOW = timedelta(hours=3)
GATE_URGENT = timedelta(minutes=60)
GATE_LASTS = timedelta(minutes=15)
CANCELLED_LASTS = timedelta(hours=12)
TITLE, BODY, CITY = 40, 110, 32
DEMO = "Demo: "
EXPIRED = "expired"


class Significance(Struct, frozen=True):
    """What a change is worth to followers; both times are board time."""

    kinds: tuple[str, ...]
    urgent: bool
    held_until: datetime | None
    expires_at: datetime


def significance(
    changed: dict[str, list[object]], leg: FlightLeg, at: datetime
) -> Significance | None:
    """Of a change to this state of the leg, committed at `at`; None: nobody needs to be told."""
    found = kinds(changed)
    if leg.hidden:
        return None
    planned = leg.std or leg.best_departure or leg.best_arrival
    if "cancelled" in found and planned is not None:
        return Significance(("cancelled",), True, None, planned + CANCELLED_LASTS)
    departure = leg.best_departure
    if "gate_changed" not in found or departure is None or not_true("gate_changed", leg, at):
        return None
    if departure - at > GATE_WINDOW:
        return None
    return Significance(
        ("gate_changed",), departure - at < GATE_URGENT, None, departure + GATE_LASTS
    )


def still_true(
    kinds: Collection[str], leg: FlightLeg, expires_at: datetime, now: datetime
) -> str | None:
    """Why the notice must not be sent any more (EXPIRED or another reason), None when it may."""
    if now >= expires_at:
        return EXPIRED
    if leg.hidden:
        return "the flight is not shown any more"
    if true_kinds(kinds, leg, now):
        return None
    reasons = (not_true(kind, leg, now) for kind in KINDS if kind in kinds)
    return next(reasons, "nothing that can be said")


def true_kinds(kinds: Collection[str], leg: FlightLeg, now: datetime) -> tuple[str, ...]:
    """Those of the kinds that the leg as it is now still bears out, most important first."""
    return tuple(kind for kind in KINDS if kind in kinds and not not_true(kind, leg, now))


def not_true(kind: str, leg: FlightLeg, now: datetime) -> str | None:
    """Why the leg as it is now contradicts the kind, None when it does not."""
    cancelled = leg.irregularity == "cancelled"
    if kind == "cancelled":
        return None if cancelled else "no longer cancelled"
    if cancelled:
        return "cancelled"
    if leg.atd or leg.atot or leg.phase in DEPARTED:
        return "departed"
    if not plain(leg.dep_gate):
        return "the gate is open again"
    if leg.best_departure is not None and now >= leg.best_departure + GATE_LASTS:
        return EXPIRED
    return None


def text(kinds: Collection[str], leg: FlightLeg, demo: bool = False) -> tuple[str, str]:
    """Title and body for the most important of the kinds, at most TITLE and BODY characters."""
    flight = f"{leg.airline} {leg.flight_no}{leg.suffix}"
    if "cancelled" in kinds:
        titles = [f"{flight} is cancelled"]
        bodies = cancelled_bodies(flight, leg)
    else:
        titles = [f"{flight}: gate now {plain(leg.dep_gate)}", f"{flight}: the gate has changed"]
        bodies = gate_bodies(flight, leg)
    title = fit(titles, TITLE - len(DEMO) * demo)
    return (DEMO + title if demo else title), fit(bodies, BODY)


def cancelled_bodies(flight: str, leg: FlightLeg) -> list[str]:
    """From the fullest wording to the shortest."""
    local = local_time(leg.std or leg.best_departure, leg.dep_tz)
    when = ""
    if local is not None:
        when = f" on {local.day} {local:%B} at {clock_time(local)}"
    carrier = plain(leg.airline_name)
    asking = [carrier, "the airline"] if carrier else ["the airline"]
    return [
        f"{flight}{to}{when} is cancelled. Ask {carrier} about another flight."
        for carrier in asking
        for to in ways(leg.arr_city)
    ]


def gate_bodies(flight: str, leg: FlightLeg) -> list[str]:
    """From the fullest wording to the shortest."""
    local = local_time(leg.best_departure, leg.dep_tz)
    when = "" if local is None else f" at {clock_time(local)}"
    gate, was = plain(leg.dep_gate), plain(leg.dep_gate_was)
    before = f", not {was}" if was and was != gate else ""
    full = [f"{flight}{to} leaves{when} from gate {gate}{before}." for to in ways(leg.arr_city)]
    return [*full, f"{flight} leaves{when} from gate {gate}."]


def ways(city: str) -> list[str]:
    """How to say where the flight goes: whole, shortened, not at all."""
    name = plain(city)
    return [f" to {name}", f" to {clip(name, CITY)}", ""] if name else [""]


def local_time(at: datetime | None, zone: str) -> datetime | None:
    """The time on the clocks of a zone; None without a time or for a zone that nobody knows."""
    if at is None:
        return None
    try:
        return at.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def clock_time(local: datetime) -> str:
    """Hours and minutes; an airport whose zone is not known is in UTC, which has to be said."""
    return f"{local:%H:%M} UTC" if str(local.tzinfo) == "UTC" else f"{local:%H:%M}"


def plain(name: str) -> str:
    """One line without surplus spaces."""
    return " ".join(name.split())


def fit(wordings: list[str], limit: int) -> str:
    """The first wording within the limit, else the last one cut short."""
    return next((words for words in wordings if len(words) <= limit), clip(wordings[-1], limit))


def clip(words: str, limit: int) -> str:
    """Cut at the limit with an ellipsis."""
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"

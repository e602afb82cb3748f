"""The words of a notice, in the person's language. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from realtime.flight import FlightLeg
from realtime.follower import Follower
from realtime.notice_beside import closing, lateness
from realtime.notice_change import told_of
from realtime.notice_kinds import TIMES
from realtime.notice_truth import moved_terminals, times_of
from realtime.notice_words import ABSENT, Catalogue

TITLE, BODY = 40, 110
Clock = Callable[[datetime | None, str], str]
NUMBER = re.compile(r"([A-Z]{3}(?=[0-9])|[A-Z0-9]{2})([1-9][0-9]{0,3}[A-Z]?)")
SHORTER = ({"carrier": 18}, {"city": 32, "place": 32}, {"was": 0}, {"city": 18, "place": 18},
           {"old": 0}, {"city": 0, "place": 12}, {"gate": 8}, {"flight": 24})  # fmt: skip
"""What is cut, in this order and to this length, until a body fits."""


def text(
    kinds: Sequence[str],
    leg: FlightLeg,
    follower: Follower,
    catalogue: Catalogue,
    now: datetime,
    demo: bool = False,
) -> tuple[str, str]:
    """Title and body for kinds that `decide` found, at most TITLE and BODY characters.

    `follower.told` is what was known before this notice: the old values come from there.
    """
    kind = kinds[0]
    own, number = _own_number(leg), _searched(leg, follower)
    carrier = plain(leg.airline_name)
    facts = _facts(leg, follower, catalogue, now)
    facts |= {"flight": number, "carrier": carrier or catalogue.say("airline", {})}
    titles = [name for name in (f"{kind}.title", f"{kind}.title.short") if name in catalogue.texts]
    wordings = (catalogue.say(name, facts) for name in titles)
    if demo:
        wordings = (catalogue.say("demo", {"title": words}) for words in wordings)
    title = fitting(wordings, TITLE)
    if number != own:
        operator = {"flight": number, "carrier": clip(carrier, 18) or own}
        facts["flight"] = catalogue.say("shared", operator)
    bodies = (catalogue.say(f"{kind}.body", each) for each in _shorter(facts))
    return title, fitting(bodies, BODY)


def fitting(wordings: Iterable[str], limit: int) -> str:
    """The first that fits, none after it being made; else the last, cut."""
    words = ""
    for words in wordings:
        if len(words) <= limit:
            return words
    return clip(words, limit)


def old_and_new(kind: str, leg: FlightLeg, follower: Follower) -> tuple[str, str]:
    """What a notice of a place or a time replaces and by what, for programs; else nothing.

    `follower.told` as for `text`; times are in UTC.
    """
    if kind in {"gate_changed", "gate_assigned"}:
        return _was(leg, follower), plain(leg.dep_gate)
    if kind == "terminal_changed":
        end = _moved_end(leg, follower)
        was, fresh = (getattr(each, f"{end}_terminal") for each in (follower.told, leg))
        return plain(was), plain(fresh)
    times = times_of(leg, follower, follower.told) if kind in TIMES else None
    if times is None:
        return "", ""
    return times.told.astimezone(UTC).isoformat(), times.now.astimezone(UTC).isoformat()


def _moved_end(leg: FlightLeg, follower: Follower) -> str:
    arriving = moved_terminals(leg, follower, follower.told)[:1] == ("arr",)
    return "arr" if arriving else "dep"


def _shorter(facts: dict[str, str]) -> Iterator[dict[str, str]]:
    """The facts from the fullest to the shortest."""
    yield facts
    for step in SHORTER:
        facts = facts | {
            name: clip(facts[name], limit) if limit else ABSENT
            for name, limit in step.items()
            if name in facts
        }
        yield facts


def _own_number(leg: FlightLeg) -> str:
    return f"{leg.airline} {leg.flight_no}{leg.suffix}"


def _searched(leg: FlightLeg, follower: Follower) -> str:
    found = NUMBER.fullmatch(follower.number)
    return f"{found[1]} {found[2]}" if found else _own_number(leg)


def _facts(
    leg: FlightLeg, follower: Follower, catalogue: Catalogue, now: datetime
) -> dict[str, str]:
    """Everything that a text may name; what is not known is left out."""
    told, role = follower.told, follower.role
    diverted = leg.irregularity in {"diverted", "air_return"}
    place = plain(leg.divert_city) or leg.divert_airport if diverted else plain(leg.arr_city)
    arriving = role == "pick_up"
    zone = leg.arr_tz if arriving else leg.dep_tz
    times = times_of(leg, follower, told)
    fresh = told_of(leg)
    end = _moved_end(leg, follower)

    def clock(at: datetime | None, in_zone: str) -> str:
        return when(at, in_zone, follower, catalogue, now)

    facts = {
        "role": role,
        "city": plain(leg.arr_city),
        "place": place,
        "gate": plain(leg.dep_gate) if not arriving else "",
        "terminal": plain(str(getattr(leg, f"{end}_terminal"))),
        "belt": ", ".join(leg.belts),
        "time": clock(leg.best_arrival if arriving else leg.best_departure, zone),
        "closes": clock(leg.gate_close_est or leg.gate_close_plan, leg.dep_tz),
        "info": clock(leg.next_info_at, leg.dep_tz),
        "arrival": clock(leg.best_arrival, leg.arr_tz),
        "was": _was(leg, follower),
        "old": clock(times.told, zone) if times and times.told != times.now else "",
        "span": _span(abs(times.late), catalogue) if times else "",
    }
    facts |= _beside(leg, follower, catalogue, clock)
    if fresh.belts != told.belts and told.belts:
        facts["was"] = ", ".join(told.belts)
    return {name: value for name, value in facts.items() if value}


def _beside(
    leg: FlightLeg, follower: Follower, catalogue: Catalogue, clock: Clock
) -> dict[str, str]:
    """Of the aircraft, the flight that goes on, and the desks."""
    late, onward = lateness(follower.beside.inbound, leg), follower.beside.onward
    desks = [plain(desk) for desk in (leg.check_in_from, leg.check_in_to) if desk]
    return {
        "inbound": _span(late, catalogue) if late is not None else "",
        "onward": _own_number(onward) if onward is not None else "",
        "onward_closes": clock(closing(onward), onward.dep_tz) if onward is not None else "",
        "check_in": clock(leg.check_in_close_at, leg.dep_tz),
        "desks": "–".join(dict.fromkeys(desks)),
    }


def _was(leg: FlightLeg, follower: Follower) -> str:
    was = plain(follower.told.dep_gate or leg.dep_gate_was)
    return was if was != plain(leg.dep_gate) else ""


def _span(span: timedelta, catalogue: Catalogue) -> str:
    hours, minutes = divmod(span // timedelta(minutes=1), 60)
    if not hours:
        return catalogue.say("span.minutes", {"minutes": minutes})
    name = "span.long" if minutes else "span.hours"
    return catalogue.say(name, {"hours": hours, "minutes": minutes})


def when(
    at: datetime | None, zone: str, follower: Follower, catalogue: Catalogue, now: datetime
) -> str:
    """Local time at an airport; with the day where it is not today's; in UTC it says so."""
    if at is None:
        return ""
    try:
        known, local_zone = True, ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known, local_zone = False, ZoneInfo("UTC")
    local, today = at.astimezone(local_zone), now.astimezone(local_zone).date()
    words = f"{local:%H:%M}"
    if follower.preferences.hours == 12:
        half = "time.am" if local.hour < 12 else "time.pm"
        words = catalogue.say(half, {"time": f"{local.hour % 12 or 12}:{local:%M}"})
    if not known or zone == str(UTC):
        words = catalogue.say("time.utc", {"time": words})
    days = (local.date() - today).days
    if days == 0:
        return words
    if days == 1:
        return catalogue.say("time.tomorrow", {"time": words})
    month = catalogue.say(f"month.{local.month}", {})
    return catalogue.say("time.date", {"time": words, "day": local.day, "month": month})


def plain(name: str) -> str:
    """One line without surplus spaces."""
    return " ".join(name.split())


def clip(words: str, limit: int) -> str:
    """Cut at the limit with an ellipsis."""
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"

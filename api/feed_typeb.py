"""Movement messages of the Type B network: MVT, MVA, DIV. Pure.

They name a day and clock times, no month and no year: a time is the candidate that fits when the
message was sent. They name one airport of a leg, sometimes two; the other is left empty.
"""

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from msgspec import Struct

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_times import text_of
from api.feed_words import Gathering, Values, decoded, flight_number, shown
from api.fields import PatchRefused

START = re.compile(r"(COR|REV)? ?(MVT|MVA|DIV)")
ORIGIN = re.compile(r"\.[A-Z0-9]{7} ([0-9]{2})([0-9]{2})([0-9]{2}).*")
FLIGHT = re.compile(
    r"(?P<flight>[A-Z0-9]{3,8})/(?P<day>[0-9]{2})(?:[A-Z]{3})?"
    r"(?:\.(?P<registration>[A-Z0-9-]{2,10}))?\.(?P<station>[A-Z]{3})(?:\..*)?"
)
TOKEN = re.compile(r"(AD|AA|EA|EB|ED|EO|NI|FR|RR)([0-9]{4}|[0-9]{6})(?:/([0-9]{4}|[0-9]{6}))?")
BESIDE = re.compile(r"(PX|DL|EDL|DLA|DR|SI|TOF|LDM|FLD|CRT|ZF|TO|EO|WT|OB|FT|PD)[A-Z0-9/.+-]*")
AIRPORT = re.compile("[A-Z]{3}")
DAY = timedelta(days=1)
OLDEST = timedelta(hours=30)
SKEW = timedelta(minutes=5)
MOST_MESSAGES, MOST_LINES = 500, 50


class Movement(Struct):
    """One leg that a message speaks of, while it is read; an empty airport is not told."""

    dep: str = ""
    arr: str = ""
    values: Values = {}
    clear: tuple[str, ...] = ()


class Sent(Struct, frozen=True):
    """When a message was sent, and the day of its flight."""

    at: datetime
    day: date

    def fact(self, clock: str) -> datetime:
        """A time that is over: the latest that this clock can mean."""
        past = [at for at in self._candidates(clock) if at <= self.at + SKEW]
        if not past:
            raise PatchRefused("implausible_time", "time", f"{clock} has not happened yet")
        return max(past)

    def estimate(self, clock: str, after: datetime) -> datetime:
        """A time to come: the first after `after`."""
        coming = [at for at in self._candidates(clock) if at >= after]
        if not coming:
            raise PatchRefused("implausible_time", "time", f"{clock} is over already")
        return min(coming)

    def _candidates(self, clock: str) -> list[datetime]:
        days = [self.day + DAY * n for n in (-1, 0, 1, 2)]
        if len(clock) == 6:
            days = [near for near in days if near.day == int(clock[:2])]
        elif self.at - datetime.combine(self.day, time(), UTC) > OLDEST:
            text = "of which day? The message is old, and no origin line says when it was sent"
            raise PatchRefused("implausible_time", "time", text)
        else:
            days = days[1:]
        hours, minutes = int(clock[-4:-2]), int(clock[-2:])
        if hours > 24 or minutes > 59 or (hours == 24 and minutes):
            raise PatchRefused("bad_value", "time", f"{clock} is no time of a day")
        span = timedelta(hours=hours, minutes=minutes)
        return [datetime.combine(near, time(), UTC) + span for near in days]


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """One message or several; what is before the first one is its address."""
    gathered = Gathering()
    text = decoded(body, manner.encoding)
    messages = list(islice(_messages(text), MOST_MESSAGES + 1))
    if not messages:
        raise BodyRefused("there is no line MVT, MVA or DIV: send the text of such messages")
    if len(messages) > MOST_MESSAGES:
        raise BodyRefused(f"a body may hold at most {MOST_MESSAGES} messages: send several")
    for index, (origin, lines) in enumerate(messages):
        with gathered.record(index):
            for patch in _read(origin, lines, now, gathered):
                gathered.take(patch)
    return gathered.done()


def _messages(text: str) -> Iterator[tuple[str, list[str]]]:
    """The origin line and the lines of each message."""
    origin = ""
    lines: list[str] = []
    for place, raw in enumerate(io.StringIO(text, newline=None)):
        if place > MOST_MESSAGES * MOST_LINES:
            raise BodyRefused("the body has more lines than messages have: send several")
        line = raw.strip().strip("\x01\x02\x03\x0b").upper()
        if ORIGIN.fullmatch(line) is not None or START.fullmatch(line) is not None:
            if lines:
                yield origin, lines
                origin, lines = "", []
            if line[0] == ".":
                origin = line
            else:
                lines = [line]
        elif lines and line and len(lines) < MOST_LINES:
            lines.append(line)
    if lines:
        yield origin, lines


def _read(origin: str, lines: list[str], now: datetime, gathered: Gathering) -> Iterator[Patch]:
    found = FLIGHT.fullmatch(lines[1]) if len(lines) > 1 else None
    if found is None:
        text = "the second line must be such as BA100/27.GXWBA.LHR"
        raise PatchRefused("bad_value", "flight", text)
    at = _sent(origin, now)
    sent = Sent(at, _day(int(found["day"]), at))
    movements = _movements(lines, found["station"], sent, gathered)
    carrier, flight_no, suffix = flight_number(found["flight"])
    for movement in movements:
        key = PatchKey(
            airline=carrier, number=flight_no, suffix=suffix, dep=movement.dep, arr=movement.arr
        )
        values = dict(movement.values)
        if found["registration"]:
            values["registration"] = found["registration"]
        yield Patch(key=key, source_ts=min(at, now), set=values, clear=list(movement.clear))


def _sent(origin: str, now: datetime) -> datetime:
    found = ORIGIN.fullmatch(origin)
    if found is None:
        return now
    days = [now.date() - DAY * n for n in range(-1, 27)]
    day = next((day for day in days if day.day == int(found[1])), None)
    if day is None or int(found[2]) > 23 or int(found[3]) > 59:
        raise PatchRefused("bad_value", "origin", f"{shown(origin)} has no time DDHHMM")
    return datetime.combine(day, time(int(found[2]), int(found[3])), UTC)


def _day(number: int, at: datetime) -> date:
    days = [at.date() + DAY * n for n in sorted(range(-13, 14), key=abs)]
    day = next((day for day in days if day.day == number), None)
    if day is None:
        raise PatchRefused("bad_value", "flight", f"day {number} is not near today")
    return day


def _movements(lines: list[str], station: str, sent: Sent, gathered: Gathering) -> list[Movement]:
    diverted = lines[0].endswith("DIV")
    movement = Movement()
    movements = [movement]
    for line in lines[2:]:
        if line.startswith("SI"):
            break  # free text to the end
        words = line.split()
        for position, word in enumerate(words):
            token = TOKEN.fullmatch(word)
            if token is None:
                if BESIDE.fullmatch(word) is None and AIRPORT.fullmatch(word) is None:
                    gathered.puzzle("token", word)
                continue
            following = words[position + 1] if position + 1 < len(words) else ""
            place = following if AIRPORT.fullmatch(following) else ""
            if token[1] == "AD" and "atd" in movement.values:
                station = movement.arr
                movement = Movement()
                movements.append(movement)
            _say(movement, token, station, "" if diverted else place, sent)
            if diverted and token[1] in ("EA", "EB") and place:
                movement.values["divert_airport"] = place
    if diverted:
        movements[0].values["irregularity"] = "diverted"
        movements[0].dep = movements[0].dep or station
    movements = [movement for movement in movements if movement.values]
    if not movements:
        raise PatchRefused("bad_value", "movement", "no line tells a movement")
    return movements


def _say(movement: Movement, token: "re.Match[str]", station: str, place: str, sent: Sent) -> None:
    """One token: which end of the leg the station is, and what it tells."""
    kind, first, second = token.groups()
    values = movement.values
    if kind == "AA":
        movement.arr = station
        values["aldt"] = text_of(sent.fact(first))
        if second:
            values["ata"] = text_of(sent.fact(second))
        return
    movement.dep = station
    if kind == "AD":
        values["atd"] = text_of(sent.fact(first))
        if second:
            values["atot"] = text_of(sent.fact(second))
    elif kind in ("EA", "EB"):
        left = values.get("atot") or values.get("atd")
        after = datetime.fromisoformat(str(left)) if left else sent.at - timedelta(hours=2)
        values["eldt" if kind == "EA" else "eta"] = text_of(sent.estimate(first, after))
        movement.arr = place or movement.arr
    elif kind in ("ED", "NI"):
        after = sent.at - timedelta(hours=2)
        values["etd" if kind == "ED" else "next_info_at"] = text_of(sent.estimate(first, after))
    elif kind == "FR":
        values["irregularity"], values["divert_airport"] = "air_return", station
        values["aldt"] = text_of(sent.fact(first))
    elif kind == "RR":
        values["irregularity"] = "returned_to_gate"
        movement.clear = ("atd",)

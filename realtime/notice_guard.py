"""Whether cancellations are credible: a feed that cancels a good part of an airport at once may be
broken. Their notices wait for a second word. Pure.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

SHARE = 0.3  # of the legs that an airport has within the next day
LEAST = 10  # legs: of an airport with three, one is more than the share
AT_ONCE = timedelta(minutes=5)  # what one refresh of a feed may take
DOUBTED = timedelta(minutes=10)  # at most, whoever stays silent
AGAIN = timedelta(minutes=1)


class Cancellation(Struct, frozen=True):
    """Of one leg, by a feed; `confirmed`: said again later, or by somebody else as well."""

    leg_id: int
    at: datetime
    airports: tuple[str, ...]
    confirmed: bool = False


class Ruling(Struct, frozen=True):
    """What an operator decided on the cancellations of an airport in a span of board time."""

    tell: bool
    since: datetime
    until: datetime


class Crowd(Struct, frozen=True):
    """An airport: its legs of the next day, and when feeds cancelled some lately, oldest first."""

    airport: str
    upcoming: int
    cancelled: Sequence[datetime] = ()
    ruling: Ruling | None = None


class Doubt(Struct, frozen=True):
    """Why the notice of a cancellation waits, and when it is looked at again (board time)."""

    airport: str
    reason: str
    until: datetime


def doubts(
    cancellations: Iterable[Cancellation], crowds: Mapping[str, Crowd], now: datetime
) -> dict[int, Doubt]:
    """By leg, those of which nobody is told yet."""
    found: dict[int, Doubt] = {}
    for one in cancellations:
        each = [_doubt(one, crowds[name], now) for name in one.airports if name in crowds]
        longest = max((doubt for doubt in each if doubt), key=lambda two: two.until, default=None)
        if longest is not None:
            found[one.leg_id] = longest
    return found


def _doubt(one: Cancellation, crowd: Crowd, now: datetime) -> Doubt | None:
    ruling = crowd.ruling
    if ruling is not None and ruling.since <= one.at <= ruling.until:
        if ruling.tell or now >= ruling.until:
            return None
        reason = f"blocked by the operator: cancellations at {crowd.airport}"
        return Doubt(crowd.airport, reason, min(ruling.until, now + AGAIN))
    end, most = one.at + DOUBTED, together(crowd.cancelled, one.at)
    if one.confirmed or now >= end or most < LEAST or most <= SHARE * crowd.upcoming:
        return None
    reason = f"doubted: {most} of {crowd.upcoming} legs at {crowd.airport} cancelled at once"
    return Doubt(crowd.airport, reason, min(end, now + AGAIN))


def together(times: Sequence[datetime], at: datetime) -> int:
    """The most of these times that lie within one refresh together with `at`."""
    near = times[bisect_left(times, at - AT_ONCE) : bisect_right(times, at + AT_ONCE)]
    spans = (bisect_right(near, first + AT_ONCE) - place for place, first in enumerate(near)
             if first <= at)  # fmt: skip
    return max(spans, default=0)

"""Cancellations that are too many at once wait for a second word, ten minutes at most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import pytest

from api.feed_replay import statements
from api.replay_day import ReplayLeg, load
from realtime.notice_guard import AT_ONCE, DOUBTED, Cancellation, Crowd, Ruling, doubts, together
from tests.support.telling import STD

MINUTE = timedelta(minutes=1)
NOW = STD


def crowd(
    cancelled: int, of: int, *, airport: str = "JFK", ruling: Ruling | None = None
) -> dict[str, Crowd]:
    return {airport: Crowd(airport, of, [NOW] * cancelled, ruling)}


def one(at: datetime = NOW, *, confirmed: bool = False) -> Cancellation:
    return Cancellation(1, at, ("JFK", "MCO"), confirmed)


@pytest.mark.parametrize(
    ("cancelled", "of", "doubted"),
    [(40, 100, True), (31, 100, True), (30, 100, False), (10, 100, False), (3, 3, False),
     (9, 9, False), (10, 10, True)],
)  # fmt: skip
def test_more_than_three_in_ten_are_doubted_and_few_never(
    cancelled: int, of: int, doubted: bool
) -> None:
    assert bool(doubts([one()], crowd(cancelled, of), NOW)) == doubted


def test_the_doubt_says_why_and_ends_after_ten_minutes() -> None:
    found = doubts([one()], crowd(40, 100), NOW)[1]
    assert found.reason == "doubted: 40 of 100 legs at JFK cancelled at once"
    assert found.until == NOW + MINUTE
    assert doubts([one()], crowd(40, 100), NOW + 9.5 * MINUTE)[1].until == NOW + 10 * MINUTE
    assert doubts([one()], crowd(40, 100), NOW + 10 * MINUTE) == {}


def test_either_end_of_the_leg_may_be_the_one_that_is_doubted() -> None:
    crowds = crowd(1, 100) | crowd(20, 30, airport="MCO")
    assert doubts([one()], crowds, NOW)[1].airport == "MCO"


def test_a_second_word_ends_the_doubt() -> None:
    assert doubts([one(confirmed=True)], crowd(40, 100), NOW) == {}


def test_the_operator_releases_or_blocks_what_was_cancelled_in_a_span() -> None:
    span = (NOW - MINUTE, NOW + timedelta(hours=1))
    assert doubts([one()], crowd(40, 100, ruling=Ruling(True, *span)), NOW) == {}
    later = Ruling(True, NOW + MINUTE, NOW + timedelta(hours=1))
    assert doubts([one()], crowd(40, 100, ruling=later), NOW)
    blocked = crowd(1, 100, ruling=Ruling(False, *span))
    found = doubts([one(confirmed=True)], blocked, NOW + timedelta(minutes=59.5))[1]
    assert found.reason == "blocked by the operator: cancellations at JFK"
    assert found.until == span[1]
    assert doubts([one()], blocked, span[1]) == {}


@pytest.mark.parametrize(
    ("minutes", "most"),
    [([0, 1, 2], 3), ([-5, 0, 5], 2), ([-4, 0, 1], 3), ([-6, 6], 0), ([-4, -3, 0, 2, 3, 4], 4)],
)
def test_a_crowd_is_what_one_refresh_can_hold(minutes: Sequence[int], most: int) -> None:
    times = [NOW + minute * MINUTE for minute in minutes]
    assert together(times, NOW) == most


SNOW = date(2013, 3, 8)


def doubted_of(legs: Sequence[ReplayLeg], told: Mapping[str, datetime], wait: timedelta) -> int:
    """How many of these cancellations are in doubt so long after each was told."""
    by_airport: dict[str, list[datetime]] = defaultdict(list)
    cancelled = [leg for leg in legs if str(leg.key.leg_key()) in told]
    for leg in cancelled:
        for airport in (leg.key.dep, leg.key.arr):
            by_airport[airport].append(told[str(leg.key.leg_key())])
    doubted = 0
    for leg in cancelled:
        moment = told[str(leg.key.leg_key())]
        crowds = {
            airport: Crowd(airport, upcoming(legs, airport, moment), sorted(by_airport[airport]))
            for airport in (leg.key.dep, leg.key.arr)
        }
        one = Cancellation(1, moment, tuple(crowds))
        doubted += len(doubts([one], crowds, moment + wait))
    return doubted


def upcoming(legs: Sequence[ReplayLeg], airport: str, moment: datetime) -> int:
    near = [leg for leg in legs if airport in (leg.key.dep, leg.key.arr)]
    return sum(-DOUBTED - AT_ONCE < leg.std - moment <= timedelta(days=1) for leg in near)


def test_a_real_snow_day_is_believed_and_the_same_at_once_for_half_an_airport_is_not() -> None:
    legs = load(SNOW)
    told = {
        str(said.patch.key.leg_key()): said.at
        for said in statements(legs)
        if said.patch.set.get("irregularity") == "cancelled"
    }
    assert len(told) == 180
    assert doubted_of(legs, told, timedelta(0)) == 0
    newark = [leg for leg in legs if leg.key.dep == "EWR"]
    opening = min(leg.std for leg in legs) - timedelta(hours=3)
    half = {str(leg.key.leg_key()): opening for leg in newark[::2]}
    assert doubted_of(legs, half, timedelta(0)) == len(half) > 100
    assert doubted_of(legs, half, DOUBTED) == 0

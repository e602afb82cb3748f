"""Faults on purpose: counted, the same in every run, and harmless to where each leg ends."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from api.feed_faults import FAULTS, SECOND_FEED, Told, faults_of, silent_at, with_faults
from api.feed_replay import FEED, Statement, statements
from api.replay_day import load

OPENS = datetime(2013, 3, 8, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def told() -> list[Statement]:
    return statements(leg for leg in load(date(2013, 3, 8)) if leg.origin == "JFK")


@pytest.fixture(scope="module")
def bad(told: list[Statement]) -> Told:
    return with_faults(told, FAULTS, OPENS)


def test_names() -> None:
    assert faults_of("") == frozenset()
    assert faults_of("silence, refresh") == {"silence", "refresh"}
    assert faults_of("all") == set(FAULTS)
    with pytest.raises(ValueError, match="'rain' is none of duplicates, disorder"):
        faults_of("silence,rain")


def test_without_faults_nothing_changes(told: list[Statement]) -> None:
    assert with_faults(told, (), OPENS) == Told(told, {}, None)


def test_two_runs_agree(told: list[Statement], bad: Told) -> None:
    assert with_faults(list(told), FAULTS, OPENS) == bad


def test_nothing_is_left_out_and_nothing_comes_early(told: list[Statement], bad: Told) -> None:
    words = [said.patch for said in bad.statements if said.feed == FEED]
    assert all(said.patch.source_ts <= said.at for said in bad.statements)
    heard = {(p.key, p.source_ts) for p in words}
    assert {(said.patch.key, said.patch.source_ts) for said in told} <= heard
    times = [said.at for said in bad.statements]
    assert times == sorted(times)


def test_one_in_a_hundred_is_doubled(told: list[Statement]) -> None:
    heard = with_faults(told, {"duplicates"}, OPENS)
    doubled = Counter((said.patch.key, said.patch.source_ts) for said in heard.statements)
    assert Counter(doubled.values()) == {
        1: len(told) - heard.counts["duplicates"],
        2: heard.counts["duplicates"],
    }
    assert 0.005 < heard.counts["duplicates"] / len(told) < 0.015


def test_one_in_a_hundred_is_late(told: list[Statement]) -> None:
    heard = with_faults(told, {"disorder"}, OPENS)
    late = [said for said in heard.statements if said.at != said.patch.source_ts]
    assert len(late) == heard.counts["disorder"]
    assert 0.005 < len(late) / len(told) < 0.015
    assert max(said.at - said.patch.source_ts for said in late) <= timedelta(minutes=3)
    assert not any("std" in said.patch.set for said in late)


def test_silence_holds_everything_back_for_ten_minutes(told: list[Statement]) -> None:
    heard = with_faults(told, {"silence"}, OPENS)
    assert heard.silent is not None
    start, end = heard.silent
    assert end - start == timedelta(minutes=10)
    assert not any(start <= said.at < end for said in heard.statements)
    assert heard.counts["silence"] == sum(start <= said.at < end for said in told) > 0
    assert silent_at(heard, start)
    assert not silent_at(heard, end)


def test_each_hour_restates_every_leg_as_it_is_known(told: list[Statement]) -> None:
    heard = with_faults(told, {"refresh"}, OPENS)
    hours = range(1, -(-(told[-1].at - told[0].at) // HOUR))
    bursts = [told[0].at + n * HOUR for n in hours]
    counted = Counter(said.at for said in heard.statements if "std" in said.patch.set)
    assert [counted[burst] for burst in bursts] == [320] * len(bursts)
    assert heard.counts["refresh"] == 320 * len(bursts)
    last = {said.patch.key: said.patch for said in heard.statements if said.at == bursts[-1]}
    for said in told:
        if said.at <= bursts[-1]:
            newest = last[said.patch.key]
            assert said.patch.set.keys() <= newest.set.keys()


def test_one_leg_is_cancelled_by_mistake_and_reinstated(told: list[Statement]) -> None:
    heard = with_faults(told, {"reinstated"}, OPENS)
    assert heard.counts == {"reinstated": 1}
    wrong, right = (said for said in heard.statements if said not in told)
    assert wrong.patch.key == right.patch.key
    assert wrong.patch.set["irregularity"] == "cancelled"
    assert right.patch.set == {"irregularity": "none"}
    assert right.patch.clear == ["cancelled_at"]
    assert right.at - wrong.at == timedelta(minutes=25)
    assert wrong.at >= OPENS + timedelta(minutes=30)
    own = {n: s.at for s in told for n in s.patch.set if s.patch.key == wrong.patch.key}
    assert "irregularity" not in own
    assert own["atd"] > own["boarding_at"] > right.at


def test_a_reinstated_leg_is_restated_as_regular(told: list[Statement]) -> None:
    heard = with_faults(told, {"reinstated", "refresh"}, OPENS)
    (right,) = (said for said in heard.statements if "cancelled_at" in said.patch.clear)
    later = [
        said.patch.set
        for said in heard.statements
        if said.at > right.at and said.patch.key == right.patch.key and "std" in said.patch.set
    ]
    assert len(later) > 2
    assert all("cancelled_at" not in words for words in later)
    assert {words["irregularity"] for words in later} == {"none"}


def test_no_leg_that_left_before_is_cancelled_by_mistake(told: list[Statement]) -> None:
    heard = with_faults(told, {"reinstated"}, told[-1].at)
    assert heard == Told(told, {"reinstated": 0})


def test_the_second_feed_speaks_of_gates_only_and_never_first(bad: Told) -> None:
    gates: dict[object, set[object]] = {}
    spoken = 0
    for said in bad.statements:
        if said.feed == SECOND_FEED:
            spoken += 1
            assert set(said.patch.set) == {"dep_terminal", "dep_gate"}
            assert gates[said.patch.key] != {said.patch.set["dep_gate"]}
        elif "dep_gate" in said.patch.set:
            gates.setdefault(said.patch.key, set()).add(said.patch.set["dep_gate"])
    assert spoken == bad.counts["contradiction"] > 10

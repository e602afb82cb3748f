"""The replayed day: true to history, the same in every run, and never absurd on a board."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import chain, cycle, pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from api.feed import PatchKey
from api.feed_replay import (
    ALTERNATES,
    AREAS,
    TERMINALS,
    ReplayLeg,
    Statement,
    days,
    load,
    statements,
)
from realtime.flight import parse_leg_key

DAY = date(2013, 3, 8)
ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {
    *("std", "sta", "etd", "atd", "atot", "eta", "eldt", "aldt", "ata"),
    *("dep_terminal", "dep_gate", "check_in_from", "check_in_to", "check_in_open_at"),
    *("gate_open_at", "boarding_plan", "boarding_est", "boarding_at", "gate_close_plan"),
    *("gate_close_est", "final_call_at", "gate_close_at", "arr_terminal", "arr_gate", "belts"),
    *("first_bag_at", "last_bag_at", "aircraft_type", "registration", "irregularity"),
    *("divert_airport", "cancelled_at", "service_type"),
}
ESTIMATES = ("etd", "eta", "eldt", "boarding_est", "gate_close_est")
FACTS = (
    *("gate_open_at", "boarding_at", "final_call_at", "gate_close_at", "atd", "atot"),
    *("aldt", "ata", "first_bag_at", "last_bag_at"),
)
Stories = dict[PatchKey, list[Statement]]


@pytest.fixture(scope="module")
def legs() -> list[ReplayLeg]:
    return load(DAY)


@pytest.fixture(scope="module")
def told(legs: list[ReplayLeg]) -> list[Statement]:
    return statements(legs)


@pytest.fixture(scope="module")
def stories(told: list[Statement]) -> Stories:
    return by_leg(told)


@pytest.fixture(scope="module", params=["history", "any delay", "short delays"])
def any_legs(request: pytest.FixtureRequest, legs: list[ReplayLeg]) -> list[ReplayLeg]:
    """The real day, and the same legs with other delays and taxi times."""
    if request.param == "history":
        return legs
    delays = range(-20, 413) if request.param == "any delay" else range(20, 40)
    return [
        delayed(leg, delays[turn * 7 % len(delays)], 5 + turn % 31) for turn, leg in enumerate(legs)
    ]


@pytest.fixture(scope="module")
def any_stories(any_legs: list[ReplayLeg]) -> Stories:
    return by_leg(statements(any_legs))


def delayed(leg: ReplayLeg, dep_delay: int, taxi: int) -> ReplayLeg:
    if leg.air_time is None:
        return leg
    block = timedelta(minutes=leg.air_time + taxi)
    in_block = leg.std + timedelta(minutes=dep_delay) + block
    arr_delay = (in_block - leg.sta) // timedelta(minutes=1)
    return replace(leg, dep_delay=dep_delay, arr_delay=arr_delay)


def by_leg(told: list[Statement]) -> Stories:
    found: Stories = defaultdict(list)
    for said in told:
        found[said.patch.key].append(said)
    return found


def moment(said: Statement, column: str) -> datetime:
    text = said.patch.set[column]
    assert isinstance(text, str)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def first(story: list[Statement], column: str) -> Statement:
    return next(said for said in story if column in said.patch.set)


def said_at(story: list[Statement], column: str) -> list[datetime]:
    return [said.at for said in story if column in said.patch.set]


def gate_stays(leg: ReplayLeg, story: list[Statement]) -> list[tuple[str, datetime, datetime]]:
    """When a leg holds which gate, read from the patches alone."""
    named = [said for said in story if "dep_gate" in said.patch.set]
    gone = first(story, "atd" if leg.off_block else "cancelled_at").at
    ends = [*(said.at for said in named[1:]), gone]
    opened = leg.std - timedelta(minutes=60)
    stays = [
        (str(said.patch.set["dep_gate"]), max(said.at, opened), end)
        for said, end in zip(named, ends, strict=False)
    ]
    return [(gate, start, end) for gate, start, end in stays if start < end]


def test_day_that_is_not_shipped_names_those_that_are() -> None:
    assert days() == [DAY]
    with pytest.raises(ValueError, match=r"no replay of 2013-03-09 .* 2013-03-08"):
        load(date(2013, 3, 9))


@pytest.mark.parametrize(
    ("airline", "number", "dest", "std", "sta"),
    [
        ("AA", 1141, "MIA", "2013-03-08T05:40-05:00", "2013-03-08T08:50-05:00"),
        ("HA", 51, "HNL", "2013-03-08T09:00-05:00", "2013-03-08T15:40-10:00"),
        ("AA", 185, "LAX", "2013-03-08T21:35-05:00", "2013-03-09T00:50-08:00"),
        ("B6", 739, "PSE", "2013-03-08T23:55-05:00", "2013-03-09T04:40-04:00"),
    ],
)
def test_schedule_is_that_of_the_timetable(
    stories: Stories, airline: str, number: int, dest: str, std: str, sta: str
) -> None:
    key = PatchKey(airline=airline, number=number, origin_date=DAY, dep="JFK", arr=dest)
    opening = stories[key][0]
    assert moment(opening, "std") == datetime.fromisoformat(std)
    assert moment(opening, "sta") == datetime.fromisoformat(sta)


def test_facts_are_history(legs: list[ReplayLeg], stories: Stories) -> None:
    assert len(legs) == 320
    for leg in legs:
        story = stories[leg.key]
        if leg.dep_delay is None or leg.arr_delay is None or leg.air_time is None:
            continue
        assert moment(first(story, "atd"), "atd") == leg.std + timedelta(minutes=leg.dep_delay)
        assert moment(first(story, "ata"), "ata") == leg.sta + timedelta(minutes=leg.arr_delay)
        flown = moment(first(story, "aldt"), "aldt") - moment(first(story, "atot"), "atot")
        assert flown == timedelta(minutes=leg.air_time)


def test_two_runs_and_any_order_of_rows_agree(legs: list[ReplayLeg], told: list[Statement]) -> None:
    assert statements(load(DAY)) == told
    assert statements(legs[::-1]) == told


def test_runs_of_other_processes_agree() -> None:
    script = (
        "import hashlib, msgspec; from datetime import date; from api.feed_replay import *;"
        "said = msgspec.json.encode(statements(load(date(2013, 3, 8))));"
        "print(hashlib.sha256(said).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_order_and_opening(legs: list[ReplayLeg], told: list[Statement]) -> None:
    order = [(said.at, str(said.patch.key.leg_key())) for said in told]
    assert order == sorted(order)
    opening = told[: len(legs)]
    assert {said.at for said in opening} == {min(leg.std for leg in legs) - timedelta(hours=12)}
    assert {said.patch.key for said in opening} == {leg.key for leg in legs}
    assert all(said.patch.set["service_type"] == "J" for said in opening)
    assert told[len(legs)].at > opening[0].at


def test_a_leg_never_says_two_things_at_once(any_stories: Stories) -> None:
    for story in any_stories.values():
        times = [said.at for said in story]
        assert times == sorted(set(times))


def test_what_coincides_is_said_one_after_the_other(
    legs: list[ReplayLeg], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this one noise the first estimate of a delay of 200 min falls on the first gate."""
    leg = next(leg for leg in legs if leg.off_block is not None)
    monkeypatch.setattr(ReplayLeg, "noise", lambda _leg, _purpose: 27 / 104)
    story = statements([delayed(leg, 200, 20)])
    estimate, gate = said_at(story, "etd")[0], said_at(story, "dep_gate")[0]
    assert abs(estimate - gate) == timedelta(seconds=1)


def test_patches_use_known_columns_and_whole_utc_times(told: list[Statement]) -> None:
    assert {column for said in told for column in said.patch.set} == COLUMNS - {"divert_airport"}
    for said in told:
        assert said.at == said.patch.source_ts
        assert said.at.tzinfo is UTC
        assert not said.at.microsecond
        for column, value in said.patch.set.items():
            if column == "belts":
                assert isinstance(value, list)
                assert len(value) == 1
            elif column.endswith("_at") or column in {*ESTIMATES, "atd", "atot", "aldt", "ata"}:
                assert moment(said, column)


def test_leg_keys_are_unique_and_parse(legs: list[ReplayLeg]) -> None:
    keys = {str(leg.key.leg_key()) for leg in legs}
    assert len(keys) == len(legs)
    assert {parse_leg_key(key) for key in keys} == {leg.key.leg_key() for leg in legs}


def test_cancellations_are_those_of_the_day(legs: list[ReplayLeg], stories: Stories) -> None:
    expected = {leg.key for leg in legs if leg.dep_delay is None}
    assert len(expected) == 16
    for key, story in stories.items():
        last = story[-1]
        assert (last.patch.set.get("irregularity") == "cancelled") == (key in expected)
        if key in expected:
            assert moment(last, "cancelled_at") == last.at
            assert not any(column in said.patch.set for said in story for column in FACTS)
    crept = [key for key in expected if said_at(stories[key], "etd")]
    assert 0 < len(crept) < len(expected)


def test_no_estimate_lies_in_the_past(any_stories: Stories) -> None:
    for said in chain.from_iterable(any_stories.values()):
        for column in ESTIMATES:
            if column in said.patch.set:
                assert moment(said, column) > said.at, said


def test_departure_estimates(any_legs: list[ReplayLeg], any_stories: Stories) -> None:
    for leg in any_legs:
        estimated = [said for said in any_stories[leg.key] if "etd" in said.patch.set]
        for said in estimated:
            etd = moment(said, "etd")
            assert etd.minute % 5 == 0
            assert moment(said, "eta") == leg.sta + (etd - leg.std)
            assert moment(said, "boarding_est") < moment(said, "gate_close_est") < etd
            soon = moment(said, "boarding_est") < said.at + timedelta(minutes=5)
            assert not soon or said is estimated[-1]
        if leg.off_block is None or leg.dep_delay is None:
            continue
        assert bool(estimated) == (leg.dep_delay >= 10 or leg.dep_delay <= -10)
        for said, newer in pairwise(estimated):
            assert newer.at < moment(said, "boarding_est")
        if estimated:
            final = moment(estimated[-1], "etd")
            assert timedelta(0) <= final - leg.off_block < timedelta(minutes=5)
            assert estimated[-1].at < first(any_stories[leg.key], "boarding_at").at


def test_facts_are_said_within_the_minute_and_in_order(any_stories: Stories) -> None:
    for story in any_stories.values():
        spoken = [
            (c, moment(said, c), said.at) for said in story for c in FACTS if c in said.patch.set
        ]
        assert [column for column, _, _ in spoken] in ([], list(FACTS))
        for _, happened, at in spoken:
            assert timedelta(0) <= at - happened < timedelta(minutes=1)


def test_every_leg_that_leaves_has_a_gate_before_it_boards(
    any_legs: list[ReplayLeg], any_stories: Stories
) -> None:
    for leg in any_legs:
        if leg.off_block is None:
            continue
        gates = said_at(any_stories[leg.key], "dep_gate")
        assert gates[0] <= leg.std - timedelta(minutes=150)
        assert gates[-1] < said_at(any_stories[leg.key], "boarding_at")[0]
        assert said_at(any_stories[leg.key], "gate_open_at")[0] > gates[0]


def test_no_gate_has_two_flights_at_once(any_legs: list[ReplayLeg], any_stories: Stories) -> None:
    stays: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for leg in any_legs:
        for gate, start, end in gate_stays(leg, any_stories[leg.key]):
            stays[gate].append((start, end))
    assert sum(map(len, stays.values())) > 304
    for gate, held in stays.items():
        held.sort()
        for (_, end), (start, _) in pairwise(held):
            assert end <= start, gate


def test_gates_look_like_gates_and_carriers_keep_to_their_terminals(told: list[Statement]) -> None:
    labels = [gate for gates in AREAS.values() for gate in gates]
    assert len(labels) == len(set(labels))
    named = [said.patch for said in told if "dep_gate" in said.patch.set]
    for patch in named:
        assert re.fullmatch(r"[A-Z]?[1-9][0-9]?", str(patch.set["dep_gate"]))
        assert patch.set["dep_gate"] in AREAS[str(patch.set["dep_terminal"])]
    home = sum(str(p.set["dep_terminal"]) in TERMINALS[p.key.airline] for p in named)
    assert home / len(named) > 0.95


def test_gate_changes_name_another_gate(stories: Stories) -> None:
    changed = 0
    for story in stories.values():
        gates = [said.patch.set["dep_gate"] for said in story if "dep_gate" in said.patch.set]
        assert len(gates) <= 2
        assert len(set(gates)) == len(gates)
        changed += len(gates) == 2
    assert 30 < changed < 100


def test_codeshares_are_few_and_unambiguous(legs: list[ReplayLeg], told: list[Statement]) -> None:
    numbers = [(leg.airline, leg.number) for leg in legs]
    for said in told:
        assert (said.patch.codeshares is not None) == ("std" in said.patch.set)
        shares = said.patch.codeshares or []
        assert len(shares) <= 3
        assert said.patch.key.airline not in {share.airline for share in shares}
        numbers += [(share.airline, share.number) for share in shares]
    assert len(numbers) > len(legs) + 100
    assert Counter(numbers).most_common(1)[0][1] == 1
    assert all(number <= 9999 for _, number in numbers)


def test_volume_is_that_of_a_bad_day(legs: list[ReplayLeg], told: list[Statement]) -> None:
    live = told[len(legs) :]
    assert 14 < len(live) / len(legs) < 18
    assert max(Counter(said.at.replace(second=0) for said in live).values()) < 30
    assert live[-1].at - told[0].at < timedelta(hours=40)


def test_legs_without_arrival_divert(legs: list[ReplayLeg]) -> None:
    lost = [
        replace(leg, dest=dest, arr_delay=None, air_time=None)
        for leg, dest in zip(legs, cycle(["LAX", *ALTERNATES]), strict=False)
        if leg.dep_delay is not None
    ]
    stories = by_leg(statements(lost))
    for leg in lost:
        story = stories[leg.key]
        last = story[-1].patch.set
        assert last["irregularity"] == "diverted"
        assert last["divert_airport"] in set(ALTERNATES) - {leg.dest}
        assert said_at(story, "atot")
        assert not said_at(story, "aldt")
        assert not said_at(story, "ata")


def test_a_storm_is_cancelled_hours_ahead(legs: list[ReplayLeg]) -> None:
    stormy = [
        leg if turn % 3 else replace(leg, dep_delay=None, arr_delay=None, air_time=None)
        for turn, leg in enumerate(legs)
    ]
    stories = by_leg(statements(stormy))
    opening = min(leg.std for leg in legs) - timedelta(hours=12)
    for leg in stormy:
        if leg.off_block is None:
            end = stories[leg.key][-1]
            assert end.patch.set["irregularity"] == "cancelled"
            assert opening < end.at <= leg.std - timedelta(hours=3)
            assert not said_at(stories[leg.key], "etd")


def test_nothing_to_replay_says_nothing() -> None:
    assert statements([]) == []

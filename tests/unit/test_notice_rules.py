"""Who is told what and when: the worked cases of airports, and what must never happen."""

from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from realtime.flight import FlightLeg
from realtime.follower import Preferences, Quiet, Rung, Told
from realtime.notice_change import significance
from realtime.notice_kinds import KINDS, SAID_FOR
from realtime.notice_rules import OpenDelivery, decide
from realtime.notice_truth import wanted
from tests.support.telling import LEG, STD, Telling

MINUTE = timedelta(minutes=1)
SHORT = timedelta(seconds=20)


def late(minutes: float) -> Any:
    return STD + minutes * MINUTE


def test_estimates_ring_by_steps_up_and_by_ten_minutes_down() -> None:
    person = Telling()
    for minutes in (10, 14, 16, 24, 31, 29, 12, 8, 30):
        person.change(10 * MINUTE, etd=late(minutes))
    assert [(kinds, (leg.etd or STD) - STD) for _, kinds, leg in person.said] == [
        (("delay",), 16 * MINUTE),
        (("delay",), 31 * MINUTE),
        (("delay_reduced",), 12 * MINUTE),
        (("delay",), 30 * MINUTE),
    ]


def test_a_delay_of_hours_rings_by_a_tenth_of_it() -> None:
    person = Telling()
    for minutes in range(180, 320, 16):
        person.change(25 * MINUTE, etd=late(minutes))
    assert [leg.etd for _, _, leg in person.said] == [
        late(180),
        late(212),
        late(244),
        late(276),
        late(308),
    ]


def test_a_gate_that_returns_within_a_minute_rings_only_close_to_the_departure() -> None:
    far = Telling(leg=structs.replace(LEG, dep_gate="B22"), before=timedelta(hours=4))
    far.change(timedelta(seconds=50), dep_gate="C3")
    far.change(dep_gate="B22", dep_gate_was="C3")
    assert far.kinds == []
    near = Telling(leg=structs.replace(LEG, dep_gate="B22"), before=30 * MINUTE)
    near.change(timedelta(seconds=50), dep_gate="C3")
    near.change(dep_gate="B22", dep_gate_was="C3")
    assert near.kinds == [("gate_changed",), ("gate_changed",)]


def test_who_was_never_told_the_gate_is_not_told_that_it_is_what_it_was() -> None:
    person = Telling(before=timedelta(hours=4))
    person.change(dep_gate="B22")
    person.change(timedelta(seconds=50), dep_gate="C3")
    person.change(dep_gate="B22", dep_gate_was="C3")
    assert person.kinds == []


def test_a_late_gate_does_not_disturb_a_cancellation() -> None:
    person = Telling(before=2 * timedelta(hours=1))
    person.change(irregularity="cancelled")
    person.change(dep_gate="B1", phase="boarding")
    assert person.kinds == [("cancelled",)]


def test_a_reinstated_flight_comes_with_its_new_time_in_one_notice() -> None:
    person = Telling()
    person.change(irregularity="cancelled")
    person.change(irregularity="none", etd=late(60))
    assert person.kinds == [("cancelled",), ("reinstated", "delay")]
    person.change(irregularity="cancelled")
    person.change(irregularity="none")
    assert person.kinds[2:] == [("cancelled",), ("reinstated",)]


@pytest.mark.parametrize("steps", [
    ("boarding", "final_call", "gate_closed"),
    ("gate_open", "boarding", "boarding", "final_call", "final_call"),
])  # fmt: skip
def test_each_step_of_boarding_rings_once(steps: tuple[str, ...]) -> None:
    person = Telling(before=40 * MINUTE)
    for phase in steps:
        person.change(phase=phase)
    assert person.kinds == [("boarding",), ("final_call",)]


def test_a_step_that_is_over_is_not_announced() -> None:
    person = Telling(before=40 * MINUTE)
    person.change(timedelta(seconds=2), phase="boarding")
    person.change(phase="final_call")
    assert person.kinds == [("final_call",)]


def test_no_step_is_announced_after_the_departure() -> None:
    person = Telling(before=40 * MINUTE)
    person.change(timedelta(seconds=2), phase="boarding")
    person.change(timedelta(seconds=2), phase="final_call")
    person.change(phase="off_block", atd=STD)
    assert person.kinds == []


def test_each_real_departure_and_the_return_ring_for_who_waits_at_the_other_end() -> None:
    person = Telling("pick_up", before=MINUTE)
    person.change(phase="off_block", atd=STD)
    person.change(phase="scheduled", atd=None, irregularity="returned_to_gate", eta=late(240))
    person.change(30 * MINUTE, etd=late(60))
    person.change(phase="off_block", atd=late(60))
    assert person.kinds == [("departed",), ("returned_to_gate", "delay"), ("departed",)]


def test_who_came_back_by_air_is_told_when_it_leaves_anew() -> None:
    person = Telling(leg=structs.replace(LEG, phase="airborne", atd=STD, atot=STD))
    person.now = late(30)
    person.change(10 * MINUTE, irregularity="air_return")
    person.change(10 * MINUTE, etd=late(120))
    assert person.kinds == [("air_return",), ("delay",)]
    assert person.leg.best_departure == late(120)


def test_a_diversion_and_the_landing_elsewhere() -> None:
    person = Telling("pick_up", leg=structs.replace(LEG, phase="airborne", atot=STD))
    person.now = late(90)
    person.change(irregularity="diverted", divert_airport="RDU", divert_city="Raleigh")
    person.change(phase="landed", aldt=late(95))
    person.change(phase="in_block", ata=late(99))
    assert person.kinds == [("diverted",), ("landed",), ("arrived",)]


def test_early_arrivals_are_the_normal_case() -> None:
    person = Telling("pick_up")
    sta = LEG.sta
    assert sta is not None
    for minutes in (-12, -20, -26, -30, -37):
        person.change(10 * MINUTE, eta=sta + minutes * MINUTE)
    assert [leg.eta for _, _, leg in person.said] == [sta - 26 * MINUTE, sta - 37 * MINUTE]
    assert person.kinds == [("early",), ("early",)]


def test_a_passenger_is_told_of_an_early_departure_and_that_it_is_on_time_again() -> None:
    person = Telling()
    person.change(10 * MINUTE, etd=late(-10))
    person.change(10 * MINUTE, etd=late(30))
    person.change(10 * MINUTE, etd=late(2))
    assert person.kinds == [("early",), ("delay",), ("on_time",)]


def test_the_fourth_of_a_kind_in_twenty_minutes_waits_and_says_the_latest() -> None:
    person = Telling(leg=structs.replace(LEG, dep_gate="A1"), before=50 * MINUTE)
    for number in range(2, 8):
        person.change(dep_gate=f"A{number}")
    assert [leg.dep_gate for _, _, leg in person.said] == ["A2", "A3", "A4"]
    person.wait(10 * MINUTE)
    assert [leg.dep_gate for _, _, leg in person.said] == ["A2", "A3", "A4", "A7"]
    assert person.said[3][0] - person.said[2][0] == 10 * MINUTE


def test_one_change_of_many_things_is_one_notice() -> None:
    person = Telling(leg=structs.replace(LEG, dep_gate="A1"), before=50 * MINUTE)
    person.change(dep_gate="B2", dep_terminal="4", etd=late(40))
    assert person.kinds == [("terminal_changed", "gate_changed", "delay")]


QUIET = Preferences(quiet=Quiet(time(22), time(7)), zone="America/New_York")


def test_quiet_hours_hold_a_delay_until_they_end_or_the_leg_is_near() -> None:
    person = Telling(preferences=QUIET, before=timedelta(hours=14))  # 03:30 there
    person.change(etd=late(60))
    assert person.kinds == []
    person.wait(timedelta(hours=4))
    assert [at for at, _, _ in person.said] == [STD - timedelta(hours=10, minutes=30)]
    soon = Telling(preferences=QUIET, before=timedelta(hours=14))
    soon.leg = structs.replace(soon.leg, std=soon.now + timedelta(hours=7))
    soon.follower = structs.replace(soon.follower, told=Told(std=soon.leg.std))
    start = soon.now
    soon.change(timedelta(hours=3), etd=soon.now + timedelta(hours=8))
    assert [at for at, _, _ in soon.said] == [start + timedelta(hours=2)]


def test_quiet_hours_let_the_critical_pass_unless_the_person_forbids_it() -> None:
    person = Telling(preferences=QUIET, before=timedelta(hours=14))
    person.change(irregularity="cancelled")
    assert person.kinds == [("cancelled",)]
    strict = Preferences(quiet=Quiet(time(22), time(7), False), zone="America/New_York")
    other = Telling(preferences=strict, before=timedelta(hours=14))
    other.change(irregularity="cancelled")
    assert other.kinds == []
    other.wait(timedelta(hours=4))
    assert other.kinds == [("cancelled",)]


def test_a_notice_of_a_dead_feed_waits_for_the_feed() -> None:
    person = Telling(leg=structs.replace(LEG, dep_gate="A1"), before=50 * MINUTE)
    leg = structs.replace(LEG, dep_gate="B2")
    row = OpenDelivery(2, ("gate_changed",), True, None, STD, withheld=True)
    told = structs.replace(person.follower, told=Told(dep_gate="A1"))
    found = decide([row], leg, told, person.now)
    assert (found.version, [one.version for one in found.kept]) == (None, [2])
    live = decide([structs.replace(row, withheld=False)], leg, told, person.now)
    assert live.kinds == ("gate_changed",)


def test_belts_ring_until_an_hour_after_the_flight_is_at_its_stand() -> None:
    landed = structs.replace(LEG, phase="landed", aldt=late(170))
    person = Telling(leg=landed)
    person.now = late(172)
    person.change(belts=("7",))
    person.change(phase="in_block", ata=late(176))
    person.change(belts=("9",))
    assert person.kinds == [("belt_assigned",), ("belt_changed",)]
    person.wait(timedelta(hours=1))
    person.change(belts=("1",))
    assert len(person.kinds) == 2


def test_nobody_is_told_twice_what_every_unit_of_a_refresh_repeats() -> None:
    person = Telling(before=2 * timedelta(hours=1))
    for _ in range(5):
        person.change(etd=late(40))
    assert person.kinds == [("delay",)]


def test_a_plan_that_moves_far_ahead_is_news_from_five_minutes() -> None:
    person = Telling(before=timedelta(hours=48))
    person.change(std=late(6))
    assert person.kinds == [("schedule_change",)]
    day = Telling()
    day.change(std=late(6))
    assert day.kinds == []
    day.change(std=late(20))
    assert day.kinds == [("schedule_change",)]


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "etd": st.one_of(st.none(), st.integers(-40, 200).map(late)),
        "eta": st.one_of(st.none(), st.integers(120, 400).map(late)),
        "dep_gate": st.sampled_from(["", "A1", "B2", "C3"]),
        "dep_terminal": st.sampled_from(["4", "5"]),
        "irregularity": st.sampled_from(["none", "cancelled", "diverted", "returned_to_gate"]),
        "phase": st.sampled_from(
            ["scheduled", "gate_open", "boarding", "final_call", "off_block", "airborne", "landed"]
        ),
        "belts": st.sampled_from([(), ("1",), ("2", "3")]),
        "hidden": st.booleans(),
    },
)
STORY = st.lists(st.tuples(CHANGES, st.integers(1, 1800)), max_size=25)


def check_truth(kinds: tuple[str, ...], leg: FlightLeg) -> None:
    assert list(kinds) == sorted(set(kinds), key=KINDS.index), "most important first, once"
    assert ("cancelled" in kinds) == (leg.irregularity == "cancelled")
    assert not leg.hidden
    for kind in ("boarding", "final_call", "gate_open"):
        assert kind not in kinds or leg.phase == kind
    assert "gate_changed" not in kinds or leg.dep_gate
    if leg.phase in ("off_block", "airborne", "landed"):
        assert not {"gate_changed", "gate_assigned", "boarding"} & set(kinds)
    assert "belt_assigned" not in kinds or leg.belts


@settings(max_examples=300, deadline=None)
@given(
    story=STORY,
    role=st.sampled_from(["passenger", "pick_up"]),
    before=st.integers(0, 30),
    quiet=st.booleans(),
)
def test_a_notice_is_true_wanted_and_never_repeated(
    story: list[tuple[dict[str, Any], int]], role: str, before: int, quiet: bool
) -> None:
    preferences = QUIET if quiet else Preferences()
    person = Telling(role, preferences, before=timedelta(hours=before))
    for change, seconds in story:
        person.change(timedelta(seconds=seconds), **change)
    person.wait(timedelta(hours=24))
    assert person.open == {}, "every delivery ends"
    for _, kinds, leg in person.said:
        check_truth(kinds, leg)
        chosen = wanted(person.follower) | {"schedule_change", "early"}
        assert {SAID_FOR.get(kind, kind) for kind in kinds} <= chosen
    for (_, kinds, leg), (_, later, other) in zip(person.said, person.said[1:], strict=False):
        assert (kinds, leg) != (later, other) or {"first_bag", "last_bag"} & set(kinds)
    if person.said:
        told, rows = person.follower, [OpenDelivery(10**6, KINDS, True, None, late(9999))]
        last = person.said[-1]
        repeated = decide(rows, last[2], told, last[0]).kinds
        once = {"equipment_changed", "next_info"}
        assert not (set(last[1]) & set(repeated)) - once, "it is known now"


def test_after_the_end_only_bags_are_said() -> None:
    leg = structs.replace(LEG, phase="in_block", atd=STD, aldt=late(170), ata=late(176))
    changed: dict[str, list[object]] = {
        "irregularity": ["none", "diverted"],
        "belts": [None, ["7"]],
        "first_bag_at": [None, "x"],
    }
    leg = structs.replace(leg, irregularity="diverted", belts=("7",), first_bag_at=late(190))
    found = significance(changed, leg, late(237))
    assert found is not None
    assert found.kinds == ("first_bag",)


def test_rung_of_another_kind_does_not_pause() -> None:
    person = Telling(before=50 * MINUTE)
    rung = tuple(Rung("gate_changed", person.now) for _ in range(3))
    person.follower = structs.replace(person.follower, rung=rung)
    person.change(etd=late(40))
    assert person.kinds == [("delay",)]

"""What feeds said becomes columns: authority, last writer, phases; independent of order (A10)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.draft import Draft
from api.feed import CodeShare, Patch, PatchKey
from api.fields import FIELDS, IRREGULARITIES, PHASES, REPLACED_ONLY, Said, instant, read_patch
from api.fields import PatchRefused as Refusal
from api.merge import FINAL, Authority, Columns, combine, difference, merge
from realtime.flight import LegKey

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOW = DAY + timedelta(hours=12)
KEY = PatchKey(airline="XY", number=123, origin_date=DAY.date(), dep="OSL", arr="LHR")
AIRLINE, AIRPORT, TRACKER = 2, 3, 4
AUTHORITIES = {
    AIRLINE: Authority(100, {"dep_resources": 50}),
    AIRPORT: Authority(100),
    TRACKER: Authority(10, {"movement": 200}),
}
STORED = {"phase": "scheduled", "std": "2026-03-01T10:00:00Z", "sta": "2026-03-01T12:00:00Z"}


def said(minute: int, repeat: int = 1, **values: Any) -> dict[str, Said]:
    at = (DAY + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    return {name: Said(value, at, repeat) for name, value in values.items()}


def merged(*words: tuple[int, dict[str, Said]]) -> Columns:
    statements: dict[int, dict[str, Said]] = {}
    for feed_id, fields in words:
        statements[feed_id] = combine(statements.get(feed_id, {}), fields)
    return merge(statements, AUTHORITIES)


def at(clock: str) -> str:
    return f"2026-03-01T{clock}:00Z"


def test_the_newest_word_of_a_feed_stands_field_by_field() -> None:
    late = said(5, dep_gate="C3"), said(9, etd=at("10:30"), dep_gate="B22"), said(7, dep_gate="D1")
    assert merged(*((AIRPORT, word) for word in late)) == {
        "dep_gate": "B22", "etd": at("10:30"), "phase": "scheduled",
    }  # fmt: skip


def test_authority_is_above_recency() -> None:
    assert (
        merged((AIRPORT, said(1, dep_gate="A")), (AIRLINE, said(2, dep_gate="B")))["dep_gate"]
        == "A"
    )


def test_authority_over_one_group_leaves_the_others() -> None:
    words = (
        (TRACKER, said(1, atot=at("10:20"), etd=at("10:05"))),
        (
            AIRPORT,
            said(2, atot=at("10:25"), etd=at("10:10")),
        ),
    )
    assert merged(*words) == {"atot": at("10:20"), "etd": at("10:10"), "phase": "airborne"}


def test_among_equals_the_newest_and_then_the_higher_feed_wins() -> None:
    first, second = (AIRLINE, said(3, eta=at("12:10"))), (AIRPORT, said(2, eta=at("12:20")))
    assert merged(first, second)["eta"] == at("12:10")
    assert merged(first, (AIRPORT, said(3, eta=at("12:01"))))["eta"] == at("12:01")


def test_a_restated_value_is_new_again() -> None:
    words = [
        (AIRLINE, said(1, eta=at("12:10"))),
        (AIRPORT, said(2, eta=at("12:20"))),
        (AIRLINE, said(3, eta=at("12:10"))),
    ]
    assert merged(*words)["eta"] == at("12:10")


def test_who_clears_a_field_yields_to_a_feed_that_has_a_value() -> None:
    cleared = (AIRPORT, said(2, dep_gate=None, belts=None))
    assert merged(cleared) == {"dep_gate": None, "belts": [], "phase": "scheduled"}
    other = (AIRLINE, said(1, dep_gate="B", belts=["4"]))
    assert merged(cleared, other) == {"dep_gate": "B", "belts": ["4"], "phase": "scheduled"}


def test_what_the_operator_clears_is_empty() -> None:
    statements = {9: said(1, dep_gate=None), AIRPORT: said(2, dep_gate="B")}
    authorities = {**AUTHORITIES, 9: Authority(FINAL)}
    assert merge(statements, authorities)["dep_gate"] is None


def test_a_feed_that_is_switched_off_or_unknown_has_no_say() -> None:
    statements = {AIRPORT: said(1, dep_gate="A"), 99: said(2, dep_gate="B")}
    off = {AIRPORT: Authority(100, enabled=False)}
    assert merge(statements, AUTHORITIES)["dep_gate"] == "A"
    assert merge(statements, off) == {"phase": "scheduled"}


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        ({}, "scheduled"),
        ({"check_in_open_at": at("07:00")}, "scheduled"),
        ({"gate_open_at": at("09:00")}, "gate_open"),
        ({"boarding_at": at("09:20")}, "boarding"),
        ({"boarding_at": at("09:20"), "final_call_at": at("09:40")}, "final_call"),
        ({"gate_close_at": at("09:50"), "boarding_at": at("09:20")}, "gate_closed"),
        ({"atd": at("10:02")}, "off_block"),
        ({"atot": at("10:12")}, "airborne"),
        ({"aldt": at("11:50")}, "landed"),
        ({"ata": at("11:58"), "boarding_at": at("09:20")}, "in_block"),
        ({"last_bag_at": at("12:20")}, "bags_done"),
        ({"phase": "boarding"}, "boarding"),
        ({"phase": "boarding", "atot": at("10:12")}, "airborne"),
        ({"phase": "scheduled", "boarding_at": at("09:20")}, "boarding"),
        ({"atd": None}, "scheduled"),
    ],
)
def test_the_highest_evidence_makes_the_phase(facts: dict[str, Any], phase: str) -> None:
    assert merged((AIRPORT, said(1, **facts)))["phase"] == phase


def test_a_withdrawn_fact_takes_the_phase_back() -> None:
    words = (AIRPORT, said(1, aldt=at("11:50"), atot=at("10:12"))), (AIRPORT, said(2, aldt=None))
    assert merged(*words)["phase"] == "airborne"


def test_boarding_is_suspended_by_a_departure_far_ahead() -> None:
    boarding = (AIRPORT, said(9 * 60, boarding_at=at("09:00"), gate_open_at=at("08:50")))
    assert merged(boarding, (AIRPORT, said(9 * 60 + 20, etd=at("11:00"))))["phase"] == "gate_open"
    assert merged(boarding, (AIRPORT, said(9 * 60 + 20, etd=at("10:10"))))["phase"] == "boarding"
    assert merged(boarding, (AIRPORT, said(8 * 60, etd=at("11:00"))))["phase"] == "boarding"
    again = (AIRPORT, said(10 * 60 + 20, boarding_at=at("10:20")))
    assert (
        merged(boarding, (AIRPORT, said(9 * 60 + 20, etd=at("11:00"))), again)["phase"]
        == "boarding"
    )


def test_a_return_to_the_gate_takes_the_departure_back_but_not_the_flight() -> None:
    left = (AIRPORT, said(610, atd=at("10:10"), boarding_at=at("09:30")))
    back = (AIRPORT, said(630, irregularity="returned_to_gate"))
    assert merged(left, back)["phase"] == "scheduled"
    assert merged(left, back, (AIRPORT, said(665, atd=at("11:05"))))["phase"] == "off_block"


def test_a_second_attempt_voids_what_was_said_of_the_first() -> None:
    first = (AIRPORT, said(1, atd=at("10:02"), dep_gate="B22", boarding_at=at("09:30")))
    second = (AIRLINE, said(2, 2, repeat_no=2, etd=at("12:00")))
    assert merged(first, second) == {
        "dep_gate": "B22", "etd": at("12:00"), "repeat_no": 2, "phase": "scheduled",
    }  # fmt: skip
    assert merged(second, first) == merged(first, second)


def test_a_late_word_on_the_first_attempt_leaves_the_second_alone() -> None:
    second = (AIRPORT, said(2, 2, repeat_no=2, etd=at("12:00"), dep_gate="B22"))
    late = (AIRPORT, said(9, etd=at("10:00"), dep_gate="C3"))
    assert merged(second, late) == merged(late, second)
    assert (merged(second, late)["etd"], merged(second, late)["dep_gate"]) == (at("12:00"), "C3")


def test_cancelled_stays_until_a_feed_of_equal_authority_says_none() -> None:
    cancelled = (AIRLINE, said(2, irregularity="cancelled"))
    none = said(3, irregularity="none")
    assert (
        merged(cancelled, (AIRPORT, said(5, etd=at("11:00"), dep_gate="B22")))["irregularity"]
        == "cancelled"
    )
    assert merged(cancelled, (TRACKER, none))["irregularity"] == "cancelled"
    assert merged(cancelled, (AIRPORT, none))["irregularity"] == "none"
    assert merged(cancelled, (AIRLINE, none))["irregularity"] == "none"
    assert merged(cancelled, (AIRPORT, said(1, irregularity="none")))["irregularity"] == "cancelled"


def test_the_diversion_airport_shows_only_while_diverted() -> None:
    diverted = (AIRPORT, said(1, irregularity="diverted", divert_airport="BGO"))
    assert merged(diverted)["divert_airport"] == "BGO"
    assert "divert_airport" not in merged(diverted, (AIRPORT, said(2, irregularity="none")))


def test_only_what_feeds_see_otherwise_is_written() -> None:
    before = {"dep_gate": "B22", "etd": at("10:30"), "phase": "scheduled"}
    assert difference(before, dict(before)) == {}
    assert difference(before, {**before, "dep_gate": "C3"}) == {"dep_gate": "C3"}
    assert difference(before, {"etd": at("10:30"), "phase": "scheduled"}) == {"dep_gate": None}
    assert difference({}, {"dep_gate": None}) == {"dep_gate": None}


def test_irregularity_and_diversion_are_written_together() -> None:
    before = {"irregularity": "diverted", "divert_airport": "BGO"}
    after = {"irregularity": "diverted", "divert_airport": "SVG"}
    assert difference(before, after) == after
    assert difference(before, {"irregularity": "none"}) == {
        "irregularity": "none", "divert_airport": None,
    }  # fmt: skip


TIMES = st.integers(-600, 900).map(
    lambda m: instant((DAY + timedelta(minutes=720 + m)).isoformat())
)
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "irregularity": st.sampled_from(IRREGULARITIES),
    "phase": st.sampled_from(PHASES),
    "divert_airport": st.sampled_from(["BGO", "SVG"]),
    "service_type": st.sampled_from("JC"),
    "belts": st.lists(st.sampled_from("123"), max_size=2),
    "hidden": st.booleans(),
    **{name: TIMES for name, field in FIELDS.items() if field.read is instant},
}
NAMES = st.sampled_from(sorted(FIELDS))


@st.composite
def patches(draw: st.DrawFn) -> list[tuple[int, dict[str, Said]]]:
    """What feeds say of one leg, no two at the same source time."""
    minutes = draw(st.lists(st.integers(0, 2000), unique=True, min_size=1, max_size=12))
    told = []
    for minute in minutes:
        repeat = draw(st.sampled_from([1, 1, 1, 2, 3]))
        fields: dict[str, Said] = {}
        for name in draw(st.lists(NAMES, min_size=1, max_size=6, unique=True)):
            words = WORDS.get(name, st.sampled_from("ABC"))
            if name not in REPLACED_ONLY:
                words = st.none() | words
            fields |= said(minute, repeat, **{name: draw(words)})
        if repeat > 1:
            fields |= said(minute, repeat, repeat_no=repeat)
        told.append((draw(st.sampled_from([AIRLINE, AIRPORT, TRACKER])), fields))
    return told


def row_after(told: Sequence[tuple[int, dict[str, Said]]]) -> Columns:
    """The columns of a leg to which these patches were applied one transaction at a time."""
    row: Columns = dict(STORED)
    statements: dict[int, Any] = {}
    for feed_id, fields in told:
        draft = Draft(LegKey("XY", 123, "", DAY.date(), "OSL", "LHR"), feed_id, AUTHORITIES)
        draft.stored(1, 1, row["std"], row["sta"], statements)
        draft.say(fields, next(iter(fields.values())).at)
        statements[feed_id] = draft.fields
        row |= draft.columns
    return {name: value for name, value in row.items() if value not in (None, [], False)}


@settings(max_examples=150, deadline=None)
@given(st.data(), patches())
def test_any_order_and_repetition_ends_in_the_same_columns(
    data: st.DataObject, told: list[tuple[int, dict[str, Said]]]
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(told), max_size=4))
    shuffled = data.draw(st.permutations(told + repeated))
    assert row_after(shuffled) == row_after(told)


def silenced(*silent: int) -> dict[int, Authority]:
    return {
        feed_id: replace(authority, silent=feed_id in silent)
        for feed_id, authority in AUTHORITIES.items()
    }


Step = tuple[int, dict[str, Said]] | dict[int, Authority]


def row_after_silences(steps: Sequence[Step]) -> Columns:
    """As `row_after`, while feeds fall silent and speak again and the leg is merged each time."""
    row: Columns = dict(STORED)
    statements: dict[int, Any] = {}
    weighed, now = AUTHORITIES, AUTHORITIES
    for step in steps:
        now = step if isinstance(step, dict) else now
        feed_id, fields = (0, {}) if isinstance(step, dict) else step
        draft = Draft(LegKey("XY", 123, "", DAY.date(), "OSL", "LHR"), feed_id, now)
        draft.stored(1, 1, row["std"], row["sta"], statements, weighed)
        if fields:
            draft.say(fields, next(iter(fields.values())).at)
            statements[feed_id] = draft.fields
        row |= draft.columns
        weighed = now
    return {name: value for name, value in row.items() if value not in (None, [], False)}


@settings(max_examples=150, deadline=None)
@given(st.data(), patches(), st.sets(st.sampled_from([AIRLINE, AIRPORT, TRACKER])))
def test_silences_on_the_way_end_in_the_same_columns(
    data: st.DataObject, told: list[tuple[int, dict[str, Said]]], silent: set[int]
) -> None:
    """A10 given the same feed states: neither when a feed was silent nor how often matters."""
    states = st.sets(st.sampled_from([AIRLINE, AIRPORT, TRACKER])).map(lambda s: silenced(*s))
    on_the_way: list[Step] = [*told, *data.draw(st.lists(states, max_size=4))]
    shuffled = data.draw(st.permutations(on_the_way))
    end = silenced(*silent)
    assert row_after_silences([*shuffled, end]) == row_after_silences([end, *told])


def test_the_estimates_of_a_silent_feed_yield_and_its_facts_stay() -> None:
    first = said(5, etd=at("10:40"), atd=at("10:45"), dep_gate="B22", irregularity="cancelled")
    other = said(1, etd=at("10:20"), atd=at("10:50"), dep_gate="C3", irregularity="none")
    statements = {AIRPORT: first, TRACKER: other}
    now = merge(statements, silenced(AIRPORT))
    assert now["etd"] == at("10:20")
    assert (now["atd"], now["dep_gate"], now["irregularity"]) == (at("10:45"), "B22", "cancelled")
    assert merge(statements, silenced(AIRPORT, TRACKER))["etd"] == at("10:40")
    assert merge({AIRPORT: first}, silenced(AIRPORT))["etd"] == at("10:40")


def test_a_leg_keeps_its_schedule_when_its_only_feed_is_switched_off() -> None:
    leg = Draft(KEY.leg_key(), AIRLINE, {AIRPORT: Authority(100, enabled=False)})
    told = {AIRPORT: said(1, std=at("10:00"), irregularity="diverted", divert_airport="BGO")}
    leg.stored(7, 3, STORED["std"], None, told, {AIRPORT: Authority(100)})
    assert leg.columns == {"irregularity": "none", "divert_airport": None}


@settings(max_examples=100, deadline=None)
@given(patches())
def test_one_batch_and_many_end_in_the_same_columns(
    told: list[tuple[int, dict[str, Said]]],
) -> None:
    airline_only = [(AIRLINE, fields) for _, fields in told]
    together = Draft(LegKey("XY", 123, "", DAY.date(), "OSL", "LHR"), AIRLINE, AUTHORITIES)
    together.stored(1, 1, STORED["std"], STORED["sta"], {})
    for _, fields in airline_only:
        together.say(fields, next(iter(fields.values())).at)
    row = {**STORED, **together.columns}
    kept = {name: value for name, value in row.items() if value not in (None, [], False)}
    assert kept == row_after(airline_only)


def draft() -> Draft:
    fresh = Draft(KEY.leg_key(), AIRPORT, AUTHORITIES)
    fresh.stored(7, 3, STORED["std"], STORED["sta"], {})
    return fresh


def test_a_patch_is_applied_unchanged_or_stale() -> None:
    leg = draft()
    assert leg.say(said(5, dep_gate="B22"), "5") == "applied"
    assert leg.say(said(5, dep_gate="B22"), "5") == "unchanged"
    assert leg.say(said(6, dep_gate="B22"), "6") == "unchanged"
    assert leg.say(said(4, dep_gate="C3"), "4") == "stale"
    assert leg.say(said(4, dep_gate="C3", dep_terminal="1"), "4") == "applied"
    assert leg.columns == {"dep_gate": "B22", "dep_terminal": "1"}
    assert leg.as_of == "6"


def test_an_unknown_leg_needs_a_schedule_and_a_refusal_leaves_no_trace() -> None:
    leg = Draft(KEY.leg_key(), AIRPORT, AUTHORITIES)
    with pytest.raises(Refusal) as refused:
        leg.say(said(5, dep_gate="B22"), "5")
    assert refused.value.code == "no_schedule"
    assert leg.say(said(5, sta=at("12:00")), "5") == "applied"
    assert leg.columns == {"sta": at("12:00"), "phase": "scheduled"}


def test_a_fact_of_another_day_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        draft().say(said(5, atd="2026-02-26T10:00:00Z"), "5")
    assert (refused.value.code, refused.value.field) == ("implausible_time", "atd")


def patch(**values: Any) -> Patch:
    return Patch(key=KEY, source_ts=NOW, set=values)


def test_a_patch_is_read_into_columns() -> None:
    found = read_patch(
        Patch(
            key=KEY,
            source_ts=NOW,
            set={"etd": "2026-03-01T12:55:30.5+02:00", "dep_gate": " B22 ", "arr_gate": ""},
            clear=["dep_stand"],
            codeshares=[CodeShare(airline="ZZ", number=4567)],
        ),
        NOW,
    )
    stamp = "2026-03-01T12:00:00.000000Z"
    assert found == {
        "etd": Said("2026-03-01T10:55:30Z", stamp),
        "dep_gate": Said("B22", stamp),
        "arr_gate": Said(None, stamp),
        "dep_stand": Said(None, stamp),
        "codeshares": Said([{"airline": "ZZ", "number": 4567}], stamp),
    }


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        (patch(gate="B22"), "unknown_field", "gate"),
        (patch(version=7), "unknown_field", "version"),
        (patch(dep_gate_was="B22"), "unknown_field", "dep_gate_was"),
        (patch(dep_gate="B" * 17), "bad_value", "dep_gate"),
        (patch(dep_gate="B\x0022"), "bad_value", "dep_gate"),
        (patch(dep_gate="\ud800"), "bad_value", "dep_gate"),
        (patch(dep_gate=22), "bad_value", "dep_gate"),
        (patch(belts="4"), "bad_value", "belts"),
        (patch(belts=["4", ""]), "bad_value", "belts"),
        (patch(belts=[str(n) for n in range(11)]), "bad_value", "belts"),
        (patch(hidden="yes"), "bad_value", "hidden"),
        (patch(phase="Boarding"), "bad_value", "phase"),
        (patch(divert_airport="bgo"), "bad_value", "divert_airport"),
        (patch(etd="2026-03-01T10:55:00"), "bad_value", "etd"),
        (patch(etd="2026-02-30T10:55:00Z"), "bad_value", "etd"),
        (patch(etd="0001-01-01T00:00:00+14:00"), "bad_value", "etd"),
        (patch(etd="2062-03-01T10:55:00Z"), "implausible_time", "etd"),
        (patch(atd="2026-03-01T12:03:00Z"), "implausible_time", "atd"),
        (Patch(key=KEY, source_ts=NOW, clear=["irregularity"]), "bad_value", "irregularity"),
        (Patch(key=KEY, source_ts=NOW, clear=["std"]), "bad_value", "std"),
        (Patch(key=KEY, source_ts=NOW, clear=["key"]), "unknown_field", "key"),
        (
            Patch(key=KEY, source_ts=NOW, set={"etd": at("10:00")}, clear=["etd"]),
            "contradiction",
            "etd",
        ),
        (Patch(key=KEY, source_ts=NOW + timedelta(minutes=6)), "implausible_time", "source_ts"),
        (Patch(key=KEY, source_ts=NOW.replace(tzinfo=None)), "bad_value", "source_ts"),
        (
            Patch(key=KEY, source_ts=NOW, codeshares=[CodeShare(airline="Z", number=1)]),
            "bad_value",
            "codeshares",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_field(wrong: Patch, code: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_patch(wrong, NOW)
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ({"airline": "xy"}, "key"),
        ({"airline": "XYZA"}, "key"),
        ({"airline": "1YZ"}, "key"),
        ({"number": 0}, "key"),
        ({"number": 10_000}, "key"),
        ({"suffix": "AB"}, "key"),
        ({"dep": "ENGM"}, "key"),
        ({"repeat": 0}, "key.repeat"),
        ({"origin_date": DAY.date() - timedelta(days=500)}, "key.origin_date"),
    ],
)
def test_a_key_that_names_no_leg_is_refused(key: dict[str, Any], field: str) -> None:
    whole: dict[str, Any] = {
        "airline": "XY",
        "number": 123,
        "origin_date": DAY.date(),
        "dep": "OSL",
        "arr": "LHR",
    }
    with pytest.raises(Refusal) as refused:
        read_patch(Patch(key=PatchKey(**(whole | key)), source_ts=NOW), NOW)
    assert refused.value.field == field

"""Which changes are worth a notice, when it has stopped being true, and how it reads."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.flight import FlightLeg
from realtime.notice import (
    BODY,
    EXPIRED,
    KINDS,
    TITLE,
    Significance,
    significance,
    still_true,
    text,
    true_kinds,
)

DEPARTURE = datetime(2013, 3, 8, 23, 53, tzinfo=UTC)
LEG = FlightLeg(
    key="B69-2013-03-08-JFK-MCO",
    version=7,
    airline="B6",
    flight_no=9,
    dep_airport="JFK",
    arr_airport="MCO",
    phase="scheduled",
    irregularity="none",
    airline_name="JetBlue Airways",
    dep_city="New York",
    dep_tz="America/New_York",
    arr_city="Orlando",
    std=DEPARTURE - timedelta(minutes=83),
    etd=DEPARTURE,
    dep_gate="22",
    dep_gate_was="18",
)
CANCELLED = msgspec.structs.replace(LEG, irregularity="cancelled")
GATE: dict[str, list[object]] = {"dep_gate": ["18", "22"]}
CANCEL: dict[str, list[object]] = {"irregularity": ["none", "cancelled"]}


def before(**ahead: float) -> datetime:
    """A board time this long before the departure."""
    return DEPARTURE - timedelta(**ahead)


def test_a_cancellation_is_always_urgent_and_lasts_12_hours_after_the_schedule() -> None:
    assert CANCELLED.std is not None
    for at in (before(days=20), before(minutes=1), DEPARTURE + timedelta(hours=2)):
        assert significance(CANCEL, CANCELLED, at) == Significance(
            ("cancelled",), True, None, CANCELLED.std + timedelta(hours=12)
        )


def test_a_cancellation_that_also_changes_the_gate_says_only_that() -> None:
    found = significance(GATE | CANCEL, CANCELLED, before(minutes=30))
    assert found is not None
    assert found.kinds == ("cancelled",)


@pytest.mark.parametrize(
    ("at", "urgent"),
    [
        (before(hours=3, seconds=1), None),
        (before(hours=3), False),
        (before(minutes=60), False),
        (before(minutes=59, seconds=59), True),
        (DEPARTURE + timedelta(minutes=14, seconds=59), True),
        (DEPARTURE + timedelta(minutes=15), None),
    ],
)
def test_a_gate_change_counts_from_3_hours_before_the_best_departure(
    at: datetime, urgent: bool | None
) -> None:
    found = significance(GATE, LEG, at)
    assert (found and found.urgent) == urgent
    if found is not None:
        assert found.kinds == ("gate_changed",)
        assert found.expires_at == DEPARTURE + timedelta(minutes=15)


@pytest.mark.parametrize(
    "leg",
    [
        CANCELLED,
        msgspec.structs.replace(LEG, phase="off_block"),
        msgspec.structs.replace(LEG, phase="bags_done"),
        msgspec.structs.replace(LEG, atd=DEPARTURE),
        msgspec.structs.replace(LEG, atot=DEPARTURE),
        msgspec.structs.replace(LEG, hidden=True),
        msgspec.structs.replace(LEG, std=None, etd=None),
    ],
)
def test_a_gate_change_of_a_leg_that_nobody_waits_for_is_worth_nothing(leg: FlightLeg) -> None:
    assert significance(GATE, leg, before(minutes=30)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"dep_gate": [None, "22"]},
        {"dep_gate": ["18", None]},
        {"etd": ["2013-03-08T22:30:00Z", "2013-03-08T23:53:00Z"]},
        {"irregularity": ["cancelled", "none"]},
        {"irregularity": ["none", "diverted"]},
        {"phase": ["scheduled", "boarding"]},
    ],
)
def test_other_changes_are_worth_nothing_yet(changed: dict[str, list[object]]) -> None:
    assert significance(changed, LEG, before(minutes=30)) is None


@pytest.mark.parametrize(
    ("kinds", "leg", "now", "reason"),
    [
        (("cancelled",), CANCELLED, before(minutes=5), None),
        (("cancelled",), LEG, before(minutes=5), "no longer cancelled"),
        (("gate_changed",), LEG, before(minutes=5), None),
        (("gate_changed",), CANCELLED, before(minutes=5), "cancelled"),
        (
            ("gate_changed",),
            msgspec.structs.replace(LEG, phase="off_block"),
            before(minutes=5),
            "departed",
        ),
        (
            ("gate_changed",),
            msgspec.structs.replace(LEG, dep_gate=""),
            before(minutes=5),
            "the gate is open again",
        ),
        (
            ("gate_changed",),
            msgspec.structs.replace(LEG, dep_gate=" "),
            before(minutes=5),
            "the gate is open again",
        ),
        (
            ("gate_changed",),
            msgspec.structs.replace(LEG, hidden=True),
            before(minutes=5),
            "the flight is not shown any more",
        ),
        (("gate_changed",), LEG, DEPARTURE + timedelta(minutes=15), EXPIRED),
        (("cancelled",), CANCELLED, DEPARTURE + timedelta(hours=20), EXPIRED),
        (("cancelled", "gate_changed"), LEG, before(minutes=5), None),
        (("cancelled", "gate_changed"), CANCELLED, before(minutes=5), None),
        (("belt_changed",), LEG, before(minutes=5), "nothing that can be said"),
    ],
)
def test_what_is_not_true_any_more_is_not_said(
    kinds: tuple[str, ...], leg: FlightLeg, now: datetime, reason: str | None
) -> None:
    expires_at = DEPARTURE + timedelta(hours=12 if "cancelled" in kinds else 0.25)
    assert still_true(kinds, leg, expires_at, now) == reason


def test_the_stored_expiry_ends_a_notice_whatever_the_leg_says() -> None:
    assert still_true(("cancelled",), CANCELLED, before(minutes=5), before(minutes=5)) == EXPIRED


def test_of_several_kinds_the_true_ones_remain() -> None:
    both = {"gate_changed", "cancelled"}
    assert true_kinds(both, CANCELLED, before(minutes=5)) == ("cancelled",)
    assert true_kinds(both, LEG, before(minutes=5)) == ("gate_changed",)


def test_the_words_of_a_gate_change() -> None:
    assert text(("gate_changed",), LEG) == (
        "B6 9: gate now 22",
        "B6 9 to Orlando leaves at 18:53 from gate 22, not 18.",
    )


def test_the_words_of_a_cancellation() -> None:
    assert text(("cancelled",), CANCELLED) == (
        "B6 9 is cancelled",
        "B6 9 to Orlando on 8 March at 17:30 is cancelled. "
        "Ask JetBlue Airways about another flight.",
    )


def test_a_replay_says_so_in_the_title() -> None:
    assert text(("gate_changed",), LEG, demo=True)[0] == "Demo: B6 9: gate now 22"


def test_what_is_not_known_is_left_out() -> None:
    bare = msgspec.structs.replace(
        LEG, arr_city="", airline_name="", dep_tz="Nowhere/Atall", dep_gate_was=""
    )
    assert text(("gate_changed",), bare)[1] == "B6 9 leaves from gate 22."
    assert text(("cancelled",), bare)[1] == (
        "B6 9 is cancelled. Ask the airline about another flight."
    )


def test_an_airport_without_a_known_zone_gives_the_time_in_utc() -> None:
    leg = msgspec.structs.replace(LEG, dep_tz="UTC")
    assert "leaves at 23:53 UTC from" in text(("gate_changed",), leg)[1]


NAMES = st.text(st.characters(exclude_characters="!"), max_size=200)


@given(
    kind=st.sampled_from(KINDS),
    city=NAMES,
    carrier=NAMES,
    gate=NAMES.filter(str.strip),
    was=NAMES,
    airline=st.sampled_from(["B6", "VIR"]),
    number=st.integers(1, 9999),
    suffix=st.sampled_from(["", "P"]),
    zone=st.sampled_from(["America/New_York", "Asia/Kathmandu", "UTC", "", "../x", "a\0b"]),
    demo=st.booleans(),
)
def test_texts_always_fit(
    kind: str,
    city: str,
    carrier: str,
    gate: str,
    was: str,
    airline: str,
    number: int,
    suffix: str,
    zone: str,
    demo: bool,
) -> None:
    leg = msgspec.structs.replace(
        LEG,
        arr_city=city,
        airline_name=carrier,
        dep_gate=gate,
        dep_gate_was=was,
        airline=airline,
        flight_no=number,
        suffix=suffix,
        dep_tz=zone,
    )
    title, body = text((kind,), leg, demo)
    assert 0 < len(title) <= TITLE == 40
    assert 0 < len(body) <= BODY == 110
    assert title.startswith("Demo: ") == demo
    assert f"{airline} {number}{suffix}" in title
    for words in (title, body):
        assert "!" not in words
        assert "\n" not in words
        assert words == words.strip()


@given(city=st.text("abcdefgh ", min_size=33, max_size=58))
def test_a_long_city_is_kept_or_shortened_before_anything_else_goes(city: str) -> None:
    title, body = text(("gate_changed",), msgspec.structs.replace(LEG, arr_city=f"X{city}"))
    assert title == "B6 9: gate now 22"
    assert body.startswith("B6 9 to X")
    assert body.endswith("leaves at 18:53 from gate 22, not 18.")

"""A late aircraft, a connection at risk, desks that close: what is told, and in which words."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from realtime.follower import Beside, Follower, Preferences, Rung
from realtime.notice_beside import at_risk, lateness
from realtime.notice_catalogues import CATALOGUES, LANGUAGES
from realtime.notice_change import told_of
from realtime.notice_rules import OpenDelivery, decide
from realtime.notice_text import BODY, TITLE, text
from realtime.notice_truth import wanted
from tests.support.telling import LEG, STD, Telling

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INBOUND = structs.replace(
    LEG, key="B68-2013-03-08-MCO-JFK", flight_no=8, dep_airport="MCO", arr_airport="JFK",
    std=STD - 4 * HOUR, sta=STD - HOUR,
)  # fmt: skip
STA = STD + 3 * HOUR
ONWARD = structs.replace(
    LEG, key="B61100-2013-03-08-MCO-BOS", flight_no=1100, dep_airport="MCO", arr_airport="BOS",
    std=STA + 75 * MINUTE, sta=STA + 4 * HOUR,
)  # fmt: skip


def arriving(minutes: int, **values: Any) -> timedelta | None:
    """How late the aircraft is that comes so long before the departure; planned: 60."""
    inbound = structs.replace(INBOUND, eta=STD - minutes * MINUTE)
    return lateness(inbound, structs.replace(LEG, **values))


@pytest.mark.parametrize(
    ("minutes", "late"), [(60, None), (21, None), (20, None), (19, 41), (0, 60), (-30, 90)]
)
def test_an_aircraft_is_late_when_it_cannot_be_turned_round(minutes: int, late: int | None) -> None:
    assert arriving(minutes) == (None if late is None else late * MINUTE)


def test_a_long_flight_takes_longer_to_make_ready() -> None:
    assert arriving(45) is None
    assert arriving(46, sta=STD + 6 * HOUR) is None  # not late enough by itself
    assert arriving(45, sta=STD + 6 * HOUR) == 15 * MINUTE


@pytest.mark.parametrize("known", [
    {"etd": STD + 15 * MINUTE}, {"irregularity": "cancelled"}, {"phase": "off_block", "atd": STD},
    {"dep_airport": "EWR"},
])  # fmt: skip
def test_nothing_is_said_of_an_aircraft_where_the_leg_says_more(known: dict[str, Any]) -> None:
    assert arriving(-30, etd=STD + 14 * MINUTE) == 90 * MINUTE
    assert arriving(-30, **known) is None


def test_a_diverted_aircraft_says_nothing() -> None:
    inbound = structs.replace(INBOUND, eta=STD, irregularity="diverted")
    assert lateness(inbound, LEG) is None


@pytest.mark.parametrize(
    ("late", "onward", "risk"),
    [
        (0, {}, False), (14, {}, False), (16, {}, True), (60, {}, True), (200, {}, True),
        (60, {"etd": STA + 3 * HOUR}, False), (60, {"irregularity": "cancelled"}, False),
        (60, {"phase": "off_block"}, False), (16, {"gate_close_plan": STA + 65 * MINUTE}, False),
        (9, {"std": STA + 40 * MINUTE}, False), (10, {"std": STA + 40 * MINUTE}, True),
    ],
)  # fmt: skip
def test_a_connection_is_at_risk_when_less_is_left_than_it_takes(
    late: int, onward: dict[str, Any], risk: bool
) -> None:
    leg = structs.replace(LEG, eta=STA + late * MINUTE)
    assert at_risk(leg, structs.replace(ONWARD, **onward)) == risk


def test_a_connection_is_told_once_together_with_the_delay() -> None:
    person = Telling()
    person.follower = structs.replace(person.follower, beside=Beside(onward=ONWARD))
    person.change(10 * MINUTE, etd=STD + 30 * MINUTE, eta=STA + 30 * MINUTE)
    person.change(10 * MINUTE, etd=STD + 50 * MINUTE, eta=STA + 50 * MINUTE)
    assert person.kinds == [("connection_risk", "delay"), ("delay",)]


def test_who_picks_somebody_up_connects_to_nothing() -> None:
    person = Telling("pick_up", Preferences(kinds=("connection_risk",)))
    person.follower = structs.replace(person.follower, beside=Beside(onward=ONWARD))
    person.change(10 * MINUTE, eta=STA + 50 * MINUTE)
    assert person.kinds == []


def test_desks_are_told_to_those_who_want_it_until_they_close() -> None:
    closes = STD - HOUR
    leg = structs.replace(LEG, check_in_close_at=closes)
    row = OpenDelivery(-7, ("check_in_closing",), False, None, closes)
    asked = Follower(preferences=Preferences(kinds=("check_in_closing",)), told=told_of(leg))
    assert "check_in_closing" not in wanted(Follower())
    assert decide([row], leg, asked, closes - 30 * MINUTE).kinds == ("check_in_closing",)
    assert decide([row], leg, Follower(), closes - 30 * MINUTE).ends[0].state == "suppressed"
    assert decide([row], leg, asked, closes).ends[0].state == "expired"
    rung = structs.replace(asked, rung=(Rung("check_in_closing", closes - 30 * MINUTE),))
    assert decide([row], leg, rung, closes - 20 * MINUTE).ends[0].reason == "known already"


SHOWN = structs.replace(
    LEG, eta=STA + 50 * MINUTE, check_in_close_at=STD - HOUR, check_in_from="11", check_in_to="18"
)
BESIDE = Beside(structs.replace(INBOUND, eta=STD), ONWARD)


def said(kind: str, language: str = "en", **leg: Any) -> tuple[str, str]:
    follower = Follower(told=told_of(LEG), beside=BESIDE)
    shown = structs.replace(SHOWN, **leg)
    return text((kind,), shown, follower, CATALOGUES[language], STD - 2 * HOUR)


def test_the_words_name_a_risk_and_no_promise() -> None:
    assert said("inbound_late") == (
        "B6 9: a delay is likely",
        "The incoming aircraft of B6 9 to Orlando is about 1 h late: a delay is likely.",
    )
    assert said("connection_risk") == (
        "B6 9: connection at risk",
        "Connection at risk: B6 9 arrives at 21:20, B6 1100 closes its gate at 21:30.",
    )
    assert said("check_in_closing") == (
        "B6 9: check-in closes soon",
        "Check-in of B6 9 to Orlando closes at 16:30, desks 11–18.",
    )
    assert said("check_in_closing", check_in_to="")[1].endswith("at 16:30, desks 11.")
    assert said("check_in_closing", check_in_from="", check_in_to="")[1].endswith("at 16:30.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["inbound_late", "connection_risk", "check_in_closing"])
def test_the_words_are_whole_in_every_language(kind: str, language: str) -> None:
    title, body = said(kind, language, flight_no=9999, suffix="P", arr_city="Llanfairpwllgwyngyll")
    assert len(title) <= TITLE
    assert len(body) <= BODY
    assert "…" not in title + body
    assert "none" not in body

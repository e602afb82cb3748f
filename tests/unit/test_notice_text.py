"""How notices read, in every language, and that they always fit a phone."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from realtime.follower import Follower, Preferences, Told
from realtime.notice_catalogues import CATALOGUES, LANGUAGES
from realtime.notice_change import told_of
from realtime.notice_kinds import KINDS
from realtime.notice_text import BODY, TITLE, old_and_new, text
from realtime.notice_words import fill
from tests.support.telling import LEG, STD

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "notice_words.json").read_text("utf-8")
)
SHOWN = structs.replace(
    LEG,
    etd=STD + timedelta(minutes=77),
    eta=STD + timedelta(hours=4),
    dep_gate="22",
    dep_gate_was="18",
    belts=("7",),
    arr_terminal="B",
    gate_close_est=STD + timedelta(minutes=67),
    next_info_at=STD,
    divert_city="Raleigh",
)
FOLLOWER = Follower(told=told_of(LEG))
NOW = STD - timedelta(hours=1)


def said(kind: str, language: str = "en", **more: Any) -> tuple[str, str]:
    leg = structs.replace(SHOWN, **more.pop("leg", {}))
    follower = structs.replace(FOLLOWER, **more.pop("follower", {}))
    return text((kind,), leg, follower, CATALOGUES[language], more.pop("now", NOW), **more)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["text"])[:40])
def test_icu_messages_read_as_the_shared_vectors_say(case: dict[str, Any]) -> None:
    assert fill(case["text"], case["values"], case["language"]) == case["said"]


def test_a_gate_change_names_old_and_new() -> None:
    assert said("gate_changed", follower={"told": Told(dep_gate="18")}) == (
        "B6 9: gate now 22",
        "B6 9 to Orlando leaves at 18:47 from gate 22, not 18.",
    )


@pytest.mark.parametrize(
    ("kind", "role", "told", "values"),
    [
        ("gate_changed", "passenger", {"dep_gate": "18"}, ("18", "22")),
        ("gate_changed", "passenger", {"dep_gate": "7"}, ("7", "22")),
        ("gate_changed", "passenger", {"dep_gate": "22"}, ("", "22")),
        ("terminal_changed", "passenger", {"dep_terminal": "4"}, ("4", "5")),
        ("terminal_changed", "passenger", {"arr_terminal": "A"}, ("A", "B")),
        ("delay", "passenger", {}, ("2013-03-08T22:30:00+00:00", "2013-03-08T23:47:00+00:00")),
        ("delay", "pick_up", {}, ("2013-03-09T01:30:00+00:00", "2013-03-09T02:30:00+00:00")),
        (
            "delay_reduced",
            "passenger",
            {"etd": STD + timedelta(minutes=99)},
            ("2013-03-09T00:09:00+00:00", "2013-03-08T23:47:00+00:00"),
        ),
        ("boarding", "passenger", {"phase": "gate_open"}, ("", "")),
        ("cancelled", "passenger", {}, ("", "")),
    ],
)
def test_programs_get_the_old_and_the_new_value(
    kind: str, role: str, told: dict[str, Any], values: tuple[str, str]
) -> None:
    follower = Follower(role=role, told=structs.replace(told_of(LEG), **told))
    assert old_and_new(kind, SHOWN, follower) == values


def test_a_delay_names_the_time_the_difference_and_the_old_time() -> None:
    assert said("delay") == (
        "B6 9: 1 h 17 min late",
        "B6 9 to Orlando now leaves at 18:47 from gate 22, 1 h 17 min late, not 17:30.",
    )
    title, body = said("delay", follower={"role": "pick_up"})
    assert title == "B6 9: 1 h late"
    assert body == "B6 9 to Orlando now arrives at 21:30, 1 h late, not 20:30."


def test_the_number_that_was_searched_comes_with_the_carrier_that_flies() -> None:
    title, body = said("gate_changed", follower={"number": "EI5009"})
    assert title == "EI 5009: gate now 22"
    assert body.startswith("EI 5009 (JetBlue Airways) to Orlando leaves")


def test_another_day_is_named_and_twelve_hours_are_read() -> None:
    night = {"etd": STD + timedelta(hours=8)}
    assert "at 01:30 tomorrow" in said("gate_changed", leg=night)[1]
    assert "at 01:30 on 9 March" in said("gate_changed", leg=night, now=STD - timedelta(days=3))[1]
    assert "at 6:47 pm" in said("delay", follower={"preferences": Preferences(hours=12)})[1]
    assert "at 23:47 UTC" in said("gate_changed", leg={"dep_tz": "UTC"})[1]


def test_a_replay_says_so_in_the_title() -> None:
    assert said("boarding", demo=True)[0] == "Demo: B6 9 is boarding"


def test_languages_have_the_same_texts_and_arguments() -> None:
    english = CATALOGUES["en"].texts
    for language in LANGUAGES:
        assert CATALOGUES[language].texts.keys() == english.keys()
    for kind in KINDS:
        assert {f"{kind}.title", f"{kind}.body"} <= english.keys()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="{}\n"), max_size=90)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    language=st.sampled_from(LANGUAGES),
    city=NAMES,
    carrier=NAMES,
    gate=st.text("ABC123", min_size=1, max_size=16),
    number=st.sampled_from(["", "EI5009", "VIR9999P"]),
    role=st.sampled_from(["passenger", "pick_up"]),
    demo=st.booleans(),
    hours=st.sampled_from([12, 24]),
    zone=st.sampled_from(["America/New_York", "UTC", "", "../x", "a\0b"]),
)
def test_every_text_fits_in_every_language(
    kind: str, language: str, city: str, carrier: str, gate: str, number: str, role: str,
    demo: bool, hours: int, zone: str,
) -> None:  # fmt: skip
    leg = {
        "arr_city": city, "airline_name": carrier, "dep_gate": gate, "divert_city": city,
        "dep_tz": zone, "dep_terminal": gate, "belts": (gate,), "flight_no": 9999,
    }  # fmt: skip
    follower = {"role": role, "number": number, "preferences": Preferences(hours=hours)}
    title, body = said(
        kind, language, leg=leg, follower=follower, demo=demo, now=NOW - timedelta(days=40)
    )
    assert 0 < len(title) <= TITLE == 40
    assert 0 < len(body) <= BODY == 110
    assert "{" not in title + body
    shown = {"": "B6 9999", "EI5009": "EI 5009", "VIR9999P": "VIR 9999P"}[number]
    assert shown in title


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_city_never_costs_the_end_of_a_sentence(kind: str, language: str) -> None:
    long = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
    follower = {"number": "EI5009"}
    for city in (long, "New Orleans"):
        title, body = said(
            kind, language, leg={"arr_city": city, "divert_city": city}, follower=follower,
            demo=True,
        )  # fmt: skip
        assert body.endswith("."), body
        assert not title.endswith("…"), title

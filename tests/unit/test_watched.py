"""What `gatecast watch` holds: by the shared vectors and the server's clock."""

import json
from typing import Any

import pytest
from rich.console import Console

from api.watch_view import view
from api.watched import Verdict, Watched
from realtime.channels import parse_channel
from realtime.errors import UNRECOVERABLE_POSITION
from tests.support.vectors import FOLDER

Case = dict[str, Any]
NOW = "2013-03-08T21:00:00Z"


def cases(name: str) -> list[Any]:
    document = json.loads((FOLDER / name).read_text("utf-8"))
    return [pytest.param(case, id=case["name"]) for case in document["cases"]]


def subscribed(case: Case, upto: int | None = None) -> Watched:
    """Who subscribed and heard the steps up to this offset."""
    watched = Watched(parse_channel(case["channel"]), 0)
    watched.subscribed(case["snapshot"], 0)
    for step in case["steps"]:
        for each in step["publications"]:
            if upto is None or each["offset"] <= upto:
                watched.pushed(case["channel"], each, 0)
    return watched


def report(now: str = NOW, speed: float = 1, *states: str) -> dict[str, Any]:
    feeds = [
        {"code": f"feed-{each}", "state": each, "synthetic": False, "boards": ["departures"]}
        for each in states
    ]
    return {"now": now, "wall": "2026-11-24T09:00:00Z", "speed": speed, "feeds": feeds}


def watched_board() -> Watched:
    return Watched(parse_channel("board:JFK:departures"), 0)


@pytest.mark.parametrize("case", cases("board_vectors.json"))
def test_a_board_is_what_the_vectors_say(case: Case) -> None:
    watched = Watched(parse_channel(case["channel"]), 0)
    told = watched.subscribed(case["snapshot"], 0)
    assert {fact["key"] for fact in told} == set(case["held"])
    for step in case["steps"]:
        for each in step["publications"]:
            watched.pushed(case["channel"], each, 0)
        assert watched.rows == step["held"]
    final = watched.rows
    for recovery in case["recoveries"]:
        late = subscribed(case, upto=recovery["offset"])
        wanted = late.request()
        assert wanted["recover"]
        assert wanted["phase"] == 1
        before = dict(late.rows)
        if "error" in recovery:
            assert recovery["error"] == UNRECOVERABLE_POSITION.code
            continue
        told = late.subscribed(recovery["reply"], 0)
        assert late.rows == final
        assert late.position == (recovery["reply"]["epoch"], recovery["reply"]["offset"])
        heard = dict(before)
        for fact in told:
            heard.pop(fact["key"], None)
            if fact["kind"] == "publication":
                assert fact["data"] != before.get(fact["key"])
                heard[fact["key"]] = fact["data"]
        assert heard == final


@pytest.mark.parametrize("case", cases("flight_vectors.json"))
def test_a_flight_moves_on_by_what_it_missed(case: Case) -> None:
    newest = subscribed(case)
    for recovery in case["recoveries"]:
        late = subscribed(case, upto=recovery["offset"])
        late.subscribed(recovery["reply"], 0)
        assert late.rows == newest.rows
        assert late.position == newest.position


def test_board_time_is_the_servers_and_never_runs_backwards() -> None:
    clock = watched_board().clock
    assert clock.at(5) is None
    clock.accept(report(), 100)
    assert str(clock.at(107)) == "2013-03-08 21:00:07+00:00"
    clock.accept(report("2013-03-08T21:00:04Z"), 108)
    assert str(clock.at(108)) == "2013-03-08 21:00:07+00:00"
    assert str(clock.at(113)) == "2013-03-08 21:00:09+00:00"


def test_the_clock_of_a_replay_stops_with_its_server_and_may_start_over() -> None:
    clock = watched_board().clock
    clock.accept(report(speed=10), 100)
    assert str(clock.at(105)) == "2013-03-08 21:00:50+00:00"
    assert clock.at(111) == clock.at(500)
    clock.accept(report("2013-03-08T20:00:00Z", 10), 501)
    assert str(clock.at(501)) == "2013-03-08 20:00:00+00:00"


def test_a_feed_that_does_not_answer_for_the_board_does_not_count() -> None:
    watched = watched_board()
    told = report(NOW, 1, "fresh", "dead")
    told["feeds"][0]["boards"] = ["arrivals"]
    watched.heard(told, 50)
    watched.last_frame = 50
    assert watched.verdict(51) == Verdict("stale", "feed")


@pytest.mark.parametrize(
    ("age", "feeds", "state", "cause"),
    [
        (15, ["fresh"], "live", "link"),
        (16, ["fresh"], "late", "link"),
        (61, ["late"], "stale", "link"),
        (601, ["dead"], "down", "link"),
        (1, ["late"], "late", "feed"),
        (1, ["dead", "late"], "late", "feed"),
        (1, ["dead"], "stale", "feed"),
        (1, [], "live", "link"),
    ],
)
def test_the_worse_of_link_and_the_best_feed_counts(
    age: float, feeds: list[str], state: str, cause: str
) -> None:
    watched = watched_board()
    watched.heard(report(NOW, 1, *feeds), 50)
    watched.last_frame = 50
    verdict = watched.verdict(50 + age)
    assert (verdict.state, verdict.cause) == (state, cause)


def test_before_the_first_frame_nothing_is_live() -> None:
    assert watched_board().verdict(1).state == "late"


def picture(watched: Watched, now: float) -> str:
    console = Console(width=100, height=30)
    with console.capture() as capture:
        console.print(view(watched, now, connected=True, height=30))
    return capture.get()


def test_a_stale_picture_calls_nobody_to_a_gate() -> None:
    leg = {
        "key": "B69-2013-03-08-JFK-MCO", "airline": "B6", "flight_no": 9, "phase": "boarding",
        "irregularity": "none", "dep_airport": "JFK", "arr_airport": "MCO", "arr_city": "Orlando",
        "dep_tz": "America/New_York", "arr_tz": "America/New_York", "dep_gate": "B22",
        "std": "2013-03-08T21:30:00Z", "sta": "2013-03-09T00:30:00Z",
    }  # fmt: skip
    gone = {**leg, "key": "DL8-2013-03-08-JFK-BUF", "arr_city": "Buffalo"}
    gone |= {"std": "2013-03-08T20:00:00Z", "atd": "2013-03-08T20:05:00Z"}
    rows = [{"key": each["key"], "offset": 1, "data": each} for each in (leg, gone)]
    watched = watched_board()
    watched.heard(report(), 0)
    watched.subscribed({"epoch": "e", "offset": 1, "state": rows}, 0)
    watched.last_frame = 0
    live = picture(watched, 1)
    for shown in ("LIVE", "2013-03-08 21:00:01Z", "16:30", "B6 9", "Orlando", "B22", "boarding"):
        assert shown in live
    assert "Buffalo" not in live
    stale = picture(watched, 61)
    assert "STALE (link)" in stale
    assert "B6 9" in stale
    assert "B22" not in stale
    assert "boarding" not in stale

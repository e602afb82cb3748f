"""A real bad day through the rules: how often a phone rings, kind by kind.

`python -m tests.unit.test_notice_replay 2013-03-09` prints the table of a day.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.feed_replay import Statement, statements
from api.fields import Said, read_patch
from api.merge import Authority, combine, merge
from api.replay_day import ReplayLeg, load, read_days
from realtime.flight import FlightLeg
from realtime.follower import ROLES
from realtime.notice_kinds import TIMES
from tests.support.telling import Telling

DAY = date(2013, 3, 8)
CALM_DAY = Path(__file__).parents[1] / "vectors" / "2013-09-24.csv"
FEED = {1: Authority(100)}
Told = Mapping[str, Counter[str]]
Notices = Mapping[str, Counter[tuple[str, ...]]]


def leg_of(story: Sequence[Statement], held: Mapping[str, Said]) -> FlightLeg:
    key = story[0].patch.key
    columns = {name: value for name, value in merge({1: held}, FEED).items() if value}
    return msgspec.convert(
        {
            "key": str(key.leg_key()), "version": 1, "airline": key.airline,
            "flight_no": key.number, "dep_airport": key.dep, "arr_airport": key.arr,
            "irregularity": "none",
        } | columns,
        FlightLeg,
    )  # fmt: skip


def follow(story: Sequence[Statement], role: str) -> Telling:
    """Somebody who follows from the first load of the day on."""
    held: Mapping[str, Said] = read_patch(story[0].patch, story[0].at)
    person = Telling(role, leg=leg_of(story, held))
    person.now = story[0].at
    for said in story[1:]:
        person.wait(said.at - person.now)
        held = combine(held, read_patch(said.patch, said.at))
        fields: dict[str, Any] = msgspec.structs.asdict(leg_of(story, held))
        del fields["version"]
        person.change(timedelta(0), **fields)
    person.wait(timedelta(hours=24))
    return person


def count(legs: Sequence[ReplayLeg], roles: Sequence[str] = ROLES) -> tuple[int, Notices, Told]:
    """Legs, notices by role and what they told by role."""
    stories: dict[object, list[Statement]] = defaultdict(list)
    for said in statements(legs):
        stories[said.patch.key].append(said)
    notices: dict[str, Counter[tuple[str, ...]]] = {role: Counter() for role in roles}
    kinds: dict[str, Counter[str]] = {role: Counter() for role in roles}
    for story in stories.values():
        for role in roles:
            person = follow(story, role)
            assert person.open == {}
            notices[role].update(tuple(told) for told in person.kinds)
            kinds[role].update(kind for told in person.kinds for kind in told)
    return len(stories), notices, kinds


@pytest.fixture(scope="module")
def counted() -> tuple[int, Notices, Told]:
    return count(load(DAY))


def test_a_bad_day_rings_a_few_times_a_leg(counted: tuple[int, Notices, Told]) -> None:
    legs, notices, kinds = counted
    assert legs == 979
    delays = sum(kinds["passenger"][kind] for kind in TIMES) / legs
    assert 1.5 < delays < 3
    assert 4 < notices["passenger"].total() / legs < 6
    assert 4.5 < notices["pick_up"].total() / legs < 7.5


def test_every_cancellation_rings_once_for_both(counted: tuple[int, Notices, Told]) -> None:
    _, _, kinds = counted
    cancelled = sum(leg.off_block is None for leg in load(DAY))
    assert kinds["passenger"]["cancelled"] == kinds["pick_up"]["cancelled"] == cancelled > 50


def test_a_calm_day_rings_three_times_a_leg() -> None:
    """Boarding, final call and the belt; everything else together for one leg in four.

    At most 3.2 with the kinds for which that was measured; a new terminal, and a departure ten
    minutes before its time, which nobody may miss, came after and make 3.25 of it.
    """
    legs, notices, kinds = count(read_days(str(CALM_DAY)).legs, ["passenger"])
    assert legs == 960
    measured = sum(
        number
        for told, number in notices["passenger"].items()
        if not set(told) <= {"early", "terminal_changed"}
    )
    assert 3 < measured / legs <= 3.2
    assert notices["passenger"].total() / legs <= 3.26
    routine = sum(kinds["passenger"][kind] for kind in ("boarding", "final_call", "belt_assigned"))
    assert (kinds["passenger"].total() - routine) / legs < 0.3


def main() -> None:
    """Print the table; the day may be named."""
    day = date.fromisoformat(sys.argv[1]) if len(sys.argv) > 1 else DAY
    legs, notices, kinds = count(load(day))
    for role in ROLES:
        print(f"{role}: {notices[role].total() / legs:.2f} notices a leg")
        for kind, number in kinds[role].most_common():
            print(f"  {kind:20} {number / legs:.2f}")


if __name__ == "__main__":
    main()

"""When a leg is on the boards of its two airports (domain rules for windows)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec import structs

from realtime.board import shows_arrival, shows_departure
from realtime.flight import FlightLeg
from tests.support.telling import LEG, STD

STA = STD + timedelta(hours=3)


def after(minutes: float) -> Any:
    """Board time so long after the planned departure."""
    return STD + timedelta(minutes=minutes)


def leaves(shows: Callable[[FlightLeg, datetime], bool], **values: Any) -> list[int]:
    """The last minutes after the planned departure at which the row is there."""
    leg = structs.replace(LEG, **values)
    shown = [shows(leg, after(minute)) for minute in range(-400, 2000)]
    return [at - 400 for at, (was, stays) in enumerate(pairwise(shown)) if was and not stays]


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ({}, 1439),  # never because the planned time has passed: after a day
        ({"atd": after(20)}, 29),
        ({"atot": after(20)}, 39),
        ({"irregularity": "cancelled", "etd": after(30)}, 89),
        ({"irregularity": "cancelled", "etd": after(-30)}, 59),
        ({"irregularity": "air_return", "phase": "airborne", "atd": after(5)}, 1439),
        ({"irregularity": "air_return", "phase": "in_block", "atd": after(5), "ata": after(60),
          "etd": after(180)}, 1619),
        ({"irregularity": "returned_to_gate", "phase": "gate_closed", "atd": after(5)}, 1439),
        ({"irregularity": "returned_to_gate", "phase": "off_block", "atd": after(60)}, 69),
        ({"irregularity": "none", "phase": "off_block", "atd": after(200)}, 209),
    ],
)  # fmt: skip
def test_a_departure_stays_until_there_is_evidence(values: dict[str, Any], last: int) -> None:
    assert leaves(shows_departure, **values) == [last]


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ({}, 180 + 1439),
        ({"aldt": after(170)}, 229),
        ({"aldt": after(170), "ata": after(176)}, 205),
        ({"aldt": after(170), "ata": after(176), "last_bag_at": after(190)}, 199),
        ({"irregularity": "cancelled"}, 239),
        ({"irregularity": "diverted"}, 269),
        ({"irregularity": "air_return", "phase": "airborne", "atd": after(5)}, 269),
        ({"irregularity": "air_return", "phase": "in_block", "aldt": after(40), "ata": after(45)},
         269),
        ({"irregularity": "air_return", "phase": "landed", "aldt": after(40), "eta": after(360)},
         449),
        ({"irregularity": "returned_to_gate", "phase": "boarding", "atd": after(5)}, 180 + 1439),
    ],
)  # fmt: skip
def test_an_arrival_stays_until_there_is_evidence(values: dict[str, Any], last: int) -> None:
    assert leaves(shows_arrival, **values) == [last]


def test_hidden_legs_are_on_no_board() -> None:
    leg = structs.replace(LEG, hidden=True)
    assert not shows_departure(leg, STD)
    assert not shows_arrival(leg, STA)

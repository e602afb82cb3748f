"""Times as airports write them, and the dates that they leave out."""

from datetime import UTC, date, datetime, timedelta

import pytest

from api.block_time import UNKNOWN, block_time, origin_date
from api.feed import Place
from api.feed_times import read_time, text_of

JFK = Place("America/New_York", 40.6397, -73.7789)
LHR = Place("Europe/London", 51.4706, -0.4619)


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-03-01T10:55:00Z", None, "2026-03-01T10:55:00Z"),
        ("2026-03-01T10:55", "Europe/Oslo", "2026-03-01T09:55:00Z"),
        ("2019-07-25T09:13:19.4014748+01:00", None, "2019-07-25T08:13:19Z"),
        ("2026-03-01T24:00:00.000Z", None, "2026-03-02T00:00:00Z"),
        ("2026-12-31T24:00:00", "America/New_York", "2027-01-01T05:00:00Z"),
        ("2026-03-01 10:55:00-0530", None, "2026-03-01T16:25:00Z"),
        ("2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:30:00Z"),  # skipped: 03:30
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z"),  # twice: the first
        ("2026-11-01T01:30:00-05:00", "America/New_York", "2026-11-01T06:30:00Z"),
    ],
)
def test_times(text: str, zone: str | None, instant: str) -> None:
    assert text_of(read_time(text, zone)) == instant


@pytest.mark.parametrize(
    "text",
    ["", "10:55", "2026-03-01", "2026-02-30T10:00:00Z", "2026-03-01T24:01:00Z", "now",
     "2026-03-01T10:55:00", "2026-03-01T10:55:00+99:00", "0001-01-01T00:00:00+01:00",
     "9999-12-31T24:00:00Z", "\uff1226-03-01T10:55:00Z"],
)  # fmt: skip
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_time(text)


def test_the_block_time_grows_with_the_great_circle() -> None:
    assert block_time(JFK, LHR) - timedelta(hours=8, minutes=21) < timedelta(minutes=5)
    assert block_time(JFK, JFK) == timedelta(minutes=52)
    assert block_time(JFK, Place("UTC")) == UNKNOWN


def test_the_origin_date_is_the_local_one_of_the_departure() -> None:
    sta = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)  # it left New York at 17:09 of the day before
    assert origin_date(None, sta, JFK, LHR) == date(2026, 3, 1)
    std = datetime(2026, 3, 2, 4, 59, tzinfo=UTC)
    assert origin_date(std, None, JFK, LHR) == date(2026, 3, 1)
    with pytest.raises(ValueError, match="no scheduled time"):
        origin_date(None, None, JFK, LHR)

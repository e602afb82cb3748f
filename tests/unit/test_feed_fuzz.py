"""Whatever bytes come: each adapter reads them or refuses them, and never fails otherwise."""

import tracemalloc
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.feed_formats import FORMATS, detected
from api.feed_manner import BodyRefused, Manner
from api.feed_words import MOST_COMPLAINTS, MOST_UNKNOWN
from tests.support.adapters import NOW, REFERENCE

WORDS: Sequence[str] = (
    "flight", "origin_date", "dep", "arr", "std", "sta", "XY1", "OSL", "LHR", "2026-03-01", "\n",
    "\r\n", ",", ";", '"', "=1", "MVT", "DIV", "XY1/01.OSL", "AD0830/0840", "EA1030 LHR", "FR0830",
    "RR", "SI", ".OSLKKXY 010840", "2026-03-01T10:00:00Z", "24:00", "99999999", "\0", "é", " ",
    "2026-03-29 02:30", "9999-12-31T24:00:00-18:00", "0001-01-01T00:00:00+18:00", "null",
)  # fmt: skip
MEMBERS: Sequence[str] = (
    "flights", "legs", "key", "set", "flightNumber", "trackNumber", "airlineCode", "suffix",
    "operatingAirline", "iataCode", "departureAirport", "arrivalAirport", "originDate",
    "departure", "arrival", "scheduled", "estimated", "terminal", "gate", "codeShares",
    "flightStatus", "baggageClaim", "carousel", "boardingTime", "time", "lastUpdate",
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=8)
    ),
    max_leaves=25,
)
bodies = (
    st.binary(max_size=300)
    | st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: "".join(words).encode())
    | st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: ",".join(words).encode())
    | values.map(msgspec.json.encode)
)
manners = st.builds(
    Manner, times=st.sampled_from(["", "utc", "local"]), empty=st.sampled_from(["keep", "clear"])
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(body=bodies, manner=manners)
def test_bytes_are_read_or_refused(name: str, body: bytes, manner: Manner) -> None:
    try:
        reading = FORMATS[name].parse(body, NOW, REFERENCE, manner)
    except BodyRefused:
        return
    assert len(reading.patches) == len(reading.records)
    assert len(reading.complaints) <= MOST_COMPLAINTS + 1
    assert len(reading.unknown) <= MOST_UNKNOWN
    for patch in reading.patches:
        assert 1 <= patch.key.number <= 9999
        assert patch.source_ts.tzinfo is not None


@settings(max_examples=200, deadline=None)
@given(body=bodies)
def test_a_format_is_seen_or_not(body: bytes) -> None:
    assert detected(body) in (None, *FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_body_costs_no_more_than_a_multiple_of_itself(name: str) -> None:
    size = 1024 * 1024
    for unit in (b"[", b'{"a":', b"x,", b"\n", b"MVT\nXY1/01.OSL\n", b"<a>", b'"', b"1;2;3\n"):
        body = unit * (size // len(unit))
        tracemalloc.start()
        try:
            with pytest.raises(BodyRefused):
                FORMATS[name].parse(body, NOW, REFERENCE, Manner())
            assert tracemalloc.get_traced_memory()[1] < 12 * size
        finally:
            tracemalloc.stop()

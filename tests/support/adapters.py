"""What adapters read bodies with, and their results in short."""

from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from api.feed import Patch, Place, Reading, Reference
from api.feed_manner import Manner, Parse

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
REFERENCE = Reference(
    airlines=MappingProxyType({"SAS": "SK", "CPA": "CX", "FIN": "AY"}),
    airports=MappingProxyType({"ENGM": "OSL", "EGLL": "LHR", "VHHH": "HKG"}),
    places=MappingProxyType({
        "OSL": Place("Europe/Oslo", 60.19, 11.10),
        "LHR": Place("Europe/London", 51.47, -0.45),
        "JFK": Place("America/New_York", 40.64, -73.78),
        "HKG": Place("Asia/Hong_Kong", 22.31, 113.92),
        "HEL": Place("Europe/Helsinki", 60.32, 24.96),
        "ARN": Place("Europe/Stockholm", 59.65, 17.93),
        "AMS": Place("Europe/Amsterdam", 52.31, 4.76),
    }),
)  # fmt: skip
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def read(parse: Parse, body: str | bytes, **manner: Any) -> Reading:
    """The body, read as at NOW."""
    raw = body.encode() if isinstance(body, str) else body
    return parse(raw, NOW, REFERENCE, Manner(**manner))


def only(reading: Reading) -> Patch:
    """The one patch of a reading without complaints."""
    assert reading.complaints == []
    (patch,) = reading.patches
    return patch


def name(patch: Patch) -> str:
    """`SK267N OSL-LHR 2026-03-01`; without a date that is `-`."""
    key = patch.key
    return f"{key.airline}{key.number}{key.suffix} {key.dep}-{key.arr} {key.origin_date or '-'}"

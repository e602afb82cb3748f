"""The contract of every source: bytes become leg patches, without touching the database. Pure."""

from datetime import date, datetime

from msgspec import Struct, field

from realtime.flight import LegKey


class PatchKey(Struct, frozen=True, kw_only=True):
    """A leg as a feed names it; `repeat` counts departure attempts."""

    airline: str
    number: int
    origin_date: date
    dep: str
    arr: str
    suffix: str = ""
    repeat: int = 1

    def leg_key(self) -> LegKey:
        return LegKey(self.airline, self.number, self.suffix, self.origin_date, self.dep, self.arr)


class CodeShare(Struct, frozen=True, kw_only=True):
    """Another carrier's number on the same leg."""

    airline: str
    number: int
    suffix: str = ""


class Patch(Struct, frozen=True, kw_only=True):
    """What one feed says of one leg: columns to set (times RFC 3339) and to clear."""

    key: PatchKey
    source_ts: datetime
    set: dict[str, str | int | bool | list[str]] = field(default_factory=dict)
    clear: list[str] = field(default_factory=list)
    codeshares: list[CodeShare] | None = None

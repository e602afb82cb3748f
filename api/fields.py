"""The fields that a feed may state: who has a say in them and what a value must look like. Pure.

Whatever leaves `read_patch` fits its column, so that no leg's fault can fail a whole batch in SQL.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from api.feed import CodeShare, Patch, PatchKey
from realtime.errors import GatecastError
from realtime.flight import parse_leg_key

PHASES = (
    "scheduled", "check_in", "gate_open", "boarding", "final_call", "gate_closed", "off_block",
    "airborne", "approaching", "landed", "in_block", "bags_done",
)  # fmt: skip
IRREGULARITIES = (
    "none", "cancelled", "diverted", "returned_to_gate", "air_return", "not_operating",
)  # fmt: skip
HORIZON = timedelta(days=400)
CLOCK_SKEW = timedelta(minutes=5)
EARLY_ACTUAL = timedelta(minutes=2)
FAR_ACTUAL = timedelta(hours=48)
INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
REPLACED_ONLY = frozenset({"irregularity", "std", "sta"})
MOST_BELTS = 10
MOST_CODESHARES = 20

Read = Callable[[object], Any]


class PatchRefused(GatecastError):
    """A leg's patch cannot be applied; its neighbours can."""

    def __init__(self, code: str, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.code = code
        self.field = field
        self.text = text


class Said(Struct, frozen=True, array_like=True):
    """One feed's word on one field: the value (None: cleared), its source time, the attempt."""

    value: Any
    at: str
    repeat: int = 1


Fields = Mapping[str, Said]


class Field(Struct, frozen=True):
    """`actual`: a fact, never in the future. `per_attempt`: void once a departure is repeated."""

    group: str
    read: Read
    actual: bool = False
    per_attempt: bool = False


def instant(value: object) -> str:
    """RFC 3339 with an offset → the same in UTC, in whole seconds."""
    if not isinstance(value, str) or INSTANT.fullmatch(value) is None:
        raise ValueError("must be a time with its offset, such as 2026-03-01T10:55:00Z")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def source_time(at: datetime) -> str:
    """A source time such that later is greater, to the microsecond."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def text(limit: int) -> Read:
    """Printable text of at most `limit` characters; empty is the same as cleared."""

    def read(value: object) -> str | None:
        if not isinstance(value, str) or len(value) > limit or not value.isprintable():
            raise ValueError(f"must be printable text of at most {limit} characters")
        return value.strip() or None

    return read


def one_of(words: tuple[str, ...]) -> Read:
    """One of these words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return read


def matching(pattern: str, what: str) -> Read:
    """Text of this form."""
    form = re.compile(pattern)

    def read(value: object) -> str:
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise ValueError(f"must be {what}")
        return value

    return read


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def belts(value: object) -> list[str]:
    """Baggage belts, in the feed's order."""
    if not isinstance(value, list) or len(value) > MOST_BELTS:
        raise ValueError(f"must be a list of at most {MOST_BELTS} belts")
    names = [text(16)(name) for name in value]
    if None in names:
        raise ValueError("must not hold an empty belt")
    return names


def _group(name: str, /, *, per_attempt: bool = False, **readers: Read) -> dict[str, Field]:
    return {
        column: Field(name, read, actual=column in ACTUALS, per_attempt=per_attempt)
        for column, read in readers.items()
    }


ACTUALS = frozenset({
    "atd", "atot", "aldt", "ata", "gate_open_at", "boarding_at", "final_call_at", "gate_close_at",
    "first_bag_at", "last_bag_at",
})  # fmt: skip

FADING = frozenset({
    "etd", "eta", "eldt", "boarding_est", "gate_close_est", "next_info_at", "phase",
})  # fmt: skip
"""Estimates and phases: of these the word of a silent feed counts only where nobody else's does."""

FIELDS: Mapping[str, Field] = MappingProxyType({
    **_group("schedule", std=instant, sta=instant,
             service_type=matching("[A-Z]", "one capital letter")),
    **_group("irregularity", irregularity=one_of(IRREGULARITIES), cancelled_at=instant,
             divert_airport=matching("[A-Z]{3}", "an IATA airport code"), next_info_at=instant,
             public_remark=text(200)),
    **_group("dep_times", per_attempt=True, etd=instant, atd=instant),
    **_group("movement", per_attempt=True, atot=instant, eldt=instant, aldt=instant,
             phase=one_of(PHASES)),
    **_group("arr_times", per_attempt=True, eta=instant, ata=instant),
    **_group("dep_resources", dep_terminal=text(16), dep_gate=text(16), dep_stand=text(16),
             check_in_from=text(16), check_in_to=text(16), check_in_open_at=instant,
             check_in_close_at=instant),
    **_group("dep_resources", per_attempt=True, gate_open_at=instant, boarding_plan=instant,
             boarding_est=instant, boarding_at=instant, gate_close_plan=instant,
             gate_close_est=instant, final_call_at=instant, gate_close_at=instant),
    **_group("arr_resources", arr_terminal=text(16), arr_gate=text(16), arr_stand=text(16)),
    **_group("baggage", belts=belts, first_bag_at=instant, last_bag_at=instant),
    **_group("equipment", aircraft_type=text(8), registration=text(16)),
    **_group("identity", hidden=flag),
})  # fmt: skip
"""What `set` and `clear` of a patch may name, each a column of flight_leg."""

CODESHARES = Field("identity", lambda value: value)
REPEAT = Field("identity", lambda value: value, per_attempt=True)
ORIGIN_DATE = Field("identity", lambda value: value)
BESIDE: Mapping[str, Field] = MappingProxyType({
    "codeshares": CODESHARES, "repeat_no": REPEAT, "origin_date": ORIGIN_DATE,
})  # fmt: skip
"""What a patch carries outside of `set`; of the origin date only that the feed derived it."""


ALL = MappingProxyType({**FIELDS, **BESIDE})


def field_of(name: str) -> Field | None:
    """Also the fields that a patch carries outside of `set`."""
    return ALL.get(name)


def read_patch(patch: Patch, now: datetime) -> dict[str, Said]:
    """What the feed says, field by field; PatchRefused names the first fault."""
    _check_key(patch.key, now)
    _check_source_time(patch.source_ts, now)
    at, repeat = source_time(patch.source_ts), patch.key.repeat
    said: dict[str, Said] = {}
    for name in patch.clear:
        _check_cleared(name, patch)
        said[name] = Said(None, at, repeat)
    for name, value in patch.set.items():
        said[name] = Said(_read(name, value, now), at, repeat)
    if patch.codeshares is not None:
        said["codeshares"] = Said(_codeshares(patch.codeshares), at, repeat)
    if repeat > 1:
        said["repeat_no"] = Said(repeat, at, repeat)
    if patch.key.derived:
        said["origin_date"] = Said("derived", at, repeat)
    return said


def check_actuals(said: Fields, std: str | None, sta: str | None) -> None:
    """A fact that is days away from the schedule belongs to another leg."""
    planned = [datetime.fromisoformat(at) for at in (std, sta) if at is not None]
    for name in said.keys() & ACTUALS:
        value = said[name].value
        if value is None or not planned:
            continue
        actual = datetime.fromisoformat(value)
        if min(abs(actual - at) for at in planned) > FAR_ACTUAL:
            raise PatchRefused("implausible_time", name, "is more than 48 hours off the schedule")


def _check_key(key: PatchKey, now: datetime) -> None:
    if key.origin_date is None:
        raise PatchRefused("no_origin_date", "key.origin_date", "is missing, and std and sta too")
    try:
        if parse_leg_key(str(key.leg_key())) != key.leg_key():
            raise ValueError("airline, number and suffix cannot be told apart")
    except ValueError as error:
        raise PatchRefused("bad_key", "key", str(error)) from None
    if not 1 <= key.repeat <= 99:
        raise PatchRefused("bad_key", "key.repeat", "must be between 1 and 99")
    if abs(key.origin_date - now.date()) > HORIZON:
        raise PatchRefused("implausible_time", "key.origin_date", "is more than 400 days away")


def _check_source_time(at: datetime, now: datetime) -> None:
    if at.tzinfo is None:
        raise PatchRefused("bad_value", "source_ts", "must have an offset")
    if at > now + CLOCK_SKEW:
        raise PatchRefused("implausible_time", "source_ts", "lies in the future")
    if at < now - HORIZON:
        raise PatchRefused("implausible_time", "source_ts", "is more than 400 days old")


def _read(name: str, value: object, now: datetime) -> Any:
    field = FIELDS.get(name)
    if field is None:
        raise PatchRefused("unknown_field", name[:64], "is not a field of a leg")
    try:
        found = field.read(value)
    except ValueError as error:
        raise PatchRefused("bad_value", name, str(error)) from None
    if field.read is instant:
        moment = datetime.fromisoformat(found)
        if abs(moment - now) > HORIZON:
            raise PatchRefused("implausible_time", name, "is more than 400 days away")
        if field.actual and moment > now + EARLY_ACTUAL:
            raise PatchRefused("implausible_time", name, "is a fact and lies in the future")
    return found


def _check_cleared(name: str, patch: Patch) -> None:
    if name not in FIELDS:
        raise PatchRefused("unknown_field", name[:64], "is not a field of a leg")
    if name in patch.set:
        raise PatchRefused("contradiction", name, "is both set and cleared")
    if name in REPLACED_ONLY:
        raise PatchRefused("bad_value", name, "cannot be cleared, only replaced")


def _codeshares(shares: list[CodeShare]) -> list[dict[str, str | int]]:
    if len(shares) > MOST_CODESHARES:
        raise PatchRefused("bad_value", "codeshares", f"are more than {MOST_CODESHARES}")
    found = []
    for share in sorted(shares, key=lambda share: (share.airline, share.number, share.suffix)):
        if (
            re.fullmatch("[A-Z0-9]{2,3}", share.airline) is None
            or not 1 <= share.number <= 9999
            or re.fullmatch("[A-Z]?", share.suffix) is None
        ):
            raise PatchRefused("bad_value", "codeshares", "need airline, number and suffix letter")
        entry: dict[str, str | int] = {"airline": share.airline, "number": share.number}
        if share.suffix:
            entry["suffix"] = share.suffix
        found.append(entry)
    return found

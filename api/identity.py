"""From the names that a feed uses to the keys of legs: IATA codes, and a date where it has none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.block_time import origin_date
from api.feed import CodeShare, Patch, Place, Reference
from api.leg_keys import rename
from realtime.flight import parse_leg_key

ARRIVAL = ("sta", "eta", "eldt", "aldt", "ata")
DEPARTURE = ("std", "etd", "atd", "atot")

# By the scheduled time where both have it, else by the best ones.
FIND_DATES = text("""
    SELECT DISTINCT ON (asked.n) asked.n, l.origin_date
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (n integer, airline text,
      number smallint, suffix text, dep text, arr text, leaves timestamptz, lands timestamptz)
    JOIN flight_leg l ON (l.airline, l.flight_no, l.suffix, l.dep_airport, l.arr_airport)
        = (asked.airline, asked.number, asked.suffix, asked.dep, asked.arr)
      AND l.origin_date BETWEEN (coalesce(asked.leaves, asked.lands) - interval '3 days')::date
        AND (coalesce(asked.leaves, asked.lands) + interval '1 day')::date,
    LATERAL (SELECT coalesce(asked.lands - coalesce(l.sta, l.best_arr),
      asked.leaves - coalesce(l.std, l.best_dep)) AS off) apart
    WHERE apart.off BETWEEN interval '-12 h' AND interval '12 h'
    ORDER BY asked.n, greatest(apart.off, -apart.off)""")
FIND_DERIVED = text("""
    SELECT asked.key AS right_key, l.key AS wrong_key
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (key text, airline text,
      number smallint, suffix text, dep text, arr text, day date,
      std timestamptz, sta timestamptz)
    JOIN flight_leg l ON (l.airline, l.flight_no, l.suffix, l.dep_airport, l.arr_airport)
        = (asked.airline, asked.number, asked.suffix, asked.dep, asked.arr)
      AND l.origin_date IN (asked.day - 1, asked.day + 1)
    WHERE (l.sta - asked.sta BETWEEN interval '-12 h' AND interval '12 h'
        OR l.std - asked.std BETWEEN interval '-12 h' AND interval '12 h'
        OR l.sta - asked.std BETWEEN interval '0' AND interval '20 h'
        OR asked.sta - l.std BETWEEN interval '0' AND interval '20 h')
      AND EXISTS (SELECT FROM leg_statement s WHERE s.leg_id = l.leg_id)
      AND NOT EXISTS (SELECT FROM leg_statement s
        WHERE s.leg_id = l.leg_id AND NOT s.fields ? 'origin_date')""")


def needs_reference(patches: Sequence[Patch]) -> bool:
    """Whether any of them has a code that may be ICAO's, or no date."""
    return any(
        patch.key.origin_date is None
        or len(patch.key.airline) == 3
        or len(patch.key.dep) == 4
        or len(patch.key.arr) == 4
        or len(str(patch.set.get("divert_airport", ""))) == 4
        or any(len(share.airline) == 3 for share in patch.codeshares or ())
        for patch in patches
    )


def in_iata(patch: Patch, reference: Reference) -> Patch:
    """The same with IATA codes, where there are any; numbers of the operating flight are no
    code-shares."""
    airline = reference.airlines.get(patch.key.airline, patch.key.airline)
    dep, arr = reference.airport(patch.key.dep), reference.airport(patch.key.arr)
    said = patch.set
    if isinstance(divert := said.get("divert_airport"), str):
        said = {**said, "divert_airport": reference.airport(divert)}
    shares = patch.codeshares
    if shares is not None:
        shares = [_share(share, reference) for share in shares]
        own = CodeShare(airline=airline, number=patch.key.number, suffix=patch.key.suffix)
        shares = list(dict.fromkeys(share for share in shares if share != own))
    key = replace(patch.key, airline=airline, dep=dep, arr=arr)
    return replace(patch, key=key, set=said, codeshares=shares)


async def dated(
    connection: AsyncConnection, patches: Sequence[Patch], reference: Reference
) -> list[Patch]:
    """The same with origin dates: of a leg that is known, else by the block time."""
    asked = [
        {"n": n, **_names(patch), "leaves": _first(patch, DEPARTURE),
         "lands": _first(patch, ARRIVAL)}
        for n, patch in enumerate(patches)
        if patch.key.origin_date is None
    ]  # fmt: skip
    asked = [one for one in asked if one["leaves"] or one["lands"]]
    if not asked:
        return list(patches)
    found = {row.n: row.origin_date for row in await connection.execute(
        FIND_DATES, {"asked": msgspec.json.encode(asked).decode()})}  # fmt: skip
    finished = list(patches)
    for n in (one["n"] for one in asked):
        day = found.get(n) or _derived(patches[n], reference)
        finished[n] = replace(
            patches[n], key=replace(patches[n].key, origin_date=day, derived=True)
        )
    return finished


async def correct_derived(connection: AsyncConnection, patches: Mapping[str, Patch]) -> None:
    """Legs whose date was a guess of ours take the key that a feed now gives, in place."""
    asked = [
        {"key": key, "day": patch.key.origin_date, **_names(patch),
         "std": _time(patch, "std"), "sta": _time(patch, "sta")}
        for key, patch in patches.items()
        if not patch.key.derived
    ]  # fmt: skip
    if not asked:
        return
    rows = await connection.execute(
        FIND_DERIVED, {"asked": msgspec.json.encode(asked).decode()}
    )  # fmt: skip
    for row in rows.all():
        await rename(connection, parse_leg_key(row.wrong_key), parse_leg_key(row.right_key))


def _share(share: CodeShare, reference: Reference) -> CodeShare:
    return replace(share, airline=reference.airlines.get(share.airline, share.airline))


def _names(patch: Patch) -> dict[str, Any]:
    key = patch.key
    return {"airline": key.airline, "number": key.number, "suffix": key.suffix, "dep": key.dep,
            "arr": key.arr}  # fmt: skip


def _first(patch: Patch, names: Sequence[str]) -> datetime | None:
    return next((at for name in names if (at := _time(patch, name)) is not None), None)


def _time(patch: Patch, name: str) -> datetime | None:
    """None also where it is no good time: that is for `read_patch` to say."""
    try:
        at = datetime.fromisoformat(str(patch.set.get(name)))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _derived(patch: Patch, reference: Reference) -> Any:
    places = [reference.places.get(code, Place("UTC")) for code in (patch.key.dep, patch.key.arr)]
    try:
        return origin_date(_time(patch, "std"), _time(patch, "sta"), *places)
    except (ValueError, OverflowError):
        return None

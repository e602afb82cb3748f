"""Legs of which a source names one airport only: found by number, that airport and time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.feed import Complaint, Patch, PatchKey, Reference
from api.identity import in_iata

LEAVES = ("std", "atd", "atot", "etd")
LANDS = ("sta", "ata", "aldt", "eta", "eldt")

FIND_LEGS = text("""
    SELECT DISTINCT ON (asked.n) asked.n, l.origin_date, l.dep_airport AS dep, l.arr_airport AS arr
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (n integer, airline text,
      number smallint, suffix text, dep text, arr text, leaves timestamptz, lands timestamptz)
    JOIN flight_leg l ON (l.airline, l.flight_no, l.suffix)
        = (asked.airline, asked.number, asked.suffix)
      AND asked.dep IN ('', l.dep_airport) AND asked.arr IN ('', l.arr_airport)
      AND l.origin_date BETWEEN (coalesce(asked.leaves, asked.lands) - interval '3 days')::date
        AND (coalesce(asked.leaves, asked.lands) + interval '1 day')::date,
    LATERAL (SELECT coalesce(asked.leaves - coalesce(l.std, l.best_dep, l.sta - interval '3 h'),
      asked.lands - coalesce(l.sta, l.best_arr, l.std + interval '3 h')) AS off) apart
    WHERE apart.off BETWEEN interval '-12 h' AND interval '12 h'
    ORDER BY asked.n, greatest(apart.off, -apart.off), l.key""")


async def with_both_ends(
    session: AsyncSession, patches: Sequence[Patch], reference: Reference
) -> list[Patch | Complaint]:
    """Each patch of a leg with two airports, in their order, or why there is none."""
    named = [in_iata(patch, reference) for patch in patches]
    asked = [
        _asked(n, patch)
        for n, patch in enumerate(named)
        if not (patch.key.dep and patch.key.arr) and _clean(patch.key)
    ]
    if all(patch.key.dep and patch.key.arr for patch in named):
        return list(named)
    rows = await session.execute(FIND_LEGS, {"asked": msgspec.json.encode(asked).decode()})
    found = {row.n: row for row in rows}
    text = "no leg of this number is known near this time: its schedule has to be told first"
    legs: list[Patch | Complaint] = []
    for n, patch in enumerate(named):
        if patch.key.dep and patch.key.arr:
            legs.append(patch)
        elif n in found:
            row = found[n]
            key = replace(patch.key, dep=row.dep, arr=row.arr, origin_date=row.origin_date)
            legs.append(replace(patch, key=key))
        else:
            legs.append(Complaint(code="unknown_leg", text=text, field="key"))
    return legs


def _asked(n: int, patch: Patch) -> dict[str, Any]:
    key = patch.key
    leaves, lands = _first(patch, LEAVES), _first(patch, LANDS)
    if leaves is None and lands is None:
        leaves, lands = (patch.source_ts, None) if key.dep else (None, patch.source_ts)
    return {
        "n": n, "airline": key.airline, "number": key.number, "suffix": key.suffix,
        "dep": key.dep, "arr": key.arr, "leaves": leaves, "lands": lands,
    }  # fmt: skip


def _clean(key: PatchKey) -> bool:
    return 0 < key.number < 10_000 and (key.airline + key.suffix + key.dep + key.arr).isalnum()


def _first(patch: Patch, names: Sequence[str]) -> datetime | None:
    found = next((str(patch.set[name]) for name in names if name in patch.set), None)
    return datetime.fromisoformat(found) if found is not None else None

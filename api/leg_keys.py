"""Wrong keys: a leg gets its right one, stays the same leg and is found by the old one too."""

from collections.abc import Sequence

from msgspec.structs import asdict, replace
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feed import Patch, PatchKey
from realtime.errors import GatecastError
from realtime.flight import LegKey, parse_leg_key

UNIQUE_VIOLATION = "23505"

READ_ALIASES = text("""
    SELECT a.key, l.key AS now FROM leg_alias a JOIN flight_leg l USING (leg_id)
    WHERE a.key = ANY (:keys)""")
CORRECT_KEY = text("""
    UPDATE flight_leg SET airline = :airline, flight_no = :number, suffix = :suffix,
      origin_date = :origin_date, dep_airport = :dep, arr_airport = :arr
    WHERE key = :key RETURNING version""")


class KeyTaken(GatecastError):
    """The right key belongs to another leg."""


async def rename(connection: AsyncConnection, wrong: LegKey, right: LegKey) -> int | None:
    """The version of the leg under its right key; None: no leg has the wrong one."""
    values = {**asdict(right), "key": str(wrong)}
    try:
        version: int | None = (await connection.execute(CORRECT_KEY, values)).scalar()
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != UNIQUE_VIOLATION:
            raise
        raise KeyTaken(f"there is another leg {right}") from None
    return version


async def under_own_keys(connection: AsyncConnection, patches: Sequence[Patch]) -> Sequence[Patch]:
    """A feed may go on naming a leg by the key that it had before it was corrected."""
    keys = [patch.key.text() for patch in patches]
    clean = [key for key in keys if "\0" not in key and key.isascii()]
    moved = {row.key: row.now for row in await connection.execute(READ_ALIASES, {"keys": clean})}
    return [
        patch if key not in moved else replace(patch, key=_named(moved[key], patch.key))
        for key, patch in zip(keys, patches, strict=True)
    ]


def _named(leg_key: str, called: PatchKey) -> PatchKey:
    key = parse_leg_key(leg_key)
    return PatchKey(
        airline=key.airline, number=key.number, suffix=key.suffix, origin_date=key.origin_date,
        dep=key.dep, arr=key.arr, repeat=called.repeat, derived=called.derived,
    )  # fmt: skip

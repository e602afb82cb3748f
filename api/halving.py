"""Legs that are written together; one that the database refuses must not hold up its neighbours."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.exc import DBAPIError

from api.ingest import is_fault_of_a_leg


async def by_halves(
    leg_ids: Sequence[int],
    together: Callable[[Sequence[int]], Awaitable[bool]],
    refused: Callable[[int], Awaitable[bool]],
) -> bool:
    """Whether anything was written; refused legs are found by halving."""
    if not leg_ids:
        return False
    try:
        return await together(leg_ids)
    except DBAPIError as error:
        if not is_fault_of_a_leg(error):
            raise
    if len(leg_ids) == 1:
        return await refused(leg_ids[0])
    half = len(leg_ids) // 2
    first = await by_halves(leg_ids[:half], together, refused)
    return await by_halves(leg_ids[half:], together, refused) or first

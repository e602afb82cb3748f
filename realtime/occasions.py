"""Deliveries that no change of their own leg calls for: a board minute passes in which check-in
desks are about to close, or the aircraft that a leg waits for is late.

Their version is below zero: the seq of the log row that called for them, negated.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from realtime.claims import CHANGED, LEG
from realtime.database import QUERIES
from realtime.flight import Change
from realtime.follower import TOLD_FIELDS
from realtime.notice_beside import CHECK_IN_LEAD, goes_on, lateness, tells_of_aircraft
from realtime.notice_kinds import HOLD, lasts

Session = Any  # a connection of asyncpg, or what its pool lends


class Occasion(msgspec.Struct, frozen=True):
    """A kind that some followers of a leg may have to be told; times are board time."""

    kind: str
    leg_id: int
    expires_at: datetime
    held_until: datetime | None = None


async def enqueue_occasions(session: Session, changes: Sequence[Change], grace: float) -> int:
    """Deliveries for all that these rows of the log bring about; how many were added."""
    added = 0
    found = await _aircraft(session, changes)
    for change in changes:
        for one in found.get(change.seq, []) + await _desks(session, change):
            added += await session.fetchval(
                QUERIES["enqueue_occasion"],
                one.leg_id,
                change.seq,
                one.kind,
                one.held_until,
                one.expires_at,
                change.wall_at,
                grace,
            )
    return added


async def _desks(session: Session, change: Change) -> list[Occasion]:
    """A minute has passed: the legs whose desks close soon."""
    if change.kind != "clock":
        return []
    rows = await session.fetch(QUERIES["closing_desks"], change.at, CHECK_IN_LEAD.total_seconds())
    return [Occasion("check_in_closing", row["leg_id"], row["check_in_close_at"]) for row in rows]


async def _aircraft(session: Session, changes: Sequence[Change]) -> Mapping[int, list[Occasion]]:
    """By seq: legs that an aircraft will be late for, as it flies now."""
    arriving = {
        change.leg_id: change
        for change in changes
        if change.kind == "leg" and tells_of_aircraft(CHANGED.decode(change.changed))
    }
    if not arriving:
        return {}
    found: dict[int, list[Occasion]] = {}
    for row in await session.fetch(QUERIES["next_of_aircraft"], list(arriving)):
        change, leg = arriving[row["inbound_id"]], LEG.decode(row["leg"])
        end = lasts("inbound_late", leg)
        if end is not None and lateness(LEG.decode(row["inbound"]), leg) is not None:
            held = change.at + HOLD
            found[change.seq] = [Occasion("inbound_late", row["leg_id"], end, held)]
    return found


async def follow_on(session: Session, changes: Sequence[Change]) -> None:
    """Who follows a diverted leg follows the one that goes on from there, too, once it is known."""
    legs = [
        change.leg_id
        for change in changes
        if change.kind == "leg" and goes_on(CHANGED.decode(change.changed))
    ]
    if legs:
        await session.execute(QUERIES["follow_on"], legs, list(TOLD_FIELDS))

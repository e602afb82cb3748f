"""What accounts displayed on a visible screen; it settles the deliveries of what they saw."""

from collections.abc import Mapping

import asyncpg
import structlog

from realtime.database import DATABASE_AWAY, QUERIES
from realtime.errors import (
    BAD_REQUEST,
    INTERNAL,
    PERMISSION_DENIED,
    UNRECOVERABLE_POSITION,
    Refused,
)
from realtime.follower import TOLD_FIELDS

MAX_LEGS = 200


class Receipts:
    """Records receipts through a pool; any number of processes may do so at once."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    async def settle(
        self, account_id: str, epoch: str, attentive: bool, legs: Mapping[str, int]
    ) -> int:
        """The account displayed these legs up to these versions; deliveries that this settled.

        `attentive`: with user input in the last minute, or by the phone app. Urgent deliveries
        are settled by such a receipt only.
        """
        if not 0 < len(legs) <= MAX_LEGS:
            raise Refused(BAD_REQUEST)
        try:
            async with self.pool.acquire() as session, session.transaction():
                return await self._settle(session, account_id, epoch, attentive, legs)
        except asyncpg.ForeignKeyViolationError:
            raise Refused(PERMISSION_DENIED) from None  # the account has been deleted
        except DATABASE_AWAY as error:
            structlog.get_logger().warning("receipt not recorded", error=str(error))
            raise Refused(INTERNAL) from error

    async def _settle(
        self,
        session: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        account_id: str,
        epoch: str,
        attentive: bool,
        legs: Mapping[str, int],
    ) -> int:
        # Without the lock a receipt could commit between the notifier's look at the receipts and
        # the commit of its row, and neither would see the other. The statements after it see all
        # that was committed before it was granted.
        await session.execute(QUERIES["lock_receipts_shared"])
        known = await session.fetch(QUERIES["known_versions"], list(legs))
        if (await session.fetchrow(QUERIES["position"]) or {"epoch": ""})["epoch"] != epoch:
            raise Refused(UNRECOVERABLE_POSITION)
        if len(known) != len(legs) or any(
            not 0 < legs[row["key"]] <= row["version"] for row in known
        ):
            raise Refused(BAD_REQUEST)
        leg_ids = [row["leg_id"] for row in known]
        versions = [legs[row["key"]] for row in known]
        await session.execute(
            QUERIES["raise_receipts"], account_id, epoch, attentive, leg_ids, versions
        )
        rows = await session.fetch(QUERIES["settle"], account_id, leg_ids)
        seen = [row for row in rows if row["seen"]]
        await session.execute(
            QUERIES["tell_seen"],
            account_id,
            [row["leg_id"] for row in seen],
            [row["seen"] for row in seen],
            TOLD_FIELDS,
        )
        return sum(row["settled"] for row in rows)

"""What became of the notices of an account, and what changed on its legs since it last asked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of
from api.endpoint import Api, json, read_query
from api.models import CHANGE_LOG, DELIVERY, RELAY_STATE, FlightLeg, Follow
from api.problems import Problem
from api.receipts import position_lost
from api.schemas import Fault
from api.schemas_account import (
    Changes,
    ChangesQuery,
    ChangeView,
    Deliveries,
    DeliveriesQuery,
    DeliveryView,
)
from realtime.flight import kinds

LOG_ROWS = 20_000  # looked through for one answer


async def list_deliveries(api: Api, request: Request) -> Response:
    """One page of what was sent, seen, held or dropped, and why; newest first."""
    account_id, query = await account_of(api, request), read_query(request, DeliveriesQuery)
    of_leg = DELIVERY.c.leg_id == FlightLeg.leg_id
    found = select(DELIVERY, FlightLeg.key.label("leg_key")).join(FlightLeg, of_leg)
    found = found.where(DELIVERY.c.account_id == account_id)
    if query.after is not None:
        found = found.where(DELIVERY.c.seq < query.after)
    async with api.sessions() as session:
        # One row of the log may call for several; a page never parts them.
        page = found.order_by(DELIVERY.c.seq.desc()).fetch(query.limit + 1, with_ties=True)
        rows = (await session.execute(page)).all()
    if len(rows) <= query.limit:
        return json(Deliveries([_view(row) for row in rows], None), 200, PRIVATE)
    place = rows[query.limit - 1].seq
    items = [_view(row) for row in rows if row.seq >= place]
    return json(Deliveries(items, place), 200, PRIVATE)


async def list_changes(api: Api, request: Request) -> Response:
    """What changed on the followed legs after a position; without one, where the log ends."""
    account_id, query = await account_of(api, request), read_query(request, ChangesQuery)
    async with api.sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        log = (await session.execute(select(RELAY_STATE.c.epoch, RELAY_STATE.c.last_seq))).one()
        if query.after is None:
            return json(Changes([], f"{log.epoch}:{log.last_seq}", False), 200, PRIVATE)
        epoch, seq = _position(query.after)
        if epoch != log.epoch or seq > log.last_seq or await _was_cut(session, seq):
            raise position_lost()
        end = min(log.last_seq, seq + LOG_ROWS)
        rows = await _changes(session, account_id, seq, end, query.limit)
    if len(rows) == query.limit:
        end = rows[-1].seq
    items = [
        ChangeView(
            leg_key=row.state["key"], version=row.version, at=row.at, kinds=kinds(row.changed),
            changed=row.changed,
        )
        for row in rows
    ]  # fmt: skip
    return json(Changes(items, f"{log.epoch}:{end}", end < log.last_seq), 200, PRIVATE)


async def _changes(
    session: AsyncSession, account_id: UUID, after: int, end: int, limit: int
) -> Sequence[Row[Any]]:
    followed = select(Follow.leg_id).where(Follow.account_id == account_id)
    query = (
        select(CHANGE_LOG)
        .where(CHANGE_LOG.c.seq > after, CHANGE_LOG.c.seq <= end, CHANGE_LOG.c.leg_id.in_(followed))
        .order_by(CHANGE_LOG.c.seq)
        .limit(limit)
    )
    return (await session.execute(query)).all()


async def _was_cut(session: AsyncSession, seq: int) -> bool:
    oldest = await session.scalar(select(func.min(CHANGE_LOG.c.seq)))
    return oldest is not None and seq < oldest - 1


def _position(text: str) -> tuple[UUID, int]:
    epoch, _, seq = text.partition(":")
    try:
        if seq.isascii() and seq.isdigit() and len(seq) <= 15:
            return UUID(epoch), int(seq)
    except ValueError:
        pass
    fault = Fault(detail="must be the `position` of an answer before", parameter="after")
    raise Problem(400, "There is no such position.", slug="bad-query", errors=[fault])


def _view(row: Row[Any]) -> DeliveryView:
    return DeliveryView(
        leg_key=row.leg_key,
        version=row.version,
        kinds=row.kinds,
        said=row.said,
        urgent=row.urgent,
        state=row.state,
        reason=row.reason,
        held_until=row.held_until,
        expires_at=row.expires_at,
        due_at=row.due_at,
        said_at=row.said_at,
        done_at=row.done_at,
    )

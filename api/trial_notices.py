"""Test notices: asked for here, sent by a notifier, and what became of them at each device."""

import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, lock_account
from api.endpoint import Api, json
from api.models import TEST_NOTICE
from api.problems import Problem
from api.schemas_account import TestArrival, TestNotice, TestNotices

PATH = "/api/me/test-notices"
COUNTED = timedelta(minutes=10)
MOST = 5  # in that time
OPEN = ("pending", "claimed")
OWN = TEST_NOTICE.c
AT_WORK = func.coalesce(OWN.lease_until > func.wall_now(), False)
FOUND = select(TEST_NOTICE, ((OWN.expires_at < func.wall_now()) & ~AT_WORK).label("over"))


async def post_test(api: Api, request: Request) -> Response:
    """Ask for one; where the answer says, it can be read what became of it."""
    account_id = await account_of(api, request)
    async with api.sessions.begin() as session:
        await lock_account(session, account_id)
        await _check_rate(session, account_id)
        new = insert(TEST_NOTICE).values(account_id=account_id).returning(OWN.notice_id)
        notice_id = await session.scalar(new)
        row = (await session.execute(FOUND.where(OWN.notice_id == notice_id))).one()
    return json(_view(row), 202, {**PRIVATE, "Location": f"{PATH}/{notice_id}"})


async def list_tests(api: Api, request: Request) -> Response:
    """Those that are still kept, newest first."""
    account_id = await account_of(api, request)
    mine = FOUND.where(OWN.account_id == account_id).order_by(OWN.created_at.desc()).limit(200)
    async with api.sessions() as session:
        rows = (await session.execute(mine)).all()
    return json(TestNotices([_view(row) for row in rows]), 200, PRIVATE)


async def read_test(api: Api, request: Request) -> Response:
    """One of them; of another account's it is not even said that it exists."""
    account_id = await account_of(api, request)
    try:
        notice_id = UUID(request.path_params["notice_id"])
    except ValueError:
        raise _unknown() from None
    mine = FOUND.where(OWN.account_id == account_id, OWN.notice_id == notice_id)
    async with api.sessions() as session:
        row = (await session.execute(mine)).one_or_none()
    if row is None:
        raise _unknown()
    return json(_view(row), 200, PRIVATE)


async def _check_rate(session: AsyncSession, account_id: UUID) -> None:
    age = func.extract("epoch", func.wall_now() - OWN.created_at)
    young = OWN.created_at > func.wall_now() - COUNTED
    query = select(age).where(OWN.account_id == account_id, young)
    ages = list(await session.scalars(query.order_by(OWN.created_at.desc())))
    if len(ages) < MOST:
        return
    wait = math.ceil(COUNTED.total_seconds() - float(ages[MOST - 1]))
    raise Problem(
        429, f"At most {MOST} test notices in {COUNTED.seconds // 60} minutes.",
        slug="too-many-test-notices", headers={"Retry-After": str(max(1, wait))},
    )  # fmt: skip


def _unknown() -> Problem:
    return Problem(404, "There is no such test notice.", slug="unknown-test-notice")


def _view(row: Row[Any]) -> TestNotice:
    state = row.state
    if state in OPEN:
        state = "expired" if row.over else "pending"
    took = row.done_at and round((row.done_at - row.created_at) / timedelta(milliseconds=1))
    return TestNotice(
        id=row.notice_id,
        created_at=row.created_at,
        state=state,
        reason="no notifier took it" if state == "expired" else row.reason,
        took_ms=took,
        devices=msgspec.convert(row.devices, list[TestArrival]),
    )

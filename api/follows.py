"""Follows: which legs an account wants notices about."""

from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, lock_account
from api.endpoint import Api, json, leg_key_of, no_such_leg
from api.models import FlightLeg, Follow
from api.problems import Problem
from api.schemas_account import Follows, FollowView

MOST_FOLLOWS = 200


async def list_follows(api: Api, request: Request) -> Response:
    """The legs that the account follows, newest follow first."""
    account_id = await account_of(api, request)
    query = (
        select(FlightLeg.key, Follow.created_at)
        .join(Follow, Follow.leg_id == FlightLeg.leg_id)
        .where(Follow.account_id == account_id)
        .order_by(Follow.created_at.desc(), FlightLeg.leg_id)
    )
    async with api.sessions() as session:
        rows = (await session.execute(query)).all()
    return json(Follows([FollowView(row.key, row.created_at) for row in rows]), 200, PRIVATE)


async def put_follow(api: Api, request: Request) -> Response:
    """Follow a leg; to follow it again changes nothing."""
    account_id, key = await account_of(api, request), leg_key_of(request)
    async with api.sessions.begin() as session:
        await lock_account(session, account_id)
        leg_id = await session.scalar(select(FlightLeg.leg_id).where(FlightLeg.key == str(key)))
        if leg_id is None:
            raise no_such_leg(key)
        follow = await session.get(Follow, (account_id, leg_id))
        if follow is None:
            await _check_room(session, account_id)
            new = insert(Follow).values(account_id=account_id, leg_id=leg_id)
            await session.execute(new)
            follow = await session.get_one(Follow, (account_id, leg_id))
        view = FollowView(str(key), follow.created_at)
    return json(view, 200, PRIVATE)


async def delete_follow(api: Api, request: Request) -> Response:
    """Follow a leg no longer; whether it was followed does not matter."""
    account_id, key = await account_of(api, request), leg_key_of(request)
    leg = select(FlightLeg.leg_id).where(FlightLeg.key == str(key)).scalar_subquery()
    async with api.sessions.begin() as session:
        await session.execute(
            delete(Follow).where(Follow.account_id == account_id, Follow.leg_id == leg)
        )
    return Response(status_code=204, headers=PRIVATE)


async def _check_room(session: AsyncSession, account_id: UUID) -> None:
    count = select(func.count()).where(Follow.account_id == account_id)
    if (await session.execute(count)).scalar_one() >= MOST_FOLLOWS:
        raise Problem(
            409, f"An account follows at most {MOST_FOLLOWS} legs.", slug="too-many-follows"
        )

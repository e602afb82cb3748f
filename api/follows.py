"""Follows: which legs an account wants notices about, in which role and by which number."""

from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, lock_account
from api.endpoint import Api, json, leg_key_of, read_body, read_optional_body
from api.flights import moved_leg, moved_to
from api.models import Account, FlightLeg, Follow, public_state
from api.preferences import preferences_of, wanted_kinds
from api.problems import Problem
from api.schemas import Fault
from api.schemas_account import FollowPost, FollowPut, Follows, FollowView
from api.search import FlightNumber, has_own_number, has_shared_number, parse_flight_number
from realtime.flight import FlightLeg as LegState
from realtime.notice_change import told_of

MOST_FOLLOWS = 200
BEHIND, AHEAD = timedelta(hours=6), timedelta(hours=36)  # board time; what "next" may mean
MOST_CANDIDATES = 10

LEG = msgspec.json.Decoder(LegState)


async def list_follows(api: Api, request: Request) -> Response:
    """The legs that the account follows, newest follow first."""
    account_id = await account_of(api, request)
    query = (
        select(Follow, FlightLeg)
        .join(FlightLeg, Follow.leg_id == FlightLeg.leg_id)
        .where(Follow.account_id == account_id)
        .order_by(Follow.created_at.desc(), FlightLeg.leg_id)
    )
    async with api.sessions() as session:
        rows = (await session.execute(query)).all()
    return json(Follows([_view(follow, leg) for follow, leg in rows]), 200, PRIVATE)


async def put_follow(api: Api, request: Request) -> Response:
    """Follow a leg; to follow it again changes nothing but what the body says."""
    account_id, key = await account_of(api, request), leg_key_of(request)
    body = await read_optional_body(request, FollowPut)
    number = _parsed(body.number, "/number") if body is not None and body.number else None
    async with api.sessions.begin() as session:
        account = await lock_account(session, account_id)
        leg = await session.scalar(select(FlightLeg).where(FlightLeg.key == str(key)))
        if leg is None:
            return await moved_leg(session, request, key)
        called = await _called(session, leg, number)
        follow = await session.get(Follow, (account_id, leg.leg_id))
        if follow is None:
            follow = await _add(session, account, leg, "passenger", called)
        if body is not None:
            follow.role, follow.number = body.role, called
            follow.kinds = wanted_kinds(body.role, preferences_of(account))
        answer = _view(follow, leg)
    return json(answer, 200, PRIVATE)


async def post_follow(api: Api, request: Request) -> Response:
    """Follow the one leg that this number means; several are listed for the person to choose."""
    account_id, body = await account_of(api, request), await read_body(request, FollowPost)
    number = _parsed(body.q, "/q")
    async with api.sessions.begin() as session:
        account = await lock_account(session, account_id)
        leg = await _only_leg(session, body, number)
        called = await _called(session, leg, number)
        follow = await session.get(Follow, (account_id, leg.leg_id))
        if follow is None:
            follow = await _add(session, account, leg, body.role, called)
        follow.role, follow.number = body.role, called
        follow.kinds = wanted_kinds(body.role, preferences_of(account))
        answer = _view(follow, leg)
    return json(answer, 200, PRIVATE)


async def delete_follow(api: Api, request: Request) -> Response:
    """Follow a leg no longer; whether it was followed does not matter."""
    account_id, key = await account_of(api, request), leg_key_of(request)
    query = select(FlightLeg.leg_id).where(FlightLeg.key == str(key))
    async with api.sessions.begin() as session:
        leg_id = await session.scalar(query)
        if leg_id is None and await moved_to(session, key) is not None:
            return await moved_leg(session, request, key)
        mine = (Follow.account_id == account_id, Follow.leg_id == leg_id)
        await session.execute(delete(Follow).where(*mine))
    return Response(status_code=204, headers=PRIVATE)


def _view(follow: Follow, leg: FlightLeg) -> FollowView:
    own = f"{leg.airline}{leg.flight_no}{leg.suffix}"
    return FollowView(
        leg_key=leg.key,
        created_at=follow.created_at,
        role="pick_up" if follow.role == "pick_up" else "passenger",
        number=follow.number or own,
        kinds=follow.kinds,
    )


async def _add(
    session: AsyncSession, account: Account, leg: FlightLeg, role: str, called: str
) -> Follow:
    """Who begins to follow knows the leg as it is: nothing of it is news."""
    await _check_room(session, account.account_id)
    query = select(public_state()).where(FlightLeg.leg_id == leg.leg_id)
    state = (await session.execute(query)).scalar_one()
    follow = Follow(
        account_id=account.account_id,
        leg_id=leg.leg_id,
        role=role,
        number=called,
        kinds=wanted_kinds(role, preferences_of(account)),
        told=msgspec.to_builtins(told_of(LEG.decode(state))),
    )
    session.add(follow)
    await session.flush()
    await session.refresh(follow)
    return follow


def _parsed(words: str, pointer: str) -> FlightNumber:
    try:
        return parse_flight_number(words)
    except ValueError as error:
        raise _unfit(pointer, str(error)) from None


async def _called(session: AsyncSession, leg: FlightLeg, number: FlightNumber | None) -> str:
    """What is kept of the number that the person knows; nothing for the leg's own."""
    if number is None:
        return ""
    query = select(has_own_number(number), has_shared_number(number))
    row = (await session.execute(query.where(FlightLeg.leg_id == leg.leg_id))).one()
    if row[0]:
        return ""
    called = f"{number.airline}{number.number}{number.suffix}"
    if not row[1]:
        raise _unfit("/number", f"{called} is no number of {leg.key}")
    return called


async def _only_leg(session: AsyncSession, body: FollowPost, number: FlightNumber) -> FlightLeg:
    now = select(func.board_now()).scalar_subquery()
    best = func.coalesce(FlightLeg.best_dep, FlightLeg.best_arr)
    near = and_(best > now - BEHIND, best < now + AHEAD)
    when = near if body.date_ is None else FlightLeg.origin_date == body.date_
    numbered = or_(has_own_number(number), has_shared_number(number))
    query = select(FlightLeg).where(numbered, when, ~FlightLeg.hidden)
    legs = (await session.scalars(query.order_by(best, FlightLeg.leg_id))).all()
    if len(legs) == 1:
        return legs[0]
    if not legs:
        raise Problem(404, f"There is no flight {body.q} then.", slug="unknown-flight")
    keys = [Fault(detail=leg.key, pointer="/q") for leg in legs[:MOST_CANDIDATES]]
    detail = "Several legs have this number; follow one of them by its key."
    raise Problem(409, detail, slug="ambiguous-flight", errors=keys)


def _unfit(pointer: str, detail: str) -> Problem:
    fault = Fault(detail=detail, pointer=pointer)
    return Problem(422, "The body does not fit.", slug="bad-body", errors=[fault])


async def _check_room(session: AsyncSession, account_id: UUID) -> None:
    count = select(func.count()).where(Follow.account_id == account_id)
    if (await session.execute(count)).scalar_one() >= MOST_FOLLOWS:
        raise Problem(
            409, f"An account follows at most {MOST_FOLLOWS} legs.", slug="too-many-follows"
        )

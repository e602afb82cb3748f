"""What an account wants to be told, and how; its follows keep the kinds that come of it."""

from datetime import time
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of, lock_account, unauthorized
from api.endpoint import Api, json, read_body
from api.models import Account, Device, Follow
from api.problems import Problem
from api.schemas import Fault
from api.schemas_account import AccountView, PreferencesView, QuietHours
from realtime.follower import ROLES, Preferences, Quiet
from realtime.notice_kinds import CHOICES, ROLE_KINDS, ordered


async def read_account(api: Api, request: Request) -> Response:
    """The account in one view: what it wants, and how much it has."""
    account_id = await account_of(api, request)
    counts = [
        select(func.count()).where(table.account_id == account_id).scalar_subquery()
        for table in (Follow, Device)
    ]
    query = select(Account, *counts).where(Account.account_id == account_id)
    async with api.sessions() as session:
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise unauthorized()
    account, follows, devices = row
    wishes = view(preferences_of(account))
    return json(
        AccountView(account.account_id, account.created_at, wishes, follows, devices), 200, PRIVATE
    )


async def read_preferences(api: Api, request: Request) -> Response:
    """What the account wants; what it has not chosen is as it is by default."""
    account_id = await account_of(api, request)
    async with api.sessions() as session:
        account = await session.get(Account, account_id)
    if account is None:
        raise unauthorized()
    return json(view(preferences_of(account)), 200, PRIVATE)


async def put_preferences(api: Api, request: Request) -> Response:
    """Choose anew; the follows of the account are told by it from now on."""
    account_id, body = await account_of(api, request), await read_body(request, PreferencesView)
    wishes = _chosen(body)
    async with api.sessions.begin() as session:
        account = await lock_account(session, account_id)
        account.preferences = msgspec.to_builtins(wishes)
        await _renew_kinds(session, account_id, wishes)
    return json(view(wishes), 200, PRIVATE)


def preferences_of(account: Account) -> Preferences:
    """As they are kept; what is not there is the default."""
    return msgspec.convert(account.preferences, Preferences)


def wanted_kinds(role: str, wishes: Preferences) -> list[str]:
    """What a follow in this role tells: the choice of the person, else what the role has."""
    kinds = ROLE_KINDS[role] if wishes.kinds is None else frozenset(wishes.kinds)
    return list(ordered(kinds))


def view(wishes: Preferences) -> PreferencesView:
    """As clients see and send them."""
    shown = msgspec.structs.asdict(wishes)
    if wishes.quiet is not None:
        start, end = f"{wishes.quiet.start:%H:%M}", f"{wishes.quiet.end:%H:%M}"
        shown["quiet"] = QuietHours(start, end, wishes.quiet.urgent_passes)
    return msgspec.convert(shown, PreferencesView)


async def _renew_kinds(session: AsyncSession, account_id: UUID, wishes: Preferences) -> None:
    for role in ROLES:
        mine = (Follow.account_id == account_id, Follow.role == role)
        kinds = wanted_kinds(role, wishes)
        await session.execute(update(Follow).where(*mine).values(kinds=kinds))


def _chosen(body: PreferencesView) -> Preferences:
    for place, kind in enumerate(body.kinds or ()):
        if kind not in CHOICES:
            raise _unfit(f"/kinds/{place}", f"must be one of: {', '.join(CHOICES)}")
    _check_zone(body.zone)
    quiet = None
    if body.quiet is not None:
        start, end = time.fromisoformat(body.quiet.start), time.fromisoformat(body.quiet.end)
        if start == end:
            raise _unfit("/quiet/end", "must differ from the start")
        quiet = Quiet(start, end, body.quiet.urgent_passes)
    return Preferences(
        kinds=None if body.kinds is None else ordered(set(body.kinds)),
        delay_step=body.delay_step,
        quiet=quiet,
        language=body.language,
        zone=body.zone,
        hours=body.hours,
    )


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _unfit("/zone", "must be a time zone such as America/New_York") from None


def _unfit(pointer: str, detail: str) -> Problem:
    fault = Fault(detail=detail, pointer=pointer)
    return Problem(422, "The body does not fit.", slug="bad-body", errors=[fault])

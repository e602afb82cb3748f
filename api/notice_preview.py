"""The words of a notice before it is sent, by the same rules and catalogues."""

from datetime import timedelta

import msgspec
from msgspec import structs
from sqlalchemy import func, select, text
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of
from api.endpoint import Api, json, leg_key_of, read_query
from api.flights import moved_leg, moved_to
from api.models import Account, FlightLeg, Follow, public_state
from api.preferences import preferences_of
from api.problems import Problem
from api.schemas_account import NoticePreview, PreviewQuery
from realtime.flight import FlightLeg as LegState
from realtime.follower import Follower, Told
from realtime.notice_catalogues import CATALOGUES
from realtime.notice_kinds import CANCELLED, departed
from realtime.notice_text import text as words_of

KIND = "delay"
LEG = msgspec.json.Decoder(LegState)
DEMO = text("(SELECT speed IS NOT NULL FROM clock)")


async def read_preview(api: Api, request: Request) -> Response:
    """The notice of a delay, as its follower would get it now."""
    account_id, key = await account_of(api, request), leg_key_of(request)
    query = read_query(request, PreviewQuery)
    found = (
        select(Account, Follow, public_state().label("state"), func.board_now().label("now"), DEMO)
        .select_from(FlightLeg)
        .join(Follow, Follow.leg_id == FlightLeg.leg_id)
        .join(Account, Account.account_id == Follow.account_id)
        .where(FlightLeg.key == str(key), Follow.account_id == account_id)
    )
    async with api.sessions() as session:
        row = (await session.execute(found)).one_or_none()
        if row is None and await moved_to(session, key) is not None:
            return await moved_leg(session, request, key)
    if row is None:
        raise Problem(404, f"{key} is not followed.", slug="not-followed")
    account, follow, state, now, demo = row
    wishes = preferences_of(account)
    told = msgspec.convert(follow.told, Told)
    follower = Follower(follow.role, follow.number, wishes, told)
    minutes = query.minutes or wishes.delay_step
    late = _later(LEG.decode(state), follow.role, timedelta(minutes=minutes))
    title, body = words_of((KIND,), late, follower, CATALOGUES[wishes.language], now, demo)
    return json(NoticePreview(KIND, minutes, title, body), 200, PRIVATE)


def _later(leg: LegState, role: str, by: timedelta) -> LegState:
    """The leg after a further delay, where there can still be one."""
    arriving = role == "pick_up"
    best = leg.eta or leg.sta if arriving else leg.etd or leg.std
    over = leg.ata or leg.aldt if arriving else departed(leg)
    if best is None or over or leg.irregularity in CANCELLED:
        raise Problem(409, "This flight cannot be delayed any more.", slug="no-delay-ahead")
    return structs.replace(leg, eta=best + by) if arriving else structs.replace(leg, etd=best + by)

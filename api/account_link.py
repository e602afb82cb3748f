"""A one-time link that carries an account to another phone, which gets a credential of its own."""

import hmac
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PREFIX, PRIVATE, SECRET_BYTES, account_of, credential_hash, lock_account
from api.endpoint import Api, json, read_body
from api.models import AccountCredential, AccountLink
from api.problems import Problem
from api.schemas_account import AccountCreated, LinkCode, LinkPost

LIFETIME = timedelta(minutes=10)
COUNTED = timedelta(hours=1)
MOST_LINKS = 10  # in that time
MOST_ATTEMPTS = 5  # at the secret of one link
MOST_CREDENTIALS = 10
LINK_PREFIX = "gcl"


async def make_link(api: Api, request: Request) -> Response:
    """A code for the other phone; only its hash is kept."""
    account_id = await account_of(api, request)
    link_id, secret = secrets.token_hex(8), secrets.token_urlsafe(16)
    async with api.sessions.begin() as session:
        await lock_account(session, account_id)
        mine = AccountLink.account_id == account_id
        old = AccountLink.created_at < func.wall_now() - COUNTED
        await session.execute(delete(AccountLink).where(mine, old))
        count = (await session.execute(select(func.count()).where(mine))).scalar_one()
        if count >= MOST_LINKS:
            raise Problem(
                429, f"At most {MOST_LINKS} links an hour.", slug="too-many-links",
                headers={"Retry-After": str(int(COUNTED.total_seconds()))},
            )  # fmt: skip
        session.add(
            AccountLink(link_id=link_id, account_id=account_id, secret_hash=credential_hash(secret))
        )
    code = LinkCode(f"{LINK_PREFIX}_{link_id}_{secret}", int(LIFETIME.total_seconds()))
    return json(code, 201, PRIVATE)


async def redeem_link(api: Api, request: Request) -> Response:
    """A credential for the phone that brings the code; the code is of no more use then."""
    body = await read_body(request, LinkPost)
    _, link_id, secret = body.code.split("_", 2)
    credential = secrets.token_urlsafe(SECRET_BYTES)
    async with api.sessions.begin() as session:
        account_id = await _redeemed(session, link_id, secret, credential)
    if account_id is None:
        detail = "This link was used, is over, or never was: make a new one on the other phone."
        raise Problem(404, detail, slug="unknown-link")
    return json(AccountCreated(account_id, f"{PREFIX}_{account_id}_{credential}"), 201, PRIVATE)


async def _redeemed(
    session: AsyncSession, link_id: str, secret: str, credential: str
) -> UUID | None:
    """Its account; None, with the attempt counted, when the code is not right."""
    young = AccountLink.created_at > func.wall_now() - LIFETIME
    open_still = (AccountLink.used_at.is_(None), AccountLink.attempts < MOST_ATTEMPTS, young)
    query = select(AccountLink).where(AccountLink.link_id == link_id, *open_still)
    owner: UUID | None = await session.scalar(query.with_only_columns(AccountLink.account_id))
    if owner is None:
        return None
    await lock_account(session, owner)
    link = await session.scalar(query.with_for_update())
    if link is None:
        return None
    if not hmac.compare_digest(link.secret_hash, credential_hash(secret)):
        link.attempts += 1
        return None
    mine = select(func.count()).where(AccountCredential.account_id == owner)
    if (await session.execute(mine)).scalar_one() >= MOST_CREDENTIALS:
        detail = f"An account is on at most {MOST_CREDENTIALS + 1} phones."
        raise Problem(409, detail, slug="too-many-credentials")
    link.used_at = (await session.execute(select(func.wall_now()))).scalar_one()
    session.add(AccountCredential(account_id=owner, credential_hash=credential_hash(credential)))
    return owner

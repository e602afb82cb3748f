"""Anonymous accounts: who is asking, by a credential of which only the hash is kept."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, json
from api.models import Account, AccountCredential
from api.problems import Problem
from api.schemas_account import AccountCreated, ConnectionToken
from realtime.tokens import LIFETIME

PREFIX = "gca"
SECRET_BYTES = 32
NO_HASH = bytes(32)
PRIVATE = {"Cache-Control": "no-store"}


def credential_hash(secret: str) -> bytes:
    """What is kept of a 256-bit secret, which needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def create_account(api: Api, request: Request) -> Response:
    """A new account of which nothing is known."""
    account_id, secret = uuid4(), secrets.token_urlsafe(SECRET_BYTES)
    async with api.sessions.begin() as session:
        session.add(Account(account_id=account_id, credential_hash=credential_hash(secret)))
    created = AccountCreated(account_id, f"{PREFIX}_{account_id}_{secret}")
    return json(created, 201, PRIVATE)


async def mint_token(api: Api, request: Request) -> Response:
    """A token for the WebSocket's connect command."""
    account_id = await account_of(api, request)
    token = api.tokens.mint(str(account_id), datetime.now(UTC))
    return json(ConnectionToken(token, int(LIFETIME.total_seconds())), 200, PRIVATE)


async def account_of(api: Api, request: Request) -> UUID:
    """The account whose credential the request bears; else 401, for whatever reason."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    claimed = _parse(credential.strip()) if scheme.lower() == "bearer" else None
    if claimed is None:
        raise unauthorized()
    account_id, secret = claimed
    async with api.sessions() as session:
        query = union_all(
            select(Account.credential_hash).where(Account.account_id == account_id),
            select(AccountCredential.credential_hash).where(
                AccountCredential.account_id == account_id
            ),
        )
        kept = (await session.scalars(query)).all() or (NO_HASH,)
    offered = credential_hash(secret)
    if not any([hmac.compare_digest(offered, each) for each in kept]):
        raise unauthorized()
    return account_id


async def lock_account(session: AsyncSession, account_id: UUID) -> Account:
    """What an account may have is counted by one request at a time, while it exists."""
    query = select(Account).where(Account.account_id == account_id).with_for_update()
    account = await session.scalar(query)
    if account is None:
        raise unauthorized()
    return account


def _parse(credential: str) -> tuple[UUID, str] | None:
    prefix, _, rest = credential.partition("_")
    name, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret or not secret.isascii():
        return None
    try:
        return UUID(name), secret
    except ValueError:
        return None


def unauthorized() -> Problem:
    """Whatever the reason, the answer is the same."""
    return Problem(
        401,
        "This needs the credential of an account: Authorization: Bearer gca_…",
        headers={"WWW-Authenticate": 'Bearer realm="gatecast"'},
    )

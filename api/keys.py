"""Keys of feeds: `gck_<id>_<secret>`, of which only the hash is kept."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import NO_HASH, SECRET_BYTES, credential_hash
from api.models import ApiKey, Feed
from realtime.errors import GatecastError

PREFIX = "gck"
ID_BYTES = 6


class KeyRefused(GatecastError):
    """There is no such feed or key; the text is one sentence for a person."""


class KeyView(Struct, frozen=True):
    """A key without its secret."""

    key_id: str
    feed: str
    created_at: datetime
    revoked_at: datetime | None


async def create_key(session: AsyncSession, feed: str) -> str:
    """A new key of this feed; it can be shown this once."""
    feed_id = await session.scalar(select(Feed.feed_id).where(Feed.code == feed))
    if feed_id is None:
        raise KeyRefused(f"there is no feed {feed!r}; see `gatecast feed list`")
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    session.add(ApiKey(key_id=key_id, feed_id=feed_id, secret_hash=credential_hash(secret)))
    await session.flush()
    return f"{PREFIX}_{key_id}_{secret}"


async def list_keys(session: AsyncSession) -> Sequence[KeyView]:
    """All keys, revoked ones too, oldest first."""
    query = (
        select(ApiKey.key_id, Feed.code, ApiKey.created_at, ApiKey.revoked_at)
        .join(Feed, Feed.feed_id == ApiKey.feed_id)
        .order_by(ApiKey.created_at, ApiKey.key_id)
    )
    return [KeyView(*row) for row in await session.execute(query)]


async def revoke_key(session: AsyncSession, key_id: str) -> None:
    """From now on the key opens nothing; a key revoked before stays so."""
    revoked = func.coalesce(ApiKey.revoked_at, func.wall_now())
    statement = update(ApiKey).where(ApiKey.key_id == key_id).values(revoked_at=revoked)
    if await session.scalar(statement.returning(ApiKey.key_id)) is None:
        raise KeyRefused(f"there is no key {key_id!r}; see `gatecast key list`")


async def feed_of_key(session: AsyncSession, key: str) -> str | None:
    """The feed that may speak with this key; None when it opens nothing."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret or not key.isascii() or "\0" in key_id:
        return None
    query = (
        select(ApiKey.secret_hash, Feed.code)
        .join(Feed, Feed.feed_id == ApiKey.feed_id)
        .where(ApiKey.key_id == key_id, ApiKey.revoked_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    kept = row.secret_hash if row is not None else NO_HASH
    same = hmac.compare_digest(credential_hash(secret), kept)
    return row.code if same and row is not None else None

"""Connection tokens: a short-lived proof of who is at the other end of a socket.

Nothing here trusts the token's own header: one algorithm, one key, one `kid`.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import msgspec
from msgspec import Struct

from realtime.errors import INVALID_TOKEN, TOKEN_EXPIRED, Disconnected, Refused

AUDIENCE = "gatecast:ws"
ALGORITHM = "HS256"
LIFETIME = timedelta(minutes=10)
LONGEST_LIFETIME = timedelta(minutes=15)
LEEWAY = timedelta(seconds=30)
LONGEST_TOKEN = 2048


class Claims(Struct, frozen=True):
    """Who connects, and until when the connection may last."""

    account_id: str
    expires_at: datetime


class Payload(Struct, frozen=True):
    """The members of a token that are read."""

    sub: UUID
    iat: int
    exp: int
    nbf: int | None = None


class Tokens:
    """Mints and verifies the tokens of one installation, whose secret never leaves this object."""

    def __init__(self, secret: str) -> None:
        if not secret:
            raise ValueError("connection tokens need a secret")
        self._key = hmac.digest(secret.encode(), AUDIENCE.encode(), "sha256")
        self._kid = hashlib.sha256(self._key).hexdigest()[:8]

    def mint(self, account_id: str, now: datetime) -> str:
        """A token for this account, valid for ten minutes of wall time from `now`."""
        issued = int(now.timestamp())
        payload: dict[str, Any] = {
            "aud": AUDIENCE,
            "sub": account_id,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
        }
        return jwt.encode(payload, self._key, ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a token of ours; Refused when it has expired, Disconnected when forged."""
        payload = self._payload(token)
        wall, leeway = now.timestamp(), LEEWAY.total_seconds()
        lifetime = payload.exp - payload.iat
        starts = max(payload.iat, payload.nbf or payload.iat)
        if not 0 < lifetime <= LONGEST_LIFETIME.total_seconds() or starts > wall + leeway:
            raise Disconnected(INVALID_TOKEN)
        if wall >= payload.exp + leeway:
            raise Refused(TOKEN_EXPIRED)
        return Claims(str(payload.sub), datetime.fromtimestamp(payload.exp, UTC))

    def _payload(self, token: str) -> Payload:
        if len(token) > LONGEST_TOKEN:
            raise Disconnected(INVALID_TOKEN)
        try:
            found = jwt.decode_complete(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                # Times are checked above, against the caller's clock.
                options={
                    "require": ["exp", "iat", "aud", "sub"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            if found["header"].get("kid") != self._kid:
                raise Disconnected(INVALID_TOKEN)
            return msgspec.convert(found["payload"], Payload)
        # A header nested deeply enough exhausts the JSON parser's stack.
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Disconnected(INVALID_TOKEN) from None

"""Bodies of the REST API that are about one account."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct


class AccountCreated(Struct, frozen=True):
    """A new anonymous account; the credential is shown this once."""

    account: UUID
    credential: str


class ConnectionToken(Struct, frozen=True):
    """What the WebSocket's connect command takes."""

    token: str
    expires_in: Annotated[int, Meta(description="Seconds")]


class FollowView(Struct, frozen=True):
    """A leg that the account follows."""

    leg_key: str
    created_at: datetime


class Follows(Struct, frozen=True):
    """The legs that the account follows, newest first."""

    items: list[FollowView]


class DevicePut(Struct, frozen=True, forbid_unknown_fields=True):
    """A push target as the phone or browser got it from its push service."""

    platform: Literal["android", "ios", "web"]
    kind: Literal["fid", "token"]
    target: Annotated[str, Meta(min_length=8, max_length=1024, pattern=r"^[!-~]+(?![\s\S])")]


class DeviceView(Struct, frozen=True, kw_only=True):
    """A registered device; its target is never shown again. Nothing is pushed to a dead one."""

    device_id: UUID
    platform: str
    kind: str
    created_at: datetime
    last_ok_at: datetime | None
    dead_at: datetime | None
    dead_reason: str | None


class Devices(Struct, frozen=True):
    """The devices of the account, oldest first."""

    items: list[DeviceView]

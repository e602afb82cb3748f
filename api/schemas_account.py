"""Bodies of the REST API that are about one account."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

Role = Literal["passenger", "pick_up"]
ClockTime = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?![\s\S])", description="22:00")
]


class AccountCreated(Struct, frozen=True):
    """A new anonymous account; the credential is shown this once."""

    account: UUID
    credential: str


class ConnectionToken(Struct, frozen=True):
    """What the WebSocket's connect command takes."""

    token: str
    expires_in: Annotated[int, Meta(description="Seconds")]


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """On the clocks of `zone`; they may pass midnight. Urgent notices pass unless that is off."""

    start: ClockTime
    end: ClockTime
    urgent_passes: bool = True


class PreferencesView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the account wants to be told. What a PUT leaves out is as it is by default; `kinds`
    null: what the role of each follow has by default."""

    kinds: Annotated[list[str], Meta(max_length=40)] | None = None
    delay_step: Annotated[int, Meta(ge=5, le=60, description="Minutes")] = 15
    quiet: QuietHours | None = None
    language: Literal["en", "es", "ar"] = "en"
    zone: Annotated[str, Meta(max_length=64, description="IANA time zone")] = "UTC"
    hours: Literal[12, 24] = 24


class AccountView(Struct, frozen=True):
    """The account, what it wants, and how many follows and devices it has."""

    account: UUID
    created_at: datetime
    preferences: PreferencesView
    follows: int
    devices: int


class FollowPut(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a leg is followed, and by which of its numbers the person knows it."""

    role: Role = "passenger"
    number: Annotated[str, Meta(max_length=32, description="`EI5009`; empty: its own")] = ""


class FollowPost(Struct, frozen=True, forbid_unknown_fields=True, rename={"date_": "date"}):
    """A flight as a person knows it; without a date the one that is under way or next."""

    q: Annotated[str, Meta(max_length=32, description="Any number of the flight")]
    date_: Annotated[date | None, Meta(description="Origin date")] = None
    role: Role = "passenger"


class FollowView(Struct, frozen=True, kw_only=True):
    """A leg that the account follows, the number that notices call it by, and what they tell."""

    leg_key: str
    created_at: datetime
    role: Role
    number: str
    kinds: list[str]


class Follows(Struct, frozen=True):
    """The legs that the account follows, newest first."""

    items: list[FollowView]


class DevicePut(Struct, frozen=True, forbid_unknown_fields=True):
    """A push target as the phone or browser got it from its push service; without `alerts` a device
    that was registered before keeps its choice."""

    platform: Literal["android", "ios", "web"]
    kind: Literal["fid", "token"]
    target: Annotated[str, Meta(min_length=8, max_length=1024, pattern=r"^[!-~]+(?![\s\S])")]
    alerts: bool | None = None


class DevicePatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether notices are pushed to this device."""

    alerts: bool


class DeviceView(Struct, frozen=True, kw_only=True):
    """A registered device; its target is never shown again. Nothing is pushed to a dead one, nor to
    one whose `alerts` are off."""

    device_id: UUID
    platform: str
    kind: str
    alerts: bool
    created_at: datetime
    last_ok_at: datetime | None
    dead_at: datetime | None
    dead_reason: str | None


class Devices(Struct, frozen=True):
    """The devices of the account, oldest first."""

    items: list[DeviceView]


class ReceiptPost(Struct, frozen=True, forbid_unknown_fields=True):
    """What a visible screen displayed: versions by leg key, in an epoch of the change log;
    `attentive`: with user input in the last minute, or by the phone app."""

    epoch: Annotated[str, Meta(max_length=64)]
    legs: Annotated[dict[str, int], Meta(max_length=200)]
    attentive: bool = False


class Settled(Struct, frozen=True):
    """How many notices need not be sent any more."""

    settled: int


class DeliveriesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of deliveries."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    after: Annotated[int, Meta(ge=1, le=2**53, description="`next` of the page before")] | None = (
        None
    )


class DeliveryView(Struct, frozen=True, kw_only=True):
    """What became of one significant change of a followed leg, and why. `held_until`, `expires_at`
    and `said_at` are board time, `due_at` and `done_at` wall time. `version` is below zero where no
    change of the leg itself called for the notice."""

    leg_key: str
    version: int
    kinds: list[str]
    said: list[str]
    urgent: bool
    state: str
    reason: str | None
    held_until: datetime | None
    expires_at: datetime
    due_at: datetime
    said_at: datetime | None
    done_at: datetime | None


class Deliveries(Struct, frozen=True):
    """Deliveries, newest first; `next` is null on the last page."""

    items: list[DeliveryView]
    next: int | None


class TestArrival(Struct, frozen=True):
    """What became of a test notice at one device. `unregistered`: the device is gone, and dead from
    now on; `paused`: the push service asked for a pause; `unanswered`: it could not be reached, or
    failed; `printed`: this server has no push service and prints notices."""

    device_id: UUID
    platform: str
    outcome: Literal["accepted", "printed", "refused", "unregistered", "paused", "unanswered"]
    reason: str


class TestNotice(Struct, frozen=True, kw_only=True):
    """A notice that the account asked for itself. `sent`: at least one device's push service took
    it; `undeliverable`: none did, or there is no device; `expired`: no notifier did it in time."""

    id: UUID
    created_at: datetime
    state: Literal["pending", "sent", "undeliverable", "expired"]
    reason: str | None
    took_ms: Annotated[int, Meta(description="From asking to the answers")] | None
    devices: list[TestArrival]


class TestNotices(Struct, frozen=True):
    """Those of the last day, newest first."""

    items: list[TestNotice]


class PreviewQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much later the flight will be; without it the delay step of the account."""

    minutes: Annotated[int, Meta(ge=1, le=1440, description="Minutes")] | None = None


class NoticePreview(Struct, frozen=True):
    """What would be pushed for a further delay of a followed leg, word by word."""

    kind: str
    minutes: int
    title: str
    body: str


class ChangesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came after a position."""

    after: (
        Annotated[str, Meta(max_length=64, description="`<epoch>:<seq>`, a `position`")] | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 200


class ChangeView(Struct, frozen=True, kw_only=True):
    """One change of a followed leg, as in its history."""

    leg_key: str
    version: int
    at: datetime
    kinds: list[str]
    changed: dict[str, list[Any]]


class Changes(Struct, frozen=True):
    """Changes in order, and where to go on; `more`: go on at once."""

    items: list[ChangeView]
    position: str
    more: bool


class AccountExport(Struct, frozen=True):
    """All that is kept of the account, as rows; what is not here is not kept."""

    account: UUID
    accounts: list[dict[str, Any]]
    account_credentials: list[dict[str, Any]]
    account_links: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    follows: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    test_notices: list[dict[str, Any]]


class LinkCode(Struct, frozen=True):
    """What the other phone has to bring, once and soon."""

    code: str
    expires_in: Annotated[int, Meta(description="Seconds")]


class LinkPost(Struct, frozen=True, forbid_unknown_fields=True):
    """The code of a link."""

    code: Annotated[
        str, Meta(max_length=64, pattern=r"^gcl_[0-9a-f]{16}_[A-Za-z0-9_-]{22}(?![\s\S])")
    ]

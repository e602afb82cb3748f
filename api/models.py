"""The tables of schema.sql as REST and ingest use them; schema.sql is the source of truth."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Computed,
    FetchedValue,
    ForeignKey,
    Identity,
    Text,
    Uuid,
    cast,
    column,
    func,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import BigInteger, Boolean, DateTime, Double, LargeBinary, SmallInteger


class Base(DeclarativeBase):
    """Column types for the annotations below."""

    type_annotation_map = {  # noqa: RUF012
        str: Text,
        int: BigInteger,
        float: Double,
        datetime: DateTime(timezone=True),
        bytes: LargeBinary,
        list[str]: ARRAY(Text),
        list[dict[str, Any]]: JSONB,
        dict[str, Any]: JSONB,
    }


class Airline(Base):
    __tablename__ = "airline"

    iata: Mapped[str] = mapped_column(primary_key=True)
    icao: Mapped[str | None]
    name: Mapped[str]


class Airport(Base):
    __tablename__ = "airport"

    iata: Mapped[str] = mapped_column(primary_key=True)
    icao: Mapped[str | None]
    name: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    tz: Mapped[str]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    placeholder: Mapped[bool]


class Feed(Base):
    __tablename__ = "feed"

    feed_id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    code: Mapped[str]
    party: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    synthetic: Mapped[bool]
    max_silence: Mapped[timedelta | None]
    refresh: Mapped[timedelta | None]
    last_seen_at: Mapped[datetime | None]
    last_source_ts: Mapped[datetime | None]
    enabled: Mapped[bool] = mapped_column(server_default=FetchedValue())
    silent: Mapped[bool] = mapped_column(server_default=FetchedValue())
    legs_taken: Mapped[int] = mapped_column(server_default=FetchedValue())
    legs_refused: Mapped[int] = mapped_column(server_default=FetchedValue())
    last_complaint: Mapped[str | None]
    last_complaint_at: Mapped[datetime | None]


class FeedUnknown(Base):
    """Words of a feed that have no meaning here, and how often they came."""

    __tablename__ = "feed_unknown"

    feed_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("feed.feed_id"), primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class FeedAuthority(Base):
    __tablename__ = "feed_authority"

    feed_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("feed.feed_id"), primary_key=True)
    field_group: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger)


class FlightLeg(Base):
    """Written by ingest alone; what the public sees of it is `public_state()`."""

    __tablename__ = "flight_leg"

    leg_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    airline: Mapped[str]
    flight_no: Mapped[int] = mapped_column(SmallInteger)
    suffix: Mapped[str]
    origin_date: Mapped[date]
    dep_airport: Mapped[str] = mapped_column(ForeignKey("airport.iata"))
    arr_airport: Mapped[str] = mapped_column(ForeignKey("airport.iata"))
    key: Mapped[str] = mapped_column(Computed("leg_key(…)", persisted=True))
    repeat_no: Mapped[int] = mapped_column(SmallInteger)
    service_type: Mapped[str | None]
    codeshares: Mapped[list[dict[str, Any]]]

    std: Mapped[datetime | None]
    std_initial: Mapped[datetime | None] = mapped_column(server_default=FetchedValue())
    etd: Mapped[datetime | None]
    atd: Mapped[datetime | None]
    atot: Mapped[datetime | None]
    sta: Mapped[datetime | None]
    sta_initial: Mapped[datetime | None] = mapped_column(server_default=FetchedValue())
    eta: Mapped[datetime | None]
    eldt: Mapped[datetime | None]
    aldt: Mapped[datetime | None]
    ata: Mapped[datetime | None]

    dep_terminal: Mapped[str | None]
    dep_gate: Mapped[str | None]
    dep_gate_was: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    dep_gate_at: Mapped[datetime | None] = mapped_column(server_default=FetchedValue())
    dep_stand: Mapped[str | None]
    check_in_from: Mapped[str | None]
    check_in_to: Mapped[str | None]
    check_in_open_at: Mapped[datetime | None]
    check_in_close_at: Mapped[datetime | None]
    gate_open_at: Mapped[datetime | None]
    boarding_plan: Mapped[datetime | None]
    boarding_est: Mapped[datetime | None]
    boarding_at: Mapped[datetime | None]
    gate_close_plan: Mapped[datetime | None]
    gate_close_est: Mapped[datetime | None]
    final_call_at: Mapped[datetime | None]
    gate_close_at: Mapped[datetime | None]

    arr_terminal: Mapped[str | None]
    arr_gate: Mapped[str | None]
    arr_gate_was: Mapped[str | None] = mapped_column(server_default=FetchedValue())
    arr_gate_at: Mapped[datetime | None] = mapped_column(server_default=FetchedValue())
    arr_stand: Mapped[str | None]
    belts: Mapped[list[str]]
    belts_was: Mapped[list[str]] = mapped_column(server_default=FetchedValue())
    belts_at: Mapped[datetime | None] = mapped_column(server_default=FetchedValue())
    first_bag_at: Mapped[datetime | None]
    last_bag_at: Mapped[datetime | None]

    aircraft_type: Mapped[str | None]
    registration: Mapped[str | None]

    phase: Mapped[str]
    irregularity: Mapped[str]
    divert_airport: Mapped[str | None] = mapped_column(ForeignKey("airport.iata"))
    cancelled_at: Mapped[datetime | None]
    next_info_at: Mapped[datetime | None]
    public_remark: Mapped[str | None]
    uncertain: Mapped[bool]
    hidden: Mapped[bool]

    best_dep: Mapped[datetime | None] = mapped_column(Computed("coalesce(…)", persisted=True))
    best_arr: Mapped[datetime | None] = mapped_column(Computed("coalesce(…)", persisted=True))
    version: Mapped[int] = mapped_column(server_default=FetchedValue())
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    confirmed_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class CodeShareNumber(Base):
    """Search index over `FlightLeg.codeshares`, kept by trigger."""

    __tablename__ = "code_share"

    leg_id: Mapped[int] = mapped_column(ForeignKey("flight_leg.leg_id"), primary_key=True)
    airline: Mapped[str] = mapped_column(primary_key=True)
    flight_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    suffix: Mapped[str] = mapped_column(primary_key=True)


class LegAlias(Base):
    """A key that a leg had before it was corrected; kept by trigger."""

    __tablename__ = "leg_alias"

    key: Mapped[str] = mapped_column(primary_key=True)
    leg_id: Mapped[int] = mapped_column(ForeignKey("flight_leg.leg_id"))
    version: Mapped[int]
    moved_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class LegStatement(Base):
    """What one feed last said of one leg: {field: [value, source time, attempt]}."""

    __tablename__ = "leg_statement"

    leg_id: Mapped[int] = mapped_column(ForeignKey("flight_leg.leg_id"), primary_key=True)
    feed_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("feed.feed_id"), primary_key=True)
    fields: Mapped[dict[str, Any]]
    as_of: Mapped[datetime]
    weight: Mapped[dict[str, Any] | None]


class LegChange(Base):
    """The history of a leg; written by trigger."""

    __tablename__ = "leg_change"

    leg_id: Mapped[int] = mapped_column(ForeignKey("flight_leg.leg_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    source_ts: Mapped[datetime | None]
    feed: Mapped[str | None]
    changed: Mapped[dict[str, Any]]


class ApiKey(Base):
    """Lets its bearer speak as one feed; of the secret only the hash is kept."""

    __tablename__ = "api_key"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    feed_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("feed.feed_id"))
    secret_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    revoked_at: Mapped[datetime | None]


class FeedMessage(Base):
    """What a feed was answered, so that a repeat is answered the same."""

    __tablename__ = "feed_message"

    feed_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("feed.feed_id"), primary_key=True)
    message_key: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    outcome: Mapped[str]
    answer: Mapped[bytes]


class Account(Base):
    """A person, of whom nothing is known but the hash of a secret."""

    __tablename__ = "account"

    account_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=FetchedValue())
    credential_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    preferences: Mapped[dict[str, Any]] = mapped_column(server_default=FetchedValue())


class AccountCredential(Base):
    """Of a phone that a link brought the account to."""

    __tablename__ = "account_credential"

    credential_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.account_id"))
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class AccountLink(Base):
    """Carries an account to another phone, once."""

    __tablename__ = "account_link"

    link_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.account_id"))
    secret_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=FetchedValue())
    used_at: Mapped[datetime | None]


class Device(Base):
    """A push target; it belongs to the account that registered it last."""

    __tablename__ = "device"

    device_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=FetchedValue())
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.account_id"))
    platform: Mapped[str]
    kind: Mapped[str]
    target: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    refreshed_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    alerts: Mapped[bool] = mapped_column(server_default=FetchedValue())
    last_ok_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    dead_reason: Mapped[str | None]


class Follow(Base):
    __tablename__ = "follow"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.account_id"), primary_key=True)
    leg_id: Mapped[int] = mapped_column(ForeignKey("flight_leg.leg_id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    role: Mapped[str] = mapped_column(server_default=FetchedValue())
    number: Mapped[str] = mapped_column(server_default=FetchedValue())
    kinds: Mapped[list[str]] = mapped_column(server_default=FetchedValue())
    told: Mapped[dict[str, Any]] = mapped_column(server_default=FetchedValue())


class CancellationRuling(Base):
    """An operator's word on the cancellations of an airport."""

    __tablename__ = "cancellation_ruling"

    airport: Mapped[str] = mapped_column(ForeignKey("airport.iata"), primary_key=True)
    tell: Mapped[bool]
    since: Mapped[datetime]
    until: Mapped[datetime]


# Written by the push server; REST reads these columns of them.
TEST_NOTICE = table(
    "test_notice", column("notice_id", Uuid), column("account_id", Uuid), column("state", Text),
    column("reason", Text), column("devices", JSONB),
    *[column(name, DateTime(timezone=True)) for name in (
        "created_at", "expires_at", "lease_until", "done_at")],
)  # fmt: skip
DELIVERY = table(
    "delivery", column("account_id", Uuid), column("leg_id", BigInteger), column("seq", BigInteger),
    column("version", BigInteger), column("kinds", ARRAY(Text)), column("said", ARRAY(Text)),
    column("urgent", Boolean), column("state", Text), column("reason", Text),
    *[column(name, DateTime(timezone=True)) for name in (
        "held_until", "expires_at", "due_at", "said_at", "done_at")],
)  # fmt: skip
CHANGE_LOG = table(
    "change_log", column("seq", BigInteger), column("leg_id", BigInteger),
    column("version", BigInteger), column("at", DateTime(timezone=True)),
    column("changed", JSONB), column("state", JSONB),
)  # fmt: skip
RELAY_STATE = table("relay_state", column("epoch", Uuid), column("last_seq", BigInteger))


def public_state() -> ColumnElement[str]:
    """The leg as everyone may see it: JSON text from the one SQL function that builds it."""
    return cast(func.public_state(Base.metadata.tables["flight_leg"].table_valued()), Text)

"""What travels on the broker: rows of the log and ticks, as CloudEvents 1.0 in AMQP binary mode.

Anybody may put a body into a queue. `unpack` lets through what a relay could have published, whole
and plausible, so that nothing which follows has to be in doubt; the rest is a Stranger.
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from realtime.bus import Position
from realtime.errors import GatecastError
from realtime.flight import Change, FlightLeg
from realtime.notice_change import significance

LEG, CLOCK, TICK = "io.gatecast.leg.changed.v1", "io.gatecast.clock.v1", "io.gatecast.tick.v1"
OURS = "io.gatecast."
SOURCE = "/gatecast/"
EPOCH = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONGEST = 1 << 20  # bytes; a row has some hundreds
LAST_SEQ = 2**63 - 1
YEARS = range(1970, 2200)
PERSISTENT, TRANSIENT = 2, 1
REASONS = ("attributes", "type", "size", "body", "epoch", "seq")


class Stranger(GatecastError):
    """Not published by a relay of ours; `reason` is one of REASONS."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Tick(Struct):
    """Where the log ends."""

    epoch: str
    last_seq: int


class Moment(Struct):
    """The state of a clock row."""

    now: datetime


STATE = msgspec.json.Decoder(FlightLeg)
MOMENT = msgspec.json.Decoder(Moment)
CHANGED = msgspec.json.Decoder(dict[str, list[object]])
CHANGE = msgspec.json.Decoder(Change)
TICKED = msgspec.json.Decoder(Tick)
Parcel = tuple[str, bytes, Mapping[str, Any]]
"""Routing key, body and properties."""
Arrival = tuple[str, Change | Position]
"""The epoch it was published in, and a change or a tick (where the log ended then)."""


def pack_change(epoch: str, change: Change, notable: Sequence[str]) -> Parcel:
    """A row of the log as it travels."""
    body = {name: getattr(change, name) for name in ("seq", "kind", "at", "wall_at", "state")}
    if change.kind == "clock":
        key, headers = "clk", headers_of(CLOCK, epoch, str(change.seq), change.wall_at)
    else:
        leg = STATE.decode(change.state)
        found = significance(CHANGED.decode(change.changed), leg, change.at)
        kind = next((kind for kind in found.kinds if kind in notable), "-") if found else "-"
        key = f"chg.{leg.dep_airport}.{leg.arr_airport}.{kind}"
        headers = headers_of(LEG, epoch, str(change.seq), change.wall_at)
        headers["cloudEvents:subject"] = leg.key
        for name in ("leg_id", "version", "feed", "changed"):
            body[name] = getattr(change, name)
    return key, msgspec.json.encode(body), properties_of(headers, PERSISTENT)


def pack_tick(end: Position) -> Parcel:
    """The end of the log as it travels."""
    headers = headers_of(TICK, end.epoch, f"tick-{time.time_ns()}", datetime.now(UTC))
    body = msgspec.json.encode(Tick(end.epoch, end.seq))
    return "tick", body, properties_of(headers, TRANSIENT)


def unpack(headers: Mapping[str, object], body: bytes) -> Arrival | None:
    """What has arrived; None for what a later version may send; raises Stranger."""
    kind, epoch, ident = attributes_of(headers)
    if len(body) > LONGEST:
        raise Stranger("size", f"{len(body)} bytes")
    if kind not in (LEG, CLOCK, TICK):
        return None
    try:
        return epoch, tick_of(body, epoch) if kind == TICK else change_of(body, kind, ident)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise Stranger("body", str(error)) from None


def attributes_of(headers: Mapping[str, object]) -> tuple[str, str, str]:
    """Type, epoch and id of a CloudEvent that may be ours."""
    names = ("specversion", "type", "source", "id")
    found = {name: headers.get(f"cloudEvents:{name}") for name in names}
    if lacking := [name for name, value in found.items() if not isinstance(value, str)]:
        raise Stranger("attributes", f"no {lacking[0]} of CloudEvents")
    version, kind, source, ident = (str(found[name]) for name in names)
    if version != "1.0":
        raise Stranger("attributes", f"CloudEvents {version[:20]!r}")
    if not kind.startswith(OURS):
        raise Stranger("type", f"{kind[:100]!r} is no type of ours")
    epoch = source.removeprefix(SOURCE)
    if not EPOCH.fullmatch(epoch):
        raise Stranger("epoch", f"{source[:100]!r} names no epoch")
    return kind, epoch, ident


def tick_of(body: bytes, epoch: str) -> Position:
    """Where the log ended."""
    tick = TICKED.decode(body)
    if tick.epoch != epoch:
        raise Stranger("epoch", "the body names another epoch than the attributes")
    if not 0 <= tick.last_seq <= LAST_SEQ:
        raise Stranger("seq", f"the log cannot end at {tick.last_seq}")
    return Position(epoch, tick.last_seq)


def change_of(body: bytes, kind: str, ident: str) -> Change:
    """A row of the log that every reader of it can apply."""
    change = CHANGE.decode(body)
    if not 1 <= change.seq <= LAST_SEQ or ident != str(change.seq):
        raise Stranger("seq", f"seq {change.seq} with the id {ident[:30]!r}")
    times: list[object] = [change.at, change.wall_at]
    if kind == CLOCK and change.kind == "clock":
        times.append(MOMENT.decode(change.state).now)
    elif kind == LEG and change.kind == "leg":
        leg = STATE.decode(change.state)
        CHANGED.decode(change.changed)
        if change.leg_id is None or not change.version == leg.version >= 1:
            raise Stranger("body", "a leg without its number or its version")
        times += [getattr(leg, name) for name in FlightLeg.__struct_fields__]
    else:
        raise Stranger("body", f"a row of kind {change.kind[:20]!r} as {kind}")
    if not all(plausible(each) for each in times if isinstance(each, datetime)):
        raise Stranger("body", "a time that cannot be")
    return change


def plausible(time: datetime) -> bool:
    """Times without a zone, or at the ends of the calendar, cannot be reckoned with."""
    return time.tzinfo is not None and time.year in YEARS


def headers_of(kind: str, epoch: str, ident: str, at: datetime) -> dict[str, str]:
    """The context attributes of CloudEvents."""
    return {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": kind,
        "cloudEvents:source": f"{SOURCE}{epoch}",
        "cloudEvents:id": ident,
        "cloudEvents:time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


def properties_of(headers: Mapping[str, str], delivery_mode: int) -> Mapping[str, Any]:
    """The AMQP properties."""
    return {
        "content_type": "application/json",
        "message_id": headers["cloudEvents:id"],
        "delivery_mode": delivery_mode,
        "headers": dict(headers),
    }

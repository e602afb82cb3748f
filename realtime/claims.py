"""What to do about claimed deliveries: judge them anew, word the notice, read the answers."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Raw, Struct, structs

from realtime.flight import FlightLeg
from realtime.follower import Follower, Preferences, Rung, Told
from realtime.notice_catalogues import CATALOGUES
from realtime.notice_change import before_of
from realtime.notice_rules import Decision, OpenDelivery, decide, told_after
from realtime.notice_text import old_and_new, text
from realtime.sender import Notice, Outcome, Sent, Target

RETRY_BASE, RETRY_CAP, RETRY_LEAST = 10.0, 40.0, 1.0
ASKED_CAP = 300.0  # then it is claimed, and given back if the provider must still be left alone

LEG = msgspec.json.Decoder(FlightLeg)
CHANGED = msgspec.json.Decoder(dict[str, list[object]])
TARGETS = msgspec.json.Decoder(list[Target])
PREFERENCES = msgspec.json.Decoder(Preferences)
TOLD = msgspec.json.Decoder(Told)
RUNG = msgspec.json.Decoder(tuple[Rung, ...])

Row = asyncpg.Record
"""What `load_claimed` gives of a delivery."""


class Result(Struct, frozen=True, omit_defaults=True):
    """What became of a claimed delivery, as `record` takes it; open ones say when to come again."""

    account_id: UUID
    leg_id: int
    version: int
    state: str
    reason: str | None = None
    retry_in: float | None = None  # wall seconds
    held_until: datetime | None = None  # board time
    said: tuple[str, ...] | None = None


class Claim(Struct, frozen=True):
    """What one notice tells of a leg; `newest` gives it its id, `rows` are by version."""

    newest: Row
    rows: Mapping[int, Row]
    notice: Notice
    targets: list[Target]
    ends: list[Result]  # of the other rows, if it is taken
    told: dict[str, object]


class Learned(Struct, frozen=True):
    """What a follower knows after a notice, as `tell_sent` takes it."""

    account_id: UUID
    leg_id: int
    before: Raw
    told: dict[str, object]


class DeviceNote(Struct, frozen=True):
    """What a send told about its device; `dead_reason` None: it took the notice."""

    target: Target
    dead_reason: str | None = None


def judge(rows: Sequence[Row]) -> tuple[Claim | None, list[Result]]:
    """Decide anew on what was claimed of one follower and leg, newest first, as things are now."""
    row = rows[0]
    if row["role"] is None:
        return None, [result(each, "suppressed", "not followed any more") for each in rows]
    leg, follower = LEG.decode(row["leg"]), follower_of(row)
    if leg.hidden:
        return None, [result(each, "superseded", "not shown any more") for each in rows]
    decision = decide([open_delivery(each) for each in rows], leg, follower, row["board_at"])
    by_version = {each["version"]: each for each in rows}
    ends = [result(by_version[one.version], one.state, one.reason) for one in decision.ends]
    kept = [
        structs.replace(result(by_version[one.version], "held", one.reason), held_until=one.until)
        for one in decision.kept
    ]
    if decision.version is None:
        return None, ends + kept
    newest = by_version[decision.version]
    targets = TARGETS.decode(row["targets"])
    if not targets:
        return None, [result(newest, "undeliverable", "no device"), *ends, *kept]
    told = msgspec.to_builtins(told_after(follower.told, decision.kinds, leg))
    notice = notice_of(newest, leg, follower, decision)
    claim = Claim(newest, by_version, notice, targets, ends, {**told, "version": leg.version})
    return claim, kept


def follower_of(row: Row) -> Follower:
    """The person whose delivery this is."""
    return Follower(
        role=row["role"],
        number=row["number"],
        preferences=PREFERENCES.decode(row["preferences"]),
        told=TOLD.decode(row["told"]),
        rung=RUNG.decode(row["rung"]),
    )


def open_delivery(row: Row) -> OpenDelivery:
    """A claimed row as the rules see it."""
    return OpenDelivery(
        version=row["version"],
        kinds=tuple(row["kinds"]),
        urgent=row["urgent"],
        held_until=row["held_until"],
        expires_at=row["expires_at"],
        before=before_of(CHANGED.decode(row["changed"])),
        withheld=row["feed_dead"],
    )


def notice_of(row: Row, leg: FlightLeg, follower: Follower, decision: Decision) -> Notice:
    """The words for what was decided; in a replay board seconds are shorter."""
    catalogue = CATALOGUES.get(follower.preferences.language, CATALOGUES["en"])
    demo = row["speed"] is not None
    aware = structs.replace(follower, told=decision.known)
    title, body = text(decision.kinds, leg, aware, catalogue, row["board_at"], demo)
    old, new = old_and_new(decision.kinds[0], leg, aware)
    expires_at = decision.expires_at or row["expires_at"]
    left = (expires_at - row["board_at"]).total_seconds() / (row["speed"] or 1.0)
    return Notice(
        id=f"{row['epoch']}:{row['seq']}",
        leg_key=leg.key,
        version=leg.version,
        kinds=decision.kinds,
        title=title,
        body=body,
        urgent=decision.urgent,
        ttl=max(1, math.floor(left)),
        number=follower.number,
        at=row["board_at"].isoformat(),
        old=old,
        new=new,
    )


def result(
    row: Row,
    state: str,
    reason: str | None = None,
    retry_in: float | None = None,
    said: tuple[str, ...] | None = None,
) -> Result:
    """The result of one claimed delivery."""
    return Result(
        row["account_id"], row["leg_id"], row["version"], state, reason, retry_in, None, said
    )


def results_of(claim: Claim, answers: Sequence[Sent]) -> list[Result]:
    """One device that took the notice is enough; without one it is repeated while any may."""
    if any(sent.outcome is Outcome.ACCEPTED for sent in answers):
        return [result(claim.newest, "sent", said=claim.notice.kinds), *claim.ends]
    details = "; ".join(dict.fromkeys(sent.detail for sent in answers))[:500]
    retries = [sent for sent in answers if sent.outcome is Outcome.RETRY]
    if not retries:
        reason = f"no device took it: {details}"
        return [result(claim.newest, "undeliverable", reason), *claim.ends]
    wait = retry_in(retries, claim.newest["attempts"])
    again = [
        result(claim.rows[end.version], "pending", details, wait)
        for end in claim.ends
        if end.state == "superseded"  # by this notice, which has not been taken yet
    ]
    over = [end for end in claim.ends if end.state != "superseded"]
    return [result(claim.newest, "pending", details, wait), *again, *over]


def learned(claim: Claim) -> Learned:
    """What a sent notice taught its follower."""
    row = claim.newest
    return Learned(row["account_id"], row["leg_id"], Raw(row["told"].encode()), claim.told)


def retry_in(retries: Sequence[Sent], attempts: int) -> float:
    """Seconds until the next attempt: what the provider asked for, else exponential."""
    asked = [sent.retry_after for sent in retries if sent.retry_after is not None]
    if asked:
        return min(max(asked), ASKED_CAP) + random.uniform(0, RETRY_LEAST)
    bound = min(RETRY_CAP, RETRY_BASE * 2.0 ** min(attempts - 1, 10))
    return max(RETRY_LEAST, random.uniform(0, bound))


def note_of(target: Target, sent: Sent) -> DeviceNote | None:
    """What to write down about the device; refusals and faults say nothing about it."""
    if sent.outcome is Outcome.ACCEPTED:
        return DeviceNote(target)
    return DeviceNote(target, sent.detail) if sent.outcome is Outcome.GONE else None

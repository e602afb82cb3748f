"""What to do about claimed deliveries: judge them anew, word the notice, read the answers."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Raw, Struct, structs

from realtime.flight import FlightLeg
from realtime.follower import Beside, Follower, Preferences, Rung, Told
from realtime.notice_catalogues import CATALOGUES
from realtime.notice_change import before_of
from realtime.notice_guard import Doubt
from realtime.notice_rules import Decision, OpenDelivery, decide, told_after
from realtime.notice_text import old_and_new, text
from realtime.sender import MUTED, Notice, Outcome, Sent, Target

TOGETHER = timedelta(seconds=1)
RETRY_BASE, RETRY_CAP, RETRY_LEAST = 10.0, 40.0, 1.0
ASKED_CAP = 300.0  # then it is claimed, and given back if the provider must still be left alone

LEG = msgspec.json.Decoder(FlightLeg)
CHANGED = msgspec.json.Decoder(dict[str, list[object]])
TARGETS = msgspec.json.Decoder(list[Target])
PREFERENCES = msgspec.json.Decoder(Preferences)
TOLD = msgspec.json.Decoder(Told)
RUNG = msgspec.json.Decoder(tuple[Rung, ...])

# What the reason of an end holds, and a word for it; the first counts.
WHY: Mapping[str, str] = {
    "said with version": "told",
    "said anew": "told",
    "no device took it": "no device took it",
    "no device": "no device",
    "not followed": "not followed",
    "not shown any more": "not shown",
    "quiet hours": "quiet hours",
    "flapping": "flapping",
    "blocked by the operator": "blocked",
    "doubted": "doubted",
    "below the step": "not wanted",
    "not wanted": "not wanted",
    "known already": "known already",
    "expired": "too late",
    "is over": "too late",
    "the time has passed": "too late",
}

Row = asyncpg.Record
"""What `load_claimed` gives of a delivery."""


class Answers(Struct, frozen=True, omit_defaults=True):
    """What devices answered to one notice, while one of them has still to take it.

    `settled` are not to get it again; of others the wall time until which they are left alone.
    `notice`: as one or more have taken it, until `expires_at` (board time).
    """

    settled: tuple[str, ...] = ()
    waits: dict[str, datetime] = {}
    notice: Notice | None = None
    expires_at: datetime | None = None


ANSWERS = msgspec.json.Decoder(Answers)


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
    answers: Answers | None = None


class Claim(Struct, frozen=True):
    """What one notice tells of a leg; `newest` gives it its id, `rows` are by version."""

    newest: Row
    rows: Mapping[int, Row]
    notice: Notice
    targets: list[Target]  # that are to get it now
    before: Answers
    ends: list[Result]  # of the other rows, if it is taken
    told: dict[str, object]
    expires_at: datetime  # board time


class Learned(Struct, frozen=True):
    """What a follower knows after a notice, as `tell_sent` takes it."""

    account_id: UUID
    leg_id: int
    before: Raw
    told: dict[str, object]


def judge(rows: Sequence[Row], doubt: Doubt | None = None) -> tuple[Claim | None, list[Result]]:
    """Decide anew on what was claimed of one follower and leg, newest first, as things are now.

    `doubt`: the leg is said to be cancelled and that is not credible yet, so all of it waits.
    """
    row, told_before = rows[0], [each for each in rows if is_taken(each)]
    if row["role"] is None:
        return None, [end_of(each, "suppressed", "not followed any more") for each in rows]
    leg, follower = LEG.decode(row["leg"]), follower_of(row)
    if leg.hidden:
        return None, [end_of(each, "superseded", "not shown any more") for each in rows]
    if doubt is not None:
        return None, [doubted(each, doubt) for each in rows]
    untold = [each for each in rows if each not in told_before]
    decision = decide([open_delivery(each) for each in untold], leg, follower, row["board_at"])
    by_version = {each["version"]: each for each in rows}
    ends = [result(by_version[one.version], one.state, one.reason) for one in decision.ends]
    kept = [
        structs.replace(result(by_version[one.version], "held", one.reason), held_until=one.until)
        for one in decision.kept
    ]
    if decision.version is None:
        claim = again(told_before[0], leg, follower) if told_before else None
        over = told_before if claim is None else told_before[1:]
        return claim, [*ends, *kept, *(result(each, "sent") for each in over)]
    newest = by_version[decision.version]
    anew = f"said anew with version {decision.version}"
    ends += [result(each, "sent", anew) for each in told_before]
    targets = TARGETS.decode(row["targets"])
    if not targets:
        end = ("suppressed", MUTED) if row["muted"] else ("undeliverable", "no device")
        return None, [result(newest, *end), *ends, *kept]
    notice, before = notice_of(newest, leg, follower, decision), answers_of(newest, targets)
    claim = Claim(
        newest=newest,
        rows=by_version,
        notice=notice,
        targets=due(targets, before, row["wall_at"]),
        before=before,
        ends=ends,
        told=msgspec.to_builtins(told_after(follower.told, decision.kinds, leg))
        | {"version": leg.version},
        expires_at=decision.expires_at or newest["expires_at"],
    )
    return claim, kept


def again(row: Row, leg: FlightLeg, follower: Follower) -> Claim | None:
    """The same notice for the devices that have not taken it; None when it is of no use now."""
    targets = TARGETS.decode(row["targets"])
    before = answers_of(row, targets)
    notice, expires_at = before.notice, before.expires_at or row["expires_at"]
    if notice is None or {each.device_id for each in targets} <= set(before.settled):
        return None
    if row["board_at"] >= expires_at:
        return None
    if told_after(follower.told, notice.kinds, leg) != follower.told:
        return None  # the leg has moved on: what is true now is said by a notice of its own
    return Claim(
        newest=row,
        rows={row["version"]: row},
        notice=structs.replace(notice, ttl=seconds_until(expires_at, row)),
        targets=due(targets, before, row["wall_at"]),
        before=before,
        ends=[],
        told={},
        expires_at=expires_at,
    )


def answers_of(row: Row, targets: Sequence[Target]) -> Answers:
    """What these devices answered to earlier attempts."""
    if not row["answers"]:
        return Answers()
    found = ANSWERS.decode(row["answers"])
    present = {each.device_id for each in targets}
    waits = {each: until for each, until in found.waits.items() if each in present}
    return structs.replace(found, waits=waits)


def is_taken(row: Row) -> bool:
    """A device has taken the notice of this delivery; another has still to."""
    return answers_of(row, []).notice is not None


def due(targets: Sequence[Target], before: Answers, now: datetime) -> list[Target]:
    """Those that are to get the notice now."""
    return [
        each
        for each in targets
        if each.device_id not in before.settled and before.waits.get(each.device_id, now) <= now
    ]


def follower_of(row: Row) -> Follower:
    """The person whose delivery this is."""
    return Follower(
        role=row["role"],
        number=row["number"],
        preferences=PREFERENCES.decode(row["preferences"]),
        told=TOLD.decode(row["told"]),
        rung=RUNG.decode(row["rung"]),
        beside=Beside(*(row[name] and LEG.decode(row[name]) for name in ("inbound", "onward"))),
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
    """The words for what was decided; in a replay board seconds are shorter.

    A screen that nobody was at keeps no urgent notice back (R9), but it has shown this state: the
    notice comes without a sound. Whatever that screen has not shown yet rings.
    """
    catalogue = CATALOGUES.get(follower.preferences.language, CATALOGUES["en"])
    demo = row["speed"] is not None
    aware = structs.replace(follower, told=decision.known)
    title, body = text(decision.kinds, leg, aware, catalogue, row["board_at"], demo)
    old, new = old_and_new(decision.kinds[0], leg, aware)
    version = leg.version if row["version"] > 0 else 0
    return Notice(
        id=f"{row['epoch']}:{row['seq']}",
        leg_key=leg.key,
        version=version,
        kinds=decision.kinds,
        title=title,
        body=body,
        urgent=decision.urgent,
        ttl=seconds_until(decision.expires_at or row["expires_at"], row),
        number=follower.number,
        at=row["board_at"].isoformat(),
        old=old,
        new=new,
        silent=0 < version <= row["shown"],
    )


def seconds_until(board_time: datetime, row: Row) -> int:
    """Wall seconds, at least one."""
    left: float = (board_time - row["board_at"]).total_seconds() / (row["speed"] or 1.0)
    return max(1, math.floor(left))


def end_of(row: Row, state: str, reason: str) -> Result:
    """The end of a delivery that nothing more is sent for; one that a device took was sent."""
    return result(row, "sent" if is_taken(row) else state, reason)


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


def doubted(row: Row, doubt: Doubt) -> Result:
    """Held until there may be a second word, or over by then."""
    if is_taken(row) or doubt.until >= row["expires_at"]:
        return end_of(row, "expired", doubt.reason)
    return structs.replace(result(row, "held", doubt.reason), held_until=doubt.until)


def results_of(claim: Claim, answers: Sequence[Sent], now: datetime) -> list[Result]:
    """Sent once no device has still to take it and one did; until then open for those that have."""
    after, details = (
        answers_after(claim, answers, now),
        details_of(answers) or claim.newest["reason"],
    )
    first = after.notice is not None and claim.before.notice is None
    said = claim.notice.kinds if first else None
    if not after.waits and after.notice is not None:
        return [result(claim.newest, "sent", said=said), *claim.ends]
    if not after.waits:
        reason = f"no device took it: {details}"
        return [result(claim.newest, "undeliverable", reason), *claim.ends]
    wait = (next_attempt(after) - now).total_seconds()
    pending = structs.replace(result(claim.newest, "pending", details, wait, said), answers=after)
    if after.notice is not None:
        return [pending, *claim.ends]
    still_open = [end.state in ("superseded", "sent") for end in claim.ends]  # by this notice
    waiting = [
        result(claim.rows[end.version], "pending", details, wait) if is_open else end
        for end, is_open in zip(claim.ends, still_open, strict=True)
    ]
    return [pending, *waiting]


def answers_after(claim: Claim, answers: Sequence[Sent], now: datetime) -> Answers:
    """What is known of all devices after an attempt."""
    sent = {target.device_id: answer for target, answer in zip(claim.targets, answers, strict=True)}
    final = Outcome.ACCEPTED, Outcome.REFUSED  # one that is gone may register again
    settled = [each for each, answer in sent.items() if answer.outcome in final]
    waits = {each: until for each, until in claim.before.waits.items() if each not in sent}
    own, jitter = own_wait(claim.newest["attempts"]), random.uniform(0, RETRY_LEAST)
    for each, answer in sent.items():
        if answer.outcome is Outcome.RETRY:
            asked = answer.retry_after
            wait = own if asked is None else min(asked, ASKED_CAP) + jitter
            waits[each] = now + timedelta(seconds=wait)
    taken = any(answer.outcome is Outcome.ACCEPTED for answer in answers)
    return Answers(
        settled=(*claim.before.settled, *settled),
        waits=waits,
        notice=claim.notice if taken else claim.before.notice,
        expires_at=claim.expires_at,
    )


def next_attempt(answers: Answers) -> datetime:
    """When the first device may be tried again, with those that wait hardly longer."""
    first = min(answers.waits.values())
    return max(until for until in answers.waits.values() if until <= first + TOGETHER)


def details_of(answers: Sequence[Sent]) -> str:
    """What the provider said of those that did not take it."""
    refused = [sent.detail for sent in answers if sent.outcome is not Outcome.ACCEPTED]
    return "; ".join(dict.fromkeys(refused))[:500]


def why(reason: str | None) -> str:
    """One of a few words for the reason of an end, which itself is written for a person."""
    if reason is None:
        return "told"
    return next((word for part, word in WHY.items() if part in reason), "no longer true")


def learned(claim: Claim) -> Learned:
    """What a sent notice taught its follower."""
    row = claim.newest
    return Learned(row["account_id"], row["leg_id"], Raw(row["told"].encode()), claim.told)


def own_wait(attempts: int) -> float:
    """Seconds until the next attempt when the provider named none: exponential, full jitter."""
    bound = min(RETRY_CAP, RETRY_BASE * 2.0 ** min(attempts - 1, 10))
    return max(RETRY_LEAST, random.uniform(0, bound))

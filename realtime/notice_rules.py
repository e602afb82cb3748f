"""Which of its open deliveries a follower is told of now, in one notice, and what ends the others.

Pure. The judge of every kind is what the person was told against the leg as it is: a notice never
says what is no longer true, nor what the person knows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct, structs

from realtime.flight import FlightLeg
from realtime.follower import Follower, Rung, Told
from realtime.notice_change import urgent
from realtime.notice_kinds import CRITICAL, TELLS, family, lasts, ordered
from realtime.notice_truth import EXPIRED, Unsaid, known, verdict

FLAPS, FLAP_SPAN, FLAP_PAUSE = 3, timedelta(minutes=20), timedelta(minutes=10)
NO_PAUSE = timedelta(minutes=20)  # before the departure
NEAR = timedelta(hours=6)
WITHHELD = timedelta(minutes=1)


class OpenDelivery(Struct, frozen=True):
    """A row that has not ended; times are board time.

    `before`: before_of(changed) of its change. `withheld`: its change came from a feed that is dead
    now.
    """

    version: int
    kinds: tuple[str, ...]
    urgent: bool
    held_until: datetime | None
    expires_at: datetime
    before: Told = Told()
    withheld: bool = False


class End(Struct, frozen=True):
    """How an open delivery ends without being the one that is sent."""

    version: int
    state: str  # superseded, expired, suppressed
    reason: str


class Kept(Struct, frozen=True):
    """An open delivery that waits; to be decided again at `until` (board time)."""

    version: int
    until: datetime
    reason: str


class Decision(Struct, frozen=True):
    """Each open delivery is `version` (to be sent, with `kinds`), or in `ends`, or in `kept`."""

    version: int | None = None
    kinds: tuple[str, ...] = ()  # to say in one notice, most important first
    urgent: bool = False
    expires_at: datetime | None = None  # of the notice
    ends: tuple[End, ...] = ()
    kept: tuple[Kept, ...] = ()
    known: Told = Told()  # to the person before the notice: its words tell old from new by it


def decide(
    deliveries: Sequence[OpenDelivery], leg: FlightLeg, follower: Follower, now: datetime
) -> Decision:
    """At board time `now`, of all open deliveries of one follower for one leg."""
    rows = sorted(deliveries, key=lambda one: one.version)
    live = [one for one in rows if now < one.expires_at]
    ends = [End(one.version, EXPIRED, "expired") for one in rows if now >= one.expires_at]
    told = known(follower.told, _before(rows))
    views = {one.version: _view(one, leg, follower, told, now) for one in live}
    due = [one for one in live if not one.withheld and (one.held_until or now) <= now]
    saying = ordered({kind for one in due for kind in views[one.version].kinds})
    saying = _without_implied(saying)
    wait = _wait(saying, due, leg, follower, now) if saying else None
    if not saying or wait is not None:
        ends += [views[one.version].end for one in live if not views[one.version].kinds]
        open_rows = [one for one in live if views[one.version].kinds]
        return _waiting(open_rows, due, wait, ends, now)
    speaking = [one for one in due if set(views[one.version].kinds) & set(saying)]
    newest = speaking[-1].version
    after = structs.replace(
        follower, told=told_after(told, saying, leg), rung=_rung(follower, saying, now)
    )
    kept: list[Kept] = []
    for one in live:
        if one.version == newest:
            continue
        view = _view(one, leg, after, after.told, now)
        if one in due or not view.kinds:
            ends.append(_end(views[one.version], newest))
        else:
            kept.append(_kept(one, now))
    limits = [end for kind in saying if (end := lasts(kind, leg)) is not None]
    return Decision(
        version=newest,
        kinds=saying,
        urgent=any(one.urgent for one in speaking),
        expires_at=max(limits),
        ends=tuple(ends),
        kept=tuple(kept),
        known=told,
    )


class View(Struct, frozen=True):
    """What an open delivery has to say now; `end` counts when that is nothing."""

    kinds: frozenset[str]
    end: End


def _before(rows: Sequence[OpenDelivery]) -> Told:
    """What was so before all of them: of each field the oldest word."""
    before = Told()
    for row in rows:
        before = known(before, row.before)
    return before


def _view(row: OpenDelivery, leg: FlightLeg, follower: Follower, told: Told, now: datetime) -> View:
    found = [verdict(kind, leg, follower, told, row.before, now) for kind in row.kinds]
    reasons = [one for one in found if isinstance(one, Unsaid)]
    first = reasons[0] if reasons else Unsaid("superseded", "nothing to say")
    kinds = frozenset(one for one in found if isinstance(one, str))
    return View(kinds, End(row.version, first.state, first.reason))


def _end(view: View, newest: int) -> End:
    if not view.kinds:
        return view.end
    return End(view.end.version, "superseded", f"said with version {newest}")


def _without_implied(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The later step alone."""
    implied = {"arrived": {"landed", "departed", "airborne"}, "landed": {"departed", "airborne"}}
    dropped = {less for kind in kinds for less in implied.get(kind, ())}
    return tuple(kind for kind in kinds if kind not in dropped)


def _rung(follower: Follower, kinds: Sequence[str], now: datetime) -> tuple[Rung, ...]:
    return (*follower.rung, *(Rung(kind, now) for kind in kinds))


def _kept(row: OpenDelivery, now: datetime) -> Kept:
    if row.withheld:
        return Kept(row.version, now + WITHHELD, "its feed is dead")
    return Kept(row.version, row.held_until or now, "held")


def _waiting(
    rows: Sequence[OpenDelivery],
    due: Sequence[OpenDelivery],
    wait: Kept | None,
    ends: list[End],
    now: datetime,
) -> Decision:
    """Nothing is said now: due deliveries wait, or end where waiting is of no use."""
    kept: list[Kept] = []
    for row in rows:
        if row not in due or wait is None:
            kept.append(_kept(row, now))
        elif wait.until >= row.expires_at:
            ends.append(End(row.version, "suppressed", f"{wait.reason} until it is over"))
        else:
            kept.append(Kept(row.version, wait.until, wait.reason))
    return Decision(ends=tuple(ends), kept=tuple(kept))


def _wait(
    kinds: Sequence[str],
    due: Sequence[OpenDelivery],
    leg: FlightLeg,
    follower: Follower,
    now: datetime,
) -> Kept | None:
    """Until when all of these wait; None when one of them may be said now, and so all may."""
    quiet = _quiet_until(leg, follower, now)
    waits: list[tuple[datetime, str]] = []
    for kind in kinds:
        until, reason = _flapping_until(kind, leg, follower, now), "flapping"
        passes = urgent(kind, leg, now) and (quiet is None or _urgent_passes(follower))
        if quiet is not None and not passes and quiet > until:
            until, reason = quiet, "quiet hours"
        waits.append((until, reason))
    until, reason = min(waits)
    return Kept(due[-1].version, until, reason) if until > now else None


def _urgent_passes(follower: Follower) -> bool:
    quiet = follower.preferences.quiet
    return quiet is None or quiet.urgent_passes


def _flapping_until(kind: str, leg: FlightLeg, follower: Follower, now: datetime) -> datetime:
    """Three of a kind within twenty minutes: the next one ten minutes after the third."""
    departure = leg.best_departure
    soon = departure is not None and now < departure <= now + NO_PAUSE
    rung = [one.at for one in follower.rung if family(one.kind) == family(kind)][-FLAPS:]
    if kind in CRITICAL or soon or len(rung) < FLAPS or rung[-1] - rung[0] > FLAP_SPAN:
        return now
    return max(now, rung[-1] + FLAP_PAUSE)


def _quiet_until(leg: FlightLeg, follower: Follower, now: datetime) -> datetime | None:
    """The end of the quiet hours, or six hours before the leg moves; None outside of them."""
    quiet = follower.preferences.quiet
    if quiet is None:
        return None
    moves = [at for at in (leg.best_departure, leg.best_arrival) if at is not None]
    if any(abs(at - now) <= NEAR for at in moves):
        return None
    local = now.astimezone(_zone(follower.preferences.zone))
    clock = local.time().replace(tzinfo=None)
    over_midnight = quiet.start > quiet.end
    inside = (clock >= quiet.start) + (clock < quiet.end) + over_midnight >= 2
    if not inside or quiet.start == quiet.end:
        return None
    end = local.replace(hour=quiet.end.hour, minute=quiet.end.minute, second=0, microsecond=0)
    end = end if end > local else end + timedelta(days=1)
    return min([end.astimezone(UTC), *(at - NEAR for at in moves if at - NEAR > now)])


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def told_after(told: Told, kinds: Sequence[str], leg: FlightLeg) -> Told:
    """What the person knows after a notice of these kinds was said of this state of the leg."""
    fields = {field for kind in kinds for field in TELLS.get(kind, ())}
    return structs.replace(told, **{field: getattr(leg, field) for field in fields})

"""Which of its open deliveries a follower is told of now, in one notice, and what ends the others.

Pure. The judge of every kind is what the person was told against the leg as it is: a notice never
says what is no longer true, nor what the person knows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from realtime.flight import FlightLeg
from realtime.follower import Follower, Told


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


def decide(
    deliveries: Sequence[OpenDelivery], leg: FlightLeg, follower: Follower, now: datetime
) -> Decision:
    """At board time `now`, of all open deliveries of one follower for one leg."""
    ends = [End(one.version, "expired", "expired") for one in deliveries if now >= one.expires_at]
    return Decision(
        ends=tuple(ends),
        kept=tuple(
            Kept(one.version, now + timedelta(seconds=90), "held")
            for one in deliveries
            if now < one.expires_at
        ),
    )


def told_after(told: Told, kinds: Sequence[str], leg: FlightLeg) -> Told:
    """What the person knows after a notice of these kinds was said of this state of the leg."""
    return told

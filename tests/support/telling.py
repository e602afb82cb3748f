"""A leg and one follower without a database: changes in, notices out, what was told carried on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import structs

from realtime.flight import FlightLeg
from realtime.follower import Follower, Preferences, Rung
from realtime.notice_change import before_of, significance, told_of
from realtime.notice_rules import Decision, OpenDelivery, decide, told_after

STD = datetime(2013, 3, 8, 22, 30, tzinfo=UTC)
LEG = FlightLeg(
    key="B69-2013-03-08-JFK-MCO",
    version=1,
    airline="B6",
    flight_no=9,
    dep_airport="JFK",
    arr_airport="MCO",
    phase="scheduled",
    irregularity="none",
    airline_name="JetBlue Airways",
    dep_city="New York",
    dep_tz="America/New_York",
    arr_city="Orlando",
    arr_tz="America/New_York",
    std=STD,
    sta=STD + timedelta(hours=3),
    dep_terminal="5",
)


class Telling:
    """`said`: the kinds of each notice, with the board time and the leg of which they were said."""

    def __init__(
        self,
        role: str = "passenger",
        preferences: Preferences | None = None,
        leg: FlightLeg = LEG,
        before: timedelta = timedelta(hours=5),
    ) -> None:
        self.leg = leg
        self.now = (leg.std or STD) - before
        self.follower = Follower(
            role=role, preferences=preferences or Preferences(), told=told_of(leg)
        )
        self.open: dict[int, OpenDelivery] = {}
        self.said: list[tuple[datetime, tuple[str, ...], FlightLeg]] = []
        self.ended: dict[int, tuple[str, str]] = {}

    @property
    def kinds(self) -> list[tuple[str, ...]]:
        return [kinds for _, kinds, _ in self.said]

    def change(self, wait: timedelta = timedelta(minutes=2), **values: Any) -> None:
        """One committed change; then `wait` passes, in which what is due is decided."""
        old, new = msgspec.to_builtins(self.leg), structs.replace(self.leg, **values)
        state = msgspec.to_builtins(new)
        changed = {name: [old[name], state[name]] for name in state if old[name] != state[name]}
        if changed:
            self.leg = structs.replace(new, version=self.leg.version + 1)
            found = significance(changed, self.leg, self.now)
            if found is not None:
                self.open[self.leg.version] = OpenDelivery(
                    self.leg.version, found.kinds, found.urgent, found.held_until,
                    found.expires_at, before_of(changed),
                )  # fmt: skip
        self.wait(wait)

    def wait(self, span: timedelta) -> None:
        """Decide whenever something is due until this has passed."""
        end = self.now + span
        grace = timedelta(seconds=8)
        while True:
            due = [one.held_until or self.now for one in self.open.values()]
            at = max(min(due), self.now + grace) if due else end + grace
            if at > end:
                break
            self.now = at
            self.take(decide(list(self.open.values()), self.leg, self.follower, self.now))
        self.now = end

    def take(self, decision: Decision) -> None:
        """What the notifier does with a decision."""
        before = set(self.open)
        for end in decision.ends:
            del self.open[end.version]
            self.ended[end.version] = (end.state, end.reason)
        for kept in decision.kept:
            assert kept.until > self.now, kept
            self.open[kept.version] = structs.replace(
                self.open[kept.version], held_until=kept.until
            )
        named = [end.version for end in decision.ends] + [kept.version for kept in decision.kept]
        if decision.version is not None:
            del self.open[decision.version]
            self.said.append((self.now, decision.kinds, self.leg))
            told = told_after(self.follower.told, decision.kinds, self.leg)
            rung = (*self.follower.rung, *(Rung(kind, self.now) for kind in decision.kinds))
            self.follower = structs.replace(self.follower, told=told, rung=rung)
            named.append(decision.version)
        assert sorted(named) == sorted(before), "every open delivery is decided exactly once"

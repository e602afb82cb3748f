"""A flight leg while a batch of patches is applied to it, before anything is written. Pure."""

from collections.abc import Mapping
from typing import Literal

from api.fields import Fields, PatchRefused, check_actuals
from api.merge import (
    SCHEDULE,
    Authority,
    Columns,
    combine,
    difference,
    merge,
    repeats,
    speaker,
)  # fmt: skip
from realtime.flight import LegKey

Outcome = Literal["applied", "unchanged", "stale", "refused"]


class Draft:
    """One leg, what all feeds said of it, and the columns that one feed's new words change."""

    def __init__(self, key: LegKey, feed_id: int, authorities: Mapping[int, Authority]) -> None:
        self.key = key
        self.leg_id: int | None = None
        self.version: int | None = None
        self.columns: Columns = {}
        self.as_of: str | None = None
        self.reweighed = False
        self.confirmed = False
        self._uncertain = False
        self._feed_id = feed_id
        self._authorities = authorities
        self._statements: dict[int, Fields] = {}
        self._merged: Columns | None = {}
        self._schedule: dict[str, str | None] = {"std": None, "sta": None}

    @property
    def fields(self) -> Fields:
        """The newest words of the feed that speaks."""
        return self._statements.get(self._feed_id, {})

    def stored(
        self,
        leg_id: int,
        version: int,
        std: str | None,
        sta: str | None,
        statements: Mapping[int, Fields],
        weighed: Mapping[int, Authority] | None = None,
        *,
        uncertain: bool = False,
    ) -> None:
        """The leg is known: as it stands in the database, hand edits included.

        `weighed`: the authorities that it was merged under, where they were others than now.
        """
        self.leg_id, self.version, self._uncertain = leg_id, version, uncertain
        self._statements = dict(statements)
        self._merged = None
        known = self._authorities if weighed is None else weighed
        self.reweighed = any(
            known.get(feed_id) != self._authorities.get(feed_id) for feed_id in statements
        )
        if self.reweighed:
            before = merge(statements, {**self._authorities, **known})
            self.columns = difference(before, self._merged_now())
        self._schedule = {
            name: self.columns.get(name, held) for name, held in (("std", std), ("sta", sta))
        }

    def speaker(self) -> tuple[int, str] | None:
        """The feed whose word the changed columns now follow, and when it was said."""
        return speaker(self._statements, self._authorities, self.columns)

    def teller(self) -> int | None:
        """The feed whose word on the schedule counts: it knows whether there is such a leg."""
        found = speaker(self._statements, self._authorities, SCHEDULE)
        return found[0] if found is not None else None

    def say(self, said: Fields, as_of: str) -> Outcome:
        """Take in one patch, or leave the leg as it was and raise PatchRefused."""
        held = self.fields
        combined = combine(held, said)
        statements = self._statements | {self._feed_id: combined}
        merged = self._merged
        changed: Columns = {}
        if len(statements) > 1 or not repeats(held, said):
            merged = merge(statements, self._authorities)
            changed = difference(self._merged_now(), merged)
        schedule = {name: changed.get(name, value) for name, value in self._schedule.items()}
        accepted = {name: word for name, word in said.items() if held.get(name) != combined[name]}
        if not any(schedule.values()):
            raise PatchRefused("no_schedule", "std", "the leg has neither std nor sta")
        check_actuals(accepted, schedule["std"], schedule["sta"])
        self._statements, self._merged, self._schedule = statements, merged, schedule
        self.columns |= changed
        self.as_of = max(self.as_of or "", as_of)
        stale = said and all(held.get(name) not in (None, word) for name, word in said.items())
        if stale and not accepted:
            return "stale"
        cleared = self.teller() == self._feed_id and self._confirm()
        return "applied" if changed or cleared else "unchanged"

    def _merged_now(self) -> Columns:
        if self._merged is None:
            self._merged = merge(self._statements, self._authorities)
        return self._merged

    def _confirm(self) -> bool:
        """True: that there is such a leg was doubted until now."""
        doubted, self.confirmed, self._uncertain = self._uncertain, True, False
        if doubted:
            self.columns["uncertain"] = False
        return doubted

"""The ledger of sockets: what became of every committed change at every live subscriber.

Displayed, conflated or resynchronised; nothing else is accounted for. Versions of a leg are dense,
so a jump on a channel states what it skips. A jump between two pushes is conflation, which the node
has to have counted; a reply to a subscription may skip what it says is a whole state, or, of a
board, the newest rows.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

How = Literal["conflated", "resynchronised", "lost"]
Surface = tuple[str, str]
"""A channel, and the key of a leg there."""


class Shown:
    """What one subscriber displayed; `repeats` are pushes of what it had, `duplicates` rows that a
    resynchronisation repeated, which it dropped."""

    def __init__(self) -> None:
        self.first: dict[Surface, int] = {}
        self.last: dict[Surface, int] = {}
        self.skipped: dict[Surface, dict[int, How]] = {}
        self.at: dict[tuple[str, int], float] = {}
        self.repeats: list[str] = []
        self.duplicates = 0

    def show(self, surface: Surface, version: int, how: How) -> None:
        """This version is displayed; `how` says what a jump to it would mean."""
        self.at.setdefault((surface[1], version), asyncio.get_running_loop().time())
        last = self.last.get(surface)
        if last is None:
            self.first[surface] = version
        elif version <= last:
            self.duplicates += how == "resynchronised"
            self.repeats += [f"{surface} {version} after {last}"] if how != "resynchronised" else []
            return
        else:
            missed = range(last + 1, version)
            self.skipped.setdefault(surface, {}).update(dict.fromkeys(missed, how))
        self.last[surface] = version


class Subscriber(Protocol):
    """Who displays."""

    shown: Shown

    @property
    def surfaces(self) -> Sequence[Surface]:
        """Where every change of every leg has to be displayed."""
        ...


class SocketLedger(Struct):
    """How many (change, subscriber, channel) there are, and which did not come to a true end."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    duplicates: int = 0

    @property
    def line(self) -> str:
        counts = " ".join(f"{name}={count}" for name, count in sorted(self.ends.items()))
        return (
            f"pairs={self.ends.total()} {counts} unaccounted={len(self.wrong)}"
            f" duplicates_dropped={self.duplicates}"
        )


def account_sockets(
    committed: Mapping[str, int], subscribers: Sequence[Subscriber], *, slow: bool = False
) -> SocketLedger:
    """`committed`: the newest version by leg key. Only who is `slow` may have been conflated."""
    ledger = SocketLedger()
    for number, subscriber in enumerate(subscribers):
        shown = subscriber.shown
        ledger.duplicates += shown.duplicates
        ledger.wrong += [f"subscriber {number} got again {each}" for each in shown.repeats]
        for surface in subscriber.surfaces:
            ends = ends_of(shown, surface, committed[surface[1]])
            ledger.ends.update(ends.values())
            fatal = ("lost",) if slow else ("lost", "conflated")
            bad = [version for version, end in ends.items() if end in fatal]
            ledger.wrong += [f"subscriber {number} {surface} {v}: {ends[v]}" for v in bad]
    return ledger


def ends_of(shown: Shown, surface: Surface, newest: int) -> Mapping[int, str]:
    """By version: what became of it here."""
    first, last = shown.first.get(surface, newest + 1), shown.last.get(surface, 0)
    if not last:
        return dict.fromkeys(range(1, newest + 1), "lost")
    ends: dict[int, str] = dict.fromkeys(range(first, last + 1), "displayed")
    ends |= shown.skipped.get(surface, {})
    return ends | dict.fromkeys(range(last + 1, newest + 1), "lost")


async def committed_versions(database: Any, keys: Sequence[str]) -> Mapping[str, int]:
    """The newest version of each leg in the log, by key."""
    rows = await database.fetch(
        """SELECT key, max(c.version) AS version
           FROM change_log c JOIN flight_leg USING (leg_id)
           WHERE key = ANY ($1::text[]) GROUP BY key""",
        list(keys),
    )
    return {row["key"]: row["version"] for row in rows}

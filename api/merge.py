"""From what each feed said to the columns of a leg: per-field last writer with authority. Pure.

The result depends on the statements alone, never on the order in which they came or how often.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from api.fields import ACTUALS, ALL, FADING, PHASES, Fields, Said

Columns = dict[str, Any]

EVIDENCE: Mapping[str, str] = MappingProxyType({
    "gate_open_at": "gate_open",
    "boarding_at": "boarding",
    "final_call_at": "final_call",
    "gate_close_at": "gate_closed",
    "atd": "off_block",
    "atot": "airborne",
    "aldt": "landed",
    "ata": "in_block",
    "last_bag_at": "bags_done",
})  # fmt: skip
"""The time that proves a phase; the highest phase with evidence wins."""

RANK: Mapping[str, int] = MappingProxyType({name: rank for rank, name in enumerate(PHASES)})
EMPTY: Mapping[str, Any] = MappingProxyType({
    "belts": [], "codeshares": [], "hidden": False, "irregularity": "none", "repeat_no": 1,
})  # fmt: skip
"""What a column holds of which no feed says anything; the others are null."""

PROVING = ACTUALS | {"phase"}
SCHEDULE = frozenset({"std", "sta"})
DIVERTING = frozenset({"diverted", "air_return"})
SUSPENDED = timedelta(minutes=45)
LONGEST_BOARDING = timedelta(minutes=75)
FINAL = 1000  # priority of the operator: what it clears is empty; others yield to who has a value
UNSAID = object()


class Authority(Struct, frozen=True):
    """The weight of a feed's word; some groups of fields may have their own."""

    priority: int
    groups: Mapping[str, int] = MappingProxyType({})
    enabled: bool = True
    silent: bool = False

    def over(self, group: str) -> int:
        """The priority of the feed in this group."""
        return self.groups.get(group, self.priority)

    def counts_for(self, name: str) -> bool:
        """False: the word on this field stands only where nobody else has one."""
        return not (self.silent and name in FADING)


Choice = tuple[int, Said]


class Weight(NamedTuple):
    """Of several words on a field the greatest counts."""

    has_say: bool
    counts: bool
    priority: int
    at: str
    feed_id: int


class Evidence(Struct, frozen=True):
    """That a phase was reached at a time, when that was said, and of which field."""

    rank: int
    happened: str
    said: str
    name: str


class Void(Struct, frozen=True):
    """Phases of this range do not count if they happened before, and were said before, a time."""

    first: str
    last: str
    said_before: str
    happened_before: str

    def hits(self, one: Evidence) -> bool:
        """Whether this evidence no longer counts."""
        return (
            RANK[self.first] <= one.rank <= RANK[self.last]
            and one.said < self.said_before
            and one.happened < self.happened_before
        )


def newest(held: Said | None, said: Said, *, per_attempt: bool) -> Said:
    """Which of two words of one feed on one field stands."""
    if held is None:
        return said
    if per_attempt and held.repeat != said.repeat:
        return held if held.repeat > said.repeat else said
    if held.at != said.at:
        return held if held.at > said.at else said
    return max(held, said, key=_greatness)


def combine(held: Fields, said: Fields) -> dict[str, Said]:
    """What a feed has said, with its newest word for each field."""
    combined = dict(held)
    for name, word in said.items():
        field = ALL.get(name)
        if field is not None:
            combined[name] = newest(held.get(name), word, per_attempt=field.per_attempt)
    return combined


def repeats(held: Fields, said: Fields) -> bool:
    """Whether these words of a leg's only feed cannot change any column.

    Where a phase was reached the time of a word counts too, so that there it may.
    """
    if held.keys() & PROVING or said.keys() & PROVING:
        return False
    return all(
        (old := held.get(name)) is not None
        and old.value == word.value
        and old.repeat == word.repeat
        for name, word in said.items()
    )


def merge(statements: Mapping[int, Fields], authorities: Mapping[int, Authority]) -> Columns:
    """The columns that the statements of the feeds amount to; an unstated field has none."""
    chosen = {name: word for name, (_, word) in choose(statements, authorities).items()}
    columns = {
        name: EMPTY.get(name) if word.value is None else word.value
        for name, word in chosen.items()
        if name not in ("phase", "origin_date")
    }
    columns["phase"] = _phase(chosen)
    if columns.get("irregularity") not in DIVERTING:
        columns.pop("divert_airport", None)
    return columns


def difference(before: Columns, after: Columns) -> Columns:
    """What to write: columns that the feeds see otherwise than before; others keep hand edits."""
    names = {
        name
        for name in before.keys() | after.keys()
        if before.get(name, UNSAID) != after.get(name, UNSAID)
    }
    # A leg keeps its schedule when the feed that told it is switched off.
    names -= SCHEDULE - after.keys()
    # The two are bound by a CHECK, also where one of them was edited by hand.
    if names & {"irregularity", "divert_airport"}:
        names |= {"irregularity", "divert_airport"}
    return {name: after.get(name, EMPTY.get(name)) for name in sorted(names)}


def speaker(
    statements: Mapping[int, Fields], authorities: Mapping[int, Authority], names: Iterable[str]
) -> tuple[int, str] | None:
    """Whose word made these columns, and when it was said; of several the newest."""
    names = list(names)
    chosen = choose(statements, authorities, names)
    words = [(chosen[name][1].at, chosen[name][0]) for name in names if name in chosen]
    at, feed_id = max(words, default=("", 0))
    return (feed_id, at) if words else None


def _greatness(word: Said) -> bytes:
    return b"" if word.value is None else msgspec.json.encode(word.value, order="sorted")


def weigh(name: str, word: Said, feed_id: int, authority: Authority) -> Weight:
    """What a word of a feed on a field weighs; the field is one that there is."""
    field = ALL.get(name)
    priority = authority.over(field.group) if field is not None else 0
    has_say = word.value is not None or priority >= FINAL
    return Weight(has_say, authority.counts_for(name), priority, word.at, feed_id)


def attempt_of(statements: Iterable[Fields]) -> int:
    """The newest departure attempt that any of them knows of."""
    return max(
        (fields["repeat_no"].value for fields in statements if "repeat_no" in fields), default=1
    )


def choose(
    statements: Mapping[int, Fields],
    authorities: Mapping[int, Authority],
    names: Container[str] | None = None,
) -> dict[str, Choice]:
    """For each field, or each of `names`, the feed whose word counts, and the word."""
    heard = {
        feed_id: fields
        for feed_id, fields in statements.items()
        if feed_id in authorities and authorities[feed_id].enabled
    }
    attempt = attempt_of(heard.values())
    chosen: dict[str, Choice] = {}
    for feed_id, fields in heard.items():
        for name, word in fields.items():
            field = ALL.get(name)
            if field is None or (field.per_attempt and word.repeat < attempt):
                continue
            if names is not None and name not in names:
                continue
            rival = chosen.get(name)
            if rival is None or weigh(name, word, feed_id, authorities[feed_id]) > weigh(
                name, rival[1], rival[0], authorities[rival[0]]
            ):
                chosen[name] = (feed_id, word)
    return chosen


def _phase(chosen: Mapping[str, Said]) -> str:
    found = proof_of_phase(chosen)
    return PHASES[found.rank if found is not None else 0]


def proof_of_phase(chosen: Mapping[str, Said]) -> Evidence | None:
    """That of the highest phase with evidence that nothing said later has taken back."""
    evidence = [
        Evidence(RANK[phase], word.value, word.at, name)
        for name, phase in EVIDENCE.items()
        if (word := chosen.get(name)) is not None and word.value is not None
    ]
    stated = chosen.get("phase")
    if stated is not None and stated.value is not None:
        evidence.append(Evidence(RANK[stated.value], stated.at, stated.at, "phase"))
    voids = [void for void in (_suspended(chosen), _returned(chosen)) if void is not None]
    standing = [one for one in evidence if not any(void.hits(one) for void in voids)]
    return max(standing, key=lambda one: one.rank, default=None)


def _suspended(chosen: Mapping[str, Said]) -> Void | None:
    """Boarding, once the departure is put off by far more than boarding takes."""
    word = chosen.get("etd")
    if word is None or word.value is None:
        return None
    etd = datetime.fromisoformat(word.value)
    if etd - datetime.fromisoformat(word.at) <= SUSPENDED:
        return None
    return Void("boarding", "gate_closed", word.at, _text(etd - LONGEST_BOARDING))


def _returned(chosen: Mapping[str, Said]) -> Void | None:
    """Everything up to off block, once the aircraft is back at its gate."""
    word = chosen.get("irregularity")
    if word is None or word.value != "returned_to_gate":
        return None
    return Void("check_in", "off_block", word.at, word.at)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

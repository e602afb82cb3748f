"""What real feeds do against the book, done to a replay on purpose. Pure, a hash decides.

None of it changes how a leg ends: words are repeated, late, overtaken, taken back, or of less
authority.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from api.feed import CodeShare, Patch, PatchKey
from api.feed_replay import FEED, Statement
from api.replay_day import noise
from api.replay_gates import AREAS, Values

FAULTS = ("duplicates", "disorder", "contradiction", "silence", "refresh", "reinstated")
SECOND_FEED = "replay-b"

SHARE = 0.01
CONTRADICTED = 0.1
LONGEST_DELAY = 180
SILENT_AFTER = timedelta(minutes=20)
SILENT_FOR = timedelta(minutes=10)
CONTRADICTED_AFTER = timedelta(minutes=5)
REFRESH_EACH = timedelta(hours=1)
REINSTATED_FROM = timedelta(minutes=150)
CANCELLED_BEFORE = timedelta(minutes=120)
REINSTATED_BEFORE = timedelta(minutes=95)


class Told(Struct, frozen=True):
    """Statements in the order in which they are heard; how many each fault touched; the silence."""

    statements: Sequence[Statement]
    counts: Mapping[str, int]
    silent: tuple[datetime, datetime] | None = None


def faults_of(text: str) -> frozenset[str]:
    """`duplicates,silence` → a set; ValueError names what there is."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if "all" in names:
        return frozenset(FAULTS)
    if unknown := sorted(names - set(FAULTS)):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(FAULTS)}, all")
    return names


def with_faults(told: Sequence[Statement], faults: Collection[str], opens: datetime) -> Told:
    """The same day, told badly."""
    counts: dict[str, int] = {}
    if "reinstated" in faults:
        mistaken = _reinstated(told, opens + REINSTATED_FROM)
        counts["reinstated"] = len(mistaken) // 2
        told = sorted([*told, *mistaken], key=_order)
    heard = list(told)
    if "disorder" in faults:
        heard = [_late(said) for said in heard]
        counts["disorder"] = sum(
            after.at != said.at for after, said in zip(heard, told, strict=True)
        )
    if "duplicates" in faults:
        again = [_again(said) for said in heard if _chosen(said, "duplicate", SHARE)]
        counts["duplicates"], heard = len(again), heard + again
    if "refresh" in faults:
        restated = list(_refreshes(told))
        counts["refresh"], heard = len(restated), heard + restated
    silent = None
    if "silence" in faults:
        silent = (opens + SILENT_AFTER, opens + SILENT_AFTER + SILENT_FOR)
        counts["silence"] = sum(silent[0] <= said.at < silent[1] for said in heard)
        heard = [_held_back(said, *silent) for said in sorted(heard, key=_order)]
    if "contradiction" in faults:
        other = list(_contradictions(heard))
        counts["contradiction"], heard = len(other), heard + other
    return Told(sorted(heard, key=lambda said: said.at), counts, silent)


def _order(said: Statement) -> tuple[datetime, str]:
    return said.at, str(said.patch.key.leg_key())


def _noise(said: Statement, purpose: str) -> float:
    return noise(f"{said.patch.key.leg_key()}|{said.patch.source_ts.isoformat()}|{purpose}")


def _chosen(said: Statement, purpose: str, share: float) -> bool:
    return _noise(said, purpose) < share


def _late(said: Statement) -> Statement:
    """Up to three minutes late, so that others overtake it; a leg's first word never is."""
    if "std" in said.patch.set or not _chosen(said, "late", SHARE):
        return said
    delay = 1 + int(_noise(said, "how late") * LONGEST_DELAY)
    return replace(said, at=said.at + timedelta(seconds=delay))


def _again(said: Statement) -> Statement:
    return replace(said, at=said.at + timedelta(seconds=int(_noise(said, "again") * 60)))


def _held_back(said: Statement, start: datetime, end: datetime) -> Statement:
    return replace(said, at=end) if start <= said.at < end else said


def _reinstated(told: Sequence[Statement], earliest: datetime) -> list[Statement]:
    """A leg that will leave in time to come is cancelled by mistake, and not any more later."""
    planned: dict[PatchKey, datetime] = {}
    leaving: set[PatchKey] = set()
    irregular: set[PatchKey] = set()
    for said in told:
        patch = said.patch
        if "std" in patch.set:
            planned[patch.key] = datetime.fromisoformat(str(patch.set["std"]))
        leaving |= {patch.key} if "atd" in patch.set else set()
        irregular |= {patch.key} if "irregularity" in patch.set else set()
    chosen = [key for key in leaving - irregular if planned[key] >= earliest]
    if not chosen:
        return []
    key = min(chosen, key=lambda key: noise(f"{key.leg_key()}|reinstated"))
    wrong, right = planned[key] - CANCELLED_BEFORE, planned[key] - REINSTATED_BEFORE
    cancelled: Values = {
        "irregularity": "cancelled",
        "cancelled_at": wrong.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    regular: Values = {"irregularity": "none"}
    return [
        Statement(wrong, Patch(key=key, source_ts=wrong, set=cancelled)),
        Statement(right, Patch(key=key, source_ts=right, set=regular, clear=["cancelled_at"])),
    ]


def _refreshes(told: Sequence[Statement]) -> Iterator[Statement]:
    """Each board hour, everything that the source knows of every leg by then."""
    if not told:
        return
    known: dict[PatchKey, tuple[Values, list[CodeShare]]] = {}
    hour, position = told[0].at + REFRESH_EACH, 0
    while hour < told[-1].at:
        while told[position].at <= hour:
            patch = told[position].patch
            values, shares = known.get(patch.key, ({}, []))
            values = {n: v for n, v in (values | patch.set).items() if n not in patch.clear}
            known[patch.key] = (values, shares if patch.codeshares is None else patch.codeshares)
            position += 1
        for key, (values, shares) in known.items():
            yield Statement(hour, Patch(key=key, source_ts=hour, set=values, codeshares=shares))
        hour += REFRESH_EACH


def _contradictions(heard: Iterable[Statement]) -> Iterator[Statement]:
    """A second feed, heard after the first, believes in another gate of the same terminal."""
    for said in heard:
        patch = said.patch
        gate = patch.set.get("dep_gate")
        if gate is None or "std" in patch.set or not _chosen(said, "contradiction", CONTRADICTED):
            continue
        terminal = str(patch.set["dep_terminal"])
        others = [other for other in AREAS[patch.key.dep][terminal] if other != gate]
        other = others[int(_noise(said, "contradicted by") * len(others))]
        at = said.at + CONTRADICTED_AFTER
        word: Values = {"dep_terminal": terminal, "dep_gate": other}
        yield Statement(at, Patch(key=patch.key, source_ts=at, set=word), SECOND_FEED)


def silent_at(told: Told, now: datetime) -> bool:
    """Whether the feed is silent on purpose."""
    return told.silent is not None and told.silent[0] <= now < told.silent[1]


def feeds_of(told: Told) -> list[str]:
    """Who speaks."""
    return [FEED, *([SECOND_FEED] if "contradiction" in told.counts else [])]

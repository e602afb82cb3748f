"""Why a leg shows what it shows: whose word each value is, and what the others say. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from api.fields import Fields, Said, field_of
from api.merge import EMPTY, Authority, Weight, attempt_of, choose, proof_of_phase, weigh

Why = Literal["only", "authority", "newest", "tie", "fallback", "evidence", "kept", "hand"]
Standing = Literal["shown", "agrees", "differs", "cleared", "earlier_attempt", "switched_off"]

LONGEST_BLOCK = timedelta(hours=20)
FAR_DATE = timedelta(days=3)
IN_ORDER = (
    ("std", "sta"), ("atd", "atot"), ("atot", "aldt"), ("aldt", "ata"), ("atd", "ata"),
)  # fmt: skip


class Speaker(Struct, frozen=True):
    """A feed, and the weight of its word."""

    code: str
    party: str
    authority: Authority


class Word(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a feed last said of a field; no `value`: it cleared the field."""

    feed: str
    party: str
    standing: Standing
    value: Any = UNSET
    source_ts: str
    priority: int
    silent: bool = False


class Shown(Struct, frozen=True, kw_only=True):
    """A field, what is shown of it, whose word that is (null: by hand), and why."""

    field: str
    value: Any
    feed: str | None
    why: Why
    proof: str | UnsetType = UNSET
    words: list[Word]


class Flag(Struct, frozen=True):
    """Something that cannot quite be."""

    code: str
    fields: list[str]
    text: str


def explain(
    state: Mapping[str, Any], statements: Mapping[int, Fields], speakers: Mapping[int, Speaker]
) -> list[Shown]:
    """Each field of the public state of which a feed has spoken, in their order there."""
    authorities = {feed_id: speaker.authority for feed_id, speaker in speakers.items()}
    chosen = choose(statements, authorities)
    spoken = {name for fields in statements.values() for name in fields if field_of(name)}
    attempt = attempt_of(
        fields for feed_id, fields in statements.items() if authorities[feed_id].enabled
    )
    return [
        _shown(name, state, _weighed(name, statements, authorities), chosen.get(name), speakers,
               attempt)
        if name != "phase"
        else _phase(state, chosen, speakers)
        for name in PUBLIC
        if name in spoken or name == "phase"
    ]  # fmt: skip


def flags(state: Mapping[str, Any], shown: Sequence[Shown], *, derived: bool) -> list[Flag]:
    """What of the leg is doubtful."""
    found = [
        Flag("contradiction", [each.field], f"feeds differ on {each.field}")
        for each in shown
        if any(word.standing == "differs" for word in each.words)
    ]
    times = {name: datetime.fromisoformat(state[name]) for pair in IN_ORDER for name in pair
             if isinstance(state.get(name), str)}  # fmt: skip
    for earlier, later in IN_ORDER:
        if earlier in times and later in times and times[later] < times[earlier]:
            found.append(Flag("disorder", [earlier, later], f"{later} lies before {earlier}"))
    if "std" in times and "sta" in times:
        block = times["sta"] - times["std"]
        if not block or block > LONGEST_BLOCK:
            text = f"from std to sta it takes {block}"
            found.append(Flag("block_time", ["std", "sta"], text))
    origin = date.fromisoformat(state["origin_date"])
    for name in ("std", "sta"):
        if name in times and abs(times[name].date() - origin) > FAR_DATE:
            found.append(Flag("origin_date", [name], f"{name} is days off the origin date"))
    if derived:
        text = "no feed gave the origin date: it follows from the times"
        found.append(Flag("derived_date", ["origin_date"], text))
    if state.get("uncertain"):
        found.append(Flag("uncertain", [], "the feed that told of the leg no longer repeats it"))
    return found


PUBLIC = (
    "std", "etd", "atd", "atot", "sta", "eta", "eldt", "aldt", "ata", "phase", "irregularity",
    "divert_airport", "cancelled_at", "next_info_at", "public_remark", "service_type",
    "aircraft_type", "codeshares", "dep_terminal", "dep_gate", "check_in_from", "check_in_to",
    "check_in_open_at", "check_in_close_at", "gate_open_at", "boarding_plan", "boarding_est",
    "boarding_at", "gate_close_plan", "gate_close_est", "final_call_at", "gate_close_at",
    "arr_terminal", "arr_gate", "belts", "first_bag_at", "last_bag_at", "hidden",
)  # fmt: skip
"""What of a leg anybody may see."""

Weighed = list[tuple[Weight, int, Said]]


def _weighed(
    name: str, statements: Mapping[int, Fields], authorities: Mapping[int, Authority]
) -> Weighed:
    return sorted(
        (
            (weigh(name, fields[name], feed_id, authorities[feed_id]), feed_id, fields[name])
            for feed_id, fields in statements.items()
            if name in fields
        ),
        key=lambda each: each[0],
        reverse=True,
    )


def _shown(
    name: str,
    state: Mapping[str, Any],
    weighed: Weighed,
    choice: tuple[int, Said] | None,
    speakers: Mapping[int, Speaker],
    attempt: int,
) -> Shown:
    value = state.get(name)
    if choice is None:
        why: Why = "kept" if value is not None else "fallback"
        words = _words(name, weighed, None, speakers, attempt)
        return Shown(field=name, value=value, feed=None, why=why, words=words)
    feed_id, word = choice
    words = _words(name, weighed, choice, speakers, attempt)
    if _same(name, value, word.value):
        counted = [each for each in weighed if _counts(name, each, speakers, attempt)]
        why = _why(counted)
        return Shown(field=name, value=value, feed=speakers[feed_id].code, why=why, words=words)
    return Shown(field=name, value=value, feed=None, why="hand", words=words)


def _phase(
    state: Mapping[str, Any],
    chosen: Mapping[str, tuple[int, Said]],
    speakers: Mapping[int, Speaker],
) -> Shown:
    """A phase follows from the times that prove it."""
    proof = proof_of_phase({name: word for name, (_, word) in chosen.items()})
    feed = speakers[chosen[proof.name][0]].code if proof is not None else None
    return Shown(
        field="phase", value=state["phase"], feed=feed, why="evidence",
        proof=proof.name if proof is not None else UNSET, words=[],
    )  # fmt: skip


def _why(counted: Weighed) -> Why:
    """How the first won over the others."""
    first, others = counted[0][0], [weight for weight, _, _ in counted[1:]]
    if not others:
        return "only"
    if any(other.priority > first.priority for other in others):
        return "fallback"
    equals = [other for other in others if other[:3] == first[:3]]
    if not equals:
        return "authority"
    return "newest" if all(other.at < first.at for other in equals) else "tie"


def _words(
    name: str,
    weighed: Weighed,
    choice: tuple[int, Said] | None,
    speakers: Mapping[int, Speaker],
    attempt: int,
) -> list[Word]:
    return [
        Word(
            feed=speakers[feed_id].code, party=speakers[feed_id].party,
            standing=_standing(name, (weight, feed_id, word), choice, speakers, attempt),
            value=UNSET if word.value is None else word.value, source_ts=word.at,
            priority=weight.priority, silent=speakers[feed_id].authority.silent,
        )
        for weight, feed_id, word in weighed
    ]  # fmt: skip


def _standing(
    name: str,
    each: tuple[Weight, int, Said],
    choice: tuple[int, Said] | None,
    speakers: Mapping[int, Speaker],
    attempt: int,
) -> Standing:
    _, feed_id, word = each
    if not speakers[feed_id].authority.enabled:
        return "switched_off"
    if not _counts(name, each, speakers, attempt):
        return "earlier_attempt"
    if choice is not None and choice[0] == feed_id:
        return "shown"
    if word.value is None:
        return "cleared"
    return "agrees" if choice is not None and choice[1].value == word.value else "differs"


def _counts(
    name: str, each: tuple[Weight, int, Said], speakers: Mapping[int, Speaker], attempt: int
) -> bool:
    field = field_of(name)
    late = field is not None and field.per_attempt and each[2].repeat < attempt
    return speakers[each[1]].authority.enabled and not late


def _same(name: str, value: Any, said: Any) -> bool:
    """Public states leave out what is empty, and diversions of legs that fly on."""
    return (
        (value or None) == (said or None)
        or name == "divert_airport"
        or (value is None and said == EMPTY.get(name))
    )

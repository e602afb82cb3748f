"""Rows of a change log, as the database would have written them, without one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Raw

from realtime.flight import Change
from realtime.protocol import encode

DAY = datetime(2013, 3, 8, 12, 0, tzinfo=UTC)

Step = tuple[str, int, dict[str, Any]]
"""("leg", number, fields that change) or ("clock", minutes that pass, {})."""


def minute(count: int) -> str:
    return (DAY + timedelta(minutes=count)).isoformat().replace("+00:00", "Z")


def wall(now: datetime) -> datetime:
    """A replay at twenty times: 300 board minutes are the 15 that boards recover."""
    return DAY + (now - DAY) / 20


def log_of(given_steps: Sequence[Step]) -> list[Change]:
    """The rows that the database would have logged for these steps."""
    now, log = DAY, [clock_row(1, DAY)]
    states: dict[int, dict[str, Any]] = {}
    for seq, (kind, subject, fields) in enumerate(given_steps, 2):
        if kind == "clock":
            now += timedelta(minutes=subject)
            log.append(clock_row(seq, now))
            continue
        before = states.get(subject, {})
        after = new_state(subject, before, fields)
        states[subject] = after
        changed = {
            name: [before.get(name), after.get(name)]
            for name in before | after
            if name != "version" and before and before.get(name) != after.get(name)
        }
        log.append(
            Change(
                seq=seq,
                kind="leg",
                at=now,
                wall_at=wall(now),
                leg_id=subject,
                version=after["version"],
                changed=Raw(encode(changed)),
                state=Raw(encode(after)),
            )
        )
    return log


def clock_row(seq: int, now: datetime) -> Change:
    return Change(seq=seq, kind="clock", at=now, wall_at=wall(now))


def new_state(leg_id: int, before: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    state = before or {
        "key": f"B6{leg_id}-2013-03-08-JFK-MCO",
        "version": 0,
        "airline": "B6",
        "flight_no": leg_id,
        "dep_airport": "JFK",
        "arr_airport": "MCO",
        "phase": "scheduled",
        "irregularity": "none",
        "std": minute(60 * leg_id),
        "sta": minute(60 * leg_id + 150),
    }
    state = state | {"version": state["version"] + 1}
    for name, value in fields.items():
        timed = minute(value) if isinstance(value, int) and name in ("etd", "atd") else value
        state = state | {name: timed}
    suffix, arr = state.get("suffix", ""), state["arr_airport"]
    state["key"] = f"B6{leg_id}{suffix}-2013-03-08-JFK-{arr}"
    return {name: value for name, value in state.items() if value not in ("", None, False)}

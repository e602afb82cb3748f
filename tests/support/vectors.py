"""`python -m tests.support.vectors` writes the board and flight vectors of tests/vectors.

What a client of a board and of a flight is told for given rows of the log, and what it must hold
after each; the client in TypeScript is held against the same files.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from realtime.channels import Channel, parse_channel
from realtime.errors import Refused
from realtime.flight import Change
from realtime.hub import board_result, flight_result
from realtime.log_state import Loaded, LogState
from realtime.protocol import MAP, PHASE_STREAM, Subscribe, encode
from tests.support.log_rows import Step, log_of

FOLDER = Path(__file__).parents[1] / "vectors"
EPOCH = "e"
FLIGHT = "flight:B61-2013-03-08-JFK-MCO"
DEPARTURES = "board:JFK:departures"

BOARD_ABOUT = (
    "A client of one board. `before`: log rows that precede the subscription. `snapshot`: the reply"
    " to subscribe. `held`: what the client must show then, leg state by leg key. `steps`: one log"
    " row each, the publications that the client gets for it (all of one offset) and what it must"
    " hold after them. `recoveries`: a client that held what the last step up to `offset` left it"
    " with asks to continue from there; `reply` is the answer, or `error` its code, after which it"
    " subscribes afresh; it must then hold what the last step holds."
    " Written by `python -m tests.support.vectors`."
)
FLIGHT_ABOUT = (
    "A client of one flight. Offsets are versions of the leg. `before`: log rows that precede the"
    " subscription. `snapshot`: the reply to subscribe. `held`: version and leg that the client"
    " must show then, version 0 when there is none. `steps`: one log row each, its publications"
    " and what the client must hold after them. `recoveries`: a client at version `offset` asks to"
    " continue; after `reply` it must hold what the last step holds."
    " Written by `python -m tests.support.vectors`."
)

Case = tuple[str, str, int, Sequence[Step]]
"""Name, channel, rows before the subscription (beside the first clock row), steps."""

GATE: Step = ("leg", 1, {"dep_gate": "B22"})
BOARD_CASES: Sequence[Case] = (
    ("a gate changes", DEPARTURES, 2, (("leg", 1, {}), ("leg", 2, {}), GATE)),
    ("a row comes to an empty board", DEPARTURES, 0, (("leg", 1, {}), GATE)),
    (
        "a leg is hidden and shown again",
        DEPARTURES,
        2,
        (("leg", 1, {}), ("leg", 2, {}), ("leg", 1, {"hidden": True}), GATE,
         ("leg", 1, {"hidden": False})),
    ),
    (
        "two rows leave and one enters at one clock row",
        DEPARTURES,
        3,
        (("leg", 1, {}), ("leg", 2, {}), ("leg", 7, {}), ("leg", 1, {"atd": 58}),
         ("leg", 2, {"atd": 59}), ("clock", 40, {}), ("clock", 35, {}), ("clock", 1, {})),
    ),
    (
        "a cancelled leg stays for an hour",
        DEPARTURES,
        1,
        (("leg", 1, {}), ("leg", 1, {"irregularity": "cancelled"}), ("clock", 119, {}),
         ("clock", 1, {}), ("leg", 1, {"irregularity": "none"})),
    ),
    (
        "a diverted leg is an arrival elsewhere until it is not",
        "board:BOS:arrivals",
        1,
        (("leg", 1, {}), ("leg", 1, {"irregularity": "diverted", "divert_airport": "BOS"}),
         ("leg", 1, {"eta": "2013-03-08T15:45:00Z"}),
         ("leg", 1, {"irregularity": "none", "divert_airport": ""})),
    ),
    (
        "who was away for too long gets everything",
        DEPARTURES,
        2,
        (("leg", 6, {}), ("leg", 7, {}), ("clock", 180, {}), ("leg", 6, {"dep_gate": "1"}),
         ("clock", 200, {}), ("leg", 7, {"dep_gate": "2"}), ("clock", 120, {})),
    ),
)  # fmt: skip
FLIGHT_CASES: Sequence[Case] = (
    (
        "gate, delay and cancellation",
        FLIGHT,
        2,
        (("leg", 1, {"dep_gate": "18"}), ("leg", 2, {}), GATE, ("leg", 1, {"etd": 95}),
         ("clock", 5, {}), ("leg", 1, {"irregularity": "cancelled"})),
    ),
    ("a flight nobody has heard of appears", FLIGHT, 1, (("leg", 2, {}), ("leg", 1, {}), GATE)),
    (
        "more changes than a flight keeps",
        FLIGHT,
        1,
        (("leg", 1, {}), *(("leg", 1, {"dep_gate": f"C{number}"}) for number in range(1, 35))),
    ),
    (
        "a leg that is hidden keeps its channel",
        FLIGHT,
        1,
        (("leg", 1, {}), ("leg", 1, {"hidden": True}), GATE),
    ),
)  # fmt: skip


def plain(value: Any) -> Any:
    """As JSON has it."""
    return json.loads(encode(value))


def row_of(change: Change) -> dict[str, Any]:
    """A log row; a clock row has no leg."""
    row: dict[str, Any] = plain(change)
    return row if change.kind == "leg" else {name: row[name] for name in ("seq", "kind", "at")}


def answer(state: LogState, channel: Channel, offset: int | None, epoch: str = EPOCH) -> Any:
    """The reply to subscribe, from a position unless that is None."""
    request = Subscribe(channel=channel.name)
    if channel.kind == "board":
        request.type = MAP
    if offset is not None:
        request.recover, request.epoch, request.offset = True, epoch, offset
        request.phase = PHASE_STREAM if channel.kind == "board" else 0
    result = board_result if channel.kind == "board" else flight_result
    return plain(result(state, channel, request))


def held(state: LogState, channel: Channel) -> Any:
    """What a client that has just come shows."""
    reply = answer(state, channel, None)
    if channel.kind == "board":
        return {row["key"]: row["data"] for row in reply["state"]}
    newest = reply["publications"][-1:]
    leg = newest[0]["data"]["leg"] if newest else None
    return {"version": reply["offset"], "leg": leg}


def vector(case: Case) -> dict[str, Any]:
    """One case, worked out."""
    name, channel_name, rows_before, given_steps = case
    channel, log = parse_channel(channel_name), log_of(given_steps)
    state = LogState(Loaded(EPOCH, 0, [], {}, [], None))
    before, after = log[: rows_before + 1], log[rows_before + 1 :]
    for change in before:
        state.apply(change)
    made = {
        "name": name,
        "channel": channel_name,
        "before": [row_of(change) for change in before],
        "snapshot": answer(state, channel, None),
        "held": held(state, channel),
        "steps": [],
    }
    positions = [made["snapshot"]["offset"]]
    for change in after:
        publications = plain(dict(state.apply(change)).get(channel_name, []))
        positions += [each["offset"] for each in publications]
        step = {"row": row_of(change), "publications": publications, "held": held(state, channel)}
        made["steps"].append(step)
    made["recoveries"] = recoveries(state, channel, sorted(set(positions)))
    return made


def recoveries(state: LogState, channel: Channel, positions: Sequence[int]) -> list[dict[str, Any]]:
    """From old and new positions that the client held, and from another epoch."""
    chosen = sorted({*positions[:3], *positions[-2:]})
    found = [
        {"epoch": EPOCH, "offset": offset, "reply": answer(state, channel, offset)}
        for offset in chosen
    ]
    foreign: dict[str, Any] = {"epoch": "another", "offset": positions[-1]}
    try:
        foreign["reply"] = answer(state, channel, positions[-1], "another")
    except Refused as refused:
        foreign["error"] = refused.error.code
    return [*found, foreign]


def text_of(about: str, cases: Sequence[Case]) -> str:
    """The whole file."""
    document = {"about": about, "cases": [vector(case) for case in cases]}
    formatted = msgspec.json.format(json.dumps(document, sort_keys=False), indent=1)
    return formatted + "\n"


def texts() -> dict[Path, str]:
    """What the files have to hold."""
    return {
        FOLDER / "board_vectors.json": text_of(BOARD_ABOUT, BOARD_CASES),
        FOLDER / "flight_vectors.json": text_of(FLIGHT_ABOUT, FLIGHT_CASES),
    }


def main() -> None:
    """Write both files."""
    for path, text in texts().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""Bodies that no relay has published, each with the reason for which it has to be refused."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

LEG_TYPE, TICK_TYPE = "io.gatecast.leg.changed.v1", "io.gatecast.tick.v1"
CLOCK_TYPE = "io.gatecast.clock.v1"
SEQ = 40_120
STATE = {
    "key": "B69-2013-03-08-JFK-MCO",
    "version": 12,
    "airline": "B6",
    "flight_no": 9,
    "dep_airport": "JFK",
    "arr_airport": "MCO",
    "phase": "scheduled",
    "irregularity": "none",
    "std": "2013-03-08T22:30:00Z",
}
ROW: dict[str, Any] = {
    "seq": SEQ,
    "kind": "leg",
    "leg_id": 77,
    "version": 12,
    "at": "2013-03-08T22:59:00Z",
    "wall_at": "2026-11-24T12:00:00Z",
    "changed": {"dep_gate": ["18", "22"]},
    "state": STATE,
}
CLOCK: dict[str, Any] = {
    "seq": SEQ,
    "kind": "clock",
    "at": "2013-03-08T23:05:00Z",
    "wall_at": "2026-11-24T12:00:00Z",
    "state": {"now": "2013-03-08T23:05:00Z"},
}


class Foreign(Struct, frozen=True):
    """One body; `attributes` are what differs from those of a row of the present epoch."""

    name: str
    reason: str
    body: bytes | Mapping[str, Any]
    attributes: Mapping[str, object | None] = {}
    bare: bool = False

    def headers(self, epoch: str) -> dict[str, Any]:
        """None as an attribute: it is not there."""
        if self.bare:
            return {}
        usual = {
            "specversion": "1.0",
            "type": LEG_TYPE,
            "source": f"/gatecast/{epoch}",
            "id": str(SEQ),
        }
        found = {**usual, **self.attributes}
        return {f"cloudEvents:{name}": each for name, each in found.items() if each is not None}

    def content(self, epoch: str) -> bytes:
        """`<epoch>` in the text becomes the present one."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return body.replace(b"<epoch>", epoch.encode())


def row(**members: object) -> dict[str, Any]:
    return {name: each for name, each in {**ROW, **members}.items() if each != "absent"}


def tick(**members: object) -> dict[str, Any]:
    return {"epoch": "<epoch>", "last_seq": SEQ, **members}


AS_TICK, AS_CLOCK = {"type": TICK_TYPE}, {"type": CLOCK_TYPE}
STRANGERS = (
    Foreign("nothing at all", "attributes", b"", bare=True),
    Foreign("text of somebody", "attributes", b"hello", bare=True),
    Foreign("a row without attributes", "attributes", ROW, bare=True),
    Foreign("no type", "attributes", ROW, {"type": None}),
    Foreign("a number as type", "attributes", ROW, {"type": 7}),
    Foreign("a table as source", "attributes", ROW, {"source": {"epoch": "1"}}),
    Foreign("another version of CloudEvents", "attributes", ROW, {"specversion": "0.3"}),
    Foreign("another product", "type", ROW, {"type": "com.example.order.v1"}),
    Foreign("no epoch", "epoch", ROW, {"source": "/gatecast/"}),
    Foreign("another source", "epoch", ROW, {"source": "https://example.com/orders"}),
    Foreign("a tick of another epoch", "epoch", tick(epoch="e"), AS_TICK),
    Foreign("two megabytes", "size", b" " * (2 << 20)),
    Foreign("not JSON", "body", b"{"),
    Foreign("not UTF-8", "body", b'{"seq": "\xff\xfe"}'),
    Foreign("compressed", "body", b"\x1f\x8b\x08\x00"),
    Foreign("a list", "body", b"[]"),
    Foreign("nested without end", "body", b'{"state":' + b"[" * 100_000),
    Foreign("no members", "body", {}),
    Foreign("no state", "body", row(state="absent")),
    Foreign("a state of another kind", "body", row(state=[1, 2])),
    Foreign("a state without a key", "body", row(state={"version": 12})),
    Foreign("a difference of another kind", "body", row(changed=[1])),
    Foreign("no leg", "body", row(leg_id=None)),
    Foreign("a version that the state contradicts", "body", row(version=13)),
    Foreign("a clock row as a leg", "body", CLOCK),
    Foreign("a leg as a clock row", "body", ROW, AS_CLOCK),
    Foreign("a clock row without time", "body", {**CLOCK, "state": {}}, AS_CLOCK),
    Foreign("a time without a zone", "body", row(state={**STATE, "std": "2013-03-08T22:30:00"})),
    Foreign("the end of the calendar", "body", row(at="9999-12-31T23:59:59Z")),
    Foreign("a tick without a seq", "body", {"epoch": "<epoch>"}, AS_TICK),
    Foreign("seq 0", "seq", row(seq=0), {"id": "0"}),
    Foreign("a negative seq", "seq", row(seq=-5), {"id": "-5"}),
    Foreign("a seq beyond bigint", "seq", row(seq=2**63), {"id": str(2**63)}),
    Foreign("a seq that is not the id", "seq", row(seq=SEQ + 1)),
    Foreign("a tick below nothing", "seq", tick(last_seq=-1), AS_TICK),
    Foreign("a seq that is a word", "body", row(seq="next")),
    Foreign("a seq with a fraction", "body", row(seq=1.5)),
)

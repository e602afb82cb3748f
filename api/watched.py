"""What a watcher of one channel holds: rows at a position, the server's clock, freshness. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from realtime.channels import Channel, status_channel
from realtime.flight import parse_leg_key
from realtime.protocol import MAP, PHASE_STATE, PHASE_STREAM

Freshness = Literal["live", "late", "stale", "down"]
Fact = dict[str, Any]
"""One thing that changed, as `--json` prints it."""

ORDER: tuple[Freshness, ...] = ("live", "late", "stale", "down")
FEED_STATE: Mapping[str, Freshness] = {"fresh": "live", "late": "late", "dead": "stale"}
# A replay stands still when its server does; real time does not.
REPLAY_LEAD = 10.0
REWIND = timedelta(seconds=5)


class Limits(Struct, frozen=True):
    """Ages of the link in seconds; settings of the server."""

    late: float = 15
    stale: float = 60
    down: float = 600


class Verdict(Struct, frozen=True):
    """How far what is shown may be believed, and what makes it so."""

    state: Freshness
    cause: Literal["link", "feed"]

    @property
    def believable(self) -> bool:
        """Whether calls, phases and gates still may be shown as true now."""
        return self.state in ("live", "late")


class BoardClock:
    """Board time from `status:` reports and a monotonic clock, never the local wall clock."""

    def __init__(self) -> None:
        self._anchor: tuple[datetime, float, float] | None = None
        self._shown: datetime | None = None

    def accept(self, report: Fact, mono: float) -> None:
        """A report that arrived at this monotonic time."""
        board = datetime.fromisoformat(report["now"])
        self._anchor = board, mono, float(report["speed"])
        if self._shown is not None and self._shown - board > REWIND * float(report["speed"]):
            self._shown = None  # another replay, not a late report

    def at(self, mono: float) -> datetime | None:
        """Board time; it never runs backwards. None until the server has spoken."""
        if self._anchor is None:
            return None
        board, since, speed = self._anchor
        elapsed = mono - since
        if speed != 1:
            elapsed = min(elapsed, REPLAY_LEAD)
        now = board + timedelta(seconds=elapsed * speed)
        self._shown = now if self._shown is None else max(now, self._shown)
        return self._shown


class Watched:
    """One channel and the freshness of its airport."""

    def __init__(self, channel: Channel, mono: float) -> None:
        self.channel = channel
        self.rows: dict[str, Fact] = {}
        self.touched: dict[str, float] = {}
        self.position: tuple[str, int] | None = None
        self.report: Fact | None = None
        self.clock = BoardClock()
        self.limits = Limits()
        self.started_at = mono
        self.last_frame: float | None = None

    @property
    def status_name(self) -> str:
        """The channel that says how fresh this one is."""
        subject = self.channel.subject
        airport = parse_leg_key(subject).dep if self.channel.kind == "flight" else subject
        return status_channel(airport)

    def request(self) -> dict[str, Any]:
        """The subscribe command: from the position that is held, else everything."""
        wanted: dict[str, Any] = {"channel": self.channel.name}
        if self.channel.kind == "board":
            wanted |= {"type": MAP, "phase": PHASE_STREAM if self.position else PHASE_STATE}
        if self.position is not None:
            wanted |= {"recover": True, "epoch": self.position[0], "offset": self.position[1]}
        return wanted

    def subscribed(self, result: Fact, mono: float) -> list[Fact]:
        """The answer to that command; what is different from what was held."""
        if self.channel.kind == "status":
            return self._apply(result["publications"], mono)
        publications = result.get("publications", [])
        if "state" in result:
            shown = {each["key"] for each in result["state"]}
            gone = [{"key": key, "removed": True} for key in self.rows if key not in shown]
            found = self._apply([*gone, *result["state"]], mono)
        else:
            found = self._apply(publications, mono)
        # A recovered flight is answered with the client's own offset; what it missed moves it on.
        offsets = [result["offset"], *(each["offset"] for each in publications)]
        if self.position is None:
            self.touched.clear()
        self.position = result["epoch"], max(offsets)
        return found

    def pushed(self, name: str, publication: Fact, mono: float) -> list[Fact]:
        """A publication of this channel or of its airport's status; what it changed."""
        if name != self.channel.name:
            self.heard(publication["data"], mono)
            return []
        if self.position is not None:
            self.position = self.position[0], publication["offset"]
        return self._apply([publication], mono)

    def heard(self, report: Fact, mono: float) -> None:
        """What `status:` says."""
        self.report = report
        self.clock.accept(report, mono)

    def verdict(self, mono: float) -> Verdict:
        """The worse of link and feeds."""
        age = mono - (self.started_at if self.last_frame is None else self.last_frame)
        passed = [age > limit for limit in (self.limits.late, self.limits.stale, self.limits.down)]
        link = ORDER[passed.count(True)]
        if self.last_frame is None and link == "live":
            link = "late"
        feeds = (self.report or {}).get("feeds", [])
        board = self.channel.movement
        states = [FEED_STATE[each["state"]] for each in feeds if board in each["boards"]]
        feed: Freshness = min(states, key=ORDER.index, default="live")
        if ORDER.index(feed) > ORDER.index(link):
            return Verdict(feed, "feed")
        return Verdict(link, "link")

    def freshness_fact(self, mono: float) -> Fact:
        """How far what was told may be believed from now on."""
        verdict = self.verdict(mono)
        return self._fact("freshness", mono, state=verdict.state, cause=verdict.cause)

    def _apply(self, publications: list[Fact], mono: float) -> list[Fact]:
        found = []
        for each in publications:
            key = each.get("key") or self.channel.subject
            held = self.rows.get(key)
            if self.channel.kind == "status":
                self.heard(each["data"], mono)
                found.append(self._fact("status", mono, data=each["data"]))
            elif each.get("removed"):
                if self.rows.pop(key, None) is not None:
                    found.append(self._fact("removed", mono, key=key))
            elif held != each["data"]:
                self.rows[key] = each["data"]
                self.touched[key] = mono
                found.append(self._fact("publication", mono, key=key, data=each["data"]))
        return found

    def _fact(self, kind: str, mono: float, **members: Any) -> Fact:
        now = self.clock.at(mono)
        at = None if now is None else now.isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"kind": kind, "channel": self.channel.name, "at": at, **members}

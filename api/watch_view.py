"""How a watched channel looks in a terminal. Pure: the same state is always the same picture."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.watched import Fact, Watched

BRIGHT_FOR = 3.0
JUST_GONE = timedelta(minutes=30)
# What stays in the picture whatever the number of rows: stamp, caption, head and rules.
AROUND_ROWS = 8
STYLES = {"live": "green", "late": "yellow", "stale": "bold red", "down": "bold white on red"}
# Claims about this very moment: a screen that is stale may not make them.
TIMELESS = ("cancelled", "diverted", "not_operating")
SILENT = "-"
BEST = {"dep": ("atd", "atot", "etd", "std"), "arr": ("ata", "aldt", "eta", "eldt", "sta")}
HIDDEN_FIELDS = ("key", "version", "airline_name", "dep_tz", "arr_tz", "dep_city", "arr_city")


def view(watched: Watched, now: float, *, connected: bool, height: int) -> RenderableType:
    """The stamp and below it the channel."""
    kinds = {"board": board, "flight": flight, "status": status}
    return Group(
        stamp(watched, now, connected=connected),
        kinds[watched.channel.kind](watched, now, max(height - AROUND_ROWS, 3)),
    )


def stamp(watched: Watched, now: float, *, connected: bool) -> Text:
    """How far the rest may be believed, and the server's board time."""
    verdict, at = watched.verdict(now), watched.clock.at(now)
    text = Text(watched.channel.name, "bold")
    text.append(f"  {verdict.state.upper()}", STYLES[verdict.state])
    if verdict.state != "live":
        text.append(f" ({verdict.cause})", STYLES[verdict.state])
    text.append(f"  board time {at:%Y-%m-%d %H:%M:%S}Z" if at else "  waiting for the server")
    if not connected:
        text.append("  not connected, trying again", "bold red")
    report = watched.report or {}
    if replay := report.get("replay"):
        over = ", over" if replay["over"] else ""
        text.append(f"\nReplay of {replay['day']} at {report['speed']:g}×{over}: ", "bold yellow")
        text.append("estimates, gates and belts are simulated.", "yellow")
    return text


def board(watched: Watched, now: float, rows: int) -> Table:
    """The movements of an airport, from half an hour ago on, in the airport's local time."""
    departures = watched.channel.movement == "departures"
    side, other = ("dep", "arr") if departures else ("arr", "dep")
    moves = sorted(watched.rows.values(), key=lambda leg: (scheduled(leg, side), leg["key"]))
    if (at := watched.clock.at(now)) is not None:
        coming = [leg for leg in moves if best(leg, side) >= at - JUST_GONE]
        moves = coming or moves
    more = len(watched.rows) - len(moves[:rows])
    table = Table(caption=f"{len(watched.rows)} rows, {more} not shown" if more else None)
    place = "To" if departures else "From"
    for name in ("Time", "Now", "Flight", place, "Gate" if departures else "Belt", "State"):
        table.add_column(name, no_wrap=True)
    for leg in moves[:rows]:
        gate = leg.get("dep_gate") if departures else ", ".join(leg.get("belts", []))
        table.add_row(
            clock_time(leg.get(f"st{side[0]}"), leg[f"{side}_tz"]),
            clock_time(leg.get(f"at{side[0]}") or leg.get(f"et{side[0]}"), leg[f"{side}_tz"]),
            f"{leg['airline']} {leg['flight_no']}{leg.get('suffix', '')}",
            escape(leg.get(f"{other}_city") or leg[f"{other}_airport"]),
            escape(gate or SILENT) if watched.verdict(now).believable else SILENT,
            state_of(leg, believable=watched.verdict(now).believable),
            style="reverse" if now - watched.touched.get(leg["key"], -1e9) < BRIGHT_FOR else None,
        )
    return table


def flight(watched: Watched, now: float, rows: int) -> RenderableType:
    """Every field of a leg, those that changed last first marked."""
    held = watched.rows.get(watched.channel.subject)
    if held is None:
        return Text("Nobody has told of this leg yet; it appears here as soon as somebody does.")
    leg, change = held["leg"], held.get("change", {})
    fields = change.get("fields", {})
    table = Table(title=f"{leg['key']}, version {leg['version']}", caption=told(change))
    for name in ("Field", "Value", "Before"):
        table.add_column(name)
    names = [name for name in leg if name not in HIDDEN_FIELDS]
    for name in sorted(names, key=lambda name: name not in fields)[:rows]:
        before = fields.get(name, [None])[0]
        table.add_row(
            name,
            escape(shown(leg[name])),
            escape(shown(before)) if name in fields else "",
            style="bold" if name in fields else None,
        )
    return table


def status(watched: Watched, now: float, rows: int) -> RenderableType:
    """The feeds of an airport and the log behind them."""
    report = watched.report
    if report is None:
        return Text("Waiting for the server.")
    log = report["log"]
    table = Table(caption=f"log at {log['seq']}, its newest row {log['age']} s old")
    for name in ("Feed", "State", "Last seen (wall time)", ""):
        table.add_column(name)
    for feed in report["feeds"][:rows]:
        made_up = "simulated" if feed["synthetic"] else ""
        table.add_row(feed["code"], feed["state"], shown(feed["last_seen"]), made_up)
    return table


def state_of(leg: Fact, *, believable: bool) -> str:
    """The irregularity, else the phase unless nobody knows whether it still holds."""
    irregularity, phase = str(leg["irregularity"]), str(leg["phase"])
    if irregularity != "none" and (believable or irregularity in TIMELESS):
        return irregularity.replace("_", " ")
    return phase.replace("_", " ") if believable else SILENT


def told(change: Fact) -> str:
    """What the newest change means."""
    kinds = ", ".join(change.get("kinds", [])) or "no change yet"
    return f"{kinds} at {change['at']}" if "at" in change else kinds


def shown(value: object) -> str:
    """A value as text."""
    if isinstance(value, list):
        return ", ".join(shown(each) for each in value)
    return SILENT if value is None else str(value)


def clock_time(instant: str | None, zone: str) -> str:
    """Hours and minutes at the airport."""
    if instant is None:
        return ""
    try:
        local = datetime.fromisoformat(instant).astimezone(ZoneInfo(zone))
    except ZoneInfoNotFoundError:
        local = datetime.fromisoformat(instant)
    return f"{local:%H:%M}"


def scheduled(leg: Fact, side: str) -> str:
    """What rows are sorted by."""
    return str(leg.get(f"st{side[0]}") or best(leg, side).isoformat())


def best(leg: Fact, side: str) -> datetime:
    """The best time that is known of this side."""
    names = (
        ("atd", "atot", "etd", "std") if side == "dep" else ("ata", "aldt", "eta", "eldt", "sta")
    )
    known = next(leg[name] for name in (*names, "std", "sta") if leg.get(name))
    return datetime.fromisoformat(known)

"""Commands about legs, feeds and their keys."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from sqlalchemy import Double, extract, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import open_engine, open_sessions
from api.feed import Patch, PatchKey
from api.feed_state import FeedState, read_feed_states
from api.fields import FIELDS
from api.ingest import Ingest, Result, UnknownFeed
from api.keys import KeyRefused, create_key, list_keys, revoke_key
from api.leg_keys import KeyTaken
from api.models import Feed, FlightLeg, LegChange, public_state
from realtime.flight import parse_leg_key
from realtime.settings import Settings, SettingsError, load_settings

DSN_FILE = "postgres.dsn"
URL_FILE = "serve.url"
ASSIGNMENT = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
SPAN = re.compile(r"([1-9][0-9]{0,5})(s|m|h)")
SPANS = {"s": "seconds", "m": "minutes", "h": "hours"}
UNKNOWN_SHOWN = 8
FLAGS = {"true": True, "false": False}

leg = typer.Typer(help="Flight legs.", no_args_is_help=True)
feed = typer.Typer(help="Feeds: who says what of legs.", no_args_is_help=True)
key = typer.Typer(help="Keys with which feeds speak over HTTP.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
T = TypeVar("T")


@leg.command(name="set")
def set_fields(
    leg_key: Annotated[str, typer.Argument(help="Such as B69-2013-03-08-JFK-MCO.")],
    fields: Annotated[
        list[str], typer.Argument(metavar="FIELD=VALUE…", help="Such as dep_gate=C3; empty clears.")
    ],
    json: Json = False,
) -> None:
    """Say something of a leg as the operator, whose word outweighs every feed's."""
    patch = _patch(leg_key, fields)
    result, changed = run(lambda engine: _say(engine, patch))
    if json:
        typer.echo(msgspec.json.encode({"result": result, "changed": changed}))
    elif result.outcome == "refused":
        raise fail(f"{result.field or result.key}: {result.text}")
    else:
        typer.echo(f"{result.key} {result.outcome}, version {result.version}")
        for name, (before, after) in changed.items():
            typer.echo(f"  {name}: {_shown(before)} → {_shown(after)}")
    if result.outcome == "refused":
        raise typer.Exit(1)


@leg.command()
def correct(
    wrong: Annotated[str, typer.Argument(help="The key that the leg has.")],
    right: Annotated[str, typer.Argument(help="The key that it should have.")],
) -> None:
    """Give a leg its right key; it stays the same leg, and the wrong key leads to it."""
    try:
        keys = parse_leg_key(wrong), parse_leg_key(right)
    except ValueError as error:
        raise fail(str(error)) from None
    version = run(lambda engine: Ingest(engine, _nobody).correct_key("operator", *keys))
    if version is None:
        raise fail(f"there is no flight {wrong}")
    typer.echo(f"{wrong} is {right} now, version {version}")


@leg.command(name="show")
def show_leg(
    leg_key: Annotated[str, typer.Argument(help="Such as B69-2013-03-08-JFK-MCO.")],
    json: Json = False,
) -> None:
    """The public state of a leg."""
    try:
        key = str(parse_leg_key(leg_key))
    except ValueError as error:
        raise fail(str(error)) from None

    async def read(engine: AsyncEngine) -> str | None:
        async with open_sessions(engine)() as session:
            return await session.scalar(select(public_state()).where(FlightLeg.key == key))

    state = run(read)
    if state is None:
        raise fail(f"there is no leg {key}; `gatecast watch board:<IATA>:departures` shows some")
    if json:
        typer.echo(state)
        return
    for name, value in sorted(msgspec.json.decode(state).items()):
        typer.echo(f"{name}: {value}")


@feed.command(name="add")
def add_feed(
    code: Annotated[str, typer.Argument(help="Lower case letters, digits and dashes.")],
    party: Annotated[str, typer.Argument(help="airline, airport, atc, tracker or operator.")],
    priority: Annotated[int, typer.Option(help="Higher wins.")] = 100,
    synthetic: Annotated[bool, typer.Option(help="Every screen says that it is made up.")] = False,
    silence: Annotated[
        str, typer.Option(metavar="5m", help="It is late after this, dead after three times this.")
    ] = "5m",
    refresh: Annotated[
        str | None,
        typer.Option(
            metavar="10m",
            help="It states all of its legs again this often (s, m or h); a leg that it left out"
            " three times is shown as unconfirmed. Default: it never does.",
        ),
    ] = None,
) -> None:
    """Make a feed known, or adjust it."""
    period = None if refresh is None else _span(refresh)
    longest = _span(silence)

    async def add(engine: AsyncEngine) -> None:
        ingest = Ingest(engine, _nobody)
        await ingest.register_feed(
            code,
            party,
            synthetic=synthetic,
            priority=priority,
            max_silence=longest,
            refresh=period,
        )

    try:
        run(add)
    except IntegrityError:
        raise fail(f"{code!r} is no code of a feed, or {party!r} no party; see --help") from None
    typer.echo(f"Feed {code} may speak. Its key: gatecast key create {code}")


@feed.command(name="list")
def list_feeds(json: Json = False) -> None:
    """All feeds and when they were last heard."""

    async def read(engine: AsyncEngine) -> list[dict[str, object]]:
        columns = (
            Feed.code,
            Feed.party,
            Feed.priority,
            Feed.enabled,
            Feed.synthetic,
            Feed.last_seen_at,
            extract("epoch", Feed.refresh).cast(Double).label("refresh"),
        )
        async with open_sessions(engine)() as session:
            rows = await session.execute(select(*columns).order_by(Feed.code))
            return [dict(row) for row in rows.mappings()]

    show(run(read), json)


@feed.command(name="status")
def show_feed_states(json: Json = False) -> None:
    """Whether each feed is fresh, late or dead, and what of it was taken."""

    async def read(engine: AsyncEngine) -> list[FeedState]:
        async with open_sessions(engine)() as session:
            return await read_feed_states(session)

    states = run(read)
    if json:
        typer.echo(msgspec.json.encode(states))
        return
    for each in states:
        heard = "never heard" if each.silent is None else f"heard {each.silent:.0f} s ago"
        limit = "never late" if each.max_silence is None else f"late after {each.max_silence:.0f} s"
        if each.refresh is not None:
            limit += f", all again each {each.refresh:.0f} s"
        bodies = each.bodies
        lag = "" if each.lag is None else f", newest word {each.lag:.0f} s old"
        typer.echo(
            f"{each.code:<16} {each.state:<6} {heard}, {limit}{lag}; {each.legs} legs, "
            f"{each.changes} changes in a day; bodies taken {bodies.taken}, "
            f"partly {bodies.partly}, refused {bodies.refused}; "
            f"words on legs taken {each.legs_taken}, refused {each.legs_refused}"
        )
        _show_troubles(each)


def _show_troubles(state: FeedState) -> None:
    if state.last_complaint is not None:
        typer.echo(f"  last complaint, {state.last_complaint_at:%d %b %H:%MZ}: "
                   f"{state.last_complaint}")  # fmt: skip
    if state.unknown:
        most = sorted(state.unknown.items(), key=lambda word: (-word[1], word[0]))
        words = ", ".join(f"{word} ({times})" for word, times in most[:UNKNOWN_SHOWN])
        typer.echo(f"  {len(state.unknown)} unknown: {words}")


@key.command(name="create")
def create(feed_code: Annotated[str, typer.Argument(metavar="FEED")]) -> None:
    """A new key of a feed; it is shown this once."""

    async def make(engine: AsyncEngine) -> str:
        async with open_sessions(engine).begin() as session:
            return await create_key(session, feed_code)

    typer.echo(run(make))


@key.command(name="list")
def show_keys(json: Json = False) -> None:
    """All keys, without their secrets."""

    async def read(engine: AsyncEngine) -> list[dict[str, object]]:
        async with open_sessions(engine)() as session:
            return [msgspec.structs.asdict(each) for each in await list_keys(session)]

    show(run(read), json)


@key.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="gck_<ID>_…")]) -> None:
    """From now on the key opens nothing."""

    async def end(engine: AsyncEngine) -> None:
        async with open_sessions(engine).begin() as session:
            await revoke_key(session, key_id)

    run(end)
    typer.echo(f"Key {key_id} is revoked.")


def run(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Work on the database that is configured, or of the `serve` that runs here."""

    async def main(dsn: str) -> T:
        engine = open_engine(dsn)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(main(database_url(load_settings())))
    except (SettingsError, KeyRefused, KeyTaken, UnknownFeed) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"the database is not reachable: {error}") from None


def database_url(settings: Settings) -> str:
    """The configured database, else that of the running `gatecast serve`."""
    found = known_database_url(settings)
    if found is None:
        path = Path(settings.data_dir).expanduser() / DSN_FILE
        raise fail(
            f"no database: start `gatecast serve` (there is no {path}), "
            "or set GATECAST_DATABASE_URL"
        )
    return found


def known_database_url(settings: Settings) -> str | None:
    """The same, or None when there is none."""
    if settings.database_url:
        return settings.database_url
    try:
        return (Path(settings.data_dir).expanduser() / DSN_FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def show(rows: Sequence[dict[str, object]], json: bool) -> None:
    """Rows as JSON, or one line each."""
    if json:
        typer.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        typer.echo("  ".join(_shown(value) for value in row.values()))


def fail(sentence: str) -> typer.Exit:
    """Say what is wrong and end."""
    typer.echo(f"gatecast: {sentence}", err=True)
    return typer.Exit(1)


async def _say(engine: AsyncEngine, patch: Patch) -> tuple[Result, dict[str, list[object]]]:
    async with engine.connect() as connection:
        now = (await connection.execute(select(func.board_now()))).scalar_one()
    spoken = msgspec.structs.replace(patch, source_ts=now)
    (result,) = await Ingest(engine, _nobody).apply("operator", [spoken])
    if result.outcome != "applied":
        return result, {}
    query = (
        select(LegChange.changed)
        .join(FlightLeg, FlightLeg.leg_id == LegChange.leg_id)
        .where(FlightLeg.key == result.key, LegChange.version == result.version)
    )
    async with open_sessions(engine)() as session:
        return result, await session.scalar(query) or {}


def _patch(leg_key: str, fields: Sequence[str]) -> Patch:
    try:
        named = parse_leg_key(leg_key)
    except ValueError as error:
        raise fail(str(error)) from None
    said: dict[str, str | int | bool | list[str]] = {}
    clear: list[str] = []
    for each in fields:
        found = ASSIGNMENT.fullmatch(each)
        if found is None or found[1] not in FIELDS:
            raise fail(f"{each!r} is not FIELD=VALUE with a field of {', '.join(FIELDS)}")
        name, text = found.groups()
        if not text:
            clear.append(name)
        elif name == "belts":
            said[name] = text.split(",")
        else:
            said[name] = FLAGS.get(text, text) if name == "hidden" else text
    patch_key = PatchKey(
        airline=named.airline, number=named.number, suffix=named.suffix, dep=named.dep,
        arr=named.arr, origin_date=named.origin_date,
    )  # fmt: skip
    return Patch(key=patch_key, source_ts=datetime.now(UTC), set=said, clear=clear)


def _span(text: str) -> timedelta:
    found = SPAN.fullmatch(text)
    if found is None:
        raise fail(f"{text!r} is no span of time such as 90s, 10m or 1h")
    return timedelta(**{SPANS[found[2]]: int(found[1])})


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _nobody() -> None:
    """The relay of another process finds the commit by itself."""

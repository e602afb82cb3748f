"""`gatecast watch`: a channel in the terminal, or as lines of JSON."""

import asyncio
import os
import sys
import time
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from api.cli_feeds import URL_FILE, Json, fail
from api.links import data_folder, local_url
from api.watch_view import view
from api.watched import Fact, Verdict, Watched
from api.watcher import Watcher, WatchRefused
from realtime.channels import parse_channel
from realtime.errors import Refused
from realtime.settings import Settings, SettingsError, load_settings

SOCKET_PATH = "/connection/websocket"
SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
DRAWN_EVERY = 0.5
CHANNEL_HELP = "board:JFK:departures, board:JFK:arrivals, flight:<leg key> or status:JFK."


def watch(
    channel: Annotated[str, typer.Argument(help=CHANNEL_HELP)],
    url: Annotated[
        str, typer.Option(help="A server, http://host:port. Default: the serve that runs here.")
    ] = "",
    json: Json = False,
) -> None:
    """Follow a channel live; without a terminal, or with --json, one line of JSON a change."""
    try:
        parsed = parse_channel(channel)
        address = socket_url(url or served_url(load_settings()))
    except Refused:
        raise fail(f"{channel!r} is no channel; there are {CHANNEL_HELP}") from None
    except SettingsError as error:
        raise fail(str(error)) from None
    watched = Watched(parsed, time.monotonic())
    lines = json or not sys.stdout.isatty()
    try:
        asyncio.run(print_lines(address, watched) if lines else draw(address, watched))
    except WatchRefused as refused:
        raise fail(str(refused)) from None
    except KeyboardInterrupt:
        raise typer.Exit from None
    except BrokenPipeError:
        # Who read the lines has seen enough; nothing may complain at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


async def print_lines(url: str, watched: Watched) -> None:
    """A line for each change, and one whenever the freshness of what was printed changes."""
    watcher = asyncio.create_task(Watcher(url, watched, write_line).run(), name="watcher")
    said: Verdict | None = None
    try:
        while not watcher.done():
            verdict = watched.verdict(time.monotonic())
            if watched.last_frame is not None and verdict != said:
                said = verdict
                write_line(watched.freshness_fact(time.monotonic()))
            await asyncio.wait([watcher], timeout=DRAWN_EVERY)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    watcher.result()


async def draw(url: str, watched: Watched) -> None:
    """A table that is drawn twice a second, however much changes."""
    watcher = Watcher(url, watched, lambda _: None)
    task = asyncio.create_task(watcher.run(), name="watcher")
    console = Console()
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while not task.done():
                now = time.monotonic()
                live.update(
                    view(watched, now, connected=watcher.connected, height=console.height),
                    refresh=True,
                )
                await asyncio.wait([task], timeout=DRAWN_EVERY)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    task.result()


def write_line(fact: Fact) -> None:
    """One line of JSON, at once."""
    sys.stdout.write(msgspec.json.encode(fact).decode() + "\n")
    sys.stdout.flush()


def served_url(settings: Settings) -> str:
    """What the running `gatecast serve` says, else the configured address."""
    try:
        return (data_folder(settings) / URL_FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return local_url(settings)


def socket_url(url: str) -> str:
    """The WebSocket of a server named by its page, its host and port, or the socket itself."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise fail(f"{url!r} is no address of a server; name it like http://127.0.0.1:8000")
    path = parts.path.rstrip("/")
    if not path.endswith(SOCKET_PATH):
        path += SOCKET_PATH
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))

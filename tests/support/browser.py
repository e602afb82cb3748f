"""Chromium under Playwright, watched for errors and for traffic to foreign hosts."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebSocket,
    async_playwright,
)

DEBIAN_CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
LOCAL_SCHEMES = frozenset({"data", "blob", "about"})


@dataclass
class WatchedPage:
    """A page and what went wrong in it."""

    page: Page
    context: BrowserContext
    console_errors: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        """Fail if anything went wrong."""
        assert (self.console_errors, self.page_errors, self.foreign_requests) == ([], [], [])

    def watch(self, host: str) -> None:
        """Note errors, and requests and sockets to any host but `host`."""

        def note_url(url: str) -> None:
            parts = urlsplit(url)
            if parts.scheme not in LOCAL_SCHEMES and parts.netloc != host:
                self.foreign_requests.append(url)

        def note_request(request: Request) -> None:
            note_url(request.url)

        def note_console(line: ConsoleMessage) -> None:
            if line.type == "error":
                self.console_errors.append(line.text)

        self.context.on("request", note_request)
        self.page.on("websocket", lambda socket: note_url(socket.url))
        self.page.on("console", note_console)
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    chromium = shutil.which(DEBIAN_CHROMIUM) or shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("chromium is not installed: run deploy/setup.sh test")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = (1280, 800),
    locale: str = "en-GB",
    timezone: str = "Europe/Zurich",
    color_scheme: Literal["dark", "light"] = "light",
    reduced_motion: Literal["reduce", "no-preference"] = "no-preference",
    touch: bool = False,
) -> AsyncIterator[WatchedPage]:
    """A page of a fresh profile, at `url`."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        timezone_id=timezone,
        color_scheme=color_scheme,
        reduced_motion=reduced_motion,
        has_touch=touch,
    )
    try:
        watched = WatchedPage(await context.new_page(), context)
        watched.watch(urlsplit(url).netloc)
        await watched.page.goto(url)
        yield watched
    finally:
        await context.close()


def note_frames(page: Page, frames: list[tuple[str, dict[str, Any]]]) -> None:
    """Every line of every socket that this page opens from now on."""

    def note(direction: str, frame: str | bytes) -> None:
        frames.extend((direction, json.loads(line)) for line in str(frame).splitlines() if line)

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: note("sent", frame))
        socket.on("framereceived", lambda frame: note("received", frame))

    page.on("websocket", watch)

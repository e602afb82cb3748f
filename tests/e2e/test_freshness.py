"""What a screen says about its age while the feed is silent or the server is gone, and when."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import pytest
from playwright.async_api import Browser, Frame, Page, WebSocket, expect

from tests.support.browser import WatchedPage, open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_feed, add_legs, key_of
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 30_000  # ms; a deadline, not a pause
STATUS_EVERY = 0.5
# The product's: 15, 60 and 600 s for the link, once and thrice its silence for a feed.
LINK = {"late": 3.0, "stale": 7.0, "down": 13.0}
SILENCE = 4.0
# Screens judge once a second and the server asks for its feeds once a second; the rest is for a
# machine that others use too.
GRACE = 3.5
CALLS = {
    1: ("boarding", "Boarding"),
    2: ("final_call", "Final call"),
    3: ("gate_open", "Go to gate"),
}

# Every state with the time at which it was painted, and calls that were readable while out of date.
WATCH = """() => {
  window.states = []
  window.calls = []
  const look = () => {
    const screen = document.querySelector('[data-fresh]')
    const state = screen?.dataset.fresh
    if (state !== window.states.at(-1)?.[0]) window.states.push([state, Date.now() / 1000])
    if (state !== 'stale' && state !== 'down') return
    const said = screen.querySelector('table, section:has(h1)')?.innerText ?? ''
    window.calls.push(...said.match(/Boarding|Final call|Go to gate/g) ?? [])
  }
  look()
  new MutationObserver(look)
    .observe(document.body, {childList: true, subtree: true, attributes: true, characterData: true})
}"""


@dataclass
class Screen:
    """A page that was live, and what it did since."""

    watched: WatchedPage
    navigations: list[str]
    sockets: list[WebSocket]

    @property
    def page(self) -> Page:
        return self.watched.page

    def watch(self) -> None:
        """Note from now on where it goes and what it connects to."""

        def note_socket(socket: WebSocket) -> None:
            self.sockets.append(socket)

        def note_navigation(frame: Frame) -> None:
            self.navigations.append(frame.url)

        self.page.on("websocket", note_socket)
        self.page.on("framenavigated", note_navigation)

    async def is_now(self, state: str, within: float) -> None:
        await expect(self.page.locator(f'[data-fresh="{state}"]')).to_be_visible(
            timeout=within * 1000
        )

    async def states(self) -> dict[str, float]:
        """When each state began; each of them once, as they are ordered."""
        states: list[tuple[str, float]] = await self.page.evaluate("() => window.states")
        assert len(dict(states)) == len(states), states
        return {state: began for state, began in states}

    async def assert_honest(self) -> None:
        """It stayed where it was, and told nobody to hurry while it was out of date."""
        assert self.navigations == []
        assert await self.page.evaluate("() => window.calls") == []
        assert (self.watched.page_errors, self.watched.foreign_requests) == ([], [])


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """Three departures that are called, of an airport whose feed is alive; so is a tracker."""
    await add_legs(pool, 3, departs_in="40 minutes")
    for leg_id, (phase, _) in CALLS.items():
        await pool.execute("UPDATE flight_leg SET phase = $2 WHERE leg_id = $1", leg_id, phase)
    await add_feed(pool)
    await add_feed(pool, "tracker", priority=10)
    limits = {f"link_{state}": str(limit) for state, limit in LINK.items()}
    async with Gatecast("serve", dsn=dsn, status_interval=str(STATUS_EVERY), **limits) as process:
        await process.ready()
        yield process


@pytest.fixture
async def screens(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> AsyncIterator[Sequence[Screen]]:
    """A board and the page of a flight, both live and watched."""
    paths = ("/board/JFK/departures", f"/f/{await key_of(pool, 1)}")
    async with AsyncExitStack() as stack:
        opened = list[Screen]()
        for path in paths:
            watched = await stack.enter_async_context(
                open_page(browser, server.http + path, size=(1280, 720))
            )
            screen = Screen(watched, [], [])
            await screen.is_now("live", 30)
            await expect(watched.page.get_by_text("Boarding").first).to_be_visible()
            screen.watch()
            await watched.page.evaluate(WATCH)
            opened.append(screen)
        yield opened


def assert_on_time(began: dict[str, float], since: float, limits: dict[str, float]) -> None:
    """Live, then each state after its limit and soon, in order."""
    assert list(began) == ["live", *limits]
    took = {state: began[state] - since for state in limits}
    print({state: round(seconds, 2) for state, seconds in took.items()})
    for state, limit in limits.items():
        # What was heard last is older than what ended the hearing.
        assert limit - STATUS_EVERY - 0.1 <= took[state] <= limit + GRACE, (state, took)


async def test_a_silent_feed_is_late_then_stale_and_calls_nobody(
    pool: "Pool[asyncpg.Record]", screens: Sequence[Screen]
) -> None:
    """J3: the socket lives, and still nothing old looks live."""
    seen = await pool.fetchval(
        "UPDATE feed SET max_silence = $1::float8 * interval '1 second', last_seen_at = wall_now()"
        " WHERE code = 'aodb' RETURNING extract(epoch FROM last_seen_at)::float8",
        SILENCE,
    )
    board, flight = screens
    table = board.page.locator("table")
    await board.is_now("late", 15)
    for _, call in CALLS.values():
        await expect(table.get_by_text(call, exact=True)).to_be_visible()
    for screen in screens:
        await screen.is_now("stale", 20)
        assert await screen.page.locator('[data-state="stale"][data-cause="feed"]').count() == 1
        assert_on_time(await screen.states(), seen, {"late": SILENCE, "stale": 3 * SILENCE})
        assert screen.sockets == []  # nothing was connected anew
    await expect(table.get_by_text("Check gate", exact=True)).to_have_count(3, timeout=PATIENCE)
    await expect(flight.page.get_by_text("This may be out of date.")).to_be_visible()
    await pool.execute("UPDATE feed SET max_silence = '1 hour', last_seen_at = wall_now()")
    for screen in screens:
        await screen.is_now("live", 30)
        await screen.assert_honest()
        screen.watched.assert_clean()


async def test_a_killed_server_is_late_stale_and_down_in_order(
    server: Gatecast, screens: Sequence[Screen]
) -> None:
    """J4: from the kill on, at the limits that the server had set."""
    killed = time.time()
    server.kill()
    board, flight = screens
    await board.is_now("stale", LINK["stale"] + 10)
    await expect(board.page.get_by_text("Check gate", exact=True)).to_have_count(3)
    for screen in screens:
        await screen.is_now("down", LINK["down"] + 10)
        assert_on_time(await screen.states(), killed, LINK)
        await screen.assert_honest()
    await expect(board.page.get_by_text("Flight information is not available")).to_be_visible()
    await expect(flight.page.get_by_text("We lost contact at")).to_be_visible()
    tried = [len(screen.sockets) for screen in screens]
    await until(
        lambda: all(
            len(screen.sockets) > before for screen, before in zip(screens, tried, strict=True)
        ),
        within=30,
        what="both still try to connect",
    )

"""A day as it happens: a feed over HTTP at speed 1, and what boards and flight pages say of it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import open_page
from tests.support.feed import HttpFeed, open_feed
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs

Pool = asyncpg.Pool
PATIENCE = 20_000  # ms; a deadline, longer than the turn of a page


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """Airports in two time zones, neither of them the browser's, and no leg yet."""
    await add_legs(pool, 0)
    await pool.execute("UPDATE airport SET tz = 'America/Chicago' WHERE iata = 'MCO'")
    await pool.execute("INSERT INTO airline (iata, name) VALUES ('AA', 'American')")
    async with Gatecast("serve", dsn=dsn, status_interval="0.5") as process:
        await process.ready()
        yield process


@pytest.fixture
async def feed(dsn: str, server: Gatecast) -> HttpFeed:
    return await open_feed(dsn, server.http)


async def on_board(page: Page, key: str, *texts: str) -> None:
    """The row of this leg says all of these."""
    row = page.locator(f'tr[data-leg="{key}"]')
    for text in texts:
        await expect(row).to_contain_text(text, timeout=PATIENCE)


async def on_page(page: Page, *texts: str) -> None:
    for text in texts:
        await expect(page.get_by_role("main")).to_contain_text(text, timeout=PATIENCE)


async def test_a_departure_from_estimate_to_boarding(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(9, std=feed.at(60), sta=feed.at(240), dep_gate="18")
    board_at, page_at = f"{server.http}/board/JFK/departures", f"{server.http}/f/{key}"
    async with (
        open_page(browser, board_at, size=(1920, 1080)) as board,
        open_page(browser, page_at, size=(390, 844)) as flight,
    ):
        await on_board(board.page, key, feed.local(60), "Orlando", "18", "On time")
        await on_page(
            flight.page, f"Leaves at {feed.local(60)}", feed.local(240, "America/Chicago")
        )
        await feed.say(9, etd=feed.at(137), eta=feed.at(317))
        await on_board(board.page, key, feed.local(60), feed.local(137), "Delayed")
        await on_page(flight.page, "Delayed 1 h 17 min", f"Leaves at {feed.local(137)}")
        await feed.say(9, dep_gate="22")
        await on_board(board.page, key, "22", "was 18", "Gate changed")
        await on_page(flight.page, "Go to gate 22, not 18", feed.local(317, "America/Chicago"))
        await feed.say(9, boarding_at=feed.at(0))
        await on_board(board.page, key, "Boarding")
        await on_page(flight.page, "Boarding")
        await flight.page.get_by_role("button", name="What has changed").click()
        await on_page(
            flight.page,
            "Boarding started",
            "Gate 22, not 18",
            f"Now leaves at {feed.local(137)}, not {feed.local(60)}",
            f"Now lands at {feed.local(317, 'America/Chicago')}",
            "from aodb",
        )
        board.assert_clean()
        flight.assert_clean()


async def test_cancelled_reinstated_diverted_and_landed(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(11, std=feed.at(60), sta=feed.at(240), dep_gate="7")
    gone = await feed.say(
        12, std=feed.at(-90), sta=feed.at(30), atd=feed.at(-85), atot=feed.at(-75)
    )
    async with (
        open_page(browser, f"{server.http}/board/JFK/departures", size=(1920, 1080)) as board,
        open_page(browser, f"{server.http}/board/MCO/arrivals", size=(1920, 1080)) as arrivals,
        open_page(browser, f"{server.http}/f/{key}", size=(390, 844)) as flight,
        open_page(browser, f"{server.http}/f/{gone}", size=(390, 844)) as landing,
    ):
        await on_board(board.page, key, feed.local(60), "On time")
        await feed.say(11, irregularity="cancelled")
        await on_board(board.page, key, "Cancelled")
        await on_page(flight.page, "This flight is cancelled", "Ask JetBlue about another flight.")
        await feed.say(11, irregularity="none")
        await on_board(board.page, key, "On time")
        await on_page(flight.page, f"Leaves at {feed.local(60)}", "From gate 7.")
        await on_board(arrivals.page, gone, feed.local(30, "America/Chicago"), "New York")
        await feed.say(12, irregularity="diverted", divert_airport="BOS")
        await on_board(arrivals.page, gone, "Diverted", "to Boston")
        await on_page(landing.page, "This flight goes to Boston instead")
        await feed.say(12, irregularity="none")
        await feed.say(12, aldt=feed.at(-1), belts=["7"])
        await on_board(arrivals.page, gone, "Landed", feed.local(-1, "America/Chicago"), "7")
        await expect(arrivals.page.get_by_role("columnheader", name="Belt")).to_be_visible()
        await on_page(landing.page, "Bags on belt 7", f"It left New York at {feed.local(-85)}.")
        for watched in (board, arrivals, flight, landing):
            watched.assert_clean()


async def test_a_board_of_one_airline_or_terminal(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    blue = await feed.say(9, std=feed.at(60), sta=feed.at(240), dep_terminal="5")
    other = await feed.say(9, airline="AA", std=feed.at(50), sta=feed.at(240), dep_terminal="8")
    for query, wanted, said in (
        ("?airline=AA", {other}, "Airline AA"),
        ("?airline=AA,B6", {blue, other}, "Airline AA, B6"),
        ("?terminal=5", {blue}, "Terminal 5"),
        ("?terminal=5&airline=AA", set[str](), "Airline AA · Terminal 5"),
    ):
        address = f"{server.http}/board/JFK/departures{query}"
        async with open_page(browser, address, size=(1920, 1080)) as board:
            rows = board.page.locator("tr[data-leg]")
            await expect(board.page.get_by_text(said, exact=True)).to_be_visible(timeout=PATIENCE)
            if not wanted:
                await expect(board.page.get_by_text("No departures in the next")).to_be_visible(
                    timeout=PATIENCE
                )
            await expect(rows).to_have_count(len(wanted), timeout=PATIENCE)
            found = await rows.evaluate_all("rows => rows.map(row => row.dataset.leg)")
            assert set(found) == wanted
            board.assert_clean()


async def test_a_board_alternates_its_languages(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(9, std=feed.at(60), sta=feed.at(240), dep_gate="18")
    address = f"{server.http}/board/JFK/departures?lang=en,ar"
    async with open_page(browser, address, size=(1920, 1080)) as board:
        page = board.page
        for lang, direction, place in (
            ("ar", "rtl", "أورلاندو"),
            ("en", "ltr", "Orlando"),
            ("ar", "rtl", "أورلاندو"),
        ):
            await expect(page.locator(f'html[lang="{lang}"][dir="{direction}"]')).to_have_count(
                1, timeout=PATIENCE
            )
            await on_board(page, key, place, feed.local(60), "18")
        board.assert_clean()


async def test_rows_that_are_neither_on_time_nor_late(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    closed = await feed.say(
        21, std=feed.at(10), sta=feed.at(190), dep_gate="3", gate_close_at=feed.at(-1)
    )
    back = await feed.say(22, std=feed.at(-5), sta=feed.at(160), dep_gate="4", atd=feed.at(-4))
    await feed.say(22, irregularity="returned_to_gate")
    coming = {"dep": "MCO", "arr": "JFK"}
    due = await feed.say(
        31, std=feed.at(-100), sta=feed.at(20), atd=feed.at(-95), eta=feed.at(45), **coming
    )
    down = await feed.say(
        32, std=feed.at(-170), sta=feed.at(-5), atd=feed.at(-165), aldt=feed.at(-6), **coming
    )
    await feed.say(32, belts=["4"], **coming)
    off = await feed.say(
        33, std=feed.at(-90), sta=feed.at(25), atd=feed.at(-85), atot=feed.at(-80), **coming
    )
    await feed.say(33, irregularity="diverted", divert_airport="BOS", **coming)
    async with (
        open_page(browser, f"{server.http}/board/JFK/departures", size=(1920, 1080)) as board,
        open_page(browser, f"{server.http}/board/JFK/arrivals", size=(1920, 1080)) as arrivals,
    ):
        await expect(arrivals.page.get_by_role("heading", name="Arrivals")).to_be_visible()
        await on_board(board.page, closed, "Gate closed", "3")
        await on_board(board.page, back, "Returned")
        await on_board(arrivals.page, due, "Orlando", feed.local(20), feed.local(45), "Expected")
        await on_board(arrivals.page, down, "Landed", feed.local(-6), "4")
        await on_board(arrivals.page, off, "Diverted", "to Boston")
        await expect(arrivals.page.get_by_role("columnheader", name="Belt")).to_be_visible()
        board.assert_clean()
        arrivals.assert_clean()

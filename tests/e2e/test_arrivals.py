"""The arrivals board while bags move to another belt and flights turn round."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser import open_page
from tests.support.feed import HttpFeed, open_feed
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs

Pool = asyncpg.Pool
PATIENCE = 20_000  # ms; a deadline, longer than the turn of a page
COMING = {"dep": "MCO", "arr": "JFK"}


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    await add_legs(pool, 0)
    async with Gatecast("serve", dsn=dsn, status_interval="0.5") as process:
        await process.ready()
        yield process


@pytest.fixture
async def feed(dsn: str, server: Gatecast) -> HttpFeed:
    return await open_feed(dsn, server.http)


def row(page: Page, key: str) -> Locator:
    return page.locator(f'tr[data-leg="{key}"]')


def cell(page: Page, key: str, column: int) -> Locator:
    return row(page, key).locator("td, th").nth(column)


async def test_a_belt_that_changes_is_told_with_the_one_it_was(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(
        41, std=feed.at(-170), sta=feed.at(-5), atd=feed.at(-165), aldt=feed.at(-3), **COMING
    )
    async with (
        open_page(browser, f"{server.http}/board/JFK/arrivals", size=(1920, 1080)) as board,
        open_page(browser, f"{server.http}/f/{key}", size=(390, 844)) as flight,
    ):
        page = board.page
        await expect(page.get_by_role("columnheader", name="Gate")).to_be_visible(timeout=PATIENCE)
        await expect(row(page, key)).to_contain_text("Landed", timeout=PATIENCE)
        for belts, told, was in (
            (["4"], "4", None),
            (["7"], "7", "4"),
            (["7", "8"], "7 8", "7"),
        ):
            await feed.say(41, belts=belts, **COMING)
            belt = cell(page, key, 4)
            await expect(belt.locator("> bdi")).to_have_text(told, timeout=PATIENCE)
            await expect(belt.locator("s bdi")).to_have_text([was] if was else [])
            await expect(page.get_by_role("columnheader", name="Belt")).to_be_visible()
        await expect(flight.page.get_by_role("heading", level=1)).to_have_text(
            "Bags on belt 7, 8", timeout=PATIENCE
        )
        await feed.say(41, last_bag_at=feed.at(0), **COMING)
        await expect(row(page, key)).to_contain_text("Bags delivered", timeout=PATIENCE)
        board.assert_clean()
        flight.assert_clean()


async def test_a_flight_that_turns_round_is_expected_no_more(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(
        42, std=feed.at(-15), sta=feed.at(120), atd=feed.at(-3), atot=feed.at(-2), **COMING
    )
    async with (
        open_page(browser, f"{server.http}/board/JFK/arrivals", size=(1920, 1080)) as arrivals,
        open_page(browser, f"{server.http}/board/MCO/departures", size=(1920, 1080)) as departures,
        open_page(browser, f"{server.http}/f/{key}", size=(390, 844)) as flight,
    ):
        await expect(row(arrivals.page, key)).to_contain_text("Expected", timeout=PATIENCE)
        await expect(row(departures.page, key)).to_contain_text("Departed", timeout=PATIENCE)
        await feed.say(42, irregularity="air_return", **COMING)
        await expect(row(departures.page, key)).to_contain_text("Returned", timeout=PATIENCE)
        # Where it was expected nobody knows when it comes: the row stays, and promises nothing.
        await expect(cell(arrivals.page, key, 5)).to_have_text("", timeout=PATIENCE)
        await expect(row(arrivals.page, key)).to_have_attribute("data-remark", "none")
        await expect(flight.page.get_by_role("heading", level=1)).to_have_text(
            "This flight came back", timeout=PATIENCE
        )
        # It leaves again.
        await feed.say(42, irregularity="none", eta=feed.at(200), **COMING)
        await expect(row(arrivals.page, key)).to_contain_text("Expected", timeout=PATIENCE)
        await expect(row(departures.page, key)).to_contain_text("Departed", timeout=PATIENCE)
        for watched in (arrivals, departures, flight):
            watched.assert_clean()


async def test_a_flight_back_at_the_gate_shows_no_time_of_its_first_departure(
    server: Gatecast, feed: HttpFeed, browser: Browser
) -> None:
    key = await feed.say(43, std=feed.at(-5), sta=feed.at(160), atd=feed.at(-3), dep_gate="4")
    async with open_page(
        browser, f"{server.http}/board/JFK/departures", size=(1920, 1080)
    ) as watched:
        page = watched.page
        await expect(row(page, key)).to_contain_text("Departed", timeout=PATIENCE)
        await feed.say(43, irregularity="returned_to_gate")
        await expect(row(page, key)).to_contain_text("Returned", timeout=PATIENCE)
        await expect(cell(page, key, 1)).to_have_text("")
        await feed.say(43, etd=feed.at(45))
        await expect(cell(page, key, 1).locator(".vh")).not_to_be_empty(timeout=PATIENCE)
        watched.assert_clean()

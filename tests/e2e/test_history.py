"""What has changed: the history on the page of a flight, in a real browser, on a real server."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser import WatchedPage, open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of, set_gate

Pool = asyncpg.Pool
PATIENCE = 10_000  # ms; a deadline, not a pause


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """A leg whose gate has already moved 24 times."""
    await add_legs(pool, 1, departs_in="2 hours")
    for number in range(1, 25):
        await set_gate(pool, 1, f"A{number}")
    async with Gatecast("serve", dsn=dsn, status_interval="0.5") as process:
        await process.ready()
        yield process


@pytest.fixture
async def flight(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> AsyncIterator[WatchedPage]:
    address = f"{server.http}/f/{await key_of(pool, 1)}"
    async with open_page(browser, address, size=(390, 844)) as watched:
        await expect(watched.page.locator('[data-version="25"]')).to_be_visible(timeout=PATIENCE)
        yield watched


def changes(page: Page) -> Locator:
    return page.locator("[data-change]")


async def open_history(page: Page) -> None:
    await page.get_by_role("button", name="What has changed, New York time").click()
    await expect(changes(page)).to_have_count(20, timeout=PATIENCE)


async def test_the_history_is_read_on_demand_and_by_pages(
    pool: "Pool[asyncpg.Record]", flight: WatchedPage
) -> None:
    page, asked = flight.page, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    assert not any("/history" in url for url in asked)
    await open_history(page)
    assert sum("/history" in url for url in asked) == 1
    await expect(changes(page).first).to_contain_text("Gate A24, not A23")
    await expect(changes(page).first).to_contain_text("entered by hand")
    local = await pool.fetchval(
        "SELECT to_char(at AT TIME ZONE 'America/New_York', 'HH24:MI')"
        " FROM leg_change WHERE version = 25"
    )
    await expect(changes(page).first.locator("time")).to_have_text(local)
    earlier = page.get_by_role("button", name="Earlier changes")
    await earlier.click()
    await expect(changes(page)).to_have_count(25, timeout=PATIENCE)
    await expect(changes(page).last).to_contain_text("First known")
    await expect(earlier).to_have_count(0)
    flight.assert_clean()


async def test_live_changes_add_to_the_history_and_none_is_left_out(
    pool: "Pool[asyncpg.Record]", flight: WatchedPage
) -> None:
    page = flight.page
    await open_history(page)
    await set_gate(pool, 1, "B1")
    await expect(changes(page).first).to_contain_text("Gate B1, not A24", timeout=PATIENCE)
    # Faster than the page paints: the channel tells it only the newest.
    async with pool.acquire() as connection, connection.transaction():
        for gate in ("B2", "B3", "B4", "B5"):
            await set_gate(connection, 1, gate)
    for place, gate in enumerate(("B5", "B4", "B3", "B2", "B1")):
        await expect(changes(page).nth(place)).to_contain_text(f"Gate {gate}", timeout=PATIENCE)
    versions = await changes(page).evaluate_all("rows => rows.map(row => +row.dataset.change)")
    assert versions == list(range(30, 30 - len(versions), -1))
    flight.assert_clean()


async def test_a_history_that_does_not_load_says_so_and_is_tried_again(flight: WatchedPage) -> None:
    page = flight.page
    await page.route("**/api/flights/*/history*", lambda route: route.abort())
    await page.get_by_role("button", name="What has changed, New York time").click()
    retry = page.get_by_role("button", name="Try again")
    await expect(retry).to_be_visible(timeout=20_000)
    await page.unroute("**/api/flights/*/history*")
    await retry.click()
    await expect(changes(page)).to_have_count(20, timeout=PATIENCE)
    assert (flight.page_errors, flight.foreign_requests) == ([], [])

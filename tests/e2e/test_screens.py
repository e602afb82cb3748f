"""What a person sees: a board and a flight page in a real browser, on a real server."""

import re
from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser import WatchedPage, open_page
from tests.support.followers import end_holds
from tests.support.gatecast import Gatecast
from tests.support.legs import add_feed, add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 10_000  # ms; a deadline, not a pause
PAGE_TURN = 12_000  # ms; rows come and go only then
LIMITS = {"link_late": "2", "link_stale": "4", "link_down": "8", "status_interval": "0.5"}


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """Everything in one process, today's clock, an airport whose feed is alive."""
    await add_legs(pool, 3, departs_in="2 hours")
    await add_feed(pool)
    async with Gatecast("serve", dsn=dsn, **LIMITS) as process:
        await process.ready()
        yield process


@pytest.fixture
async def board(server: Gatecast, browser: Browser) -> AsyncIterator[WatchedPage]:
    address = f"{server.http}/board/JFK/departures"
    async with open_page(browser, address, size=(1920, 1080), color_scheme="dark") as watched:
        await expect(watched.page.locator("tr[data-leg]")).to_have_count(3, timeout=PATIENCE)
        yield watched


def row(page: Page, key: str, text: str) -> Locator:
    """The board row of a leg that shows this text."""
    return page.locator(f'tr[data-leg="{key}"]', has_text=text)


def fresh(page: Page, state: str) -> Locator:
    return page.locator(f'[data-fresh="{state}"]')


async def test_an_update_in_psql_changes_the_row_without_a_reload(
    server: Gatecast, pool: "Pool[asyncpg.Record]", board: WatchedPage
) -> None:
    key = await key_of(pool, 1)
    await board.page.evaluate("() => { window.sameDocument = true }")
    await expect(fresh(board.page, "live")).to_be_visible(timeout=PATIENCE)
    for gate in ("22", "B8", "C66"):
        await set_gate(pool, 1, gate)
        await expect(row(board.page, key, gate)).to_be_visible(timeout=PATIENCE)
    await expect(row(board.page, key, "Gate changed")).to_be_visible(timeout=PATIENCE)
    await pool.execute("UPDATE flight_leg SET irregularity = 'cancelled' WHERE leg_id = 2")
    await expect(row(board.page, await key_of(pool, 2), "Cancelled")).to_be_visible(
        timeout=PATIENCE
    )
    await pool.execute("UPDATE flight_leg SET etd = std + interval '77 min' WHERE leg_id = 3")
    await expect(row(board.page, await key_of(pool, 3), "Delayed")).to_be_visible(timeout=PATIENCE)
    await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 3")
    rows = board.page.locator("tr[data-leg]")
    await expect(rows).to_have_count(2, timeout=PATIENCE + PAGE_TURN)
    assert await board.page.evaluate("() => window.sameDocument")
    board.assert_clean()


async def test_a_doubted_flight_is_not_called_on_time(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser, board: WatchedPage
) -> None:
    """On the board and on its page, until somebody confirms it."""
    key = await key_of(pool, 1)
    painted = board.page.locator(f'tr[data-leg="{key}"]')
    async with open_page(browser, f"{server.http}/f/{key}") as flight:
        chip = flight.page.get_by_text("On time", exact=True)
        for uncertain, remark in ((False, "on_time"), (True, "none"), (False, "on_time")):
            await pool.execute("UPDATE flight_leg SET uncertain = $1 WHERE leg_id = 1", uncertain)
            await expect(painted).to_have_attribute("data-remark", remark, timeout=PATIENCE)
            await expect(chip).to_have_count(0 if uncertain else 1, timeout=PATIENCE)
        flight.assert_clean()
    board.assert_clean()


async def test_no_text_of_the_board_is_clipped(
    pool: "Pool[asyncpg.Record]", board: WatchedPage
) -> None:
    await pool.execute("UPDATE airport SET city = 'Minneapolis–St. Paul–Bloomington'"
                       " WHERE iata = 'MCO'")  # fmt: skip
    await pool.execute("UPDATE flight_leg SET dep_gate = 'B88', etd = std + interval '3 hours'")
    await expect(row(board.page, await key_of(pool, 1), "B88")).to_be_visible(timeout=PATIENCE)
    # A cell that is still turning over reaches, in perspective, a pixel beyond its box.
    await board.page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
             .filter(a => a.effect.getComputedTiming().endTime !== Infinity)
             .map(a => a.finished))"""
    )
    for size in ((1920, 1080), (1280, 720), (3840, 2160)):
        await board.page.set_viewport_size({"width": size[0], "height": size[1]})
        clipped = await board.page.evaluate(
            """async () => {
                 const turning = document.getAnimations()
                   .filter(each => each.effect.getComputedTiming().iterations !== Infinity)
                 await Promise.all(turning.map(each => each.finished))
                 return [...document.querySelectorAll('td, th, td *, th *')]
                   .filter(e => !e.closest('.vh') && e.scrollWidth > e.clientWidth + 1
                     && e.clientWidth > 0)
                   .map(e => e.textContent)
               }"""
        )
        assert clipped == []
        overflow = "() => document.documentElement.scrollHeight > innerHeight"
        assert not await board.page.evaluate(overflow)


async def test_a_feed_that_dies_while_the_socket_lives_is_said(
    server: Gatecast, pool: "Pool[asyncpg.Record]", board: WatchedPage
) -> None:
    await pool.execute("UPDATE flight_leg SET boarding_at = board_now(), phase = 'boarding'"
                       " WHERE leg_id = 1")  # fmt: skip
    key = await key_of(pool, 1)
    await expect(row(board.page, key, "Boarding")).to_be_visible(timeout=PATIENCE)
    await expect(fresh(board.page, "live")).to_be_visible(timeout=PATIENCE)
    await pool.execute("UPDATE feed SET max_silence = '1 s', last_seen_at = wall_now()"
                       " WHERE code = 'aodb'")  # fmt: skip
    await expect(fresh(board.page, "late")).to_be_visible(timeout=PATIENCE)
    await expect(fresh(board.page, "stale")).to_be_visible(timeout=PATIENCE)
    assert await board.page.locator('[data-state="stale"][data-cause="feed"]').count() == 1
    await expect(row(board.page, key, "Boarding")).to_have_count(0, timeout=PATIENCE)
    assert "On time" not in await board.page.inner_text("table")
    await pool.execute("UPDATE feed SET max_silence = '1 hour', last_seen_at = wall_now()"
                       " WHERE code = 'aodb'")  # fmt: skip
    await expect(row(board.page, key, "Boarding")).to_be_visible(timeout=PATIENCE)
    board.assert_clean()


async def test_a_killed_server_is_said_and_survived(
    server: Gatecast, pool: "Pool[asyncpg.Record]", board: WatchedPage
) -> None:
    await board.page.evaluate("() => { window.sameDocument = true }")
    await expect(fresh(board.page, "live")).to_be_visible(timeout=PATIENCE)
    server.kill()
    for state in ("late", "stale", "down"):
        await expect(fresh(board.page, state)).to_be_visible(timeout=PATIENCE)
    for gate in ("1", "2", "3"):
        await set_gate(pool, 1, gate)
    await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 2")
    server.start()
    await expect(fresh(board.page, "live")).to_be_visible(timeout=30_000)
    await expect(row(board.page, await key_of(pool, 1), "3")).to_be_visible(timeout=PATIENCE)
    await expect(board.page.locator("tr[data-leg]")).to_have_count(2, timeout=PATIENCE)
    assert await board.page.evaluate("() => window.sameDocument")
    assert board.page_errors == []
    assert board.foreign_requests == []


async def test_a_flight_page_follows_its_flight_and_says_what_it_showed(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    key = await key_of(pool, 1)
    async with open_page(browser, f"{server.http}/f/{key}", size=(390, 844), touch=True) as watched:
        page = watched.page
        await expect(page.locator('[data-version="1"]')).to_be_visible(timeout=PATIENCE)
        await page.get_by_role("button", name=re.compile("follow", re.I)).click()
        pressed = page.locator('button[aria-pressed="true"]')
        await expect(pressed).to_be_visible(timeout=PATIENCE)
        assert await pool.fetchval("SELECT count(*) FROM follow WHERE leg_id = 1") == 1
        await until(lambda: receipt(pool), within=10, what="a receipt of version 1")
        await set_gate(pool, 1, "22")
        await expect(page.get_by_text("22", exact=True).first).to_be_visible(timeout=PATIENCE)
        seen = await until(lambda: receipt(pool, 2), within=10, what="a receipt of version 2")
        assert seen is not None
        assert seen["attentive_version"] == 2
        await expect(page.get_by_role("alert")).to_contain_text("22", timeout=PATIENCE)
        await pressed.click()
        await until(lambda: no_follow(pool), within=10, what="the follow is gone")
        watched.assert_clean()


async def test_a_hidden_page_sends_no_receipt(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    key = await key_of(pool, 1)
    async with open_page(browser, f"{server.http}/f/{key}", size=(390, 844)) as watched:
        page = watched.page
        await page.get_by_role("button", name=re.compile("follow", re.I)).click()
        await until(lambda: receipt(pool), within=10, what="a receipt of version 1")
        await page.evaluate(
            """() => {
              window.seen = 'hidden'
              Object.defineProperty(document, 'visibilityState', {get: () => window.seen})
              Object.defineProperty(document, 'hidden', {get: () => window.seen === 'hidden'})
              document.dispatchEvent(new Event('visibilitychange'))
            }"""
        )
        await set_gate(pool, 1, "22")
        assert await end_holds(pool) == 1
        await until(lambda: delivery_due(pool), within=20, what="the grace is over")
        assert await receipt(pool, 2) is None
        await page.evaluate(
            """() => {
              window.seen = 'visible'
              document.dispatchEvent(new Event('visibilitychange'))
            }"""
        )
        await until(lambda: receipt(pool, 2), within=10, what="a receipt once it is visible")


async def test_an_unknown_flight_and_a_wrong_address_have_a_page(
    server: Gatecast, browser: Browser
) -> None:
    async with open_page(browser, f"{server.http}/f/XX1-2013-03-08-JFK-MCO") as watched:
        await expect(watched.page.get_by_role("heading")).to_be_visible(timeout=PATIENCE)
    async with httpx2.AsyncClient(trust_env=False) as http:
        page = await http.get(f"{server.http}/board/JFK/departures")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await http.get(f"{server.http}/assets/../../etc/passwd")).status_code == 404
        assert (await http.get(f"{server.http}/nowhere")).status_code == 404


async def receipt(pool: "Pool[asyncpg.Record]", version: int = 1) -> asyncpg.Record | None:
    return await pool.fetchrow("SELECT * FROM receipt WHERE version >= $1", version)


async def no_follow(pool: "Pool[asyncpg.Record]") -> bool:
    return not await pool.fetchval("SELECT count(*) FROM follow")


async def delivery_due(pool: "Pool[asyncpg.Record]") -> bool:
    ended: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM delivery WHERE done_at IS NOT NULL)"
    )
    return ended


async def test_a_flight_page_goes_with_its_leg_to_a_corrected_key(
    server: Gatecast, pool: "Pool[asyncpg.Record]", board: WatchedPage, browser: Browser
) -> None:
    old = await key_of(pool, 1)
    async with open_page(browser, f"{server.http}/f/{old}", size=(390, 844)) as watched:
        page = watched.page
        await page.get_by_role("button", name=re.compile("follow", re.I)).click()
        pressed = page.locator('button[aria-pressed="true"]')
        await expect(pressed).to_be_visible(timeout=PATIENCE)
        await page.evaluate("() => { window.sameDocument = true }")
        await pool.execute("UPDATE flight_leg SET flight_no = 99 WHERE leg_id = 1")
        new = await key_of(pool, 1)
        await expect(page).to_have_url(f"{server.http}/f/{new}", timeout=PATIENCE)
        await expect(page.get_by_text("B6 99")).to_be_visible(timeout=PATIENCE)
        await set_gate(pool, 1, "22")
        await expect(page.get_by_text("22", exact=True).first).to_be_visible(timeout=PATIENCE)
        await expect(page.locator('[data-fresh="live"]')).to_be_visible(timeout=PATIENCE)
        await expect(pressed).to_be_visible()
        assert await page.evaluate("() => window.sameDocument")
        await expect(row(board.page, new, "22")).to_be_visible(timeout=PATIENCE + PAGE_TURN)
        await expect(row(board.page, old, "")).to_have_count(0)
        # A bookmark of the old key leads there too.
        await page.goto(f"{server.http}/f/{old}")
        await expect(page).to_have_url(f"{server.http}/f/{new}", timeout=PATIENCE)
        await expect(pressed).to_be_visible(timeout=PATIENCE)
        watched.assert_clean()

"""Pushes in a real browser: asked for by our own sheet, shown by the worker, never twice."""

import json

import asyncpg
import pytest
from playwright.async_api import Browser, expect

from tests.support.browser_push import (
    FIREBASE,
    NOTICES,
    PATIENCE,
    flight_page,
    follow,
    is_at_hand,
    play_google,
    push,
    rung,
    shows,
)
from tests.support.legs import add_legs, key_of, set_gate

Pool = asyncpg.Pool
UNREACHABLE = (
    "This browser cannot reach its push service. You will get alerts while this page is open."
)
# Milliseconds from the click that asks for alerts until the page says which way they take.
TIMED = """() => {
  let asked
  document.addEventListener('click', () => { asked ??= performance.now() }, { capture: true })
  new MutationObserver(() => {
    if (document.querySelector('[data-rung]') !== null) window.told ??= performance.now() - asked
  }).observe(document.body, { subtree: true, attributes: true, childList: true })
}"""


@pytest.fixture
async def key(pool: "Pool[asyncpg.Record]") -> str:
    await add_legs(pool, 1, departs_in="50 minutes")
    return await key_of(pool, 1)


async def test_a_follower_is_asked_registered_and_shown_each_notice_once(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]", key: str
) -> None:
    async with flight_page(browser, dsn, key, firebase_web=json.dumps(FIREBASE)) as watched:
        page = watched.page
        installed = await play_google(watched)
        await follow(page)
        await is_at_hand(page.get_by_role("dialog"))
        await page.get_by_role("button", name="Turn on alerts").click()
        await rung(page, "push")
        devices = await pool.fetch("SELECT platform, kind, target FROM device")
        assert [tuple(row) for row in devices] == [("web", "fid", installed[0])]
        assert await pool.fetchval("SELECT count(*) FROM follow") == 1

        notice = {"leg": key, "tag": f"{key}:gate", "title": "B6 1: gate now C3", "body": "Hurry."}
        await push(page, **notice, id="e:90", v="90")
        await shows(page, "B6 1: gate now C3")
        await push(page, **(notice | {"title": "B6 1: gate now D4"}), id="e:91", v="91")
        await shows(page, "B6 1: gate now D4")
        (shown,) = await page.evaluate(NOTICES)
        assert shown["silent"]  # it replaces, and rings no second time
        await push(page, **(notice | {"title": "an older one"}), id="e:89", v="89")
        await push(page, **(notice | {"title": "too late", "exp": "1000000000"}), id="e:92", v="92")
        await push(page, **(notice | {"title": "seen by a page", "tag": "other"}), id="e:1", v="1")
        await push(page, **(notice | {"title": "B6 1 is cancelled", "tag": "c"}), id="e:93", v="93")
        await shows(page, "B6 1: gate now D4", "B6 1 is cancelled")


async def test_a_browser_without_a_push_service_says_so_and_follows_all_the_same(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]", key: str
) -> None:
    async with flight_page(browser, dsn, key, firebase_web=json.dumps(FIREBASE)) as watched:
        page = watched.page
        await play_google(watched)
        await page.evaluate(
            "() => { PushManager.prototype.subscribe = () => new Promise(() => {}) }"
        )
        await follow(page)
        await page.evaluate(TIMED)
        await page.get_by_role("button", name="Turn on alerts").click()
        await rung(page, "unreachable")
        await expect(page.locator("[data-rung]")).to_have_text(UNREACHABLE)
        assert 10_000 <= await page.evaluate("() => window.told") <= 11_000
        await expect(page.get_by_role("button", name="Following")).to_be_visible()
        assert await pool.fetchval("SELECT count(*) FROM follow") == 1
        assert await pool.fetchval("SELECT count(*) FROM device") == 0
        await set_gate(pool, 1, "22")
        await expect(page.locator('[role="alert"] p')).to_contain_text("22", timeout=PATIENCE)


async def test_without_firebase_the_page_says_that_it_has_to_stay_open(
    browser: Browser, dsn: str, key: str
) -> None:
    async with flight_page(browser, dsn, key) as watched:
        await follow(watched.page)
        await rung(watched.page, "unset")
        await expect(watched.page.locator("dialog")).to_have_count(0)
        watched.assert_clean()


async def test_what_another_screen_has_shown_comes_without_a_sound(
    browser: Browser, dsn: str, key: str
) -> None:
    async with flight_page(browser, dsn, key, firebase_web=json.dumps(FIREBASE)) as watched:
        page = watched.page
        await play_google(watched)
        await follow(page)
        await page.get_by_role("button", name="Turn on alerts").click()
        await rung(page, "push")
        await push(page, leg=key, tag="a", title="It rings", id="e:90", v="90")
        await push(page, leg=key, tag="b", title="It is silent", id="e:91", v="91", silent="1")
        await shows(page, "It rings", "It is silent")
        shown = {each["title"]: each["silent"] for each in await page.evaluate(NOTICES)}
        assert shown == {"It rings": False, "It is silent": True}

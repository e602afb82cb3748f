"""Pushes in a real browser: asked for by our own sheet, shown by the worker, never twice.

No push service can be reached from here. What Google would answer to the registration is played by
routes and one replaced browser call; pushes are handed to the worker as the browser would do it.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, CDPSession, Locator, Page, Route, expect

from tests.support.browser import WatchedPage, open_browser, open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 15_000
FIREBASE = {
    "apiKey": "AIza-of-the-tests",
    "appId": "1:1:web:1",
    "messagingSenderId": "1",
    "projectId": "gatecast-tests",
    "vapidKey": "B" + "A" * 86,
}
# The browser's own push service, of which a registration needs an endpoint and two keys.
SUBSCRIBED = """
PushManager.prototype.subscribe = async () => ({
  endpoint: 'https://push.invalid/1',
  getKey: () => new Uint8Array(16).buffer,
  unsubscribe: async () => true,
})
PushManager.prototype.getSubscription = async () => null
"""
NOTICES = """async () => {
  const registration = await navigator.serviceWorker.getRegistration()
  const shown = registration ? await registration.getNotifications() : []
  return shown.map(({ title, body, tag, silent }) => ({ title, body, tag, silent }))
}"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def key(pool: "Pool[asyncpg.Record]") -> str:
    await add_legs(pool, 1, departs_in="50 minutes")
    return await key_of(pool, 1)


@asynccontextmanager
async def flight_page(browser: Browser, dsn: str, key: str, **settings: str) -> AsyncIterator[Any]:
    """The page of the flight on a server of its own, in a browser that lets notices in."""
    async with Gatecast("serve", dsn=dsn, **settings) as server:
        await server.ready()
        async with open_page(browser, f"{server.http}/f/{key}", size=(390, 844)) as watched:
            await watched.context.grant_permissions(["notifications"], origin=server.http)
            yield watched


async def follow(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("follow", re.I)).click()
    await expect(page.locator('button[aria-pressed="true"]')).to_be_visible(timeout=PATIENCE)


def rung(page: Page, name: str) -> Any:
    return expect(page.locator(f'[data-rung="{name}"]')).to_be_visible(timeout=PATIENCE)


async def is_at_hand(sheet: Locator) -> None:
    """Whole, in the middle, and at the bottom where the thumb is."""
    await expect(sheet).to_be_in_viewport(ratio=1, timeout=PATIENCE)
    box = await sheet.bounding_box()
    assert box is not None
    assert abs(box["x"] - (390 - box["x"] - box["width"])) <= 1
    assert 0 < 844 - box["y"] - box["height"] < 30


async def play_google(watched: WatchedPage) -> list[str]:
    """What the hosts of the registration answer; the installation ids that were registered."""
    installed: list[str] = []

    async def answer(route: Route) -> None:
        token = {"token": "t", "expiresIn": "604800s"}
        said = route.request.post_data_json if route.request.method == "POST" else None
        if said is not None and "fid" in said:
            installed.append(said["fid"])
        fid = installed[-1] if installed else ""
        body = {"fid": fid, "refreshToken": "r", "authToken": token}
        if "fcmregistrations" in route.request.url:
            body = {"name": f"projects/gatecast-tests/registrations/{fid}"}
        headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
        await route.fulfill(status=200, headers=headers, json=body)

    await watched.context.route(re.compile(r"https://\w+\.googleapis\.com/"), answer)
    await watched.context.add_init_script(SUBSCRIBED)
    await watched.page.reload()
    return installed


async def worker_of(page: Page) -> tuple[CDPSession, str]:
    """The debugging session of a page and the id of its worker's registration."""
    session = await page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(each["registrationId"] for each in said["registrations"]),
    )
    await session.send("ServiceWorker.enable")
    await until(lambda: bool(found), within=10, what="the worker")
    return session, found[0]


async def push(page: Page, **data: str) -> None:
    """Hand the worker what Firebase Cloud Messaging would have delivered."""
    session, registration = await worker_of(page)
    origin = await page.evaluate("() => location.origin")
    payload = {"from": "1", "fcmMessageId": data["id"], "data": data}
    body = {"origin": origin, "registrationId": registration, "data": json.dumps(payload)}
    await session.send("ServiceWorker.deliverPushMessage", body)
    await session.detach()


async def shows(page: Page, *titles: str) -> None:
    async def same() -> bool:
        return sorted(each["title"] for each in await page.evaluate(NOTICES)) == sorted(titles)

    await until(same, within=10, what=f"notices {titles}")


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
        await page.get_by_role("button", name="Turn on alerts").click()
        await rung(page, "unreachable")
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

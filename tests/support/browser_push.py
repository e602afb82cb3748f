"""Web push in a real browser without a push service.

None can be reached from here. What Google would answer to the registration is played by routes and
one replaced browser call; pushes are handed to the worker as the browser would do it.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, CDPSession, Locator, Page, Route, expect

from tests.support.browser import WatchedPage, open_page
from tests.support.gatecast import Gatecast
from tests.support.wait import until

PATIENCE = 30_000
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
    # Chromium drops a push for a worker that is not active yet.
    await page.evaluate("() => navigator.serviceWorker.ready.then(() => undefined)")
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

"""What a passenger does about alerts, whole: follow, be told, choose, and by keyboard alone."""

import json

import asyncpg
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser import open_page
from tests.support.browser_push import (
    FIREBASE,
    NOTICES,
    PATIENCE,
    follow,
    play_google,
    push,
    rung,
    shows,
)
from tests.support.followers import ends, finish_held
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.settings_page import PHONE, sending, settings_page
from tests.support.wait import until

Pool = asyncpg.Pool
AT_ONCE = {"grace": "0.2", "grace_urgent": "0.2"}
WEB = json.dumps(FIREBASE)
DELAY = "UPDATE flight_leg SET etd = std + make_interval(mins => $1) WHERE leg_id = 1"
# Milliseconds from handing a push to the worker until its notice is on the screen.
AWAITED = """async title => {
  const registration = await navigator.serviceWorker.getRegistration()
  for (const until = Date.now() + 15_000; Date.now() < until;) {
    const shown = await registration.getNotifications()
    if (shown.some((each) => each.title === title)) return Date.now()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`not shown within 15 s: ${title}`)
}"""
# What a person sees who goes by keyboard: where the focus is, whether it is marked and not covered.
FOCUS = """() => {
  const it = document.activeElement
  const { x, y, width, height } = it.getBoundingClientRect()
  const style = getComputedStyle(it)
  const top = document.elementFromPoint(x + width / 2, y + height / 2)
  return {
    on: it.getAttribute('aria-label') ?? it.textContent,
    marked: it.matches(':focus-visible') && style.outlineStyle !== 'none'
      && parseFloat(style.outlineWidth) >= 3,
    seen: top !== null && (it.contains(top) || top.contains(it)),
  }
}"""


async def test_j12_a_follower_is_told_and_the_second_change_replaces_the_first(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    await add_legs(pool, 1, departs_in="50 minutes")
    key = await key_of(pool, 1)
    async with sending(dsn, firebase_web=WEB, **AT_ONCE) as (server, fcm), server:
        await server.ready()
        async with open_page(browser, f"{server.http}/f/{key}", size=PHONE) as watched:
            page = watched.page
            await watched.context.grant_permissions(["notifications"], origin=server.http)
            installed = await play_google(watched)
            await follow(page)
            await page.get_by_role("button", name="Turn on alerts").click()
            await rung(page, "push")
            await expect(page.get_by_role("button", name="Following")).to_be_visible()
            assert await pool.fetchval("SELECT target FROM device") == installed[0]
            # On another page no screen shows the flight, and its changes are pushed.
            await page.get_by_role("link", name="Alert settings").click()
            language = page.get_by_role("combobox", name="Language")
            await language.select_option("es", timeout=PATIENCE)
            await expect(page.locator("html")).to_have_attribute("lang", "es")
            await expect(page.locator('[data-state="saved"]')).to_be_visible(timeout=PATIENCE)
            for number, gate in enumerate(("22", "23"), start=1):
                await set_gate(pool, 1, gate)
                await finish_held(pool)
                pushed = await fcm.accepted()
                assert len(pushed) == number
                assert pushed[-1]["fid"] == installed[0]
                title = f"B6 1: ahora puerta {gate}"
                await is_shown_soon(page, pushed[-1]["data"], title)
                await shows(page, title)
            first, second = pushed
            assert first["data"]["tag"] == second["data"]["tag"]
            (shown,) = await page.evaluate(NOTICES)
            assert (shown["body"], shown["silent"]) == (second["data"]["body"], True)


async def is_shown_soon(page: Page, data: dict[str, str], title: str) -> None:
    begun: int = await page.evaluate("() => Date.now()")
    await push(page, **data)
    seen: int = await page.evaluate(AWAITED, title)
    assert seen - begun <= 500


async def test_j21_a_delay_step_of_half_an_hour_is_what_the_phone_is_told_by(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    async with (
        sending(dsn, firebase_web=WEB, **AT_ONCE) as (server, fcm),
        settings_page(browser, pool, server) as settings,
    ):
        page = settings.page
        installed = await play_google(settings.watched)
        await settings.watched.context.grant_permissions(["notifications"], origin=server.http)
        await page.get_by_role("button", name="Turn on alerts").click(timeout=PATIENCE)
        await rung(page, "push")
        for _ in range(3):
            await page.get_by_role("button", name="More minutes").click()
        await settings.is_saved()
        assert (await settings.wishes())["delay_step"] == 30
        key = await key_of(pool, 1)
        previewed = await settings.http.get(f"/api/me/follows/{key}/preview?minutes=35")
        await pool.execute(DELAY, 20)
        await finish_held(pool)
        ((_, state, _),) = await ends(pool)
        assert state in ("suppressed", "superseded")
        assert await fcm.requests() == []
        await pool.execute(DELAY, 35)
        await finish_held(pool)
        (pushed,) = await fcm.accepted()
        assert pushed["fid"] == installed[0]
        told, text = pushed["data"], previewed.json()
        assert (told["title"], told["body"]) == (text["title"], text["body"])
        assert told["title"] == "B6 1: 35 min late"
        await push(page, **told)
        await shows(page, "B6 1: 35 min late")


async def reach(page: Page, wanted: Locator, by: str = "Tab", most: int = 60) -> None:
    """By the tabulator alone, and at each stop it can be seen where one is."""
    await expect(wanted).to_be_visible(timeout=PATIENCE)
    for _ in range(most):
        await page.keyboard.press(by)
        focus = await page.evaluate(FOCUS)
        assert focus["marked"], focus
        assert focus["seen"], focus
        if await wanted.evaluate("it => it === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached by {most} steps")


async def test_j20_all_of_it_goes_by_keyboard_alone(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    await add_legs(pool, 3, departs_in="2 hours")
    async with sending(dsn, firebase_web=WEB) as (server, fcm), server:
        await server.ready()
        async with open_page(browser, server.http, size=PHONE) as watched:
            page, keyboard = watched.page, watched.page.keyboard
            await watched.context.grant_permissions(["notifications"], origin=server.http)
            await play_google(watched)
            await reach(page, page.get_by_role("link", name="JFK"))
            await keyboard.press("Enter")
            await reach(page, page.get_by_role("link").filter(has_text="B6 2"))
            await keyboard.press("Enter")
            await reach(page, page.get_by_role("button", name="Follow this flight"))
            await keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE)
            turn_on = page.get_by_role("button", name="Turn on alerts")
            if not await turn_on.evaluate("it => it === document.activeElement"):
                await reach(page, turn_on, most=2)
            await keyboard.press("Enter")
            await rung(page, "push")
            await reach(page, page.get_by_role("link", name="Alert settings"))
            await keyboard.press("Enter")
            await reach(page, page.get_by_role("button", name="More minutes"))
            for _ in range(3):
                await keyboard.press("Enter")
            await expect(page.get_by_text("30 min", exact=True)).to_be_visible()
            await until(
                lambda: pool.fetchval("SELECT preferences ->> 'delay_step' = '30' FROM account"),
                within=10,
                what="the step is kept",
            )
            await keyboard.press("Shift+Tab")
            await page.locator("body").press("Home")
            await page.reload()
            await reach(page, page.get_by_role("button", name="Send me a test alert"))
            await keyboard.press("Enter")
            took = "its push service took the alert."
            await expect(page.locator("[data-test]")).to_contain_text(took, timeout=PATIENCE)
            assert len(await fcm.accepted()) == 1

"""J14 and J22: what a screen has shown is not pushed, and nights are left in peace."""

import json

import asyncpg
from playwright.async_api import Browser, expect

from tests.support.browser import open_page
from tests.support.browser_push import FIREBASE, PATIENCE, follow, play_google, push, rung, shows
from tests.support.followers import ends, finish_held
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.settings_page import PHONE, sending, settings_page
from tests.support.wait import until

Pool = asyncpg.Pool
WEB = json.dumps(FIREBASE)
EVENING = "UPDATE clock SET speed = 1, wall_at = wall_now(), board_at = '2026-06-10T23:00:00+02:00'"
MORNING = "UPDATE clock SET wall_at = wall_now(), board_at = '2026-06-11T07:00:01+02:00'"
QUIET = "SELECT held_until FROM delivery WHERE state = 'held' AND reason = 'quiet hours'"


async def test_j14_what_a_screen_has_shown_is_not_pushed(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    await add_legs(pool, 1, departs_in="50 minutes")
    key = await key_of(pool, 1)
    async with sending(dsn, firebase_web=WEB) as (server, fcm), server:
        await server.ready()
        async with open_page(browser, f"{server.http}/f/{key}", size=PHONE) as watched:
            page = watched.page
            await watched.context.grant_permissions(["notifications"], origin=server.http)
            await play_google(watched)
            await follow(page)
            await page.get_by_role("button", name="Turn on alerts").click()
            await rung(page, "push")
            await set_gate(pool, 1, "22")
            await expect(page.locator('[role="alert"] p')).to_contain_text("22", timeout=PATIENCE)
            await page.mouse.move(100, 100)  # somebody is there, as urgent changes ask for
            await page.mouse.move(120, 140)
            await finish_held(pool)
            assert await ends(pool) == [(2, "seen", "receipt")]
            assert await fcm.requests() == []
            # Nobody looks any more: the next one is pushed.
            await page.goto("about:blank")
            await set_gate(pool, 1, "23")
            await finish_held(pool)
            assert [state for _, state, _ in await ends(pool)] == ["seen", "sent"]
            (pushed,) = await fcm.accepted()
            assert pushed["data"]["new"] == "23"


async def test_j22_a_change_at_night_waits_for_the_morning(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    """At 23:00, two days before the flight, on the clocks of the browser."""
    await pool.execute(EVENING)
    async with (
        sending(dsn, firebase_web=WEB) as (server, fcm),
        settings_page(browser, pool, server, departs_in="46 hours") as settings,
    ):
        page = settings.page
        installed = await play_google(settings.watched)
        await settings.watched.context.grant_permissions(["notifications"], origin=server.http)
        await page.get_by_role("button", name="Turn on alerts").click(timeout=PATIENCE)
        await rung(page, "push")
        await settings.kind("Hold alerts back at night").check()
        await settings.is_saved()
        assert (await settings.wishes())["zone"] == "Europe/Zurich"
        await pool.execute("UPDATE flight_leg SET std = std + interval '40 min' WHERE leg_id = 1")

        async def quiet() -> bool:
            await pool.execute(
                "UPDATE delivery SET held_until = board_now(), due_at = wall_now()"
                " WHERE state = 'held' AND reason IS NULL"
            )
            return await pool.fetchval(QUIET) is not None

        await until(quiet, within=15, what="it waits for the morning")
        (held,) = (await settings.http.get("/api/me/deliveries")).json()["items"]
        assert (held["state"], held["reason"]) == ("held", "quiet hours")
        assert held["held_until"] == "2026-06-11T05:00:00Z"
        assert await fcm.requests() == []
        await pool.execute(MORNING)
        await until(lambda: pool.fetchval("SELECT state = 'sent' FROM delivery"), within=15,
                    what="it is sent")  # fmt: skip
        (pushed,) = await fcm.accepted()
        assert pushed["fid"] == installed[0]
        assert pushed["data"]["kind"] == "schedule_change"
        await push(page, **pushed["data"])
        await shows(page, pushed["data"]["title"])

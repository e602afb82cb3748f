"""The page of alert settings: what is chosen there is kept by the server, or the page says not."""

import json
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import open_page
from tests.support.browser_push import FIREBASE, PATIENCE, play_google, push, rung, shows
from tests.support.gatecast import Gatecast
from tests.support.legs import key_of
from tests.support.settings_page import PHONE, Settings, add_phone, sending, settings_page

Pool = asyncpg.Pool
TITLES = {"es": "Vuelos y avisos", "ar": "الرحلات والتنبيهات"}
LATIN = re.compile(r"[A-Za-z]{3,}")
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
async def settings(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> AsyncIterator[Settings]:
    async with settings_page(browser, pool, Gatecast("serve", dsn=dsn)) as opened:
        yield opened


async def test_a_delay_step_is_kept_over_a_reload(settings: Settings) -> None:
    page = settings.page
    steps = page.get_by_role("group", name="When the time moves by at least")
    minutes = steps.get_by_role("status")
    await expect(minutes).to_have_text("15 min", timeout=PATIENCE)
    more = steps.get_by_role("button", name="More minutes")
    for expected in ("20 min", "25 min", "30 min"):
        await more.click()
        await expect(minutes).to_have_text(expected)
    await settings.is_saved()
    await expect(page.locator("figure")).to_contain_text("B6 2: 30 min late")
    assert (await settings.wishes())["delay_step"] == 30
    await page.reload()
    await expect(minutes).to_have_text("30 min", timeout=PATIENCE)
    settings.watched.assert_clean()


async def test_the_step_stops_at_an_hour_and_keeps_the_focus(settings: Settings) -> None:
    page = settings.page
    more = page.get_by_role("button", name="More minutes")
    await more.focus(timeout=PATIENCE)
    for _ in range(12):
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("60 min", exact=True)).to_be_visible()
    await expect(more).to_have_attribute("aria-disabled", "true")
    await expect(more).to_be_focused()
    await settings.is_saved()
    assert (await settings.wishes())["delay_step"] == 60


async def test_kinds_are_chosen_by_groups_and_given_back(settings: Settings) -> None:
    page = settings.page
    await expect(settings.kind("Gate and terminal changes")).to_be_checked(timeout=PATIENCE)
    await expect(settings.kind("Check-in and aircraft")).not_to_be_checked()
    await settings.kind("Gate and terminal changes").uncheck()
    await settings.is_saved()
    kinds = (await settings.wishes())["kinds"]
    assert "delay" in kinds
    assert not {"gate_changed", "terminal_changed", "gate_assigned"} & set(kinds)
    (follow, _) = (await settings.http.get("/api/me/follows")).json()["items"]
    assert "gate_changed" not in follow["kinds"]
    await page.get_by_role("button", name="Back to the usual ones").click()
    await expect(settings.kind("Gate and terminal changes")).to_be_checked()
    await expect(page.get_by_role("button", name="Back to the usual ones")).to_have_count(0)
    await settings.is_saved()
    assert (await settings.wishes())["kinds"] is None


async def test_quiet_hours_are_on_the_clocks_of_the_browser(settings: Settings) -> None:
    page = settings.page
    await settings.kind("Hold alerts back at night").check(timeout=PATIENCE)
    begin = page.get_by_role("combobox", name="From")
    await begin.select_option("23:30")
    await page.get_by_role("combobox", name="To").select_option("06:30")
    await settings.kind("Let urgent alerts through").uncheck()
    await settings.is_saved()
    wishes = await settings.wishes()
    assert wishes["quiet"] == {"start": "23:30", "end": "06:30", "urgent_passes": False}
    assert wishes["zone"] == "Europe/Zurich"
    await page.reload()
    await expect(begin).to_have_value("23:30", timeout=PATIENCE)
    await settings.kind("Hold alerts back at night").uncheck()
    await settings.is_saved()
    assert (await settings.wishes())["quiet"] is None


async def test_a_flight_is_followed_no_longer(
    settings: Settings, pool: "Pool[asyncpg.Record]"
) -> None:
    page = settings.page
    flights = page.get_by_role("listitem")
    await expect(flights).to_have_count(2, timeout=PATIENCE)
    await page.get_by_role("button", name="Stop following B6 1").click()
    await expect(flights).to_have_count(1)
    await expect(flights).to_contain_text("B6 2")
    await expect(page.get_by_role("heading", name="Flights you follow")).to_be_focused()
    assert await pool.fetchval("SELECT array_agg(leg_id) FROM follow") == [2]
    await page.get_by_role("button", name="Stop following B6 2").click()
    await expect(page.get_by_text("None at the moment.")).to_be_visible()
    settings.watched.assert_clean()


async def test_what_the_server_refuses_is_said_and_goes_back(settings: Settings) -> None:
    page = settings.page
    await expect(settings.kind("Bags and belts")).to_be_checked(timeout=PATIENCE)
    refusal = {"type": "about:blank", "title": "No", "status": 422, "detail": "in English"}
    await page.route(
        "**/api/me/preferences",
        lambda route: (
            route.fulfill(status=422, json=refusal)
            if route.request.method == "PUT"
            else route.continue_()
        ),
    )
    await settings.kind("Bags and belts").click()
    await expect(page.get_by_role("alert")).to_have_text("Not saved: the server refused it.")
    await expect(settings.kind("Bags and belts")).to_be_checked()
    await page.unroute("**/api/me/preferences")
    await settings.kind("Bags and belts").uncheck()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await settings.is_saved()


async def test_what_a_server_that_is_away_did_not_take_is_said_and_goes_back(
    settings: Settings,
) -> None:
    page = settings.page
    more = page.get_by_role("button", name="More minutes")
    await more.click(timeout=PATIENCE)
    await settings.is_saved()
    settings.server.kill()
    for _ in range(3):
        await more.click()
    away = "Not saved: there is no connection to the server."
    await expect(page.get_by_role("alert")).to_have_text(away, timeout=PATIENCE)
    await expect(page.get_by_text("20 min", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Stop following B6 1").click()
    await expect(page.get_by_role("alert").filter(has_text=away)).to_have_count(2)
    await expect(page.get_by_role("listitem")).to_have_count(2)


@pytest.mark.parametrize(("language", "direction"), [("es", "ltr"), ("ar", "rtl")])
async def test_the_page_speaks_the_language_of_the_alerts(
    settings: Settings, language: str, direction: str
) -> None:
    page = settings.page
    await page.get_by_role("combobox", name="Language").select_option(language, timeout=PATIENCE)
    await expect(page.get_by_role("heading", level=1)).to_contain_text(TITLES[language])
    root = page.locator("html")
    await expect(root).to_have_attribute("lang", language)
    await expect(root).to_have_attribute("dir", direction)
    assert await page.evaluate(OVERFLOW) == 0
    await page.reload()
    await expect(page.get_by_role("listitem").first.locator("small")).to_be_visible()
    preview = page.locator("figure p")
    await expect(preview).to_contain_text("15", timeout=PATIENCE)
    # What is pushed names places as the feeds do.
    pushed, words = await preview.inner_text(), await page.locator("main").inner_text()
    assert pushed in words
    words = words.replace(pushed, "")
    if language == "ar":
        assert LATIN.findall(words.replace("English", "").replace("Español", "")) == []
    await page.get_by_role("link").first.click()
    await expect(root).to_have_attribute("lang", "en")
    await expect(root).not_to_have_attribute("dir", "rtl")
    assert (await settings.wishes())["language"] == language


async def test_who_follows_nothing_is_told_where_to_begin(browser: Browser, dsn: str) -> None:
    async with Gatecast("serve", dsn=dsn) as server:
        await server.ready()
        async with open_page(browser, f"{server.http}/me", size=PHONE) as watched:
            heading = watched.page.get_by_role("heading", level=1)
            await expect(heading).to_have_text("You follow no flight yet", timeout=PATIENCE)
            watched.assert_clean()


async def test_settings_that_do_not_load_can_be_asked_for_again(settings: Settings) -> None:
    page = settings.page
    await page.route("**/api/me/preferences", lambda route: route.abort())
    await page.reload()
    again = page.get_by_role("button", name="Try again")
    await expect(again).to_be_visible(timeout=PATIENCE)
    await expect(page.get_by_role("heading", level=1)).to_have_text("This did not load")
    await page.unroute("**/api/me/preferences")
    await again.click()
    await expect(page.get_by_role("group", name="Tell me about")).to_be_visible(timeout=PATIENCE)


async def test_a_test_alert_goes_the_real_way_and_the_page_says_how_it_ended(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    async with (
        sending(dsn, firebase_web=json.dumps(FIREBASE)) as (server, fcm),
        settings_page(browser, pool, server) as settings,
    ):
        page = settings.page
        installed = await play_google(settings.watched)
        await settings.watched.context.grant_permissions(["notifications"])
        await page.get_by_role("button", name="Turn on alerts").click(timeout=PATIENCE)
        await rung(page, "push")
        await add_phone(settings, "unreg-old-phone", "android")
        await page.get_by_role("button", name="Send me a test alert").click()
        outcome = page.locator("[data-test]")
        await expect(outcome).to_contain_text(
            "Browser: its push service took the alert.", timeout=PATIENCE
        )
        await expect(outcome).to_contain_text("Android phone: no longer registered.")
        await expect(outcome).to_contain_text(re.compile(r"The answer took \d+ ms\."))
        await expect(outcome).to_have_attribute("role", "status")
        (pushed,) = await fcm.accepted()
        assert pushed["fid"] == installed[0]
        await push(page, **pushed["data"])
        await shows(page, "Test alert")


async def test_alerts_of_this_browser_alone_are_turned_off(
    browser: Browser, dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    server = Gatecast("serve", dsn=dsn, firebase_web=json.dumps(FIREBASE))
    async with settings_page(browser, pool, server) as settings:
        page = settings.page
        await add_phone(settings, "fid-of-a-phone", "android")
        await play_google(settings.watched)
        await settings.watched.context.grant_permissions(["notifications"])
        await page.get_by_role("button", name="Turn on alerts").click(timeout=PATIENCE)
        await rung(page, "push")
        here = settings.kind("Send alerts to this device")
        await expect(here).to_be_checked()
        await here.click()
        await rung(page, "off")
        off = "SELECT array_agg(platform) FROM device WHERE NOT alerts"
        assert await pool.fetchval(off) == ["web"]
        await page.reload()
        await expect(here).not_to_be_checked(timeout=PATIENCE)
        await page.goto(f"{server.http}/f/{await key_of(pool, 1)}")
        await expect(page.get_by_text("Alerts are off on this device")).to_be_visible()
        await page.goto(f"{server.http}/me")
        await here.click(timeout=PATIENCE)
        await rung(page, "push")
        assert await pool.fetchval(off) is None
        assert not settings.watched.page_errors


async def test_a_test_alert_without_a_device_or_too_often_says_so(settings: Settings) -> None:
    page = settings.page
    outcome = page.locator("[data-test]")
    button = page.get_by_role("button", name="Send me a test alert")
    for _ in range(5):
        await button.click(timeout=PATIENCE)
        await expect(outcome).to_have_text("No device of yours takes alerts.")
    await button.click()
    await expect(outcome).to_have_text("Not sent: that was asked too often.")
    listed = (await settings.http.get("/api/me/test-notices")).json()["items"]
    assert [each["reason"] for each in listed] == ["no device"] * 5

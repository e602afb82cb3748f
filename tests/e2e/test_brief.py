"""The sentence that Gatecast was built for, in one piece, with every part real.

A committed row reaches the React client through RabbitMQ and a channel of its flight, while
followers without a page get one push; and it stays true when any part is killed.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import open_browser, open_page
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.production import Production, running_production
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 30_000
PAGE_TURN = 12_000
CREDENTIAL = "() => Object.values(localStorage).join(' ').match(/gca_[^\"' ]+/)[0]"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def production(
    dsn: str, pool: "Pool[asyncpg.Record]", tmp_path: Path
) -> AsyncIterator[Production]:
    await add_legs(pool, 10, departs_in="18 minutes")
    async with running_production(dsn, tmp_path) as running:
        yield running


@asynccontextmanager
async def looking_at(page: Page) -> AsyncIterator[None]:
    """A person is there: real input every few seconds."""

    async def move() -> None:
        for number in range(10_000):
            await page.mouse.move(10 + number % 50, 200)
            await asyncio.sleep(5)

    moving = asyncio.create_task(move(), name="a person")
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)


async def open_deliveries(pool: "Pool[asyncpg.Record]") -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM delivery WHERE done_at IS NULL")
    return count


async def all_ended(pool: "Pool[asyncpg.Record]", count: int) -> bool:
    """This many deliveries exist, and all have reached their end."""
    rows = await pool.fetchval("SELECT count(*) FROM delivery")
    return rows == count and await open_deliveries(pool) == 0


@pytest.mark.timeout(240)
async def test_the_brief(
    production: Production, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    key = await key_of(pool, 1)
    await production.add_follower("absent", key)
    address = f"{production.http}/f/{key}"
    async with open_page(browser, address, size=(390, 844)) as watched:
        page = watched.page
        await page.get_by_role("button", name=re.compile("follow", re.I)).click()
        await expect(page.locator('button[aria-pressed="true"]')).to_be_visible(timeout=PATIENCE)
        await production.add_device("present", await page.evaluate(CREDENTIAL))
        await page.evaluate("() => { window.sameDocument = true }")
        async with looking_at(page):
            await set_gate(pool, 1, "22")
            await expect(page.get_by_text("22", exact=True).first).to_be_visible(timeout=PATIENCE)
            await until(lambda: all_ended(pool, 2), within=30, what="both deliveries ended")
        assert await page.evaluate("() => window.sameDocument")
        watched.assert_clean()
    states = Counter(row["state"] for row in await pool.fetch("SELECT state FROM delivery"))
    assert states == {"seen": 1, "sent": 1}
    assert await production.pushed_to("present") == []
    (push,) = await production.pushed_to("absent")
    assert push["leg"] == key
    assert "22" in push["title"]


@pytest.mark.timeout(400)
async def test_a_hundred_changes_while_everything_is_killed(
    production: Production, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    dice = random.Random(8)
    keys = [await key_of(pool, number) for number in range(1, 11)]
    await production.add_follower("absent", *keys)
    board, flight = f"{production.http}/board/JFK/departures", f"{production.http}/f/{keys[0]}"
    kills: Counter[str] = Counter()
    async with (
        open_page(browser, board, size=(1920, 1080)) as screen,
        open_page(browser, flight, size=(390, 844)) as phone,
        looking_at(phone.page),
    ):
        await phone.page.get_by_role("button", name=re.compile("follow", re.I)).click()
        await expect(phone.page.locator('button[aria-pressed="true"]')).to_be_visible(
            timeout=PATIENCE
        )
        await production.add_device("present", await phone.page.evaluate(CREDENTIAL))
        changes: Counter[int] = Counter()
        for number in range(100):
            leg_id = dice.randint(1, 10)
            await set_gate(pool, leg_id, f"{'ABC'[number % 3]}{number}")
            changes[leg_id] += 1
            await asyncio.sleep(dice.random() * 0.3)
            if number % 12 == 11:
                victim = dice.choice(["node", "relay", "notifier"])
                kills[victim] += 1
                process = getattr(production, victim)
                process.kill()
                await asyncio.sleep(dice.random() * 0.5)
                process.start()
        pairs = 100 + changes[1]
        await until(lambda: all_ended(pool, pairs), within=90, what="every pair is accounted for")
        await until(lambda: equal(pool, screen.page), within=30, what="browser equals database")
        assert screen.foreign_requests == phone.foreign_requests == []
        assert screen.page_errors == phone.page_errors == []
    await assert_accounted(pool, production, kills["notifier"])


async def equal(pool: "Pool[asyncpg.Record]", page: Page) -> bool:
    """Every row on the board shows the gate that the database has."""
    rows = await pool.fetch("SELECT key, dep_gate FROM flight_leg")
    shown = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('tr[data-leg]')].map(
             row => [row.dataset.leg,
                     [...row.querySelectorAll('td bdi')].map(each => each.textContent)]))"""
    )
    return set(shown) == {row["key"] for row in rows} and all(
        row["dep_gate"] in shown[row["key"]] for row in rows
    )


async def assert_accounted(
    pool: "Pool[asyncpg.Record]", production: Production, notifier_kills: int
) -> None:
    """Each delivery ended in one state that is true, and no push went out twice without a crash."""
    repeats: Counter[tuple[str, str]] = Counter()
    for name in ("absent", "present"):
        repeats.update((name, push["id"]) for push in await production.pushed_to(name))
    rows = await pool.fetch("SELECT * FROM delivery ORDER BY account_id, leg_id, version")
    newest = {(row["account_id"], row["leg_id"]): row for row in rows}
    for row in rows:
        assert row["state"] in ("seen", "sent", "superseded"), dict(row)
        if row["state"] == "superseded":
            last = newest[row["account_id"], row["leg_id"]]
            assert last["version"] >= row["version"]
            if last["state"] == "superseded":  # by an older one that had said the newest already
                told = """SELECT bool_and(f.told ->> 'dep_gate' = l.dep_gate) FROM follow f
                  JOIN flight_leg l USING (leg_id) WHERE (f.account_id, leg_id) = ($1, $2)"""
                assert await pool.fetchval(told, row["account_id"], row["leg_id"])
    sent = [row for row in rows if row["state"] == "sent"]
    epoch = await pool.fetchval("SELECT epoch FROM relay_state")
    names = await followers(pool)
    for row in sent:
        assert repeats[names[row["account_id"]], f"{epoch}:{row['seq']}"] >= 1
    assert max(repeats.values(), default=0) <= 1 + notifier_kills
    doubles = sum(count - 1 for count in repeats.values())
    assert doubles <= 90 * notifier_kills
    print(f"pairs={len(rows)} sent={len(sent)} pushes={repeats.total()} doubles={doubles}")


async def followers(pool: "Pool[asyncpg.Record]") -> dict[object, str]:
    """The name under which a follower's phone is known, by account."""
    rows = await pool.fetch("SELECT account_id, split_part(target, '-', 2) AS name FROM device")
    return {row["account_id"]: row["name"] for row in rows}

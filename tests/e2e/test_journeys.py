"""Journeys of people and screens in a real browser, on a real server."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import note_frames, open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_feed, add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 30_000  # ms; a deadline, not a pause
LIMITS = {"link_late": "5", "link_stale": "10", "link_down": "60", "status_interval": "0.5"}
ROWS = "tr[data-leg]"
UNRECOVERABLE = 112

# Characters of each run from left to right, as they are painted.
PAINTED = """() => [...document.querySelectorAll('td bdi[dir=ltr], [role=timer]')].map(run => {
  const boxes = []
  const walk = document.createTreeWalker(run, NodeFilter.SHOW_TEXT)
  for (let node = walk.nextNode(); node; node = walk.nextNode())
    for (let n = 0; n < node.length; n += 1) {
      const range = document.createRange()
      range.setStart(node, n)
      range.setEnd(node, n + 1)
      boxes.push([range.getBoundingClientRect().left, node.data[n]])
    }
  const painted = boxes.filter(([, c]) => c.trim()).sort((a, b) => a[0] - b[0])
  return [painted.map(([, c]) => c).join(''), run.textContent.replace(/\\s/g, '')]
})"""
FLAPS = """() => [...document.querySelectorAll('td > span[aria-hidden]')]
  .filter(run => run.children.length > 1).map(run => [
    [...run.children].sort((a, b) => a.getBoundingClientRect().left
      - b.getBoundingClientRect().left).map(c => c.textContent).join(''), run.textContent])"""


@pytest.fixture
async def server(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """One process with 14 departures of JFK and no feed to wait for."""
    await add_legs(pool, 14, departs_in="2 hours")
    async with Gatecast("serve", dsn=dsn, **LIMITS) as process:
        await process.ready()
        yield process


def board_of(server: Gatecast, query: str = "") -> str:
    return f"{server.http}/board/JFK/departures{query}"


async def all_rows(page: Page, count: int = 14) -> None:
    await expect(page.locator(ROWS)).to_have_count(count, timeout=PATIENCE)
    await expect(page.locator('[data-fresh="live"]')).to_be_visible(timeout=PATIENCE)


async def shown(page: Page) -> dict[str, str]:
    """Gates by leg key, as painted."""
    gates: dict[str, str] = await page.evaluate(
        f"""() => Object.fromEntries([...document.querySelectorAll('{ROWS}')].map(
             row => [row.dataset.leg, row.querySelector('td:nth-child(5) bdi')?.textContent]))"""
    )
    return gates


def talk_about_the_board(frames: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was asked about the board's channel and answered, in turns, once the node was ready."""
    asked = {
        line["id"]
        for direction, line in frames
        if direction == "sent" and line.get("subscribe", {}).get("channel", "").startswith("board:")
    }
    not_yet = {line["id"] for _, line in frames if line.get("error", {}).get("temporary")}
    return [line for _, line in frames if line.get("id") in asked - not_yet]


def assert_recovered(frames: list[tuple[str, dict[str, Any]]], seq: int) -> None:
    """One question with the held position, one answer with exactly what was missed."""
    asked, answered = talk_about_the_board(frames)
    assert asked["subscribe"]["recover"] is True
    held = asked["subscribe"]["offset"]
    assert 0 < held <= seq  # rows of the log that are no legs move no board
    result = answered["subscribe"]
    assert result["epoch"] == asked["subscribe"]["epoch"]
    assert (result["was_recovering"], result["recovered"]) == (True, True)
    assert "state" not in result
    offsets = [publication["offset"] for publication in result["publications"]]
    assert offsets == sorted(set(offsets))
    assert held < offsets[0] <= offsets[-1] <= result["offset"]
    assert {publication["key"] for publication in result["publications"]} == {
        f"B6{n}-{publication['key'].partition('-')[2]}"
        for n in range(1, 15)
        for publication in result["publications"][:1]
    }


def assert_loaded_afresh(frames: list[tuple[str, dict[str, Any]]]) -> None:
    """The held position is refused, and the whole board comes instead."""
    asked, refused, *rest = talk_about_the_board(frames)
    assert asked["subscribe"]["recover"] is True
    assert refused["error"]["code"] == UNRECOVERABLE
    states = [line["subscribe"]["state"] for line in rest if "state" in line.get("subscribe", {})]
    assert sum(len(state) for state in states) == 13
    assert not any(line.get("subscribe", {}).get("recovered") for line in rest)


async def equals_the_database(page: Page, pool: "Pool[asyncpg.Record]") -> bool:
    rows = await pool.fetch("SELECT key, dep_gate FROM flight_leg WHERE NOT hidden")
    return await shown(page) == {row["key"]: row["dep_gate"] for row in rows}


async def test_14_rows_fit_every_screen(server: Gatecast, browser: Browser) -> None:
    """J2: nothing is clipped, nothing overflows, and the city is tall enough."""
    async with open_page(browser, board_of(server), size=(1920, 1080)) as watched:
        page = watched.page
        await all_rows(page)
        size = await page.evaluate(
            "() => parseFloat(getComputedStyle(document.querySelector('tbody th')).fontSize)"
        )
        assert size * 0.668 >= 29
        for width, height in ((1920, 1080), (3840, 2160), (1280, 720)):
            await page.set_viewport_size({"width": width, "height": height})
            await expect(page.locator(ROWS)).to_have_count(14)
            overflow = await page.evaluate(
                """() => [document.documentElement.scrollHeight - innerHeight,
                     document.documentElement.scrollWidth - innerWidth,
                     ...[...document.querySelectorAll('td, th')]
                       .map(e => e.scrollWidth - e.clientWidth - 1)].filter(over => over > 0)"""
            )
            assert overflow == []
        watched.assert_clean()


@pytest.mark.parametrize("epoch", ["kept", "new"])
async def test_a_board_catches_up_with_40_missed_changes(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser, epoch: str
) -> None:
    """J5 and J6: after the server was away the board equals the database."""
    async with open_page(browser, board_of(server), size=(1920, 1080)) as watched:
        page, frames = watched.page, list[tuple[str, dict[str, Any]]]()
        await all_rows(page)
        await page.evaluate("() => { window.sameDocument = true }")
        note_frames(page, frames)
        seq = await pool.fetchval("SELECT last_seq FROM relay_state")
        server.kill()
        await expect(page.locator('[data-fresh="late"]')).to_be_visible(timeout=PATIENCE)
        for n in range(40):
            await set_gate(pool, n % 13 + 1, f"A{n}")
        await pool.execute("UPDATE flight_leg SET hidden = true WHERE leg_id = 14")
        if epoch == "new":
            await pool.execute("UPDATE relay_state SET epoch = gen_random_uuid()")
        frames.clear()
        server.start()
        await server.ready()
        await expect(page.locator('[data-fresh="live"]')).to_be_visible(timeout=30_000)
        same = lambda: equals_the_database(page, pool)  # noqa: E731
        await until(same, within=5, what="the board equals the database")
        assert await page.evaluate("() => window.sameDocument")
        assert (watched.page_errors, watched.foreign_requests) == ([], [])
        assert_recovered(frames, seq) if epoch == "kept" else assert_loaded_afresh(frames)


async def test_a_board_starts_without_a_network(server: Gatecast, browser: Browser) -> None:
    """J8: shell and last picture within 3 s, as out of date, with its age."""
    async with open_page(browser, board_of(server), size=(1920, 1080)) as watched:
        page = watched.page
        await all_rows(page)
        await page.evaluate("() => navigator.serviceWorker.ready.then(() => undefined)")
        await until(lambda: kept(page), within=20, what="the board is kept")
        gates = await shown(page)
        watched.assert_clean()
        server.kill()
        await watched.context.set_offline(True)
        await page.reload(wait_until="commit")
        await expect(page.locator('[data-fresh="stale"]')).to_be_visible(timeout=3_000)
        assert await shown(page) == gates
        status = page.locator('[data-state="stale"]')
        await expect(status).to_contain_text("last confirmed")
        await expect(status).to_contain_text("ago")
        assert "On time" not in await page.inner_text("table")
        assert (watched.page_errors, watched.foreign_requests) == ([], [])


async def kept(page: Page) -> bool:
    held: bool = await page.evaluate(
        """async () => {
          if (!(await indexedDB.databases()).some(({name}) => name === 'gatecast')) return false
          const opened = await new Promise(done => {
            const asked = indexedDB.open('gatecast')
            asked.onsuccess = () => done(asked.result)
          })
          const count = await new Promise(done => {
            const asked = opened.transaction('boards').objectStore('boards').count()
            asked.onsuccess = () => done(asked.result)
          })
          opened.close()
          return count === 1 && navigator.serviceWorker.controller !== null
        }"""
    )
    return held


async def test_an_arabic_board_reads_its_numbers_from_the_left(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J15: the page runs from the right, times, flight numbers and gates do not."""
    await pool.execute(
        "UPDATE flight_leg SET etd = std + interval '77 min', dep_gate = 'B' || leg_id"
    )
    async with open_page(browser, board_of(server, "?lang=ar"), size=(1920, 1080)) as watched:
        page = watched.page
        await all_rows(page)
        assert await page.evaluate("() => getComputedStyle(document.body).direction") == "rtl"
        await expect(page.get_by_text("المغادرة", exact=True)).to_be_visible()
        await expect(page.get_by_role("rowheader", name="أورلاندو").first).to_be_visible()
        runs = await page.evaluate(PAINTED)
        assert len(runs) >= 3 * 14
        assert [painted for painted, _ in runs] == [text for _, text in runs]
        flaps = await page.evaluate(FLAPS)
        assert len(flaps) == 14
        assert [painted for painted, _ in flaps] == [text for _, text in flaps]
        watched.assert_clean()


async def test_a_wrong_clock_of_the_screen_changes_nothing(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J17: the board shows the server's time when its own clock is 7 minutes off."""
    async with open_page(browser, "about:blank", size=(1920, 1080)) as watched:
        page = watched.page
        watched.foreign_requests.clear()
        await page.add_init_script(
            "{ const own = Date; const off = 7 * 60 * 1000;"
            " globalThis.Date = class extends own { constructor(...a)"
            " { a.length ? super(...a) : super(own.now() + off) }"
            " static now() { return own.now() + off } } }"
        )
        await page.goto(board_of(server))
        await all_rows(page)

        async def right() -> bool:
            now: str = await pool.fetchval(
                "SELECT to_char(board_now() AT TIME ZONE 'America/New_York', 'HH24:MI')"
            )
            return await page.get_by_role("timer").text_content() == now

        await until(right, within=3, what="the clock of the board is the server's")
        assert (watched.console_errors, watched.page_errors) == ([], [])


async def test_reduced_motion_stops_everything(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J18: nothing moves, also when a row changes."""
    async with open_page(
        browser, board_of(server), size=(1920, 1080), reduced_motion="reduce"
    ) as watched:
        page = watched.page
        await all_rows(page)
        await pool.execute("UPDATE flight_leg SET etd = std + interval '1 hour' WHERE leg_id = 1")
        await expect(page.get_by_text("Delayed").first).to_be_visible(timeout=PATIENCE)
        assert await page.evaluate("() => document.getAnimations().length") == 0
        watched.assert_clean()


async def test_a_screen_reader_hears_little_and_what_matters(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J19: one alert for the flight of the page, one merged sentence for a busy board."""
    async with open_page(browser, board_of(server), size=(1920, 1080)) as watched:
        page = watched.page
        await all_rows(page)
        await expect(page.get_by_role("log")).to_have_text("", timeout=PATIENCE)
        await page.evaluate(
            """() => { window.sentences = []
              new MutationObserver(() => window.sentences.push(
                document.querySelector('[role=log]').textContent))
                .observe(document.querySelector('[role=log]'),
                  {childList: true, subtree: true, characterData: true}) }"""
        )
        for n in range(20):
            await set_gate(pool, n % 10 + 1, f"C{n}")
        await expect(page.get_by_role("log")).to_contain_text("Flights", timeout=PATIENCE)
        # The next change is the next sentence, so there was but one before it.
        await set_gate(pool, 11, "D1")
        await expect(page.get_by_role("log")).to_have_text("Flights changed: 1", timeout=PATIENCE)
        sentences = await page.evaluate("() => window.sentences")
        assert sentences == ["Flights changed: 10", "Flights changed: 1"]
        watched.assert_clean()
    async with open_page(browser, f"{server.http}/f/{await key_of(pool, 1)}") as watched:
        page = watched.page
        await expect(page.locator('[data-version="3"]')).to_be_visible(timeout=PATIENCE)
        await set_gate(pool, 1, "B8")
        said = page.get_by_role("alert").locator("p")
        await expect(said).to_have_count(1, timeout=PATIENCE)
        await expect(said).to_have_text("Gate changed. Go to gate B8, not C10.")
        watched.assert_clean()


async def test_simulated_data_is_labelled_on_every_surface(
    server: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J25: the label of a demonstration cannot be missed."""
    await add_feed(pool, "replay", synthetic=True)
    key = await key_of(pool, 1)
    for path in ("/board/JFK/departures", "/board/JFK/departures?lang=ar", f"/f/{key}"):
        async with open_page(browser, server.http + path, size=(1280, 720)) as watched:
            await expect(watched.page.get_by_test_id("demo")).to_be_visible(timeout=PATIENCE)
            watched.assert_clean()


async def test_watched_pages_see_errors(browser: Browser, server: Gatecast) -> None:
    """The cleanliness that the journeys assert is one that can be missed."""
    async with open_page(browser, board_of(server)) as watched:
        await watched.page.evaluate("() => console.error('seen')")
        with pytest.raises(AssertionError):
            watched.assert_clean()

"""A replayed day on its pages: they show what the database says, from the first start on."""

import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import note_frames, open_page
from tests.support.gatecast import Gatecast
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 30_000  # ms; a deadline, not a pause
BOARD = "board:JFK:departures"
PER_PAGE = 14
SOON = datetime(2013, 3, 8, 23, 4, 56, tzinfo=UTC)  # 18:04:56 in New York
FIRST_CHANGE_WITHIN = 60.0

# Rows as they are painted: key, planned and new time, gate, remark. The place in the day is the
# clock of the same picture.
PAINTED = """() => ({
  clock: document.querySelector('[role=timer]')?.textContent ?? '',
  page: [...document.querySelectorAll('[role=img] > i')].findIndex(dot => dot.className !== ''),
  rows: [...document.querySelectorAll('tr[data-leg]')].map(row => [
    row.dataset.leg,
    row.querySelector('td:nth-child(1)').textContent,
    row.querySelector('td:nth-child(2) .vh').textContent,
    row.querySelector('td:nth-child(5) > bdi')?.textContent ?? '',
    row.dataset.remark,
  ])})"""

QUERY = """
WITH leg AS (
  SELECT l.*, b.now, date_trunc('minute', b.now) AS minute, coalesce(city, iata) AS place,
    coalesce(atd, atot, etd, std) AS best, irregularity IN ('cancelled', 'not_operating') AS off,
    phase IN ('off_block', 'airborne', 'approaching', 'landed', 'in_block', 'bags_done') AS gone
  FROM flight_leg l JOIN airport ON iata = arr_airport, (SELECT board_now() AS now OFFSET 0) b
  WHERE dep_airport = 'JFK' AND NOT hidden),
shown AS (
  SELECT *, to_char(std AT TIME ZONE 'America/New_York', 'HH24:MI') AS due,
    to_char(best AT TIME ZONE 'America/New_York', 'HH24:MI') AS expected,
    extract(epoch FROM best - std) / 60 AS late
  FROM leg WHERE minute >= least(std, best) - interval '6 h' AND minute < CASE
    WHEN off THEN greatest(std, etd) + interval '60 min'
    WHEN atd IS NOT NULL THEN atd + interval '10 min'
    WHEN atot IS NOT NULL THEN atot + interval '20 min'
    ELSE best + interval '24 h' END)
SELECT key, due, CASE WHEN expected <> due AND NOT off AND NOT gone THEN expected ELSE '' END,
  CASE WHEN off THEN '' ELSE coalesce(dep_gate, '') END,
  CASE WHEN off THEN 'cancelled'
    WHEN irregularity = 'diverted' THEN 'diverted'
    WHEN gone THEN 'departed'
    WHEN phase = 'gate_open' THEN 'go_to_gate'
    WHEN phase IN ('boarding', 'final_call', 'gate_closed') THEN phase
    WHEN dep_gate <> dep_gate_was AND dep_gate_at > now - interval '20 min' THEN 'gate_changed'
    WHEN late >= 15 OR now > best + interval '2 min' THEN 'delayed'
    WHEN late <= -10 THEN 'early'
    WHEN late > 0 THEN 'expected'
    WHEN best <= now + interval '180 min' THEN 'on_time'
    ELSE 'none' END
FROM shown ORDER BY std, place COLLATE "C", airline, flight_no, key"""


@pytest.fixture
async def replayed(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Gatecast]:
    """8 March 2013 of JFK as it goes on just before 18:05, slowly: the minute lasts two."""
    await pool.execute("SELECT start_replay($1, 0.001)", SOON)
    await pool.execute(
        "INSERT INTO feed (code, party, last_source_ts) VALUES ('replay', 'airport', '2013-03-01Z')"
    )
    play = ("--replay", "2013-03-08", "--airport", "JFK", "--speed", "0.5")
    async with Gatecast("serve", *play, dsn=dsn, status_interval="0.5") as process:
        await process.wait_for_line("/board/JFK/departures", 60)
        yield process


async def test_at_1805_the_board_is_what_the_database_says(
    replayed: Gatecast, pool: "Pool[asyncpg.Record]", browser: Browser
) -> None:
    """J25: the label cannot be missed, and two pages of the board equal a query of that minute."""
    assert "Estimates, gates and belts are simulated." in replayed.output()
    address = f"{replayed.http}/board/JFK/departures"
    async with open_page(browser, address, size=(1920, 1080), reduced_motion="reduce") as watched:
        page, equal = watched.page, set[int]()
        await expect(page.get_by_role("timer")).to_have_text("18:05", timeout=30_000)
        await expect(page.locator('[data-fresh="live"]')).to_be_visible(timeout=PATIENCE)
        await expect(page.get_by_test_id("demo")).to_contain_text("8 Mar 2013")

        async def two_pages_agree() -> bool:
            rows = [list(row) for row in await pool.fetch(QUERY)]
            painted = await page.evaluate(PAINTED)
            assert painted["clock"] == "18:05", f"the minute passed with {equal} equal"
            start = painted["page"] * PER_PAGE
            assert len(rows) > 3 * PER_PAGE
            if painted["rows"] == rows[start : start + PER_PAGE]:
                equal.add(painted["page"])
            return len(equal) == 2

        await until(two_pages_agree, within=40, what="two pages equal the query")
        key = (await pool.fetch(QUERY))[0]["key"]
        watched.assert_clean()
    async with open_page(browser, f"{replayed.http}/f/{key}") as watched:
        await expect(watched.page.get_by_test_id("demo")).to_contain_text("8 Mar 2013")
        await expect(watched.page.get_by_test_id("demo")).to_be_visible(timeout=PATIENCE)
        watched.assert_clean()


def published(frames: list[tuple[str, dict[str, Any]]]) -> set[str]:
    """Legs that the board's channel brought after its first answer."""
    pushes = [
        line["push"] for direction, line in frames if direction == "received" if "push" in line
    ]
    return {push["pub"]["key"] for push in pushes if push["channel"] == BOARD and "pub" in push}


async def first_live_change(page: Page, frames: list[tuple[str, dict[str, Any]]]) -> str:
    """The first leg whose row looks otherwise after a publication of it; not by its number."""
    first: dict[str, list[str]] = {}

    async def changed() -> str:
        painted = await page.evaluate(PAINTED)
        told = published(frames)
        for key, *look in painted["rows"]:
            if first.setdefault(key, look) != look and key in told:
                return str(key)
        return ""

    return await until(changed, within=FIRST_CHANGE_WITHIN, what="a live change on the board")


async def test_from_an_empty_folder_to_the_first_change_in_a_minute(
    tmp_path: Path, browser: Browser
) -> None:
    """J30: what `make run` starts, in an empty home and with no setting but a free port."""
    began, port = time.monotonic(), free_port()
    play = ("--replay", "2013-03-08", "--speed", "10", "--airport", "JFK")
    server = Child(
        [sys.executable, "-m", "api", "serve", *play, "--port", str(port)],
        environment={"HOME": str(tmp_path)},
    )
    async with server:
        line = await server.wait_for_line("  Departures  ", FIRST_CHANGE_WITHIN)
        frames = list[tuple[str, dict[str, Any]]]()
        async with open_page(browser, "about:blank", size=(1920, 1080)) as watched:
            watched.foreign_requests.clear()
            note_frames(watched.page, frames)
            await watched.page.goto(line.split()[-1])
            key = await first_live_change(watched.page, frames)
            took = time.monotonic() - began
        assert took <= FIRST_CHANGE_WITHIN, f"{key} changed after {took:.1f} s"
        assert (tmp_path / ".local/share/gatecast/postgres").is_dir()
        assert await server.stop(30) == 0
    print(f"\nJ30: {key} changed {took:.1f} s after the start")

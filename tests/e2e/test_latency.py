"""From a committed change to the text of a board, and what turns over on the way."""

import time
from collections.abc import AsyncIterator
from statistics import median, quantiles
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs
from tests.support.wait import until

Pool = asyncpg.Pool
PATIENCE = 30_000  # ms; a deadline, not a pause
ROWS = 14
CHANGES = 50
# The product's aim is 400 ms and 1 s at most; a machine shared with others may be slower.
P95_MS = 2_000

# When each gate was first in the page, and every cell or other part of the table that moved.
WATCH = """() => {
  const table = document.querySelector('table')
  window.seen = {}
  window.moved = []
  new MutationObserver(() => {
    for (const row of table.querySelectorAll('tr[data-leg]'))
      window.seen[row.querySelector('td:nth-child(5) bdi')?.textContent] ??= Date.now()
  }).observe(table, {childList: true, subtree: true, characterData: true})
  const animate = Element.prototype.animate
  Element.prototype.animate = function (...how) {
    window.moved.push([this.closest('tr')?.dataset.leg ?? '',
      [...this.parentElement.children].indexOf(this)])
    return animate.apply(this, how)
  }
  for (const kind of ['animationstart', 'transitionrun'])
    table.addEventListener(kind, event => window.moved.push([kind, -1]))
}"""


@pytest.fixture
async def board(dsn: str, pool: "Pool[asyncpg.Record]", browser: Browser) -> AsyncIterator[Page]:
    """A board of 14 departures that is live and watched."""
    await add_legs(pool, ROWS, departs_in="4 hours")
    async with Gatecast("serve", dsn=dsn) as server:
        await server.ready()
        address = f"{server.http}/board/JFK/departures"
        async with open_page(browser, address, size=(1920, 1080)) as watched:
            page = watched.page
            await expect(page.locator("tr[data-leg]")).to_have_count(ROWS, timeout=PATIENCE)
            await expect(page.locator('[data-fresh="live"]')).to_be_visible(timeout=PATIENCE)
            await page.evaluate(WATCH)
            yield page
            watched.assert_clean()


def changed_cells(before: str, after: str) -> list[int]:
    """Where a new time differs from the one before it, cell by cell."""
    return [n for n, character in enumerate(after) if before[n : n + 1] != character]


async def change(
    pool: "Pool[asyncpg.Record]", leg_id: int, gate: str, late: int
) -> tuple[str, str]:
    """Another gate and a new time in one commit; the leg's key and the new time as it is told."""
    row = await pool.fetchrow(
        """UPDATE flight_leg SET dep_gate = $2, etd = std + make_interval(mins => $3)
           WHERE leg_id = $1
           RETURNING key, to_char(etd AT TIME ZONE 'America/New_York', 'HH24:MI') AS told""",
        leg_id,
        gate,
        late,
    )
    assert row is not None
    return row["key"], row["told"]


async def first_seen(page: Page, gate: str) -> float:
    at: float = await until(
        lambda: page.evaluate("gate => window.seen[gate] ?? 0", gate),
        within=10,
        what=f"gate {gate} on the board",
    )
    return at


async def test_50_committed_changes_reach_the_board_and_turn_only_their_cells(
    pool: "Pool[asyncpg.Record]", board: Page
) -> None:
    """J1: each change is in the page soon after its commit, and nothing else moves."""
    told, expected, took = dict[str, str](), list[list[Any]](), list[float]()
    for n in range(CHANGES):
        begun = time.time() * 1000
        key, new_time = await change(pool, n % ROWS + 1, f"A{n}", 20 + 7 * n % 90)
        took.append(await first_seen(board, f"A{n}") - begun)
        expected += [[key, cell] for cell in changed_cells(told.get(key, ""), new_time)]
        told[key] = new_time
    p95 = quantiles(took, n=20)[-1]
    print(f"{CHANGES} changes: p50 {median(took):.0f}, p95 {p95:.0f}, max {max(took):.0f} ms")
    assert await board.evaluate("() => window.moved") == expected
    assert len(expected) < 5 * CHANGES  # some cell of some change stood still
    assert min(took) > 0  # both clocks are this machine's
    assert p95 <= P95_MS


async def test_a_gate_or_remark_that_changes_turns_no_cell(
    pool: "Pool[asyncpg.Record]", board: Page
) -> None:
    await pool.execute("UPDATE flight_leg SET dep_gate = 'B1' WHERE leg_id = 1")
    await pool.execute("UPDATE flight_leg SET irregularity = 'cancelled' WHERE leg_id = 2")
    await expect(board.get_by_text("Cancelled")).to_be_visible(timeout=PATIENCE)
    await first_seen(board, "B1")
    assert await board.evaluate("() => window.moved") == []
    await pool.execute("UPDATE flight_leg SET etd = std + interval '1 hour' WHERE leg_id = 1")
    await expect(board.get_by_text("Delayed")).to_be_visible(timeout=PATIENCE)
    assert len(await board.evaluate("() => window.moved")) == 5

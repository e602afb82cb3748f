"""J7: a board takes a new build by itself, once, and only when that is safe."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import open_page
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs
from tests.support.wait import until

Pool = asyncpg.Pool
ROOT = Path(__file__).parents[2]
WEB_SOURCES = ("src", "worker", "index.html", "board.html", "package.json", "lingui.config.ts")
# Everything that the page waits 20 s or longer for comes ten times as soon.
HURRIED = """{
  const own = setTimeout
  globalThis.setTimeout = (run, ms, ...rest) => own(run, ms >= 20_000 ? ms / 10 : ms, ...rest)
  Math.random = () => 0.9
  const loads = +(sessionStorage.getItem('loads') ?? 0) + 1
  sessionStorage.setItem('loads', loads)
}"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Gatecast as installed in a folder, with the web build of this checkout."""
    folder = tmp_path / "installed"
    shutil.copytree(ROOT / "api", folder / "api", symlinks=True)
    for name in ("realtime", "schema.sql"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "web" / "dist", folder / "web" / "dist")
    return folder


def build_another(folder: Path) -> Path:
    """A web build that says something else."""
    folder.mkdir()
    for name in (*WEB_SOURCES, *(path.name for path in (ROOT / "web").glob("*config*"))):
        source, target = ROOT / "web" / name, folder / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (folder / "node_modules").symlink_to((ROOT / "web" / "node_modules").resolve())
    words = folder / "src" / "locales" / "board" / "en.json"
    text = words.read_text()
    assert '"board.departures": "Departures"' in text
    words.write_text(text.replace('"board.departures": "Departures"',
                                  '"board.departures": "Leaving"'))  # fmt: skip
    subprocess.run(["npm", "run", "--silent", "bundle"], cwd=folder, check=True, timeout=120)
    return folder / "dist"


@pytest.fixture
async def server(
    dsn: str, pool: "Pool[asyncpg.Record]", installed: Path
) -> AsyncIterator[Gatecast]:
    await add_legs(pool, 3, departs_in="2 hours")
    process = Gatecast("serve", dsn=dsn, status_interval="0.5")
    process.run_in(installed)
    async with process:
        await process.ready()
        yield process


async def loads(page: Page) -> int:
    count: int = await page.evaluate("() => +sessionStorage.getItem('loads')")
    return count


def deploy(server: Gatecast, installed: Path, build: Path) -> None:
    server.kill()
    shutil.rmtree(installed / "web" / "dist")
    shutil.copytree(build, installed / "web" / "dist")


@pytest.mark.timeout(240)
async def test_a_board_takes_a_new_build_once_and_only_from_a_server_that_answers(
    server: Gatecast, installed: Path, browser: Browser, tmp_path: Path
) -> None:
    another = build_another(tmp_path / "another")
    async with open_page(browser, "about:blank", size=(1920, 1080)) as watched:
        page, failed, heard = watched.page, list[str](), list[str]()
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))),
        )
        await page.add_init_script(HURRIED)
        await page.goto(f"{server.http}/board/JFK/departures")
        live = page.locator('[data-fresh="live"]')
        await expect(live).to_be_visible(timeout=15_000)
        await expect(page.get_by_role("heading", name="Departures")).to_be_visible()
        await page.evaluate("() => navigator.serviceWorker.ready.then(() => undefined)")
        # A restart on the same build is no reason to reload.
        server.kill()
        server.start()
        await server.ready()
        deploy(server, installed, another)
        server.start()
        await server.ready()
        await expect(live).to_be_visible(timeout=30_000)
        build = f'+{(another / "build.txt").read_text().strip()}"'
        await until(
            lambda: any(build in frame for frame in heard), within=15, what="the build is said"
        )
        # The server is away when the board asks for the new page: it stays as it is.
        server.kill()
        await until(
            lambda: any(url.endswith("/board.html") for url in failed),
            within=30,
            what="the board asked for the new page in vain",
        )
        assert await loads(page) == 1
        await expect(page.get_by_role("heading", name="Departures")).to_be_visible()
        server.start()
        await server.ready()
        await expect(page.get_by_role("heading", name="Leaving")).to_be_visible(timeout=60_000)
        await expect(live).to_be_visible(timeout=15_000)
        assert await loads(page) == 2
        # Two turns of the page later it is still the same document.
        await page.evaluate("() => { window.sameDocument = true }")
        await page.wait_for_function("() => performance.now() > 26_000", timeout=40_000)
        assert await page.evaluate("() => window.sameDocument")
        assert await loads(page) == 2
        assert watched.page_errors == []

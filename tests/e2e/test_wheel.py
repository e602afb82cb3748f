"""The wheel: everything it reads is inside, and an environment that has nothing else serves."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from tests.support.client import RawClient
from tests.support.gatecast import Gatecast
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
BOARD = "board:JFK:departures"
MIGRATIONS = sorted(path.name for path in (ROOT / "api" / "migrations").glob("*.sql"))
READ_FROM_IT = (
    "realtime/queries.sql",
    *(f"realtime/resources/notices/{language}.json" for language in ("en", "es", "ar")),
    *(f"api/migrations/{name}" for name in MIGRATIONS),
    *(f"api/resources/{name}" for name in ("schema.sql", "roles.sql")),
    *(f"api/resources/replay/2013-03-0{day}.csv" for day in (7, 8, 9)),
    *(f"api/resources/web/{name}" for name in ("board.html", "index.html", "sw.js")),
)


def uv(*arguments: str | Path) -> None:
    """The installer, which says on its error output what it cannot do."""
    done = subprocess.run([UV, *arguments, "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make wheel` builds it, from a copy: setuptools would add what lies in build/."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "schema.sql"):
        shutil.copy(ROOT / name, sources)
    for name in ("realtime", "api", "web/dist", "web/src/locales/notices"):
        shutil.copytree(ROOT / name, sources / name, symlinks=True)
    uv("build", "--wheel", "--out-dir", folder, sources)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Path:
    """A virtual environment with the wheel and what it asks for; nothing of this checkout."""
    folder = tmp_path / "environment"
    uv("venv", "--python", sys.executable, folder)
    uv("pip", "sync", "--require-hashes", "--python", folder, ROOT / "requirements.lock")
    uv("pip", "install", "--no-deps", "--python", folder, wheel)
    return folder


def test_the_wheel_carries_what_it_reads_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(READ_FROM_IT) - names == set()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "api", "realtime", "gatecast",
    }  # fmt: skip


@pytest.mark.timeout(300)
async def test_an_environment_with_only_the_wheel_serves_pages_rest_and_sockets(
    environment: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    state = str(tmp_path / "state")
    server = Gatecast("serve", "--replay", "2013-03-08", "--speed", "60", data_dir=state)
    server.run_from(environment, elsewhere)
    async with server:
        await server.ready(120)
        async with httpx2.AsyncClient(base_url=server.http, trust_env=False) as http:
            for path in ("/board/JFK/departures", "/airports/JFK"):
                page = (await http.get(path)).text
                assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
                assert {(await http.get(each)).status_code for each in assets} == {200}, path

            async def flights() -> list[object]:
                query = {"airport": "JFK", "direction": "departures"}
                found: list[object] = (await http.get("/api/flights", params=query)).json()["items"]
                return found

            await until(flights, within=90, what="the replay has begun")
        async with RawClient(server.url) as client:
            await client.connect()
            board = await client.subscribe(BOARD)
            assert (await client.push(BOARD))["pub"]["offset"] > board["offset"]
        assert await server.stop() == 0
    assert list(elsewhere.iterdir()) == []

"""A watched folder: complete files once, bad ones aside with a reason, restarts, two watchers."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.database import open_sessions
from api.feed_manner import Manner
from api.intake import Intake
from api.source_folder import SETTLED, FolderRefused, FolderSource
from tests.support.gatecast import Gatecast
from tests.support.operator import Operator
from tests.support.rest import DAY, at
from tests.support.wait import until

CSV = "flight,origin_date,dep,arr,std,sta,dep_gate\n"


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Operator]:
    world = Operator(dsn)
    await world.ingest.register_feed("aodb", "airport")
    yield world
    await world.close()


def row(number: int, gate: str = "B22") -> str:
    return f"B6{number},{DAY},JFK,MCO,{at(1)},{at(4)},{gate}\n"


def drop(folder: Path, name: str, text: str) -> Path:
    """A file as a careless sender writes it: under its final name at once."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def watcher(world: Operator, folder: Path) -> Gatecast:
    return Gatecast("feed", "folder", str(folder), "--feed", "aodb", dsn=world.dsn)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def gates(world: Operator) -> list[tuple[object, ...]]:
    return await world.rows("SELECT flight_no, dep_gate FROM flight_leg ORDER BY 1")


async def test_files_are_taken_once_and_bad_ones_set_aside(world: Operator, tmp_path: Path) -> None:
    async with watcher(world, tmp_path) as process:
        await process.wait_for_line("watching", 30)
        drop(tmp_path, "good.csv", CSV + row(9))
        drop(tmp_path, "mixed.csv", CSV + row(10) + row(11, "=1"))
        drop(tmp_path, "bad.csv", "flight,dep,arr\n")
        drop(tmp_path, "unfinished.csv.part", CSV + row(12))
        (tmp_path / "link.csv").symlink_to("/etc/passwd")
        await until(lambda: len(names(tmp_path / "done")) == 3, within=20, what="both taken")
        await until(lambda: len(names(tmp_path / "bad")) == 2, within=20, what="one set aside")
        second = watcher(world, tmp_path)
        second.start()
        assert await second.wait(30) == 1
        assert "another process watches" in second.output()
        second.remove()
        assert await process.stop() == 0
    assert names(tmp_path / "done") == ["good.csv", "mixed.csv", "mixed.csv.reason"]
    assert "record 1: formula" in (tmp_path / "done" / "mixed.csv.reason").read_text("utf-8")
    assert names(tmp_path / "bad") == ["bad.csv", "bad.csv.reason"]
    assert "columns are missing" in (tmp_path / "bad" / "bad.csv.reason").read_text("utf-8")
    assert await gates(world) == [(9, "B22"), (10, "B22")]


async def test_a_watcher_killed_before_the_move_does_not_take_a_file_twice(
    world: Operator, tmp_path: Path
) -> None:
    source = FolderSource(tmp_path, "aodb", "any", Manner(), _intake(world))
    for place in ("done", "bad"):
        (tmp_path / place).mkdir()
    path = drop(tmp_path, "legs.csv", CSV + row(9))
    state = path.stat()
    await _settled(source)
    assert names(tmp_path / "done") == ["legs.csv"]
    await world.write("UPDATE flight_leg SET dep_gate = 'C3'")
    # As if the process had died before it moved the file.
    (tmp_path / "done" / "legs.csv").rename(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    await _settled(FolderSource(tmp_path, "aodb", "any", Manner(), _intake(world)))
    assert names(tmp_path / "done") == ["legs.csv"]
    assert await gates(world) == [(9, "C3")]
    assert await world.rows("SELECT legs_taken FROM feed WHERE code = 'aodb'") == [(1,)]
    drop(tmp_path, "legs.csv", CSV + row(9, "D4"))
    await _settled(source)
    assert names(tmp_path / "done") == ["legs.csv", "legs.csv.1"]
    assert await gates(world) == [(9, "D4")]


async def test_a_file_that_grows_is_left_alone(world: Operator, tmp_path: Path) -> None:
    source = FolderSource(tmp_path, "aodb", "csv", Manner(), _intake(world))
    path = drop(tmp_path, "legs.csv", CSV)
    for number in range(1, 5):
        assert await source.turn() == 0
        await asyncio.sleep(SETTLED / 3)
        with path.open("a") as file:
            file.write(row(number))
    (tmp_path / "done").mkdir()
    await _settled(source)
    assert len(await gates(world)) == 4


async def test_a_folder_that_cannot_be_used_is_refused(world: Operator, tmp_path: Path) -> None:
    path = drop(tmp_path, "file", "")
    with pytest.raises(FolderRefused, match="cannot be used"):
        await FolderSource(path, "aodb", "any", Manner(), _intake(world)).run()
    for words, line in (
        (("--feed", "nobody"), "'nobody' is not registered"),
        (("--feed", "aodb", "--format", "excel"), "there are native, csv"),
        (("--feed", "aodb", "--manner", "times=soon"), "--manner: "),
    ):
        refused = await world.run("feed", "folder", str(tmp_path / "x"), *words)
        assert (refused.returncode, line in refused.stderr) == (1, True), refused.stderr


def _intake(world: Operator) -> Intake:
    return Intake(open_sessions(world.engine), world.ingest)


async def _settled(source: FolderSource) -> None:
    await until(source.turn, within=15, what="a complete file")

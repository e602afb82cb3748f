"""F6: the disk of the database fills up."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.database import open_pool
from tests.support.crashing import Crashing
from tests.support.legs import add_legs, key_of
from tests.support.load import Watcher, Writers, watching
from tests.support.node import running_node
from tests.support.pace import allowed
from tests.support.verdict import verdict
from tests.support.wait import until

BOARD = "board:JFK:departures"
ROOM = 8 << 20
FULL, LONGEST = 3.0, 30.0
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@asynccontextmanager
async def small_disk(crashing: Crashing) -> AsyncIterator[Path]:
    """The tables of the server, not its write-ahead log, lie on a disk with little room left."""
    server = crashing.server
    base = server.folder / "postgres" / "cluster" / "base"
    owner = server.user
    assert owner is not None
    await server.halt()
    kept = base.with_name("base.kept")
    base.rename(kept)
    base.mkdir(mode=0o700)
    size = ROOM + sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    refusal = mount(base, size)
    if refusal:
        pytest.skip(f"no small disk can be mounted here: {refusal}")
    try:
        shutil.copytree(kept, base, dirs_exist_ok=True)
        for path in (base, *base.rglob("*")):
            os.chown(path, owner.uid, owner.gid)
        await server.revive()
        crashing.point()
        yield base
    finally:
        await server.halt()
        unmount(base)


def mount(folder: Path, size: int) -> str:
    """A disk of this size in memory; why not, or an empty string."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True)
    return answer.stderr.strip() if answer.returncode else ""


def unmount(folder: Path) -> None:
    """The disk is gone, and all that was on it."""
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> Path:
    """Until nothing more fits; the file that takes the room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return ballast


@pytest.mark.timeout(300)
async def test_writers_of_a_full_disk_get_errors_and_nothing_has_to_be_restarted(
    crashing: Crashing, times: int
) -> None:
    """A1: the disk is full for 3 s (30 s). Writers are told so; node and relay wait; once there is
    room everything goes on by itself, and every acknowledged commit is in the log and was
    displayed."""
    async with small_disk(crashing) as disk:
        pool = await open_pool(crashing.dsn, size=8)
        legs = await add_legs(pool, 12)
        keys = [await key_of(pool, each) for each in legs]
        writers = Writers(crashing.dsn, legs)
        async with running_node(pool) as node:
            watcher = Watcher([node.url], keys, BOARD)
            async with watching([watcher]):
                async with writers.running(4):
                    await until(lambda: writers.commits > 50, within=20, what="some commits")
                    ballast = fill(disk)
                    await until(
                        lambda: writers.failures > 10,
                        within=allowed(60),
                        what="writers are refused",
                    )
                    await asyncio.sleep(min(FULL * times, LONGEST))
                    refused, before = writers.failures, writers.commits
                    ballast.unlink()
                    freed = asyncio.get_running_loop().time()
                    await until(
                        lambda: writers.commits > before + 50, within=allowed(20), what="commits"
                    )
                    seconds = asyncio.get_running_loop().time() - freed
                await verdict(pool, writers, [watcher])
        pool.terminate()
    assert watcher.connects == 1
    print(f"F6: {refused} refusals, 50 commits {seconds:.1f} s after there was room again")

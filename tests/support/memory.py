"""A limit of memory for a process, by a control group, as a container has it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OLD = Path("/sys/fs/cgroup/memory")
NEW = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A control group; what it holds is killed when it needs more than it may."""

    def __init__(self, folder: Path, limit: str) -> None:
        self._folder = folder
        self._limit = folder / limit

    def add(self, pid: int) -> None:
        """From now on this process counts here."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def squeeze(self, limit: int) -> None:
        """At most so many bytes."""
        self._limit.write_text(str(limit))


def limits_memory() -> bool:
    """Whether control groups can be made here."""
    return os.access(OLD, os.W_OK) or os.access(NEW / "memory.max", os.W_OK)


@contextmanager
def memory_group() -> Iterator[MemoryGroup]:
    """Version 1 or 2, whichever this machine has; removed at the end, when nothing is in it."""
    old = OLD.is_dir()
    folder = (OLD if old else NEW) / f"gatecast-{os.getpid()}"
    folder.mkdir()
    try:
        yield MemoryGroup(folder, "memory.limit_in_bytes" if old else "memory.max")
    finally:
        folder.rmdir()

"""The kernel's killer of processes whose group needs more memory than it may have."""

import os
import signal
import sys
from pathlib import Path

from tests.support.pace import allowed
from tests.support.process import Child
from tests.support.wait import until

OLD = Path("/sys/fs/cgroup/memory")
NEW = Path("/sys/fs/cgroup")
LIMIT, WANTED = 48 << 20, 256 << 20
FIRST = "1000"
HOG = "import sys; open(sys.argv[1], 'w').write('0'); kept = b'x' * int(sys.argv[2])"


def limits_memory() -> bool:
    """Whether control groups can be made here, of version 1 or 2."""
    return os.access(OLD, os.W_OK) or os.access(NEW / "memory.max", os.W_OK)


async def run_out_of_memory(part: Child) -> None:
    """SIGKILL by the kernel, as in a container that is too small; where no control group can be
    made, by us."""
    if not limits_memory():
        assert part.kill() == -signal.SIGKILL
        return
    group = enclose(part.pid)
    try:
        command = [sys.executable, "-c", HOG, str(group / "cgroup.procs"), f"{WANTED}"]
        async with Child(command) as hog:
            killed = await part.wait(allowed(20))
            assert killed == -signal.SIGKILL
            await hog.wait(allowed(20))
    finally:
        await until(lambda: removed(group), within=allowed(10), what="the group is empty")


def enclose(pid: int) -> Path:
    """A new control group with this process, which is the first to go."""
    old = OLD.is_dir()
    group = (OLD if old else NEW) / f"gatecast-{os.getpid()}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(f"{LIMIT}")
    (group / "cgroup.procs").write_text(f"{pid}")
    Path(f"/proc/{pid}/oom_score_adj").write_text(FIRST)
    return group


def removed(group: Path) -> bool:
    """It goes only when nothing is in it."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True

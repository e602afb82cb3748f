"""Processes that end with ours."""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ending_with_us(death_signal: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends it this signal when the thread that started it ends."""
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return end_with_parent


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code once it has ended; negative after a signal."""
    loop = asyncio.get_running_loop()
    if process.poll() is None:
        gone = asyncio.Event()
        pidfd = os.pidfd_open(process.pid)
        loop.add_reader(pidfd, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
    return process.wait()

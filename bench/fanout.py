"""Fan-out side by side: CPU of a server a delivery, memory and CPU a connection.

`python -m bench.fanout`: every server anew in each round, in turn; one channel, many subscribers.
`w=1`: one publication under way, nothing can be joined; `w=8`: eight.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import monotonic

import msgspec
import uvloop
from msgspec import Struct

from bench.servers import SERVERS, Server, build, build_native, has_native

MARKER = '"pub":'
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
WINDOWS = (1, 8)
ANSWERS_WITHIN = 120.0


class Cost(Struct, frozen=True):
    """Of one window: deliveries, µs of CPU each (and of it in user space), deliveries a second."""

    deliveries: int
    cpu: float
    user: float
    rate: float


class Round(Struct, frozen=True):
    """One server once: all ready after seconds, CPU µs and bytes of RSS a connection."""

    server: str
    ready: float
    connect_cpu: float
    rss: float
    costs: dict[int, Cost]


class Report(Struct, frozen=True):
    """Everything that was measured, and what it depends on."""

    environment: dict[str, str]
    subscribers: int
    seconds: float
    rounds: list[list[Round]]


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in tree(int(child)))]


def cpu_of(pid: int) -> tuple[float, float]:
    """Seconds in user space and in the kernel of a process tree."""
    user = kernel = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user / TICKS, kernel / TICKS


def rss_of(pid: int) -> int:
    """Resident bytes of a process tree."""
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(pid)) * PAGE


class Crowd:
    """The subscribers: a process that counts what comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines = process.stdout
        self.total = 0

    async def next(self) -> list[str]:
        """Its next word; RuntimeError when subscribers were lost."""
        async with asyncio.timeout(ANSWERS_WITHIN):
            words = (await self.lines.readline()).decode().split()
        if not words or words[0] == "lost":
            raise RuntimeError("subscribers were lost")
        if words[0] == "total":
            self.total = int(words[1])
        return words


@asynccontextmanager
async def crowd_at(program: Path, server: Server, count: int) -> AsyncIterator[Crowd]:
    """So many subscribers, until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        program, str(server.port), server.path, str(count), server.ready, MARKER, *server.texts,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Crowd(process)
    finally:
        process.kill()
        await process.wait()


async def measure(name: str, program: Path, count: int, seconds: float) -> Round:
    """Start one server, fill it, load it."""
    async with SERVERS[name]() as server:
        await asyncio.sleep(0.5)
        memory, before = rss_of(server.pid), sum(cpu_of(server.pid))
        async with crowd_at(program, server, count) as crowd:
            ready = float((await crowd.next())[1])
            connecting = sum(cpu_of(server.pid)) - before
            await asyncio.sleep(1.0)
            grown = rss_of(server.pid) - memory
            costs = {each: await load(server, crowd, count, each, seconds) for each in WINDOWS}
    return Round(name, ready, connecting / count * 1e6, grown / count, costs)


async def load(server: Server, crowd: Crowd, count: int, window: int, seconds: float) -> Cost:
    """A closed loop: the next publication begins when the oldest of the window has reached all."""
    first = crowd.total
    user, kernel = cpu_of(server.pid)
    began = monotonic()
    published = 0
    under_way: set[asyncio.Task[None]] = set()
    while True:
        while monotonic() < began + seconds and published - (crowd.total - first) // count < window:
            task = asyncio.create_task(_publish(server), name="publish")
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            published += 1
        if crowd.total - first >= published * count:
            break
        await crowd.next()
    took = monotonic() - began
    await asyncio.gather(*under_way)
    spent_user, spent_kernel = cpu_of(server.pid)
    deliveries = crowd.total - first
    user, kernel = spent_user - user, spent_kernel - kernel
    micro = 1e6 / deliveries
    return Cost(deliveries, (user + kernel) * micro, user * micro, deliveries / took)


async def _publish(server: Server) -> None:
    await server.publish()


async def run(options: argparse.Namespace) -> Report:
    """Interleaved rounds; a server that cannot be had here is left out with a word."""
    program = build("crowd")
    build_native()
    names = list(options.servers or SERVERS)
    if not has_native() and "gatecast" in names:
        say("no native writer here: gatecast is gatecast-pure")
    rounds: list[list[Round]] = []
    for number in range(options.rounds):
        found: list[Round] = []
        for name in list(names):
            say(f"round {number + 1} of {options.rounds}: {name}")
            try:
                found.append(await measure(name, program, options.subscribers, options.seconds))
            except (OSError, RuntimeError, TimeoutError, AssertionError,
                    subprocess.CalledProcessError) as error:  # fmt: skip
                say(f"{name} is left out: {type(error).__name__} {error}")
                names.remove(name)
        rounds.append(found)
    return Report(environment(), options.subscribers, options.seconds, rounds)


def environment() -> dict[str, str]:
    """What the figures depend on."""
    system = os.uname()
    return {
        "kernel": system.release,
        "python": sys.version.split()[0],
        "cpus": str(os.cpu_count()),
        "load": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def table(report: Report) -> str:
    """Medians over the rounds; × is the ratio to `floor` in the same round, median and worst."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in report.environment.items()),
        f"{report.subscribers} subscribers of one channel, {len(report.rounds)} rounds,"
        f" {report.seconds:g} s each window",
        "",
        "| server | w=1 µs | user µs | × floor (worst) | w=8 µs | × floor (worst) | × floor-join |"
        " deliveries/s | RSS B/conn | µs/connect | ready s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(each.server for found in report.rounds for each in found):
        lines.append(_row(name, report.rounds))
    return "\n".join(lines)


def _row(name: str, rounds: Sequence[Sequence[Round]]) -> str:
    own = [each for found in rounds for each in found if each.server == name]

    def ratios(window: int, to: str) -> str:
        found = []
        for each in rounds:
            by_name = {one.server: one.costs[window].cpu for one in each}
            if name in by_name and by_name.get(to):
                found.append(by_name[name] / by_name[to])
        return f"{median(found):.2f} ({max(found):.2f})" if found else "-"

    one, eight = ([each.costs[window] for each in own] for window in WINDOWS)
    cells = [
        name,
        f"{median(each.cpu for each in one):.2f}",
        f"{median(each.user for each in one):.2f}",
        ratios(1, "floor"),
        f"{median(each.cpu for each in eight):.2f}",
        ratios(8, "floor"),
        ratios(8, "floor-join"),
        f"{max(each.rate for each in eight):.0f}",
        f"{median(each.rss for each in own):.0f}",
        f"{median(each.connect_cpu for each in own):.0f}",
        f"{median(each.ready for each in own):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def say(what: str) -> None:
    """Progress, apart from the result."""
    print(f"fanout: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each window [2]")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--servers", nargs="*", choices=list(SERVERS))
    parser.add_argument("--output", type=Path, default=Path("build/bench/fanout.json"))
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(options))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    print(table(report))
    say(f"figures in {options.output}")


if __name__ == "__main__":
    main()

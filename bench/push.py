"""Pushes per second and their CPU, of one notifier and of two, against a local double of FCM.

Also L4: many pushes are due at once, one in ten of them urgent. All shall be done in 90 s, and no
normal one goes while an urgent one is due.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

import asyncpg
import msgspec
import uvloop
from msgspec import Struct

from api.database import create_schema
from bench.report import environment, load_average
from bench.systems import DURABLE
from realtime.change_log import ChangeLog
from realtime.database import open_pool
from tests.support.fcm import FcmDouble, Json
from tests.support.followers import RecordingSender, add_crowd, make
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs
from tests.support.postgres import PostgresServer
from tests.support.wait import until

Pool = asyncpg.Pool
PEOPLE_OF_A_LEG = 500
URGENT_SHARE = 0.1
DONE_WITHIN = 90.0
GIVE_UP = 600.0
TICKS = os.sysconf("SC_CLK_TCK")


class PushRun(Struct, frozen=True):
    """Times in seconds, CPU in ms a push. `overtaking`: normal pushes before the last urgent one;
    `machine` is what all processes of the machine used, also those of others."""

    notifiers: int
    pushes: int
    delay: float
    seconds: float
    rate: float
    notifier_cpu: float
    double_cpu: float
    machine_cpu: float
    overtaking: int
    wasted: int
    states: dict[str, int]
    load_average: tuple[str, str]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.push", description=__doc__)
    parser.add_argument("--pushes", type=int, default=60_000, help="due at once [60000]")
    parser.add_argument("--notifiers", type=int, nargs="+", default=[1, 2], help="[1 2]")
    parser.add_argument("--delay", type=float, default=0.03, help="of the double's answers [0.03]")
    parser.add_argument("--output", type=Path, default=Path("build/bench/push.json"))
    return parser.parse_args()


async def measure(options: argparse.Namespace) -> list[PushRun]:
    """A run for each number of notifiers, on the same durable server."""
    runs: list[PushRun] = []
    async with PostgresServer(create_schema, settings=DURABLE) as server:
        for count in options.notifiers:
            async with server.database(f"push_{count}") as dsn:
                runs.append(await run(dsn, count, options.pushes, options.delay))
    return runs


async def run(dsn: str, notifiers: int, pushes: int, delay: float) -> PushRun:
    """Everything is due before the notifiers start; their start is not counted."""
    before = load_average()
    async with AsyncExitStack() as stack:
        pool = await open_pool(dsn, size=4)
        stack.push_async_callback(pool.close)
        await make_due(pool, pushes)
        fcm = await stack.enter_async_context(FcmDouble(delay=delay, cheap=True))
        parts = await stack.enter_async_context(notifying(dsn, fcm, notifiers))
        say(f"{notifiers} notifiers, {pushes} pushes")
        await until(lambda: ended(pool), within=60, what="the first have ended", every=0.05)
        at, cpu = monotonic(), await cpu_so_far(parts, fcm)
        done = await ended(pool)
        await until(lambda: all_ended(pool), within=GIVE_UP, what="all have ended", every=0.5)
        counted, seconds = await ended(pool) - done, monotonic() - at
        now = await cpu_so_far(parts, fcm)
        used = [round((a - b) / counted * 1000, 3) for a, b in zip(now, cpu, strict=True)]
        requests = await fcm.requests()
        states = await pool.fetch("SELECT state, count(*) FROM delivery GROUP BY 1")
    return PushRun(
        notifiers,
        pushes,
        delay,
        seconds=round(requests[-1]["at"] - requests[0]["at"], 1),
        rate=round(counted / seconds, 1),
        notifier_cpu=used[0],
        double_cpu=used[1],
        machine_cpu=used[2],
        overtaking=overtaking(requests),
        wasted=sum(request["status"] != 200 for request in requests),
        states={row["state"]: row["count"] for row in states},
        load_average=(before, load_average()),
    )


async def make_due(pool: "Pool[asyncpg.Record]", pushes: int) -> None:
    """Deliveries by the notifier's own enqueueing; then no hold or grace is left of them."""
    legs = max(1, pushes // PEOPLE_OF_A_LEG)
    urgent = max(1, round(legs * URGENT_SHARE))
    near = await add_legs(pool, urgent, departs_in="50 minutes")
    far = await add_legs(pool, legs - urgent, departs_in="100 minutes", first=1000)
    for number, leg_id in enumerate((*near, *far)):
        word = "urgent" if leg_id in near else "normal"
        await add_crowd(pool, leg_id, pushes // legs, word, first=number * PEOPLE_OF_A_LEG)
    notifier = await make(pool, RecordingSender())
    await pool.execute("UPDATE flight_leg SET dep_gate = '22'")
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    await pool.execute(
        "UPDATE delivery SET state = 'pending', held_until = NULL, due_at = wall_now()"
    )
    await pool.execute("VACUUM ANALYZE")


@asynccontextmanager
async def notifying(dsn: str, fcm: FcmDouble, count: int) -> AsyncIterator[list[int]]:
    """So many notifiers as an operator starts them; their process ids."""
    account = Path(fcm.ca_file).with_name("service-account.json")
    account.write_text(json.dumps(fcm.service_account), "utf-8")
    async with AsyncExitStack() as stack:
        parts = [
            Gatecast(
                "notifier",
                dsn=dsn,
                fcm_credentials=str(account),
                fcm_url=fcm.base_url,
                fcm_per_minute=str(600_000 // count),
            )
            for _ in range(count)
        ]
        for part in parts:
            part.add_environment(fcm.environment)
            await stack.enter_async_context(part)
        yield [part.pid for part in parts]


async def ended(pool: "Pool[asyncpg.Record]") -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM delivery WHERE done_at IS NOT NULL")
    return count


async def all_ended(pool: "Pool[asyncpg.Record]") -> bool:
    left: bool = await pool.fetchval("SELECT EXISTS (SELECT FROM delivery WHERE done_at IS NULL)")
    return not left


async def cpu_so_far(parts: Sequence[int], fcm: FcmDouble) -> tuple[float, float, float]:
    """Seconds of the notifiers, of the double and of the whole machine."""
    return sum(map(cpu_of, parts)), await fcm.cpu(), machine_cpu()


def machine_cpu() -> float:
    """Seconds without idle ones and without waiting for disks."""
    first = Path("/proc/stat").read_text("ascii").partition("\n")[0]
    times = [int(each) for each in first.split()[1:9]]
    return (sum(times) - times[3] - times[4]) / TICKS


def cpu_of(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def overtaking(requests: Sequence[Json]) -> int:
    """Normal pushes that came before the last urgent one."""
    urgent = [request["target"].startswith("urgent") for request in requests]
    last = max((number for number, each in enumerate(urgent) if each), default=0)
    return sum(not each for each in urgent[:last])


def table(runs: Sequence[PushRun], about: dict[str, str]) -> str:
    """Readable in a terminal and as Markdown."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in about.items()),
        "",
        "| notifiers | pushes | done in s | pushes/s | ms CPU a push: notifiers | double |"
        " machine | normal before urgent | wasted | ends | load |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for each in runs:
        ends = ", ".join(f"{state} {count}" for state, count in each.states.items())
        cells = [
            each.notifiers, each.pushes, each.seconds, each.rate, each.notifier_cpu,
            each.double_cpu, each.machine_cpu, each.overtaking, each.wasted, ends,
            " – ".join(each.load_average),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("")
    for each in runs:
        aim = DONE_WITHIN * each.pushes / 60_000
        met = each.seconds <= aim and set(each.states) == {"sent"}
        lines.append(
            f"{each.notifiers} notifiers, {each.pushes} pushes in {each.seconds:g} s:"
            f" L4's {aim:g} s {'met' if met else 'not met'}"
        )
    return "\n".join(lines)


def say(what: str) -> None:
    """Progress, apart from the result."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


async def version_of() -> str:
    """Of the server that is measured."""
    async with PostgresServer() as server, server.database("version") as dsn:
        connection = await asyncpg.connect(dsn)
        version: str = await connection.fetchval("SHOW server_version")
        await connection.close()
        return version


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        about: dict[str, str] = environment(runner.run(version_of()))
        runs = runner.run(measure(options))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(runs), indent=2))
    print(table(runs, about))
    say(f"figures in {options.output}")


if __name__ == "__main__":
    main()

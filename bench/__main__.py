"""`make bench`: how long a committed change takes to a screen, on this machine, now."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

import asyncpg
import uvloop

from api.database import create_schema
from bench.baseline import Baseline, measure_baseline
from bench.latency import Run, connected
from bench.report import Report, environment, load_average, table, write_json
from bench.systems import DURABLE, SYSTEMS
from tests.support.postgres import PostgresServer

CALM, BUSY = 0.5, 200.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Latency from a commit in PostgreSQL to a WebSocket client: Poisson arrivals of"
        f" {CALM:g} and {BUSY:g} changes/s, over the change log and over RabbitMQ, each with real"
        " servers of its own. Prints a table; never fails because of a figure.",
    )
    parser.add_argument("--bus", choices=[*SYSTEMS, "both"], default="both")
    parser.add_argument("--seconds", type=float, default=60, help=f"of {CALM:g}/s, each bus [60]")
    parser.add_argument("--busy", type=float, default=12, help=f"seconds of {BUSY:g}/s [12]")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals [1]")
    parser.add_argument("--output", type=Path, default=Path("build/bench/latency.json"))
    return parser.parse_args()


async def measure(options: argparse.Namespace) -> Report:
    """The machine first, then each bus: calm, then busy."""
    dice, begun = random.Random(options.seed), load_average()
    runs: list[Run] = []
    async with PostgresServer(create_schema, settings=DURABLE) as server:
        async with server.database("baseline") as dsn:
            say("baseline")
            baseline: Baseline = await measure_baseline(dsn, dice)
            postgres = await version_of(dsn)
        for bus in SYSTEMS if options.bus == "both" else [options.bus]:
            async with (
                server.database(bus) as dsn,
                SYSTEMS[bus](dsn) as url,
                connected(dsn, url) as bench,
            ):
                for rate, seconds in ((CALM, options.seconds), (BUSY, options.busy)):
                    say(f"{bus}: {rate:g}/s for {seconds:g} s")
                    runs.append(await bench.run(bus, rate, seconds, dice))
    return Report(environment(postgres), options.seed, begun, load_average(), baseline, runs)


async def version_of(dsn: str) -> str:
    """The server's own word."""
    connection = await asyncpg.connect(dsn)
    try:
        version: str = await connection.fetchval("SHOW server_version")
        return version
    finally:
        await connection.close()


def say(what: str) -> None:
    """Progress, apart from the result."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(measure(options))
    write_json(report, options.output)
    print(table(report))
    say(f"figures in {options.output}")


if __name__ == "__main__":
    main()

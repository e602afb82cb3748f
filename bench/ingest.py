"""Legs per second that feeds get into a durable database, and what a large AIDX message costs.

Refreshes of 1,000 legs, unchanged and changed, in this process; AIDX messages of one leg over HTTP
to a `gatecast api` of its own; the most memory that it ever had before and after one of 5 MB.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import httpx2
import msgspec
import uvloop
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import create_schema, open_engine, open_sessions
from api.feed import Patch, PatchKey
from api.ingest import Ingest
from api.keys import create_key
from bench.report import environment, load_average
from bench.samples import Figures, figures_of
from bench.systems import DURABLE
from tests.support.aidx import aidx, clock, identifier, leg, planned, resources, time
from tests.support.gatecast import Gatecast
from tests.support.postgres import PostgresServer
from tests.support.rest import DAY, at

FEED = "aodb"
AIMS = {"unchanged": 5_000, "changed": 500}
MEBIBYTE = 1024 * 1024
LARGE = 5 * MEBIBYTE - 4096


class Refresh(Struct, frozen=True):
    """Rounds of one kind; `rate` is the legs per second of the median round."""

    kind: str
    legs: int
    rounds: int
    rate: float
    best: float
    worst: float


class Http(Struct, frozen=True):
    """AIDX messages of one leg each, from request to answer after the commit."""

    messages: int
    clients: int
    rate: float
    answers: Figures


class Memory(Struct, frozen=True):
    """The peak of resident memory in MiB, before and after one large message, and its time."""

    body: float
    legs: int
    before: float
    after: float
    seconds: float


class IngestReport(Struct, frozen=True):
    """Everything that this part of the benchmark has found."""

    environment: dict[str, str]
    load_average: tuple[str, str]
    refreshes: list[Refresh]
    http: list[Http]
    memory: Memory


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--legs", type=int, default=1_000, help="of a refresh [1000]")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind [5]")
    parser.add_argument("--messages", type=int, default=1_000, help="of AIDX over HTTP [1000]")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8], help="[1 8]")
    parser.add_argument("--output", type=Path, default=Path("build/bench/ingest.json"))
    return parser.parse_args()


async def measure(options: argparse.Namespace) -> IngestReport:
    """Refreshes first, then HTTP, each on a database of its own."""
    begun = load_average()
    async with PostgresServer(create_schema, settings=DURABLE) as server:
        async with server.database("refresh") as dsn:
            refreshes = await measure_refreshes(dsn, options.legs, options.rounds)
        async with server.database("aidx") as dsn, Gatecast("api", dsn=dsn) as api:
            key = await open_feed(dsn)
            await api.ready(60)
            http = [await measure_http(api, key, options.messages, n) for n in options.clients]
            memory = await measure_memory(api, key)
    found = environment("18")
    return IngestReport(found, (begun, load_average()), refreshes, http, memory)


async def measure_refreshes(dsn: str, legs: int, rounds: int) -> list[Refresh]:
    """The same legs again and again: as they were, then each a minute later than before."""
    engine = open_engine(dsn)
    try:
        await register(engine)
        ingest = Ingest(engine, lambda: None)
        await ingest.apply(FEED, refresh(legs, 0))
        found = []
        for kind, minutes in (("unchanged", [0] * rounds), ("changed", range(1, rounds + 1))):
            say(f"{rounds} refreshes of {legs} {kind} legs")
            spent = [await timed(ingest, refresh(legs, each), kind) for each in minutes]
            rates = sorted(legs / seconds for seconds in spent)
            middle = rates[len(rates) // 2]
            found.append(Refresh(kind, legs, rounds, *rounded(middle, rates[-1], rates[0])))
        return found
    finally:
        await engine.dispose()


def refresh(legs: int, minutes: int) -> list[Patch]:
    """What an airport says of all of its legs, late by so many minutes."""
    now = datetime.now(UTC)
    return [
        Patch(
            key=PatchKey(airline="B6", number=number, origin_date=DAY, dep="JFK", arr="MCO"),
            source_ts=now,
            set={
                "std": at(2), "sta": at(5), "etd": at(2 + minutes / 60), "dep_gate": "B22",
                "dep_terminal": "5", "eta": at(5 + minutes / 60), "aircraft_type": "320",
                "service_type": "J", "irregularity": "none",
            },
        )
        for number in range(1, legs + 1)
    ]  # fmt: skip


async def timed(ingest: Ingest, patches: Sequence[Patch], kind: str) -> float:
    """Seconds until it is committed; it must have been what it is measured as."""
    began = monotonic()
    results = await ingest.apply(FEED, patches)
    spent = monotonic() - began
    outcome = "applied" if kind == "changed" else kind
    assert {result.outcome for result in results} == {outcome}
    return spent


async def measure_http(api: Gatecast, key: str, messages: int, clients: int) -> Http:
    """Each client sends its next message when the one before is answered."""
    say(f"{messages} AIDX messages, {clients} clients")
    answers: list[float] = []
    numbers = iter(range(messages))

    async def send(client: httpx2.AsyncClient) -> None:
        for number in numbers:
            body = aidx(one_leg(number % 500 + 1, number // 500), EchoToken=str(number))
            began = monotonic()
            answer = await client.post(url(api), content=body, headers=headers(key))
            answers.append(monotonic() - began)
            assert answer.status_code == 200, answer.text

    began = monotonic()
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        await asyncio.gather(*(send(client) for _ in range(clients)))
    rate = messages / (monotonic() - began)
    return Http(messages, clients, round(rate, 1), figures_of(answers))


def one_leg(number: int, minutes: int) -> str:
    """A departure with its gate, late by so many minutes."""
    gate = resources("Departure", "<PassengerGate>B22</PassengerGate>")
    late = time("OFB", "EST", clock(60 + minutes))
    return leg(planned() + gate + late, identifier(number=str(number)))


async def measure_memory(api: Gatecast, key: str) -> Memory:
    """One message of almost 5 MiB, after the same legs came in small ones."""
    sample = one_leg(1, 0)
    filler = "x" * 1_500
    padded = [
        one_leg(number, 0).replace("</LegData>", f"<Vendor>{filler}</Vendor></LegData>")
        for number in range(1, LARGE // (len(sample) + len(filler) + 40))
    ]
    body = aidx(*padded)
    before = peak(api)
    began = monotonic()
    async with httpx2.AsyncClient(trust_env=False, timeout=120) as client:
        answer = await client.post(url(api), content=body, headers=headers(key))
    spent = monotonic() - began
    assert answer.status_code == 200, answer.text
    assert b"Warning" not in answer.content
    size = round(len(body) / MEBIBYTE, 1)
    return Memory(size, len(padded), before, peak(api), round(spent, 2))


def peak(api: Gatecast) -> float:
    """The most memory that the process ever had, in MiB."""
    status = Path(f"/proc/{api.pid}/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


async def register(engine: AsyncEngine) -> str:
    """The feed, and a key of it."""
    await Ingest(engine, lambda: None).register_feed(FEED, "airport")
    async with open_sessions(engine).begin() as session:
        return await create_key(session, FEED)


async def open_feed(dsn: str) -> str:
    """The same in a database of which the engine is not kept."""
    engine = open_engine(dsn)
    try:
        return await register(engine)
    finally:
        await engine.dispose()


def url(api: Gatecast) -> str:
    """Where AIDX goes."""
    return f"{api.http}/api/feeds/{FEED}/aidx"


def headers(key: str) -> dict[str, str]:
    """Of a message."""
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/xml"}


def rounded(*figures: float) -> list[float]:
    """To a tenth."""
    return [round(each, 1) for each in figures]


def table(report: IngestReport) -> str:
    """Readable in a terminal and as Markdown."""
    lines = [
        "| ingest | legs/s (median) | best | worst | aim |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for each in report.refreshes:
        aim = AIMS[each.kind]
        rates = f"{each.rate:,.0f} | {each.best:,.0f} | {each.worst:,.0f}"
        lines.append(f"| {each.legs} {each.kind} legs | {rates} | {aim:,} |")
    lines += [
        "",
        "| AIDX over HTTP | messages/s | p50 ms | p99 ms |",
        "| --- | ---: | ---: | ---: |",
    ]
    for http in report.http:
        figures = f"{http.rate:,.0f} | {http.answers.p50} | {http.answers.p99}"
        lines.append(f"| {http.clients} clients | {figures} |")
    memory = report.memory
    lines += [
        "",
        f"A message of {memory.body} MiB with {memory.legs} legs: {memory.seconds} s; peak of"
        f" resident memory {memory.before} MiB before, {memory.after} MiB after.",
        f"Load average {report.load_average[0]} → {report.load_average[1]}.",
    ]
    return "\n".join(lines)


def say(what: str) -> None:
    """Progress, apart from the result."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(measure(options))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print(table(report))
    say(f"figures in {options.output}")


if __name__ == "__main__":
    main()

"""The result for people and for programs."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.baseline import Baseline
from bench.latency import Run
from bench.samples import Figures
from deploy.rabbitmq import rabbitmq_scripts

AIMS = {0.5: (12, 60), 200.0: (10, 40)}
"""By rate: p50 and p99 in ms from commit to board on an idle machine."""

MEANING = """\
commit→board, commit→flight: from the moment at which the writer had the acknowledgement of its
commit to the moment at which a WebSocket client had the frame. due→board: from the moment that was
drawn for the change, with everything that the writer waited. Both ends are one process and one
monotonic clock. × floor: p50 in units of (p50 of a commit without triggers + p50 of an echo over a
loopback WebSocket), measured in the same run: what this machine gave at that moment."""


class Report(Struct, frozen=True):
    """Everything that a run of the benchmark has found."""

    environment: dict[str, str]
    seed: int
    load_average_begin: str
    load_average_end: str
    baseline: Baseline
    runs: list[Run]


def environment(postgres: str) -> dict[str, str]:
    """What the figures depend on."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return {
        "cpu": f"{os.cpu_count()} x {found.group(1).strip() if found else platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": postgres,
        "rabbitmq": rabbitmq_scripts().parent.name.removeprefix("rabbitmq_server-"),
        **{name: version(name) for name in ("gatecast", "uvicorn", "asyncpg", "pika")},
        "commit": _commit(),
    }


def load_average() -> str:
    """Of one, five and fifteen minutes."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


def table(report: Report) -> str:
    """Readable in a terminal and as Markdown."""
    base = report.baseline
    lines = [
        ", ".join(f"{name} {value}" for name, value in report.environment.items()),
        f"load average {report.load_average_begin} at the beginning,"
        f" {report.load_average_end} at the end; seed {report.seed}",
        "",
        "| machine, 200/s | n | p50 | p90 | p99 | max ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| commit without triggers | {_cells(base.commit)} |",
        f"| echo over a loopback WebSocket, both ways | {_cells(base.echo)} |",
        f"| how late a timer fires | {_cells(base.timer)} |",
        "",
        "| bus | changes | path | n | p50 | p90 | p99 | max ms | × floor | load |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for run in report.runs:
        for path, figures in (
            ("commit→board", run.commit_to_board),
            ("commit→flight", run.commit_to_flight),
            ("due→board", run.intended_to_board),
            ("(the writer's own commit)", run.write),
        ):
            ratio = f"{figures.p50 / base.floor:.1f}" if base.floor else "-"
            load = "–".join(f"{each:.2f}" for each in run.load_average)
            lines.append(
                f"| {run.bus} | {run.rate:g}/s | {path} | {_cells(figures)} | {ratio} | {load} |"
            )
    return "\n".join([*lines, "", *_remarks(report), "", MEANING])


def write_json(report: Report, path: Path) -> None:
    """For comparisons over time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


def _remarks(report: Report) -> list[str]:
    """What is missing, what is far from its aim; a verdict is for the reader."""
    lines: list[str] = []
    for run in report.runs:
        name = f"{run.bus} at {run.rate:g}/s"
        lines.append(
            f"{name}: missing {run.missing}, conflated {run.conflated},"
            f" generator late p99 {run.generator_late.p99} ms"
        )
        p50, p99 = AIMS.get(run.rate, (None, None))
        if p50 is not None and p99 is not None:
            figures = run.commit_to_board
            met = figures.p50 <= p50 and figures.p99 <= p99 and not run.missing
            verdict = ("met" if met else "not met") if figures.samples else "no samples"
            lines[-1] += f"; aim p50 {p50}, p99 {p99} ms: {verdict}"
    return lines


def _cells(figures: Figures) -> str:
    values = (figures.p50, figures.p90, figures.p99, figures.max)
    return " | ".join([str(figures.samples), *(f"{each:.1f}" for each in values)])


def _commit() -> str:
    folder = Path(__file__).resolve().parent
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True
    )
    return asked.stdout.strip() or "unknown"

"""Prometheus and Grafana are told what our processes really say, and every alarm has a runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.support.gatecast import Gatecast
from tests.support.operated import KINDS, families_of, metrics_of
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "deploy" / "observe"
DISCOVERED = re.compile(r"dns_sd_configs: \[\{names: \[(\w+)\], type: A, port: (\d+).*")
NAMES = re.compile(r"\b(?:gatecast|process)_\w+")


class Prometheus(Child):
    """The real one, with our rules, told where the processes of a test are."""

    def __init__(self, parts: Mapping[str, Gatecast], folder: Path) -> None:
        def target(found: re.Match[str]) -> str:
            part = parts.get(found[1])
            address = part.operations.removeprefix("http://") if part else ""
            return f'static_configs: [{{targets: ["{address}"]}}]' if address else "sd_configs: []"

        text = DISCOVERED.sub(target, (OBSERVE / "prometheus.yml").read_text("utf-8"))
        text = text.replace("sd_configs: []", "static_configs: []")
        text = text.replace("/etc/prometheus", str(folder)).replace("10s", "1s")
        text = text.replace("scrape_timeout: 5s", "scrape_timeout: 1s")
        (folder / "prometheus.yml").write_text(text, "utf-8")
        shutil.copy(OBSERVE / "alerts.yml", folder)
        self.port = free_port()
        super().__init__(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn",
            ]
        )

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, path: str, **query: str) -> Any:
        """Its answer."""
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
            answer = await http.get(f"{self.http}/api/v1/{path}", params=query)
        assert answer.status_code == 200, f"{query}: {answer.text}"
        return answer.json()["data"]

    async def rules(self) -> list[dict[str, Any]]:
        """As it has read them."""
        groups = (await self.ask("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prometheus(
    parts: Mapping[str, Gatecast], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    async with Prometheus(parts, tmp_path_factory.mktemp("prometheus")) as started:
        await started.wait_http(f"{started.http}/-/ready", 60)
        yield started


def expressions() -> list[str]:
    """Of the dashboard."""
    board = json.loads((OBSERVE / "grafana" / "gatecast.json").read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_the_rules_ring_when_they_should() -> None:
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        found = subprocess.run(
            ["promtool", *command], cwd=OBSERVE, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout + found.stderr


async def test_what_rules_and_dashboard_name_is_what_processes_tell(
    parts: Mapping[str, Gatecast],
) -> None:
    told: set[str] = set()
    for part in parts.values():
        told |= families_of(await metrics_of(part))
    named = set(NAMES.findall("\n".join(expressions())))
    named |= set(NAMES.findall((OBSERVE / "alerts.yml").read_text("utf-8")))
    assert len(named) > 40
    assert {name.removesuffix("_bucket") for name in named} <= told


async def test_prometheus_reaches_every_process_and_understands_every_rule(
    prometheus: Prometheus,
) -> None:
    async def all_up() -> bool:
        found = (await prometheus.ask("query", query="up == 1"))["result"]
        return {one["metric"]["job"] for one in found} == set(KINDS)

    await until(all_up, within=60, every=0.5, what="every process is scraped")

    async def all_evaluated() -> bool:
        return {rule["health"] for rule in await prometheus.rules()} == {"ok"}

    await until(all_evaluated, within=60, every=0.5, what="every rule has been evaluated")
    for expression in expressions():
        await prometheus.ask("query", query=expression)
    clients = await prometheus.ask("query", query="sum(gatecast_connections)")
    assert clients["result"][0]["value"][1] == "0"


async def test_every_alarm_says_how_bad_it_is_and_what_to_do(prometheus: Prometheus) -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {f"docs/operations.md#{each.lower().replace(' ', '-')}" for each in headings}
    rules = await prometheus.rules()
    assert len(rules) > 20
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["name"]
        assert rule["annotations"]["summary"], rule["name"]
        assert rule["annotations"]["runbook"] in anchors, rule["name"]
    written = (OBSERVE / "alerts.yml").read_text("utf-8")
    assert written.count("      - alert: ") == written.count("        for: ") == len(rules)


async def test_every_metric_is_explained(parts: Mapping[str, Gatecast]) -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for part in parts.values():
        declared = re.findall(r"^# TYPE gatecast_(\w+) ", await metrics_of(part), re.MULTILINE)
        for name in declared:
            known = name.removesuffix("_created").removesuffix("_total")
            assert f"`{known}" in text, name

"""compose, image and stack say the same thing, and the real tools understand it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.stack import nginx_command, render_proxy
from realtime.settings import PREFIX, Settings
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitNode

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENV = ROOT / "deploy" / "example.env"


def compose(*arguments: str, env_file: Path = ENV) -> subprocess.CompletedProcess[str]:
    """The real Compose."""
    files = ["-f", str(ROOT / "docker-compose.yml"), "--env-file", str(env_file)]
    command = [str(BIN / "docker-compose"), *files, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as Compose understands them, the demo included."""
    found = compose("--profile", "demo", "config", "--format", "json")
    assert found.returncode == 0, found.stderr
    described: dict[str, Any] = json.loads(found.stdout)["services"]
    return described


def test_every_part_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {
        "postgres", "rabbitmq", "init", "api", "realtime", "relay", "notifier", "nginx", "replay",
    }  # fmt: skip
    assert services["realtime"]["deploy"]["replicas"] == 2


def test_every_service_is_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["user"] not in ("", "root", "0"), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
    assert [name for name, service in services.items() if service.get("ports")] == ["nginx"]


def test_commands_of_compose_are_commands_of_gatecast(services: dict[str, Any]) -> None:
    for name in ("init", "api", "realtime", "relay", "notifier", "replay"):
        command = [each for each in services[name]["command"] if not each.startswith("-")]
        told = [each for each in command if each.isalpha()]
        asked = subprocess.run(
            [sys.executable, "-m", "api", *told, "--help"], capture_output=True, check=False
        )
        assert asked.returncode == 0, name


def test_every_setting_that_is_named_exists(services: dict[str, Any]) -> None:
    named = {name for service in services.values() for name in service.get("environment") or {}}
    text = ENV.read_text("utf-8") + (ROOT / "deploy" / "stack.py").read_text("utf-8")
    named |= set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text))
    fields = {name.removeprefix(PREFIX).lower() for name in named if name.startswith(PREFIX)}
    known = set(Settings.__struct_fields__)
    assert {name.removesuffix("_file") for name in fields} <= known


def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.env"
    empty.write_text("")
    found = compose("config", "-q", env_file=empty)
    assert found.returncode != 0
    assert "deploy/example.env" in found.stderr


def test_the_dockerfile_is_clean() -> None:
    found = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def accepted_by_nginx(folder: Path, **values: str) -> None:
    """The real nginx reads the template with these values."""
    values |= {"PROXY_FOLDER": str(folder), "PROXY_LISTEN": f"127.0.0.1:{free_port()}"}
    configuration = render_proxy(**values)
    assert "PROXY_" not in configuration
    (folder / "nginx.conf").write_text(configuration, "utf-8")
    command = [*nginx_command(folder), "-t"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_nginx_understands_the_proxy_of_the_stack(tmp_path: Path) -> None:
    nodes = "server 127.0.0.1:1; server 127.0.0.1:2;"
    accepted_by_nginx(tmp_path, PROXY_REALTIME=nodes, PROXY_API="server 127.0.0.1:3;")


def test_nginx_understands_the_proxy_of_compose(services: dict[str, Any], tmp_path: Path) -> None:
    """Apart from `resolve`, which nginx has since 1.27.3: Debian's is older."""
    environment = services["nginx"]["environment"]
    values = {name: text for name, text in environment.items() if name.startswith("PROXY_")}
    for name, text in values.items():
        older = re.sub(r"resolver [^;]+;| resolve\b", "", text)
        values[name] = re.sub(r"server \w+:", "server 127.0.0.1:", older)
    accepted_by_nginx(tmp_path, **values)


async def test_rabbitmq_boots_with_the_configuration_of_compose() -> None:
    lines = (ROOT / "deploy" / "rabbitmq.conf").read_text("utf-8").splitlines()
    async with RabbitNode(configuration=lines) as node:
        told = await node.ctl("eval", "application:get_env(rabbit, channel_max).")
        assert "64" in told


def copy_of_the_sources(folder: Path) -> Path:
    """What the Dockerfile builds from; in place, setuptools would add what lies in build/."""
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "schema.sql"):
        shutil.copy(ROOT / name, folder)
    for name in ("realtime", "api", "web/dist", "web/src/locales/notices"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    return folder


@pytest.mark.timeout(240)
def test_the_wheel_carries_everything_it_reads(tmp_path: Path) -> None:
    sources = copy_of_the_sources(tmp_path / "sources")
    built = subprocess.run(
        [BIN / "uv", "build", "--wheel", "--quiet", "--out-dir", tmp_path, sources],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "installed"
    subprocess.run(
        [BIN / "uv", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    for name in (
        "realtime/queries.sql",
        "realtime/resources/notices/ar.json",
        "api/resources/schema.sql",
        "api/resources/replay/2013-03-08.csv",
        "api/resources/web/board.html",
        "api/resources/web/index.html",
    ):
        assert (target / name).is_file(), name
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "api", "--help"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert "notifier" in asked.stdout

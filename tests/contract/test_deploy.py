"""compose, image and stack say the same thing, and the real tools understand it."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.logins import BROKER_USERS, DATABASE_LOGINS
from deploy.make_env import main as make_env
from deploy.make_env import pairs
from deploy.stack import broker_configuration, nginx_command, render_proxy
from realtime.settings import PREFIX, Settings
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.rabbitmq import RabbitNode
from tests.support.roles import as_login
from tests.support.wait import until

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
    """The services as Compose understands them, those of all profiles."""
    found = compose("--profile", "demo", "--profile", "observe", "config", "--format", "json")
    assert found.returncode == 0, found.stderr
    described: dict[str, Any] = json.loads(found.stdout)["services"]
    return described


def test_every_part_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {
        "postgres", "rabbitmq", "init", "api", "realtime", "relay", "notifier", "nginx", "replay",
        "prometheus", "grafana",
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
    assert {name for name, service in services.items() if service.get("ports")} == {
        "nginx", "grafana",
    }  # fmt: skip
    assert services["grafana"]["ports"][0]["host_ip"] == "127.0.0.1"


def test_what_serves_is_watched(services: dict[str, Any]) -> None:
    """By its own check, or by that of the image; what is there to end, by nobody."""
    checks = {name: service.get("healthcheck", {}) for name, service in services.items()}
    own = {name for name, check in checks.items() if "test" in check}
    assert own == {"postgres", "rabbitmq", "nginx", "prometheus", "grafana"}
    assert {name for name, check in checks.items() if check.get("disable")} == {"init", "replay"}


def test_the_image_is_watched_and_not_of_root() -> None:
    stage = (ROOT / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2].splitlines()
    assert [line for line in stage if line.startswith("USER ")] == ["USER 10001:10001"]
    assert [line for line in stage if line.startswith("HEALTHCHECK ")]


def test_what_is_not_the_core_needs_its_profile(services: dict[str, Any]) -> None:
    core = compose("config", "--services")
    assert set(services) - set(core.stdout.split()) == {"replay", "prometheus", "grafana"}


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
    assert "${" not in configuration
    (folder / "nginx.conf").write_text(configuration, "utf-8")
    command = [*nginx_command(folder), "-t"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_nginx_understands_the_proxy_of_the_stack(tmp_path: Path) -> None:
    nodes = "server 127.0.0.1:1; server 127.0.0.1:2;"
    accepted_by_nginx(tmp_path, PROXY_TLS="", PROXY_REALTIME=nodes, PROXY_API="server 127.0.0.1:3;")


def test_nginx_understands_the_proxy_of_compose(services: dict[str, Any], tmp_path: Path) -> None:
    """Apart from `resolve`, which nginx has since 1.27.3: Debian's is older."""
    environment = services["nginx"]["environment"]
    values = {name: text for name, text in environment.items() if name.startswith("PROXY_")}
    for name, text in values.items():
        older = re.sub(r"resolver [^;]+;| resolve\b", "", text)
        values[name] = re.sub(r"server \w+:", "server 127.0.0.1:", older)
    accepted_by_nginx(tmp_path, **values)


async def test_rabbitmq_boots_with_the_configuration_of_compose(tmp_path: Path) -> None:
    """And then there is one user for each kind of process, who may do its work only."""
    make_env(tmp_path)
    known = pairs((tmp_path / ".env").read_text())
    lines = broker_configuration(tmp_path / "logins" / "rabbitmq.json")
    async with RabbitNode(configuration=lines) as node:
        told = await node.ctl("eval", "application:get_env(rabbit, channel_max).")
        assert "64" in told
        users = (await node.ctl("list_users", "--silent")).split()
        assert {each for each in users if each.isalpha()} == set(BROKER_USERS)
        for name in BROKER_USERS:
            password = known[f"RABBITMQ_{name.upper()}_PASSWORD"]
            assert "Success" in await node.ctl("authenticate_user", name, password)


async def test_logins_of_the_database_are_what_their_passwords_say(tmp_path: Path) -> None:
    make_env(tmp_path)
    known = pairs((tmp_path / ".env").read_text())
    assert not [value for value in known.values() if value.startswith("change-me")]
    sql = (tmp_path / "logins" / "postgres.sql").read_text()
    assert not [name for name, value in known.items() if len(value) > 20 and value in sql]
    async with PostgresServer() as server:
        owner = await asyncpg.connect(server.dsn("postgres"))
        await owner.execute(sql)
        rules = "VALUES ('local all gatecast trust'), ('local all all scram-sha-256')"
        await owner.execute(f"COPY ({rules}) TO '{await owner.fetchval('SHOW hba_file')}'")
        await owner.execute("SELECT pg_reload_conf()")
        await owner.close()
        for name in DATABASE_LOGINS:
            address = as_login(server.dsn("postgres"), name)
            wrong = partial(is_refused, address, "wrong")
            await until(wrong, within=10, what="the server has read its new rules")
            assert not await is_refused(address, known[f"POSTGRES_{name.upper()}_PASSWORD"])


async def is_refused(address: str, password: str) -> bool:
    try:
        session = await asyncpg.connect(address, password=password)
    except asyncpg.InvalidPasswordError:
        return True
    await session.close()
    return False


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=mine\nSPEED=3\n")
    make_env(tmp_path)
    first = (tmp_path / ".env").read_text()
    known = pairs(first)
    assert (known["POSTGRES_PASSWORD"], known["SPEED"]) == ("mine", "3")
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    make_env(tmp_path)
    assert (tmp_path / ".env").read_text() == first

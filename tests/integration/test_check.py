"""`gatecast check` says ok of what works, and what to do of what does not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from api.checks import broker
from tests.support.gatecast import Gatecast
from tests.support.operator import Operator
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitNode


@pytest.fixture
async def shell(dsn: str) -> AsyncIterator[Operator]:
    operator = Operator(dsn)
    yield operator
    await operator.close()


async def levels(shell: Operator, code: int, **settings: str) -> dict[str, tuple[str, str]]:
    done = await shell.run("check", "--json", **settings)
    assert done.returncode == code, (done.stdout, done.stderr)
    found = msgspec.json.decode(done.stdout)
    return {each["name"]: (each["level"], each["text"]) for each in found}


async def test_a_serve_that_works_is_ok(shell: Operator, tmp_path: Path) -> None:
    async with Gatecast("serve", dsn=shell.dsn, data_dir=str(tmp_path)) as served:
        await served.ready(60)
        found = await levels(shell, 0, GATECAST_PORT=str(served.port))
        names = ("settings", "database", "clock", "log", "reader notifier", "broker", "port")
        assert {name: found[name][0] for name in names} == dict.fromkeys(names, "ok")
        assert "a Gatecast answers" in found["port"][1]


async def test_what_fails_says_what_to_do(shell: Operator, tmp_path: Path) -> None:
    await shell.ingest.register_feed("gone", "airport")
    await shell.ingest.register_feed("mute", "airport")
    hour_ago = "wall_now() - interval '1 hour'"
    await shell.write(f"UPDATE feed SET last_seen_at = {hour_ago} WHERE code = 'gone'")
    await shell.write(f"UPDATE change_outbox SET wall_at = {hour_ago}")
    account = tmp_path / "account.json"
    account.write_text("{}")
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with stranger:
        number = str(stranger.sockets[0].getsockname()[1])
        found = await levels(
            shell,
            1,
            GATECAST_PORT=number,
            GATECAST_AMQP_URL=f"amqp://127.0.0.1:{free_port()}",
            GATECAST_FCM_CREDENTIALS=str(account),
        )
    for name, level, way in (
        ("log", "fail", "gatecast relay"),
        ("feed gone", "fail", "look at its source"),
        ("feed mute", "warn", "gatecast key create mute"),
        ("broker", "fail", "GATECAST_AMQP_URL"),
        ("firebase", "fail", "private_key"),
        ("port", "fail", "GATECAST_PORT"),
    ):
        assert found[name][0] == level, found
        assert way in found[name][1]


async def test_a_database_that_is_not_there_fails(shell: Operator) -> None:
    lost = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/gatecast"
    found = await levels(shell, 1, GATECAST_DATABASE_URL=lost, GATECAST_PORT=str(free_port()))
    assert found["database"][0] == "fail"
    assert "secret" not in found["database"][1]
    assert found["port"] == ("ok", found["port"][1])
    assert "fail  settings" in (await shell.run("check", GATECAST_POT="1")).stdout


async def test_a_broker_that_speaks_amqp_is_ok_and_another_server_is_not() -> None:
    async with RabbitNode() as node:
        found = await broker(node.url)
        assert (found.level, found.text[:12]) == ("ok", "RabbitMQ 3.1")
        assert found.text.endswith("user 'guest' may be realtime, relay, notifier")
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with stranger:
        number = stranger.sockets[0].getsockname()[1]
        assert (await broker(f"amqp://127.0.0.1:{number}")).level == "fail"

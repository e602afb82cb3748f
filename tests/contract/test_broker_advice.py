"""A broker that cannot be used says so in one line, with what to do, and never the password."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from api.checks import broker
from realtime.amqp import Link
from realtime.broker_link import KeptLink
from realtime.broker_topology import (
    NODE_BACKLOG,
    WORK,
    WORK_QUEUE,
    prepare_following,
    prepare_publishing,
)
from realtime.errors import BrokerRefused
from realtime.notice_kinds import KINDS
from tests.support.gatecast import Gatecast
from tests.support.old_broker import old_broker
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

pytestmark = pytest.mark.timeout(120)

SECRET = "pass-word-of-someone"
USER = f"someone:{SECRET}"
ALL, NONE = ".*", "^$"
GIVE = "`rabbitmqctl set_permissions -p v someone "
Prepare = Callable[[Link], Awaitable[None]]


async def as_relay(link: Link) -> None:
    await prepare_publishing(link, KINDS)


async def as_node(link: Link) -> None:
    queue = await prepare_following(link, NODE_BACKLOG)
    await link.consume(queue, 1, lambda *_: None)


async def refusal(url: str, prepare: Prepare = as_relay) -> str:
    """With what a process ends that has never been linked."""
    kept = KeptLink(url, "relay", prepare)
    kept.needed.set()
    with pytest.raises(BrokerRefused) as raised:
        await asyncio.wait_for(kept.run(), 30)
    sentence = str(raised.value)
    assert SECRET not in sentence
    assert "\n" not in sentence
    return sentence


@pytest.fixture
async def vhost(rabbit: RabbitNode) -> AsyncIterator[str]:
    """A vhost `v` and the user `someone`, who may do nothing in it."""
    await rabbit.ctl("add_vhost", "v")
    await rabbit.ctl("add_user", "someone", SECRET)
    yield "v"
    await rabbit.ctl("delete_user", "someone")
    await rabbit.ctl("delete_vhost", "v")


async def test_who_is_not_let_in_is_told_why(rabbit: RabbitNode, vhost: str) -> None:
    place = f"127.0.0.1:{rabbit.port}"
    found = await refusal(rabbit.url_of(f"someone:{SECRET}x", vhost))
    assert found.startswith(f"{place} refuses user 'someone' or its password")
    assert "`rabbitmqctl change_password someone …`" in found
    found = await refusal(rabbit.url_of(USER, "absent"))
    assert found.startswith(f"{place} has no vhost 'absent': `rabbitmqctl add_vhost absent`")
    found = await refusal(rabbit.url_of(USER, vhost))
    assert found.startswith("user 'someone' may not enter vhost 'v'")
    assert GIVE in found


async def test_who_lacks_a_right_is_told_which_and_how_to_give_it(
    rabbit: RabbitNode, vhost: str
) -> None:
    url = rabbit.url_of(USER, vhost)
    for configure, write, read, prepare, lacking in (
        (NONE, ALL, ALL, as_relay, "configure exchange 'gc.changes'"),
        (ALL, NONE, ALL, as_relay, "write to queue 'notify.dead'"),
        (ALL, ALL, NONE, as_relay, "read exchange 'gc.dlx'"),
        (ALL, r"^(gc\.dlx|notify\..*)$", ALL, as_relay, "write to exchange 'gc.changes'"),
        (ALL, ALL, r"^gc\.changes$", as_node, "read queue 'amq.gen-"),
    ):
        await rabbit.ctl("set_permissions", "-p", vhost, "someone", configure, write, read)
        found = await refusal(url, prepare)
        assert found.startswith(f"user 'someone' lacks the right to {lacking}"), found
        assert GIVE in found
    checked = await broker(url)
    assert checked.level == "ok"
    assert checked.text.endswith("may be realtime")


async def test_the_command_that_it_names_gives_what_is_missing(
    rabbit: RabbitNode, vhost: str
) -> None:
    url = rabbit.url_of(USER, vhost)
    sentence = await refusal(url)
    command = sentence.partition("`rabbitmqctl ")[2].partition("`")[0]
    words = [word.strip("'") for word in command.split()]
    await rabbit.ctl(*words)
    checked = await broker(url)
    assert checked.level == "ok"
    assert checked.text.endswith("user 'someone' may be realtime, relay, notifier")
    link = await Link.open(url, "another")
    await rabbit.ctl("-p", vhost, "delete_queue", WORK)
    await link.declare_queue(WORK, {**WORK_QUEUE, "x-delivery-limit": 3})
    await link.close()
    found = await refusal(url)
    assert found.startswith(f"queue '{WORK}' in vhost 'v'")
    assert "was made with another x-delivery-limit" in found
    assert (await broker(url)).text == found
    await rabbit.ctl("-p", "v", "delete_queue", WORK)
    assert (await broker(url)).level == "ok"


async def test_a_port_of_another_kind_is_told_apart(rabbit: RabbitNode) -> None:
    plain, secure = f"127.0.0.1:{rabbit.port}", f"127.0.0.1:{rabbit.tls_port}"
    found = await refusal(rabbit.url_of("guest:guest", port=rabbit.tls_port))
    assert found.startswith(f"{secure} speaks TLS: write amqps://")
    found = await refusal(rabbit.url_of("guest:guest", scheme="amqps"))
    assert found.startswith(f"{plain} speaks no TLS")
    found = await refusal(rabbit.url_of("guest:guest", scheme="amqps", port=rabbit.tls_port))
    assert found.startswith(f"the certificate of {secure} is not to be trusted (self-signed")
    assert "SSL_CERT_FILE" in found
    for wrong in ("http://127.0.0.1:5672", "amqp://:x", "localhost:5672", "amqp://h:port/"):
        with pytest.raises(BrokerRefused, match="GATECAST_AMQP_URL is not of the form amqps://"):
            KeptLink(wrong, "relay", as_relay)


async def test_an_old_broker_is_refused_by_its_version() -> None:
    async with old_broker("3.8.9") as port:
        url = f"amqp://{USER}@127.0.0.1:{port}/%2F"
        found = await refusal(url)
        assert found.startswith(f"127.0.0.1:{port} is RabbitMQ 3.8.9: Gatecast needs 3.10")
        assert (await broker(url)).text == found


async def test_what_goes_wrong_later_is_told_once_and_waited_out(
    rabbit: RabbitNode, vhost: str
) -> None:
    await rabbit.ctl("set_permissions", "-p", vhost, "someone", ALL, ALL, ALL)
    kept = KeptLink(rabbit.url_of(USER, vhost), "relay", as_relay)
    kept.needed.set()
    with capture_logs() as lines:
        running = asyncio.create_task(kept.run(), name="link")
        await asyncio.wait_for(kept.up.wait(), 20)
        await rabbit.ctl("clear_permissions", "-p", vhost, "someone")
        await rabbit.ctl("close_all_connections", "--vhost", vhost, "mended later")
        await until(
            lambda: "may not enter vhost" in (kept.away or ""), within=20, what="it is told"
        )
        attempts = [line for line in lines if line["event"] == "broker away"]
        await asyncio.sleep(2.0)  # some more attempts
        assert [line for line in lines if line["event"] == "broker away"] == attempts
        assert len(attempts) <= 2  # that the connection was closed, and that there is no other
        await rabbit.ctl("set_permissions", "-p", vhost, "someone", ALL, ALL, ALL)
        await asyncio.wait_for(kept.up.wait(), 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not any(SECRET in str(line) for line in lines)


async def test_processes_end_with_the_line(rabbit: RabbitNode, dsn: str) -> None:
    url = rabbit.url_of(f"guest:{SECRET}")
    for role in ("relay", "notifier"):
        async with Gatecast(role, dsn=dsn, amqp_url=url) as process:
            assert await process.wait(60) == 1
            output = process.output()
        assert "refuses user 'guest' or its password" in output.splitlines()[-1]
        assert "Traceback" not in output
        assert SECRET not in output

"""The test doubles tell the truth: real clients see what the real servers would show."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import firebase_admin
import pika
import pytest
from firebase_admin import credentials, exceptions, messaging
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from tests.support.browser import open_browser, open_page
from tests.support.fcm import FcmDouble
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.process import Child
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

QUEUES = {"classic": {"x-queue-type": "classic"}, "quorum": {"x-queue-type": "quorum"}}


@pytest.fixture
async def fcm() -> AsyncIterator[FcmDouble]:
    async with FcmDouble() as double:
        yield double


async def send(double: FcmDouble, pushes: list[messaging.Message]) -> messaging.BatchResponse:
    certificate = credentials.Certificate(double.service_account)
    app = firebase_admin.initialize_app(certificate, {"httpTimeout": 5}, name=double.base_url)
    sdk = messaging._get_messaging_service(app)
    sdk._fcm_url = double.send_url
    try:
        return await messaging.send_each_async(pushes, app=app)
    finally:
        await sdk._async_client.aclose()
        sdk._client.close()
        firebase_admin._apps.pop(app.name)


async def test_fcm_double_answers_the_sdk(fcm: FcmDouble) -> None:
    fids = ["ok-1", "unreg-1", "quota-1", "sender-1", "invalid-1", "missing-1", "html-1"]
    pushes = [messaging.Message(fid=fid, data={"leg": fid}) for fid in fids]
    answers = (await send(fcm, pushes)).responses
    assert [type(answer.exception) for answer in answers] == [
        type(None),
        messaging.UnregisteredError,
        messaging.QuotaExceededError,
        messaging.SenderIdMismatchError,
        exceptions.InvalidArgumentError,
        exceptions.NotFoundError,
        exceptions.UnknownError,
    ]
    assert answers[2].exception.http_response.headers["Retry-After"] == "2"
    accepted = await fcm.accepted()
    assert [(push["fid"], push["data"], push["name"]) for push in accepted] == [
        ("ok-1", {"leg": "ok-1"}, answers[0].message_id)
    ]
    assert {request["http_version"] for request in await fcm.requests()} == {"2"}


async def test_fcm_double_knows_registration_tokens(fcm: FcmDouble) -> None:
    with pytest.warns(DeprecationWarning, match=r"Message\.token"):
        push = messaging.Message(token="flaky-1", data={})
    (answer,) = (await send(fcm, [push])).responses
    assert answer.success
    assert [request["status"] for request in await fcm.requests()] == [503, 503, 200]
    assert [push["token"] for push in await fcm.accepted()] == ["flaky-1"]


async def test_fcm_double_refuses_a_foreign_key(fcm: FcmDouble) -> None:
    async with FcmDouble() as other:
        fcm.service_account["private_key"] = other.service_account["private_key"]
    with pytest.raises(exceptions.UnknownError, match="Signature verification failed"):
        await send(fcm, [messaging.Message(fid="ok-1")])
    assert await fcm.requests() == []


async def test_fcm_double_forgets_and_plays_an_outage(fcm: FcmDouble) -> None:
    await fcm.force("quota")
    (answer,) = (await send(fcm, [messaging.Message(fid="ok-1")])).responses
    assert isinstance(answer.exception, messaging.QuotaExceededError)
    await fcm.reset()
    assert await fcm.requests() == []
    (answer,) = (await send(fcm, [messaging.Message(fid="ok-1")])).responses
    assert answer.success


def publish_all(url: str) -> None:
    """One persistent, confirmed message into each kind of queue."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        amqp_channel = connection.channel()
        amqp_channel.confirm_delivery()
        for queue, arguments in QUEUES.items():
            amqp_channel.queue_declare(queue, durable=True, arguments=arguments)
            properties = pika.BasicProperties(delivery_mode=2)
            amqp_channel.basic_publish("", queue, queue.encode(), properties, mandatory=True)


def get_all(url: str) -> list[bytes]:
    """What waits in the queues; left there."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        amqp_channel = connection.channel()
        return [amqp_channel.basic_get(queue)[2] for queue in QUEUES]


async def test_rabbit_node_keeps_durable_queues() -> None:
    async with RabbitNode() as node:
        await asyncio.to_thread(publish_all, node.url)
        await node.restart()
        assert await asyncio.to_thread(get_all, node.url) == [b"classic", b"quorum"]
        node.kill()
        await node.start()
        assert await asyncio.to_thread(get_all, node.url) == [b"classic", b"quorum"]
        node.freeze()
        with pytest.raises(AMQPConnectorStackTimeout):
            await asyncio.to_thread(get_all, f"{node.url}?stack_timeout=1&connection_attempts=1")
        node.thaw()
        assert "classic" in await node.ctl("list_queues", "name")


PAGE = """<!doctype html><link rel=icon href=data:,><script>
console.error("told"); fetch("http://localhost:%d/other").catch(() => 0);
new WebSocket("ws://localhost:%d/socket"); setTimeout(() => { throw Error("thrown") });
</script>"""


@asynccontextmanager
async def page_server(markup: str) -> AsyncIterator[int]:
    """One page on every path of a free port."""
    body = markup.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield port


async def test_watched_page_notes_what_goes_wrong() -> None:
    nowhere = free_port()
    async with page_server(PAGE % (nowhere, nowhere)) as port, open_browser() as browser:
        async with open_page(browser, f"http://127.0.0.1:{port}/") as watched:
            await until(lambda: watched.page_errors, within=10, what="an error of the page")
            await until(lambda: len(watched.foreign_requests) == 2, within=10, what="two requests")
        assert "told" in watched.console_errors
        assert watched.page_errors == ["thrown"]
        assert set(watched.foreign_requests) == {
            f"http://localhost:{nowhere}/other",
            f"ws://localhost:{nowhere}/socket",
        }
        with pytest.raises(AssertionError):
            watched.assert_clean()


async def test_watched_page_is_clean_when_nothing_goes_wrong() -> None:
    quiet = "<!doctype html><title>quiet</title><link rel=icon href=data:,>"
    async with (
        page_server(quiet) as port,
        open_browser() as browser,
        open_page(browser, f"http://127.0.0.1:{port}/", size=(390, 844)) as watched,
    ):
        assert await watched.page.title() == "quiet"
        assert await watched.page.evaluate("innerWidth") == 390
        watched.assert_clean()


async def test_each_database_is_a_fresh_copy_of_the_template() -> None:
    async def load_schema(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE leg (id int); INSERT INTO leg VALUES (1)")
        await connection.close()

    async with PostgresServer(load_schema) as server:
        for label in ("first", "second"):
            async with server.database(label) as dsn:
                connection = await asyncpg.connect(dsn)
                assert await connection.fetchval("SELECT count(*) FROM leg") == 1
                await connection.execute("INSERT INTO leg VALUES (2)")
            with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
                await connection.fetchval("SELECT 1")
            with pytest.raises(asyncpg.InvalidCatalogNameError):
                await asyncpg.connect(dsn)


async def test_child_tells_how_it_ended() -> None:
    script = "import sys; print('ready', flush=True); sys.stdin.read(); print('over'); sys.exit(3)"
    async with Child([sys.executable, "-c", script]) as child:
        with pytest.raises(AssertionError, match=r"ended with 3:\n(?s:.*)over"):
            await child.wait_for_line("never")
        assert await child.wait_for_line("ready") == "ready"
        assert await child.wait() == 3


async def test_child_obeys_signals() -> None:
    script = "import time; print('ready', flush=True); time.sleep(600)"
    async with Child([sys.executable, "-c", script]) as child:
        await child.wait_for_line("ready")
        child.freeze()
        with pytest.raises(AssertionError, match="end of"):
            await child.stop(0.2)
        assert child.exit_code == -signal.SIGKILL
        child.start()
        await child.wait_for_line("ready")
        assert await child.stop() == -signal.SIGTERM


async def test_until_names_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: a port; last value 0"):
        await until(lambda: 0, within=0.05, what="a port")

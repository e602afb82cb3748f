"""The test doubles tell the truth: real clients see what the real servers would show."""

import asyncio
from collections.abc import AsyncIterator

import firebase_admin
import pika
import pytest
from firebase_admin import credentials, exceptions, messaging
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from tests.support.fcm import FcmDouble
from tests.support.rabbitmq import RabbitNode

QUEUES = {"classic": {"x-queue-type": "classic"}, "quorum": {"x-queue-type": "quorum"}}


@pytest.fixture
async def fcm(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FcmDouble]:
    async with FcmDouble() as double:
        for name, value in double.environment.items():
            monkeypatch.setenv(name, value)
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

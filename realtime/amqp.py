"""RabbitMQ for asyncio: the only file that imports pika.

A `Link` is one connection with one channel. It is never mended: after its first fault it has
ended, and `broker_link` opens another one and has it prepared anew.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pika import BasicProperties, URLParameters, exceptions, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.frame import Method

from realtime.broker_advice import LEAST_VERSION, NO_AMQP
from realtime.errors import BrokerRefused

HEARTBEAT = 10
ANSWER_WITHIN = 5.0
BLOCKED_FOR = 30.0
CLOSE_WITHIN = 1.0
NACKED = "the broker refused it"
TCP_OPTIONS = {"TCP_USER_TIMEOUT": 10_000, "TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}

State = Literal["up", "down", "blocked"]
Deliver = Callable[[int, Mapping[str, object], bytes], None]
"""Gets delivery tag, headers and body; must not raise."""
Confirm = asyncio.Future[str | None]
"""None once the broker has taken it, else why it did not."""


class AmqpFault(Exception):
    """The link has ended or is blocked, or an answer is overdue."""


class Link:
    """One connection and its channel, until the first fault of either; then `ended` says why."""

    def __init__(self, parameters: URLParameters) -> None:
        loop = asyncio.get_running_loop()
        self.loop = loop
        self.ended: asyncio.Future[str] = loop.create_future()
        self.blocked = False
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._readable: asyncio.Future[None] = loop.create_future()
        self._unconfirmed: dict[int, Confirm] = {}
        self._published = 0
        self._doing = ""
        self._channel: Channel | None = None
        self._connection = AsyncioConnection(
            parameters,
            on_open_callback=lambda _: settle(self._opened, None),
            on_open_error_callback=self._on_gone,
            on_close_callback=self._on_gone,
            custom_ioloop=loop,
        )

    @classmethod
    async def open(cls, url: str, name: str) -> "Link":
        """Connection and channel are open; AmqpFault when they cannot be had."""
        link = cls(parameters_of(url, name))
        try:
            await link._answer(link._opened, ANSWER_WITHIN)
            link._check_version()
            connection = link._connection
            connection.add_on_connection_blocked_callback(lambda *_: link._on_blocked())
            connection.add_on_connection_unblocked_callback(lambda *_: link._on_unblocked())
            channel = await link._ask(
                lambda callback: connection.channel(on_open_callback=callback)
            )
            channel.add_on_close_callback(lambda _, error: link._on_channel_closed(error))
            channel.add_on_cancel_callback(lambda _: link.end("the broker cancelled the consumer"))
            link._channel = channel
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def version(self) -> str:
        """Of the broker."""
        return str((self._connection.server_properties or {}).get("version", ""))

    @property
    def state(self) -> State:
        """What can be expected of it now."""
        if self.blocked and not self._gone.done():
            return "blocked"
        return "down" if self.ended.done() else "up"

    @property
    def unconfirmed(self) -> int:
        """Published, and not answered by the broker."""
        return len(self._unconfirmed)

    def end(self, reason: str) -> None:
        """Give the link up; nothing can be asked of it any more."""
        settle(self.ended, reason)
        self._refuse(reason)

    async def close(self) -> None:
        """In good order when the broker answers within a second, else without a word."""
        self.end("closed")
        if self._connection.is_open and not self.blocked:
            self._connection.close()
            await asyncio.wait({self._gone}, timeout=CLOSE_WITHIN)
        if not self._connection.is_closed:
            # No public way out of pika does without an answer; a blocked or frozen broker has none.
            self._connection._terminate_stream(exceptions.ConnectionClosedByClient(320, "aborted"))
            await asyncio.wait({self._gone}, timeout=CLOSE_WITHIN)

    async def wait_unblocked(self) -> None:
        """Until the broker reads from us again or the connection is gone."""
        if self.blocked:
            await asyncio.wait({self._readable, self._gone}, return_when=asyncio.FIRST_COMPLETED)

    # Topology

    async def declare_exchange(self, name: str, kind: str) -> None:
        """A durable exchange."""
        channel = self._usable(f"declare {name}")
        await self._ask(
            lambda callback: channel.exchange_declare(name, kind, durable=True, callback=callback)
        )

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> str:
        """A durable queue, or one of ours alone, named by the broker, when `name` is empty."""
        channel = self._usable(f"declare {name}")
        answer: Method[spec.Queue.DeclareOk] = await self._ask(
            lambda callback: channel.queue_declare(
                name,
                durable=bool(name),
                exclusive=not name,
                arguments=dict(arguments),
                callback=callback,
            )
        )
        return str(answer.method.queue)

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """From now on the queue gets what the exchange gets with this key."""
        channel = self._usable(f"bind {queue}")
        await self._ask(
            lambda callback: channel.queue_bind(queue, exchange, routing_key, callback=callback)
        )

    # Consuming

    async def consume(self, queue: str, prefetch: int, deliver: Deliver) -> None:
        """At most `prefetch` deliveries are out at a time; the rest waits for `acknowledge`."""
        channel = self._usable(f"consume {queue}")

        def on_delivery(
            _: Channel, method: spec.Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            if not self.ended.done():
                deliver(int(method.delivery_tag), properties.headers or {}, body)

        await self._ask(
            lambda callback: channel.basic_qos(prefetch_count=prefetch, callback=callback)
        )
        await self._ask(
            lambda callback: channel.basic_consume(queue, on_delivery, callback=callback)
        )

    def acknowledge(self, tag: int) -> None:
        """All deliveries up to this one; an ended link has them redelivered anyway."""
        if self.ended.done() or self._channel is None:
            return
        try:
            self._channel.basic_ack(tag, multiple=True)
        except exceptions.AMQPError as error:
            self.end(reason_of(error))

    def reject(self, tag: int) -> None:
        """This delivery alone, never to come again: its queue gives it to the dead letters."""
        if self.ended.done() or self._channel is None:
            return
        try:
            self._channel.basic_reject(tag, requeue=False)
        except exceptions.AMQPError as error:
            self.end(reason_of(error))

    # Publishing

    async def select_confirms(self) -> None:
        """Have the broker say what it has taken."""
        channel = self._usable()
        await self._ask(
            lambda callback: channel.confirm_delivery(self._on_confirm, callback=callback)
        )

    def publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Mapping[str, Any]
    ) -> Confirm:
        """Hand over without waiting; the caller bounds how many are unconfirmed."""
        channel = self._usable(f"publish {exchange}")
        if self.blocked:
            raise AmqpFault("the broker has blocked the connection")
        try:
            channel.basic_publish(exchange, routing_key, body, BasicProperties(**properties))
        except exceptions.AMQPError as error:
            self.end(reason_of(error))
            raise AmqpFault(reason_of(error)) from error
        self._published += 1
        confirm: Confirm = self.loop.create_future()
        self._unconfirmed[self._published] = confirm
        return confirm

    # Callbacks of pika, which must not raise

    def _on_confirm(self, frame: Method[spec.Basic.Ack | spec.Basic.Nack]) -> None:
        tag, answer = frame.method.delivery_tag, None
        if isinstance(frame.method, spec.Basic.Nack):
            answer = NACKED
        tags = [tag]
        if frame.method.multiple:
            tags = [each for each in self._unconfirmed if each <= tag]
        for each in tags:
            confirm = self._unconfirmed.pop(each, None)
            if confirm is not None:
                settle(confirm, answer)

    def _on_channel_closed(self, error: BaseException | str) -> None:
        self.end(reason_of(error) + (f" to {self._doing}" if self._doing else ""))

    def _on_gone(self, _: object, error: BaseException | str) -> None:
        foreign = isinstance(error, exceptions.IncompatibleProtocolError)
        self.end((NO_AMQP if foreign else "") + reason_of(error))
        settle(self._gone, None)

    def _on_blocked(self) -> None:
        self.blocked = True
        self._readable = self.loop.create_future()
        self._refuse("the broker has blocked the connection")

    def _on_unblocked(self) -> None:
        self.blocked = False
        settle(self._readable, None)

    def _refuse(self, reason: str) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for confirm in unconfirmed.values():
            settle(confirm, reason)

    # Questions

    def _check_version(self) -> None:
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        product = (self._connection.server_properties or {}).get("product")
        if product == "RabbitMQ" and numbers and (int(numbers[1]), int(numbers[2])) < LEAST_VERSION:
            raise AmqpFault(f"RabbitMQ {self.version} is too old")

    def _usable(self, purpose: str = "") -> Channel:
        self._doing = purpose
        if self.ended.done() or self._channel is None:
            raise AmqpFault(self.ended.result() if self.ended.done() else "no channel")
        return self._channel

    async def _ask(self, question: Callable[[Callable[[Any], None]], object]) -> Any:
        answer: asyncio.Future[Any] = self.loop.create_future()
        try:
            question(lambda frame: settle(answer, frame))
        except exceptions.AMQPError as error:
            raise AmqpFault(reason_of(error)) from error
        return await self._answer(answer, ANSWER_WITHIN)

    async def _answer(self, answer: asyncio.Future[Any], within: float) -> Any:
        await asyncio.wait(
            {answer, self.ended}, timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        raise AmqpFault(self.ended.result() if self.ended.done() else "the broker gives no answer")


def parameters_of(url: str, name: str) -> URLParameters:
    """Of a connection that the broker shows under this name; raises BrokerRefused."""
    try:
        parameters = URLParameters(url)
    except (ValueError, OSError) as error:  # OSError: a file that its ssl_options name
        raise BrokerRefused(f"GATECAST_AMQP_URL cannot be used: {error}") from None
    parameters.heartbeat = HEARTBEAT
    # Link.open gives up first, and says why in one plain sentence.
    parameters.stack_timeout = parameters.socket_timeout = 2 * ANSWER_WITHIN
    parameters.blocked_connection_timeout = BLOCKED_FOR
    parameters.tcp_options = dict(TCP_OPTIONS)
    parameters.client_properties = {"connection_name": f"gatecast {name}"}
    return parameters


def settle(future: "asyncio.Future[Any]", answer: Any) -> None:
    """The first answer counts."""
    if not future.done():
        future.set_result(answer)


def reason_of(error: BaseException | str) -> str:
    """The innermost of what pika wraps; many of its errors say nothing but in their repr."""
    while not isinstance(error, str):
        inner = [each for each in (*error.args, *vars(error).values()) if each is not error]
        inner += [each for group in inner if isinstance(group, tuple) for each in group]
        causes = [each for each in inner if isinstance(each, BaseException)]
        if not causes:
            break
        error = causes[-1]
    return (error if isinstance(error, str) else str(error) or repr(error))[:300]

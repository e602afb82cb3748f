"""What is measured: Gatecast as an operator starts it, on a durable PostgreSQL of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from tests.support.gatecast import Gatecast
from tests.support.rabbitmq import RabbitNode

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@asynccontextmanager
async def log_system(dsn: str) -> AsyncIterator[str]:
    """`gatecast serve`: everything in one process, the node tails the change log."""
    async with Gatecast("serve", dsn=dsn) as everything:
        await everything.ready(60)
        yield everything.url


@asynccontextmanager
async def broker_system(dsn: str) -> AsyncIterator[str]:
    """api, relay, notifier and node as processes of their own, RabbitMQ between them."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(RabbitNode())
        node = Gatecast("realtime", dsn=dsn, amqp_url=broker.url)
        for role in ("relay", "api", "notifier"):
            await stack.enter_async_context(Gatecast(role, dsn=dsn, amqp_url=broker.url))
        await stack.enter_async_context(node)
        await node.ready(60)
        yield node.url


SYSTEMS: dict[str, Callable[[str], AbstractAsyncContextManager[str]]] = {
    "log": log_system,
    "rabbitmq": broker_system,
}

"""Closes the sockets of accounts that were erased: a token outlives its account by minutes."""

import asyncio

import asyncpg
import structlog

from realtime.client import Client
from realtime.database import DATABASE_AWAY, QUERIES
from realtime.errors import INVALID_TOKEN
from realtime.transport_websocket import Sockets

EACH = 2.0


class AccountWatch:
    """Asks for the accounts of the connected clients, so that no erasure can be missed."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", sockets: Sockets) -> None:
        self.pool = pool
        self.sockets = sockets

    async def run(self) -> None:
        """Until cancelled; while the database is away nothing can be erased."""
        while True:
            await asyncio.sleep(EACH)
            try:
                await self.close_erased()
            except DATABASE_AWAY as error:
                structlog.get_logger().warning("accounts not checked", error=str(error))

    async def close_erased(self) -> None:
        """Look once."""
        clients = [
            (client, outbox)
            for client, outbox in self.sockets.clients.items()
            if isinstance(client, Client) and client.account_id
        ]
        if not clients:
            return
        accounts = list({client.account_id for client, _ in clients})
        erased = set(await self.pool.fetchval(QUERIES["erased_accounts"], accounts))
        for client, outbox in clients:
            if client.account_id in erased:
                outbox.disconnect(INVALID_TOKEN)

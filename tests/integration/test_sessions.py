"""What a session with the database gives up by itself, so that a frozen process holds up nobody."""

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.database import QUERIES, SESSION, open_pool
from realtime.relay import READER
from tests.support.legs import add_legs
from tests.support.wait import until

Pool = asyncpg.Pool


async def test_every_session_has_its_limits(pool: "Pool[asyncpg.Record]") -> None:
    assert SESSION["tcp_user_timeout"] == "10000"  # of TCP: on this socket the server shows 0
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert await pool.fetchval(f"SHOW {name}") == SESSION[name]


async def test_a_relay_that_stands_still_with_the_lock_loses_it(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """As after SIGSTOP in the middle of publishing, with a limit of a tenth of the usual one."""
    await add_legs(pool, 2)
    await ChangeLog(pool).sequence()
    frozen = await open_pool(dsn, settings={"idle_in_transaction_session_timeout": "1s"})
    await pool.execute(QUERIES["add_reader"], READER)
    holder = await frozen.acquire()
    transaction = holder.transaction()
    await transaction.start()
    assert await holder.fetchrow(QUERIES["lock_reader"], READER) is not None

    async def free() -> bool:
        return await pool.fetchrow(QUERIES["lock_reader"], READER) is not None

    assert not await free()
    await until(free, within=10, what="another relay gets it")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await holder.execute(QUERIES["advance_reader"], READER, "", 1)
    frozen.terminate()

"""All that is kept of an account, to take along or to be gone."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, text
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE, account_of
from api.endpoint import Api, json
from api.models import Account
from api.schemas_account import AccountExport

# Whole rows, so that a column which is added later is exported too. Only the hash of the credential
# stays here: it is of use to nobody who has the credential.
ROWS = """
SELECT to_jsonb(t) - CAST('{account_id,credential_hash,secret_hash,leg_id}' AS text[]) || coalesce((
  SELECT jsonb_build_object('leg_key', key) FROM flight_leg l
  WHERE l.leg_id = CAST(to_jsonb(t) ->> 'leg_id' AS bigint)), '{}')
FROM {table} t WHERE account_id = :account_id
"""
TABLES = (
    "account",
    "account_credential",
    "account_link",
    "device",
    "follow",
    "receipt",
    "delivery",
    "test_notice",
)


async def export_account(api: Api, request: Request) -> Response:
    """Every row about the account, as it is kept."""
    account_id = await account_of(api, request)
    found: dict[str, list[dict[str, Any]]] = {}
    async with api.sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for table in TABLES:
            query = text(ROWS.replace("{table}", table))
            rows = await session.execute(query, {"account_id": account_id})
            found[table] = [row[0] for row in rows]
    export = AccountExport(
        account_id, *(found[table] for table in TABLES)
    )  # fmt: skip
    headers = {**PRIVATE, "Content-Disposition": 'attachment; filename="gatecast-account.json"'}
    return json(export, 200, headers)


async def erase_account(api: Api, request: Request) -> Response:
    """Every row about the account goes; its sockets are closed by their nodes."""
    account_id: UUID = await account_of(api, request)
    async with api.sessions.begin() as session:
        await session.execute(delete(Account).where(Account.account_id == account_id))
    return Response(status_code=204, headers=PRIVATE)

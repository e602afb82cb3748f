"""All kinds of processes, each with an operations port and the rights of its own login."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2

from tests.support.fcm import FcmDouble
from tests.support.gatecast import Gatecast
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitNode
from tests.support.roles import open_logins

KINDS = ("api", "realtime", "relay", "notifier")


@asynccontextmanager
async def operated(
    dsn: str, broker: RabbitNode, fcm: FcmDouble, folder: Path
) -> AsyncIterator[Mapping[str, Gatecast]]:
    """Started and ready."""
    account = folder / "account.json"
    account.write_text(json.dumps(fcm.service_account), "utf-8")
    logins = await open_logins(dsn)
    async with AsyncExitStack() as stack:
        parts = {}
        for kind in KINDS:
            pushes = {"fcm_credentials": str(account), "fcm_url": fcm.base_url}
            part = Gatecast(
                kind,
                dsn=logins[kind],
                amqp_url=broker.url,
                operations_port=str(free_port()),
                **(pushes if kind == "notifier" else {}),
            )
            part.add_environment(fcm.environment)
            parts[kind] = await stack.enter_async_context(part)
        for part in parts.values():
            await part.ready(90)
        yield parts


async def metrics_of(part: Gatecast) -> str:
    """What it tells now."""
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
        answer = await http.get(f"{part.operations}/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


def samples_of(text: str) -> dict[str, float]:
    """Values by name and labels, as they are written."""
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def families_of(text: str) -> set[str]:
    """Names that are declared, also those without a value yet, and names of samples."""
    declared = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    return declared | {name.partition("{")[0] for name in samples_of(text)}

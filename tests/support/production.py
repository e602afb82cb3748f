"""The shape of production: every part a process of its own, real servers between them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx2

from tests.support.fcm import FcmDouble
from tests.support.gatecast import Gatecast
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitNode
from tests.support.roles import open_logins


class Production:
    """api, node, relay and notifier behind nginx, with RabbitMQ and the FCM double."""

    def __init__(
        self, logins: Mapping[str, str], broker: RabbitNode, fcm: FcmDouble, folder: Path
    ) -> None:
        """`logins`: the address of the database for each kind of process."""
        account = folder / "account.json"
        account.write_text(json.dumps(fcm.service_account), "utf-8")
        amqp_url = broker.url
        self.fcm = fcm
        self.api = Gatecast("api", dsn=logins["api"], amqp_url=amqp_url)
        self.node = Gatecast("realtime", dsn=logins["realtime"], amqp_url=amqp_url)
        self.relay = Gatecast("relay", dsn=logins["relay"], amqp_url=amqp_url)
        self.notifier = Gatecast(
            "notifier",
            fcm_credentials=str(account),
            fcm_url=fcm.base_url,
            lease="3",
            dsn=logins["notifier"],
            amqp_url=amqp_url,
        )
        self.notifier.add_environment(fcm.environment)
        self.front = Proxy(folder, [self.node.port], [self.api.port])

    @property
    def port(self) -> int:
        return self.front.port

    @property
    def http(self) -> str:
        return self.front.http

    async def add_follower(self, name: str, *leg_keys: str) -> str:
        """An account with one phone that follows these legs; its credential."""
        async with httpx2.AsyncClient(base_url=self.http, trust_env=False) as http:
            created = (await http.post("/api/accounts")).json()
            credential: str = created["credential"]
            await self.add_device(name, credential)
            for key in leg_keys:
                answer = await http.put(f"/api/me/follows/{key}", headers=bearer(credential))
                assert answer.status_code == 200, answer.text
        return credential

    async def add_device(self, name: str, credential: str) -> None:
        """A phone whose target tells the double whose it is."""
        device = {"platform": "android", "kind": "fid", "target": f"ok-{name}-0123456789"}
        async with httpx2.AsyncClient(base_url=self.http, trust_env=False) as http:
            path = f"/api/me/devices/{uuid4()}"
            answer = await http.put(path, json=device, headers=bearer(credential))
            assert answer.status_code == 200, answer.text

    async def pushed_to(self, name: str) -> list[dict[str, str]]:
        """The payloads that FCM accepted for this follower."""
        return [
            push["data"] for push in await self.fcm.accepted() if f"ok-{name}-" in json.dumps(push)
        ]


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


@asynccontextmanager
async def running_production(dsn: str, folder: Path) -> AsyncIterator[Production]:
    """Started and ready; everything is gone at the end."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(RabbitNode())
        fcm = await stack.enter_async_context(FcmDouble())
        production = Production(await open_logins(dsn), broker, fcm, folder)
        for part in (production.relay, production.node, production.api, production.notifier):
            await stack.enter_async_context(part)
        await stack.enter_async_context(production.front)
        await production.node.ready(60)
        await production.front.ready(60)
        yield production

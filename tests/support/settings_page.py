"""The page of alert settings, and servers whose notices leave by the FCM double."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.browser import WatchedPage, open_page
from tests.support.fcm import FcmDouble
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs, key_of

Pool = asyncpg.Pool
PHONE = (390, 844)
KEPT = "credential => localStorage.setItem('gatecast.credential', credential)"


@dataclass
class Settings:
    """The page of an account that follows two flights, and its server."""

    server: Gatecast
    watched: WatchedPage
    http: httpx2.AsyncClient

    @property
    def page(self) -> Page:
        return self.watched.page

    async def wishes(self) -> dict[str, Any]:
        answer = await self.http.get("/api/me/preferences")
        assert answer.status_code == 200, answer.text
        held: dict[str, Any] = answer.json()
        return held

    async def is_saved(self) -> None:
        await expect(self.page.get_by_role("status").filter(has_text="Saved")).to_be_attached()

    def kind(self, words: str) -> Locator:
        return self.page.get_by_role("switch", name=words)


@asynccontextmanager
async def settings_page(
    browser: Browser, pool: "Pool[asyncpg.Record]", server: Gatecast, departs_in: str = "5 hours"
) -> AsyncIterator[Settings]:
    await add_legs(pool, 2, departs_in=departs_in)
    keys = [await key_of(pool, number) for number in (1, 2)]
    async with server:
        await server.ready()
        async with httpx2.AsyncClient(base_url=server.http, trust_env=False) as http:
            credential = (await http.post("/api/accounts")).json()["credential"]
            http.headers["Authorization"] = f"Bearer {credential}"
            for key in keys:
                assert (await http.put(f"/api/me/follows/{key}")).status_code == 200
            async with open_page(browser, server.http, size=PHONE) as watched:
                await watched.page.evaluate(KEPT, credential)
                await watched.page.goto(f"{server.http}/me")
                yield Settings(server, watched, http)


@asynccontextmanager
async def sending(dsn: str, **settings: str) -> AsyncIterator[tuple[Gatecast, FcmDouble]]:
    """A server, not started yet, that sends by the FCM double."""
    with TemporaryDirectory() as folder:
        account = Path(folder) / "account.json"
        async with FcmDouble() as fcm:
            account.write_text(json.dumps(fcm.service_account), "utf-8")
            known = {"fcm_credentials": str(account), "fcm_url": fcm.base_url, **settings}
            server = Gatecast("serve", dsn=dsn, **known)
            server.add_environment(fcm.environment)
            yield server, fcm


async def add_phone(settings: Settings, target: str, platform: str) -> None:
    device = {"platform": platform, "kind": "fid", "target": target}
    answer = await settings.http.put(f"/api/me/devices/{uuid4()}", json=device)
    assert answer.status_code == 200, answer.text

"""A reader of event streams, as a bare EventSource would be."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

WITHIN = 10.0


class Event:
    """One dispatched event; `id` is the position after it, kept from earlier events."""

    def __init__(self, name: str, body: Any, own_id: str, last_id: str) -> None:
        self.name = name
        self.body = body
        self.own_id = own_id
        self.last_id = last_id


class EventSource:
    """Events of one response in order, comments and retry times apart."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.last_id = ""
        self.comments: list[str] = []
        self.retries: list[int] = []
        self._lines = response.aiter_lines()

    async def next(self, *names: str) -> Event:
        """The next event of these names, or of any but `status`."""
        async with asyncio.timeout(WITHIN):
            async for event in self:
                if event.name in names or (not names and event.name != "status"):
                    return event
        raise AssertionError("the stream has ended")

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Until the stream ends."""
        name, body, own_id = "message", "", ""
        async for line in self._lines:
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    body += value
                elif field == "id":
                    own_id = value
                elif field == "retry":
                    self.retries.append(int(value))
            else:
                self.last_id = own_id or self.last_id
                if body:
                    yield Event(name, json.loads(body), own_id, self.last_id)
                name, body, own_id = "message", "", ""


@asynccontextmanager
async def event_source(
    url: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[EventSource]:
    """Connected and answered with 200."""
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=30, follow_redirects=True) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        assert response.status_code == 200
        yield EventSource(response)

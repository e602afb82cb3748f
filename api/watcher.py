"""Keeps a channel watched: connects, recovers by offset, and comes back whenever a link is lost."""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import msgspec
import websockets

from api.watched import Fact, Limits, Watched
from api.wire import Wire
from realtime.backoff import Backoff
from realtime.errors import UNRECOVERABLE_POSITION, GatecastError

OPENS_WITHIN = 5.0
# The server pings each `ping` seconds; a link that says nothing for this much longer is dead.
PING_GRACE = 10.0
TERMINAL_CLOSE = range(3500, 4000)
SUBSCRIBE_AGAIN = 2500
LOST = (OSError, TimeoutError, websockets.WebSocketException)


class WatchRefused(GatecastError):
    """The server will not let us watch this; the text is one sentence for a person."""


class Watcher:
    """The task that feeds a Watched; `tell` hears each fact as it comes."""

    def __init__(self, url: str, watched: Watched, tell: Callable[[Fact], None]) -> None:
        self.url = url
        self.watched = watched
        self.tell = tell
        self.connected = False
        self.ever_connected = False

    async def run(self) -> None:
        """Until cancelled; WatchRefused when there is no use in trying again."""
        backoff = Backoff(base=0.2, cap=5.0)
        while True:
            try:
                await self._follow(backoff)
            except BrokenPipeError:
                raise  # of who hears the facts: a lost link says something else
            except LOST as error:
                self.connected = False
                self._give_up_on(error)
            await asyncio.sleep(backoff.next())

    async def _follow(self, backoff: Backoff) -> None:
        wire = Wire(self.url, open_timeout=OPENS_WITHIN, close_timeout=1, ping_interval=None)
        async with wire:
            ping = await self._connect(wire)
            await self._subscribe_status(wire)
            await self._subscribe(wire)
            self.connected = self.ever_connected = True
            backoff.reset()
            while True:
                async with asyncio.timeout(ping + PING_GRACE):
                    line = {"push": wire.pushes.popleft()} if wire.pushes else await wire.line()
                self.watched.last_frame = time.monotonic()
                await wire.pong()
                if "push" in line:
                    await self._obey(wire, line["push"])

    async def _connect(self, wire: Wire) -> float:
        """Seconds between pings."""
        reply = await wire.command("connect", {"name": "gatecast watch"})
        result = _result(reply, "connect")
        limits = result.get("data", {}).get("freshness")
        if limits is not None:
            self.watched.limits = msgspec.convert(limits, Limits)
        return float(result.get("ping", 0)) or 25.0

    async def _subscribe_status(self, wire: Wire) -> None:
        name = self.watched.status_name
        if name == self.watched.channel.name:
            return
        result = _result(await wire.command("subscribe", {"channel": name}), "subscribe")
        for each in result["publications"]:
            self.watched.heard(each["data"], time.monotonic())

    async def _subscribe(self, wire: Wire) -> None:
        backoff = Backoff(base=0.2, cap=2.0)
        while True:
            reply = await wire.command("subscribe", self.watched.request())
            error = reply.get("error", {})
            if error.get("code") == UNRECOVERABLE_POSITION.code and self.watched.position:
                self.watched.position = None
            elif error.get("temporary"):
                await asyncio.sleep(backoff.next())
            else:
                break
        result = _result(reply, "subscribe")
        self.watched.last_frame = now = time.monotonic()
        for fact in self.watched.subscribed(result, now):
            self.tell(fact)

    async def _obey(self, wire: Wire, push: dict[str, Any]) -> None:
        name = push["channel"]
        if "pub" in push:
            for fact in self.watched.pushed(name, push["pub"], time.monotonic()):
                self.tell(fact)
        elif "unsubscribe" in push:
            if push["unsubscribe"]["code"] < SUBSCRIBE_AGAIN:
                raise WatchRefused(f"{name}: {push['unsubscribe']['reason']}")
            await self._subscribe(wire)

    def _give_up_on(self, error: BaseException) -> None:
        """Before the first success, and for good reasons of the server, there is no second try."""
        closed = error.rcvd if isinstance(error, websockets.ConnectionClosed) else None
        if closed is not None and closed.code in TERMINAL_CLOSE:
            raise WatchRefused(f"the server ended it: {closed.reason}")
        if self.ever_connected:
            return
        if isinstance(error, websockets.InvalidHandshake | websockets.InvalidMessage):
            sentence = f"{self.url} answers, but not as a Gatecast does ({error}); see --url"
        elif isinstance(error, ssl.SSLError):
            sentence = (
                f"{self.url} shows no certificate that can be trusted ({error.reason}): name it as "
                "its certificate does, and your own authority with SSL_CERT_FILE"
            )
        elif isinstance(error, websockets.InvalidURI):
            sentence = f"{self.url} is no address; --url takes http://host:port"
        else:
            sentence = (
                f"nothing answers at {self.url}: start `gatecast serve`, "
                "or name a server with --url http://host:port"
            )
        raise WatchRefused(sentence)


def _result(reply: dict[str, Any], method: str) -> dict[str, Any]:
    """The result of a command; temporary errors end the link, others the watching."""
    if "error" not in reply:
        result: dict[str, Any] = reply[method]
        return result
    error = reply["error"]
    if error.get("temporary"):
        raise TimeoutError(error["message"])
    raise WatchRefused(f"the server refuses to {method}: {error['message']} ({error['code']})")

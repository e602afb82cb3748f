"""One connected client: commands in order, receipts, keepalive, expiry."""

import random
import secrets
from collections.abc import Callable, Coroutine, Iterator
from importlib.metadata import version
from typing import Any, Protocol

from msgspec import Struct, field

from realtime.admission import Admission
from realtime.audience import Sink
from realtime.channels import Channel, parse_channel
from realtime.clock import WallClock
from realtime.errors import (
    BAD_COMMAND,
    BAD_REQUEST,
    EXPIRED,
    INVALID_TOKEN,
    LIMIT_EXCEEDED,
    NO_PONG,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    SEND_NOT_AVAILABLE,
    STALE,
    TOO_MANY_REQUESTS,
    DisconnectCode,
    Disconnected,
    Refused,
)
from realtime.hub import Hub
from realtime.protocol import (
    Ack,
    Command,
    Connect,
    History,
    Refresh,
    Rpc,
    Subscribe,
    decode_ack,
    decode_commands,
    error_reply,
    reply,
)
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.traffic import Traffic

MAX_CHANNELS = 128
BUILD = version("gatecast")
TOKEN_LEEWAY = 25.0


class SettleReceipts(Protocol):
    """Record what an account displayed; the number of deliveries that this settled."""

    async def __call__(
        self, account_id: str, epoch: str, attentive: bool, legs: dict[str, int]
    ) -> int: ...


class LoadLeg(Protocol):
    """Bring a leg that nobody holds into the hub's state; Refused while that cannot be."""

    async def __call__(self, leg_key: str) -> None: ...


class Shared(Struct, frozen=True):
    """What all clients of a node have in common."""

    hub: Hub
    tokens: Tokens
    settle: SettleReceipts
    settings: Settings
    monotonic: Callable[[], float]
    load_leg: LoadLeg
    wall: WallClock = field(default_factory=WallClock)
    admission: Admission = field(default_factory=Admission)

    @property
    def traffic(self) -> Traffic:
        """What is counted."""
        return self.hub.traffic


Later = Coroutine[Any, Any, dict[str, Any]]
"""The result of a command that has to wait for something."""


def lacking(shared: Shared, channel: Channel) -> bool:
    """Whether the leg of the channel is not among those that boards may show."""
    state, key = shared.hub.state, channel.subject
    if channel.kind != "flight" or state is None:
        return False
    return state.stream(key) is None and state.new_key(key) is None


async def hold(shared: Shared, channel: Channel) -> None:
    """Load a leg that nobody holds; Refused while that cannot be."""
    if lacking(shared, channel):
        await shared.load_leg(channel.subject)


async def subscribe(
    shared: Shared, sink: Sink, channel: Channel, request: Subscribe
) -> dict[str, Any]:
    """The result of a subscribe command on whatever transport; Refused when it is not granted."""
    await hold(shared, channel)
    return shared.hub.subscribe(sink, channel, request)


class Client:
    """The state machine behind one socket; the socket itself is the sink."""

    __slots__ = (
        "_deadline",
        "_expires",
        "_next_ping",
        "account_id",
        "bucket",
        "channels",
        "connected",
        "due",
        "id",
        "shared",
        "sink",
        "unanswered_pings",
    )

    transport = "websocket"

    def __init__(self, sink: Sink, shared: Shared) -> None:
        self.id = secrets.token_hex(8)
        self.sink = sink
        self.shared = shared
        self.account_id = ""
        self.connected = False
        self.channels: set[str] = set()
        self.unanswered_pings = 0
        now = shared.monotonic()
        self._deadline = now + shared.settings.connect_timeout
        self._next_ping = float("inf")
        self._expires = float("inf")
        self.bucket = 0
        self.due = self._next_look(now)

    async def receive(self, frame: bytes | str) -> None:
        """Obey the commands of one frame in order; Disconnected ends the connection."""
        rest = self.obey(frame)
        if rest is not None:
            await rest

    def obey(self, frame: bytes | str) -> Coroutine[Any, Any, None] | None:
        """As `receive`, but at once as far as nothing has to wait; what is left is to be awaited.

        Until that is done the client must not be given another frame.
        """
        commands = iter(decode_commands(frame))
        for command in commands:
            waiting = self._obey(command)
            if waiting is not None:
                return self._obey_rest(waiting, commands)
        return None

    async def _obey_rest(
        self, waiting: Coroutine[Any, Any, None] | None, commands: Iterator[Command]
    ) -> None:
        if waiting is not None:
            await waiting
        for command in commands:
            waiting = self._obey(command)
            if waiting is not None:
                await waiting

    def tick(self, now: float) -> DisconnectCode | None:
        """Send a ping when one is due; the code to close with when the client's time is over."""
        if not self.connected:
            self.due = self._next_look(now)
            return STALE if now > self._deadline else None
        if now > self._expires:
            return EXPIRED
        if self.unanswered_pings and now > self._deadline:
            return NO_PONG
        if now >= self._next_ping:
            settings = self.shared.settings
            self._next_ping = now + settings.ping_interval
            if not self.unanswered_pings:
                self._deadline = now + settings.pong_timeout
            self.unanswered_pings += 1
            self.sink.ping()
        self.due = self._next_look(now)
        return None

    def _next_look(self, now: float) -> float:
        """When something may have to be done; who has not connected may do so at any time."""
        if not self.connected:
            return min(self._deadline, now + self.shared.settings.ping_interval / 2)
        awaited = self._deadline if self.unanswered_pings else self._next_ping
        return min(awaited, self._next_ping, self._expires)

    def leave(self) -> None:
        """The socket is gone: no channel may keep it."""
        for channel in self.channels:
            self.shared.hub.unsubscribe(self.sink, channel)
        self.channels.clear()

    def _obey(self, command: Command) -> Coroutine[Any, Any, None] | None:
        methods = command.methods()
        if not methods:
            self.unanswered_pings = 0
            return None
        method = methods[0]
        if self.connected == (method == "connect"):
            raise Disconnected(BAD_COMMAND)
        try:
            result = self._answer(method, command)
        except Refused as refused:
            self.shared.traffic.refused[str(refused.error.code)] += 1
            self.sink.reply(error_reply(command.id, refused.error))
            return None
        if isinstance(result, Coroutine):
            return self._reply_later(command.id, method, result)
        self.sink.reply(reply(command.id, method, result))
        return None

    async def _reply_later(self, command_id: int, method: str, later: Later) -> None:
        try:
            result = await later
        except Refused as refused:
            self.shared.traffic.refused[str(refused.error.code)] += 1
            self.sink.reply(error_reply(command_id, refused.error))
        else:
            self.sink.reply(reply(command_id, method, result))

    def _answer(self, method: str, command: Command) -> dict[str, Any] | Later:
        if command.connect is not None:
            return self._connect(command.connect)
        if command.subscribe is not None:
            return self._subscribe(command.subscribe)
        if command.unsubscribe is not None:
            self._unsubscribe(command.unsubscribe.channel)
            return {}
        if command.rpc is not None:
            return self._ack(command.rpc)
        if command.history is not None:
            return self._history(command.history)
        if command.refresh is not None:
            return self._refresh(command.refresh)
        if method == "ping":
            return {}
        if method == "publish":
            raise Refused(PERMISSION_DENIED)
        if method == "send":
            raise Disconnected(SEND_NOT_AVAILABLE)
        raise Refused(NOT_AVAILABLE)

    def _connect(self, request: Connect) -> dict[str, Any]:
        settings, now = self.shared.settings, self.shared.monotonic()
        if not self.shared.admission.take(now, settings.connects_per_second):
            raise Refused(TOO_MANY_REQUESTS)
        expiry: dict[str, Any] = {}
        if request.token:
            account_id, expiry = self._verify(request.token)
            self.account_id = account_id
        self.connected = True
        self._next_ping = now + settings.ping_interval * random.uniform(0.5, 1)
        freshness = {
            "late": settings.link_late,
            "stale": settings.link_stale,
            "down": settings.link_down,
        }
        return {
            "client": self.id,
            "version": f"gatecast {BUILD}",
            "ping": max(1, round(settings.ping_interval)),
            "pong": True,
            "data": {"freshness": freshness, "build": BUILD},
        } | expiry

    def _refresh(self, request: Refresh) -> dict[str, Any]:
        if not self.account_id:
            raise Refused(NOT_AVAILABLE)
        account_id, expiry = self._verify(request.token)
        if account_id != self.account_id:
            raise Disconnected(INVALID_TOKEN)
        return {"client": self.id, "version": f"gatecast {BUILD}"} | expiry

    def _verify(self, token: str) -> tuple[str, dict[str, Any]]:
        """The account of a valid token, and what the client has to know of its end."""
        wall = self.shared.wall.now()
        claims = self.shared.tokens.verify(token, wall)
        left = max(0.0, (claims.expires_at - wall).total_seconds())
        self._expires = self.shared.monotonic() + left + TOKEN_LEEWAY
        return claims.account_id, {"expires": True, "ttl": max(1, int(left))}

    def _subscribe(self, request: Subscribe) -> dict[str, Any] | Later:
        if not request.channel:
            raise Disconnected(BAD_COMMAND)
        channel = parse_channel(request.channel)
        if len(self.channels) >= MAX_CHANNELS and channel.name not in self.channels:
            raise Refused(LIMIT_EXCEEDED)
        if lacking(self.shared, channel):
            return self._subscribe_later(channel, request)
        return self._join(channel, request)

    async def _subscribe_later(self, channel: Channel, request: Subscribe) -> dict[str, Any]:
        await hold(self.shared, channel)
        return self._join(channel, request)

    def _join(self, channel: Channel, request: Subscribe) -> dict[str, Any]:
        result = self.shared.hub.subscribe(self.sink, channel, request)
        self.channels.add(channel.name)
        return result

    def _history(self, request: History) -> dict[str, Any] | Later:
        channel = parse_channel(request.channel)
        if lacking(self.shared, channel):
            return self._history_later(channel, request)
        return self.shared.hub.history(channel, request)

    async def _history_later(self, channel: Channel, request: History) -> dict[str, Any]:
        await hold(self.shared, channel)
        return self.shared.hub.history(channel, request)

    def _unsubscribe(self, channel: str) -> None:
        if channel in self.channels:
            self.channels.discard(channel)
            self.shared.hub.unsubscribe(self.sink, channel)

    def _ack(self, request: Rpc) -> Later:
        if request.method != "ack":
            raise Refused(NOT_AVAILABLE)
        if not self.account_id:
            raise Refused(PERMISSION_DENIED)
        ack = decode_ack(request.data)
        if ack is None:
            raise Refused(BAD_REQUEST)
        return self._settle(ack)

    async def _settle(self, ack: Ack) -> dict[str, Any]:
        settled = await self.shared.settle(self.account_id, ack.epoch, ack.attentive, ack.legs)
        return {"data": {"settled": settled}}

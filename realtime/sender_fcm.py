"""Notices to phones and browsers by Firebase Cloud Messaging; the only importer of its SDK."""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import firebase_admin
import structlog
from firebase_admin import _http_client, credentials, exceptions, messaging
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials as ServiceAccount
from msgspec import structs
from requests.exceptions import RequestException

from realtime.fcm_client import FcmClient
from realtime.sender import Notice, Outcome, Sent, Target
from realtime.sender_gate import LONGEST, Breaker, Bucket, DeviceLimit, Pause, Window
from realtime.sender_payload import LIMIT, likeness, payload, size, topic

HTTP_TIMEOUT = 10.0
SEND_DEADLINE = 15.0
SLACK = 0.1
WITHIN = 30.0
PER_MINUTE = 600_000  # what Google gives a project
RENEW_BEFORE = timedelta(minutes=6)
MAX_TTL = 28 * 86_400
QUOTA_PAUSE = 60.0
PROJECT_PAUSE = BREAKER_PAUSE = 60.0
TAKEN_KEPT = 10_000  # likenesses of accepted pushes


class Invalid(Sent, frozen=True):
    """INVALID_ARGUMENT: the target or the payload, the provider does not say which."""


class HeldToken(Credentials):
    """The access token that `renew` fetched; the SDK itself would fetch it on the event loop."""

    def __init__(self, account: ServiceAccount) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.account = account
        self.refused = False

    def needs_renewal(self) -> bool:
        """Missing, near its end, or answered with 401."""
        expiry: datetime | None = self.account.expiry  # naive, in UTC
        now = datetime.now(UTC).replace(tzinfo=None)
        return self.refused or expiry is None or expiry - now < RENEW_BEFORE

    def renew(self) -> None:
        """Fetch a token; blocks, and raises GoogleAuthError or RequestException."""
        request = partial(Request(), timeout=HTTP_TIMEOUT)
        self.account.refresh(request)  # type: ignore[no-untyped-call]
        self.refused = False

    def before_request(self, request: Any, method: str, url: str, headers: Any) -> None:
        """Called by the SDK for each request."""
        headers["authorization"] = f"Bearer {self.account.token}"

    def refresh(self, request: Any) -> None:
        """Called by the SDK after a 401."""
        self.refused = True


class FcmSender:
    """One app object of the SDK with one HTTP/2 connection, for one event loop.

    The SDK words the pushes, reads the answers and holds the account; `FcmClient` carries them.
    """

    def __init__(
        self,
        account: Path | Mapping[str, str],
        url: str,
        within: float = WITHIN,
        per_minute: int = PER_MINUTE,
    ) -> None:
        """Blocks for some 100 ms: `open` does it in a thread. `within`: seconds for one `send`."""
        self._within = within
        given = str(account) if isinstance(account, Path) else dict(account)
        certificate = credentials.Certificate(given)
        self._token = HeldToken(certificate.get_credential())
        options = {"projectId": certificate.project_id, "httpTimeout": HTTP_TIMEOUT}
        self._app = firebase_admin.initialize_app(
            self._token, options, name=f"gatecast-{secrets.token_hex(4)}"
        )
        # The SDK has no setting for the address; this sets it for one app only.
        self._service = messaging._get_messaging_service(self._app)
        self._service._fcm_url = f"{url}/v1/projects/{certificate.project_id}/messages:send"
        # The SDK's client would repeat a 503 at once, four times, and a 401 twice: the notifier
        # repeats. And it takes more CPU than all the rest of a push.
        self._client = FcmClient(self._token, _http_client.METRICS_HEADERS, HTTP_TIMEOUT)
        self._service._async_client = self._client
        self.pause = Pause()
        self.window = Window(self.pause)
        self.bucket = Bucket(per_minute)
        self._limit = DeviceLimit()
        self.breaker = Breaker()
        self._turn = asyncio.Lock()
        self._under_way = 0
        self._room = asyncio.Event()
        self._taken: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._renewal: asyncio.Task[Sent | None] | None = None

    @classmethod
    async def open(
        cls,
        account: Path | Mapping[str, str],
        url: str,
        within: float = WITHIN,
        per_minute: int = PER_MINUTE,
    ) -> Self:
        """A sender for a service account, given as a file or as its contents.

        `per_minute`: the quota of the project, or with n notifiers the nth part of it.
        """
        return await asyncio.to_thread(cls, account, url, within, per_minute)

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        """One outcome for each pair, in order; all of it ends `within` seconds from now."""
        deadline = time.monotonic() + self._within
        fault = await self._renew_token(deadline)
        if fault is not None:
            return [fault] * len(sends)
        answers: dict[int, Sent] = {}

        async def send_chain(chain: list[int]) -> None:
            for number in chain:
                answers[number] = await self._send(*sends[number], deadline)

        async with asyncio.TaskGroup() as group:
            for chain in chains(sends):
                group.create_task(send_chain(chain), name="fcm send")
        return [
            self._blame(target, notice, answers[number])
            for number, (target, notice) in enumerate(sends)
        ]

    def _blame(self, target: Target, notice: Notice, sent: Sent) -> Sent:
        """Who is at fault for an INVALID_ARGUMENT: the target if others took the same payload."""
        if not isinstance(sent, Invalid) or likeness(target, notice) not in self._taken:
            return sent
        if self.breaker.is_open():
            return not_believed(sent)
        return Sent(Outcome.GONE, f"others took the same: {sent.detail}")

    async def close(self) -> None:
        """Close the connection and give the app object back."""
        # delete_app closes the client under a loop of its own, which a running loop forbids; on a
        # client that is already closed that does nothing.
        if self._renewal is not None:
            await self._renewal
        await self._client.aclose()
        await asyncio.to_thread(firebase_admin.delete_app, self._app)

    async def _renew_token(self, deadline: float) -> Sent | None:
        if self._renewal is None:
            if not self._token.needs_renewal():
                return None
            self._renewal = asyncio.create_task(self._renew(), name="fcm access token")
        renewal = self._renewal
        # Not cancelled when time is up, as its thread would go on: the next call waits for it.
        await asyncio.wait({renewal}, timeout=deadline - time.monotonic())
        if not renewal.done():
            return Sent(Outcome.RETRY, "no access token in time")
        if self._renewal is renewal:
            self._renewal = None
        return renewal.result()

    async def _renew(self) -> Sent | None:
        try:
            await asyncio.to_thread(self._token.renew)
        except (GoogleAuthError, RequestException) as error:
            structlog.get_logger().error("no access token from Google", error=str(error))
            return Sent(Outcome.RETRY, f"no access token: {error}")
        return None

    async def _send(self, target: Target, notice: Notice, deadline: float) -> Sent:
        if wait := self._limit.take(target.target, notice.urgent):
            return Sent(Outcome.RETRY, "the device has had enough for now", wait)
        sent = await self._wait_turn(deadline)
        if sent is None:
            try:
                left = deadline - time.monotonic()
                ttl = max(notice.ttl, 1) - int(self._within - left)
                sent = Sent(Outcome.RETRY, "it expired while it waited")
                if ttl > 0:
                    aged = structs.replace(notice, ttl=ttl)
                    sent = await self._send_now(target, aged, min(left, SEND_DEADLINE))
            finally:
                self._under_way -= 1
                self._room.set()
        if sent.outcome is not Outcome.ACCEPTED:
            self._limit.give_back(target.target, notice.urgent)
        return sent

    async def _wait_turn(self, deadline: float) -> Sent | None:
        """First come, first served; an answer if it cannot go in time, as none can in a pause."""
        try:
            # Sends of this call are over by the deadline, and tell more; others may not be.
            async with asyncio.timeout(deadline + SLACK - time.monotonic()):
                return await self._take_turn(deadline)
        except TimeoutError:
            return Sent(Outcome.RETRY, "no time was left")

    async def _take_turn(self, deadline: float) -> Sent | None:
        async with self._turn:
            while self._under_way >= self.window.size and not self.pause.left():
                self._room.clear()
                await self._room.wait()
            while True:
                if pause := self.pause.left():
                    return Sent(Outcome.RETRY, self.pause.reason, pause)
                left = deadline - time.monotonic()
                if left <= 0:
                    return Sent(Outcome.RETRY, "no time was left")
                wait = self.bucket.take(self.pause.until)
                if not wait:
                    break
                if wait >= left:
                    return Sent(Outcome.RETRY, "the share of the quota is used up", wait)
                await asyncio.sleep(wait)
            self._under_way += 1
        return None

    async def _send_now(self, target: Target, notice: Notice, within: float) -> Sent:
        begun = time.monotonic()
        try:
            push = fcm_message(target, notice, time.time())
            async with asyncio.timeout(within):
                batch = await messaging.send_each_async([push], app=self._app)
        except TimeoutError:
            self.window.failed(begun, "no answer")
            return Sent(Outcome.RETRY, "no answer")
        except exceptions.FirebaseError as error:
            return self._judge(error, begun)
        except ValueError as error:
            structlog.get_logger().error("not a valid push", id=notice.id, error=str(error))
            return Sent(Outcome.REFUSED, f"not valid: {error}")
        (answer,) = batch.responses
        if not answer.success:
            return self._judge(answer.exception, begun)
        self.window.answered()
        self.breaker.note(dead=False)
        self._taken[likeness(target, notice)] = None
        if len(self._taken) > TAKEN_KEPT:
            self._taken.popitem(last=False)
        return Sent(Outcome.ACCEPTED, answer.message_id)

    def _judge(self, error: exceptions.FirebaseError, begun: float) -> Sent:
        """The outcome of a fault, and what it means for the sends that follow."""
        sent = outcome(error)
        match error:
            case (
                messaging.UnregisteredError()
                | messaging.SenderIdMismatchError()
                | exceptions.InvalidArgumentError()
            ):
                self.window.answered()
                self.breaker.note(dead=True)
            case exceptions.ResourceExhaustedError() | exceptions.NotFoundError():
                self.window.stop(sent.retry_after or QUOTA_PAUSE, sent.detail)
            case messaging.ThirdPartyAuthError():
                self.window.answered()  # Apple's key of the project, not our token
            case exceptions.UnauthenticatedError():
                self._token.refused = True
                self.window.failed(begun, sent.detail)
            case _:
                self.window.failed(begun, sent.detail, sent.retry_after)
        doubtful = sent.outcome is Outcome.GONE or isinstance(sent, Invalid)
        return not_believed(sent) if doubtful and self.breaker.is_open() else sent


def not_believed(sent: Sent) -> Sent:
    """A target that is called dead while too many are."""
    return Sent(Outcome.RETRY, f"{sent.detail}, not believed", BREAKER_PAUSE)


def chains(sends: Sequence[tuple[Target, Notice]]) -> list[list[int]]:
    """Which sends wait for each other: versions of one tag on one target. Urgent chains first."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, (target, notice) in enumerate(sends):
        found.setdefault((target.target, notice.tag), []).append(number)
    for chain in found.values():
        chain.sort(key=lambda number: sends[number][1].version)
    return sorted(
        found.values(), key=lambda chain: not any(sends[number][1].urgent for number in chain)
    )


def outcome(error: exceptions.FirebaseError) -> Sent:
    """What an error of the SDK means for the notice and its target."""
    detail = f"{type(error).__name__}: {error}"
    match error:
        case messaging.UnregisteredError():
            return Sent(Outcome.GONE, "UNREGISTERED")
        case messaging.SenderIdMismatchError():
            structlog.get_logger().error("the target belongs to another project", error=detail)
            return Sent(Outcome.GONE, "SENDER_ID_MISMATCH")
        case exceptions.InvalidArgumentError():
            structlog.get_logger().error("FCM calls a push invalid", error=detail)
            return Invalid(Outcome.REFUSED, detail)
        case exceptions.NotFoundError():
            # Not about the target: the project or the address is wrong.
            structlog.get_logger().error("FCM does not know the project", error=detail)
            return Sent(Outcome.RETRY, detail, PROJECT_PAUSE)
        case exceptions.ResourceExhaustedError():
            return Sent(Outcome.RETRY, detail, retry_after(error) or QUOTA_PAUSE)
    return Sent(Outcome.RETRY, detail, retry_after(error))


def retry_after(error: exceptions.FirebaseError) -> float | None:
    """Seconds that the provider asked for, by a number or by a date on its own clock."""
    headers = {} if error.http_response is None else error.http_response.headers
    named = headers.get("Retry-After", "").strip()
    if named.isascii() and named.isdigit():
        return min(float(named), LONGEST)
    until, now = date_of(named), date_of(headers.get("Date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - now).total_seconds())


def date_of(text: str) -> datetime | None:
    """An HTTP date."""
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def fcm_message(target: Target, notice: Notice, now: float) -> messaging.Message:
    """The push for one target; a later one with the same tag replaces it on the device."""
    ttl = min(max(notice.ttl, 1), MAX_TTL)
    expires = str(int(now + ttl))
    told = payload(notice, expires)
    if size(told) > LIMIT:
        raise ValueError(f"{size(told)} bytes are more than {LIMIT}")
    push = messaging.Message(data=told)
    # Not by the constructor: it warns that tokens are deprecated, and old apps still have them.
    setattr(push, target.kind, target.target)
    match target.platform:
        case "android":
            # No collapse_key: a device keeps four of them only, and which is undefined. High also
            # for what is not urgent: each is shown, and normal ones wait while the phone sleeps.
            push.android = messaging.AndroidConfig(priority="high", ttl=timedelta(seconds=ttl))
        case "ios":
            push.apns = apns(notice, expires)
        case _:
            urgency = "high" if notice.urgent else "normal"
            push.webpush = messaging.WebpushConfig(
                headers={"Topic": topic(notice), "TTL": str(ttl), "Urgency": urgency}
            )
    return push


def apns(notice: Notice, expires: str) -> messaging.APNSConfig:
    """An alert that the app's extension may drop or reword before it is shown."""
    return messaging.APNSConfig(
        headers={
            "apns-collapse-id": topic(notice),
            "apns-expiration": expires,
            "apns-priority": "10" if notice.urgent else "5",
            "apns-push-type": "alert",
        },
        payload=messaging.APNSPayload(
            messaging.Aps(
                alert=messaging.ApsAlert(title=notice.title, body=notice.body),
                sound=None if notice.silent else "default",
                mutable_content=True,
                thread_id=notice.leg_key or None,
            )
        ),
    )

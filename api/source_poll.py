"""A list of flights that is asked for again and again, no more often than its owner allows.

Whatever goes wrong, the board stays as it is and the feed grows late: an answer that cannot be
read, an empty one and a refusal change nothing and are not heard as a word of the source.
"""

import asyncio
import email.utils
import random
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from urllib.parse import urljoin, urlsplit

import structlog
from msgspec import Struct

from api.feed_bodies import BODY_LIMIT
from api.feed_manner import BodyRefused, Manner
from api.intake import Intake, database_waits
from api.poll_sources import PollSource
from realtime.backoff import Backoff

TIMEOUT = 30.0
MOST_PAGES = 60
BETWEEN_PAGES = 0.5
LONGEST_WAIT = 3600.0
AGENT = "Gatecast (flight boards)"


class Answer(Struct, frozen=True):
    """Of the source: status 200 with a body, 304 or an error; the wait that it asks for, in s."""

    status: int
    body: bytes = b""
    wait: float = 0.0
    next_page: str = ""
    etag: str = ""


class Unanswered(Exception):
    """A round that brought nothing; `wait`: what the source asks for, in seconds."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


class PollingSource:
    """Until cancelled; losing the source or the database is waited out."""

    def __init__(
        self,
        source: PollSource,
        base: str,
        feed: str,
        each: float,
        manner: Manner,
        headers: Mapping[str, str],
        intake: Intake,
    ) -> None:
        self.source, self.base, self.feed, self.manner = source, base or source.base, feed, manner
        self.each = max(each, source.interval)
        self.headers = {"User-Agent": AGENT, **dict(source.headers), **headers}
        self.intake = intake
        self.log = structlog.get_logger("poll").bind(feed=feed)
        self._etags: dict[str, str] = {}

    async def run(self) -> None:
        """A round, then the wait; after a failure a longer one."""
        backoff = Backoff(base=self.each, cap=max(self.each, LONGEST_WAIT / 2), least=self.each)
        await self.intake.expect_each(self.feed, self.each)
        while True:
            wait = self.each * random.uniform(1.0, 1.1)
            try:
                bodies = await self.round()
                self.log.info("polled", bodies=bodies)
                backoff.reset()
            except Unanswered as failed:
                wait = min(max(failed.wait, backoff.next()), LONGEST_WAIT)
                self.log.warning("not answered", reason=str(failed), wait=round(wait, 1))
            except Exception as error:
                if not database_waits(error):
                    raise
                self.log.warning("waits for the database", error=str(error)[:200])
                wait = backoff.next()
            await asyncio.sleep(wait)

    async def round(self) -> int:
        """Ask for everything once and take it in; how many bodies that were."""
        now, bodies = await self.intake.now(), 0
        for address in self.source.addresses(self.base, self.manner.airport, now):
            following, seen = address, set[str]()
            while following and following not in seen and len(seen) < MOST_PAGES:
                if bodies or seen:
                    await asyncio.sleep(BETWEEN_PAGES)
                seen.add(following)
                answer = await asyncio.to_thread(
                    fetch, following, self.headers, self._etags.get(following, "")
                )
                await self._take(following, answer)
                bodies += answer.status == 200
                following = answer.next_page
        return bodies

    async def _take(self, address: str, answer: Answer) -> None:
        if answer.status == 304:
            await self.intake.heartbeat(self.feed)
            return
        if answer.status != 200:
            raise Unanswered(f"status {answer.status}", answer.wait)
        if len(answer.body) > BODY_LIMIT:
            raise Unanswered(f"the answer has more than {BODY_LIMIT} bytes")
        try:
            said = await self.intake.take_if_any(
                self.feed, self.source.format, answer.body, self.manner
            )
        except BodyRefused as refused:
            raise Unanswered(f"the answer cannot be read: {refused}", answer.wait) from None
        if not said:
            raise Unanswered("the answer has no flights", answer.wait)
        self._etags = {**self._etags, address: answer.etag} if answer.etag else self._etags


def fetch(address: str, headers: Mapping[str, str], etag: str = "") -> Answer:
    """Ask once, in a thread; Unanswered when nobody answers."""
    sent = dict(headers) | ({"If-None-Match": etag} if etag else {})
    if urlsplit(address).scheme not in ("http", "https"):
        raise Unanswered(f"{address[:60]} is no http address")
    request = urllib.request.Request(address, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            body = response.read(BODY_LIMIT + 1)
            return Answer(
                response.status if response.status in (200, 304) else 502, body,
                wait_of(response.headers), next_of(address, response.headers),
                response.headers.get("ETag", ""),
            )  # fmt: skip
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, b"", wait_of(error.headers))
    except (OSError, ValueError, EOFError) as error:
        raise Unanswered(f"{type(error).__name__}: {str(error)[:100]}") from None


def wait_of(headers: Message) -> float:
    """What Retry-After says, seconds or a date; 0 without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:6])
    parsed = email.utils.parsedate_to_datetime(text) if _is_date(text) else None
    return max(0.0, parsed.timestamp() - time.time()) if parsed is not None else 0.0


def next_of(address: str, headers: Message) -> str:
    """The next page, as the Link header has it, on the same server."""
    for link in headers.get("Link", "").split(","):
        target, _, words = link.strip().partition(">")
        if 'rel="next"' in words.replace("'", '"') and target.startswith("<"):
            found = urljoin(address, target[1:])
            if urlsplit(found)[:2] == urlsplit(address)[:2]:
                return found
    return ""


def _is_date(text: str) -> bool:
    try:
        email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return False
    return True

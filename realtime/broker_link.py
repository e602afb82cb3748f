"""Links to the broker that are kept: opened when first needed, and again when they have ended."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

import structlog

from realtime.amqp import AmqpFault, Link, State
from realtime.backoff import Backoff
from realtime.broker_advice import NO_AMQP, Advice, BrokerAddress, address_of, advice
from realtime.errors import BrokerRefused

RECONNECT_LEAST = 0.5
STEADY_AFTER = 10.0
PROBE_WITHIN = 3.0


class KeptLink:
    """A link that is opened when first needed, and again, prepared anew, whenever it has ended."""

    def __init__(self, url: str, name: str, prepare: Callable[[Link], Awaitable[None]]) -> None:
        self.name = name
        self.away: str | None = "not opened yet"
        self.needed = asyncio.Event()
        self.up = asyncio.Event()
        self._url = url
        self._address = address_of(url)
        self._prepare = prepare
        self._link: Link | None = None
        self._worked = False

    @property
    def state(self) -> State:
        """Of the present link."""
        return "down" if self._link is None else self._link.state

    @property
    def link(self) -> Link | None:
        """The present link, when it is fit for use."""
        return self._link if self.state == "up" else None

    async def run(self) -> None:
        """Until cancelled; an outage is one line in the log and one when it is over.

        BrokerRefused: it has never worked, and waiting does not mend what is wrong.
        """
        await self.needed.wait()
        # Each failed attempt is an error to pika.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        loop = asyncio.get_running_loop()
        backoff = Backoff(base=0.5, cap=10.0 - RECONNECT_LEAST)
        while True:
            started_at = loop.time()
            reason = await self._keep_one()
            found = await advised(self._address, reason)
            if found.permanent and not self._worked:
                raise BrokerRefused(found.sentence)
            self._tell(found)
            if loop.time() - started_at > STEADY_AFTER:
                backoff.reset()
            await asyncio.sleep(RECONNECT_LEAST + backoff.next())

    def _tell(self, found: Advice) -> None:
        """Once an outage, and again when something else has to be done about it."""
        known = self.away is not None and self.away != "not opened yet"
        if not known or (found.permanent and found.sentence != self.away):
            structlog.get_logger().warning("broker away", link=self.name, reason=found.sentence)
        self.away = found.sentence

    async def _keep_one(self) -> str:
        """Why a link ended or could not be had."""
        link: Link | None = None
        try:
            link = await Link.open(self._url, self.name)
            await self._prepare(link)
            self._link = link
            self._worked = True
            self.away = None
            structlog.get_logger().info("broker linked", link=self.name)
            self.up.set()
            reason = await asyncio.shield(link.ended)
            self.up.clear()
            await link.wait_unblocked()
            return reason
        except AmqpFault as fault:
            return str(fault)
        finally:
            self.up.clear()
            self._link = None
            if link is not None:
                await link.close()


async def advised(at: BrokerAddress, reason: str) -> Advice:
    """What to do; whoever says no word of AMQP is asked whether that is because of TLS."""
    if not reason.startswith(NO_AMQP):
        return advice(at, reason)
    if not at.secure and await speaks_tls(at):
        return Advice(
            f"{at.place} speaks TLS: write amqps:// in place of amqp:// in GATECAST_AMQP_URL", True
        )
    return Advice(f"{at.place} says no word of AMQP: {reason.removeprefix(NO_AMQP)}")


async def speaks_tls(at: BrokerAddress) -> bool:
    """Whether a handshake succeeds; with whom does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(PROBE_WITHIN):
            _, writer = await asyncio.open_connection(at.host, at.port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True

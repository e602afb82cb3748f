"""Prints notices: the sender of a machine that has no push credentials."""

from collections.abc import Sequence

import structlog

from realtime.sender import PRINTED, Notice, Outcome, Sent, Target


class LogSender:
    """Takes every notice and sends none; says so once."""

    def __init__(self) -> None:
        structlog.get_logger().warning(
            "no FCM credentials are set: notices are printed here and nothing leaves the machine"
        )

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        """Print each."""
        log = structlog.get_logger()
        for target, notice in sends:
            log.info(
                "notice",
                title=notice.title,
                body=notice.body,
                leg=notice.leg_key,
                urgent=notice.urgent,
                id=notice.id,
                platform=target.platform,
                device=target.device_id,
            )
        return [Sent(Outcome.ACCEPTED, PRINTED)] * len(sends)

    async def close(self) -> None:
        """Nothing is held open."""

"""What waits for one connection: all for a fast client, the newest of each leg for a slow one."""

import asyncio
from contextlib import suppress

from realtime.audience import Slot
from realtime.outbox import Outbox

BOARD = "board:JFK:departures"
ONE, TWO = (BOARD, "one"), (BOARD, "two")


def frames(*named: tuple[Slot, str]) -> list[tuple[Slot, bytes]]:
    return [(slot, text.encode()) for slot, text in named]


async def test_frames_of_one_turn_all_reach_a_client_that_takes_them() -> None:
    outbox = Outbox()
    writer = asyncio.create_task(outbox.take(), name="writer")
    await asyncio.sleep(0)  # it waits
    outbox.publish(frames((ONE, "1"), (TWO, "2")))
    outbox.publish(frames((ONE, "3")))
    assert await writer == b"1\n2\n3"
    assert outbox.traffic.conflated == 0


async def test_while_a_frame_is_in_hand_the_newest_of_each_leg_waits() -> None:
    outbox = Outbox()
    outbox.publish(frames((ONE, "1")))
    assert await outbox.take() == b"1"
    outbox.publish(frames((ONE, "2"), (TWO, "3")))
    outbox.publish(frames((ONE, "4")))
    assert outbox.traffic.conflated == 1
    outbox.reply(b"reply")
    assert len(outbox) == 3
    assert await outbox.take() == b"3\n4\nreply"


async def test_nothing_of_a_channel_waits_once_it_is_forgotten() -> None:
    outbox = Outbox()
    outbox.publish(frames((ONE, "1"), (("status:JFK", ""), "2")))
    outbox.forget(BOARD)
    assert await outbox.take() == b"2"
    outbox.publish(frames((ONE, "3")))
    outbox.forget(BOARD)
    assert len(outbox) == 0
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            assert await outbox.take() == b""
